"""A session with nobody connected sleeps in the store, and reading one starts nothing."""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import pytest
import trio

from locshare.actors import introspect
from locshare.actors.testing import settle
from locshare.session import actor as actor_module
from locshare.session.directory.directory import SESSIONS
from locshare.session.errors import (
    Banned,
    LinkReplaced,
    ParticipantNotFound,
    SessionLocked,
    SessionOver,
    SessionUnavailable,
)
from locshare.session.lifecycle import LOOK_FOR_ROOM_EVERY_S
from locshare.session.origin import Origin
from locshare.supervisor import DynamicSupervisorRef
from tests.session.kit import HOUR, Fault, House, house, position


def running(home: House) -> int:
    """How many sessions have an actor."""
    sessions = home.names.lookup(SESSIONS)
    assert isinstance(sessions, DynamicSupervisorRef)
    return sessions.count_children().specs


def awake(home: House) -> set[UUID]:
    return set(home.manager.directory._tables)


async def test_reading_sessions_starts_none_of_them() -> None:
    async with house(max_sessions=5) as home:
        sessions = [await home.session() for _ in range(100)]
        for session in sessions:
            assert await home.manager.participants(session) == ()
            assert (await home.manager.describe(session)).participant_count == 0
        assert running(home) == 0
        assert awake(home) == set()
        await home.join(sessions[0])


async def test_who_is_in_a_sleeping_session_is_read_from_the_store() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.leave()
        bo.link.detach()
        ada.link.detach()
        await trio.sleep(61)
        assert awake(home) == set()
        (found,) = await home.manager.participants(session)
        assert (found.user_id, found.display_name, found.online) == (ada.user_id, "Ada", False)
        assert (await home.manager.describe(session)).participant_count == 1
        assert running(home) == 0
        await trio.sleep(3600)
        with pytest.raises(SessionOver):
            await home.manager.participants(session)


async def test_a_session_sleeps_after_a_minute_with_nobody_connected_and_loses_nothing() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await ada.link.update(position(1))
        await settle()
        await bo.link.leave()
        bo.link.detach()
        home.store.touches.clear()
        ada.link.detach()
        gone = home.clock()
        await trio.sleep(59.9)
        assert awake(home) == {session}
        await trio.sleep(0.2)
        assert awake(home) == set()
        assert running(home) == 0
        assert max(active for _, active, _ in home.store.touches) >= gone
        assert home.manager.statistics().slept == 1
        # Whoever comes back wakes it.
        again = await home.connect(session, ada.user_id)
        assert [p["user_id"] for p in again.phone.snapshot["participants"]] == [ada.user_id]
        assert again.phone.snapshot["positions"] == []
        with pytest.raises(ParticipantNotFound):
            await home.manager.open(session, bo.user_id)
        cy = await home.someone(session, "Cy")
        await cy.link.update(position(2))
        await settle()
        assert again.phone.heard() == [(cy.user_id, 2)]


async def test_who_may_not_join_wakes_no_session() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        bo_origin = Origin.of("192.0.2.7", None)
        cy = await home.join(session, "Cy", origin=bo_origin)
        key = (await home.manager.replace_link(session)).link_key
        await home.manager.remove(session, cy, ban=True)
        ada.link.detach()
        bo.link.detach()
        await trio.sleep(61)
        with pytest.raises(LinkReplaced):
            await home.join(session, "Di")
        with pytest.raises(Banned):
            await home.join(session, "Cy", link_key=key, origin=bo_origin)
        assert awake(home) == set()
        await home.manager.set_locked(session, True)
        await trio.sleep(61)
        with pytest.raises(SessionLocked):
            await home.join(session, "Di", link_key=key)
        assert awake(home) == set()
        await home.join(session, "Host", "host")
        assert awake(home) == {session}


async def test_a_session_in_which_somebody_is_connected_never_sleeps() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        actor = home.actor(session)
        for _ in range(10):
            bo.link.detach()
            await trio.sleep(100)
            bo = await home.connect(session, bo.user_id)
        assert home.actor(session) is actor
        assert not ada.phone.closed


async def test_the_minute_begins_anew_with_each_who_comes() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        ada.link.detach()
        for name in ("Bo", "Cy", "Di"):
            await trio.sleep(50)
            assert home.manager.statistics().slept == 0
            await home.join(session, name)
        assert awake(home) == {session}
        await trio.sleep(61)
        assert awake(home) == set()


async def test_a_session_does_not_sleep_under_a_join_or_a_connection_that_is_being_made() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        link = await home.manager.open(session, ada.user_id)
        ada.link.detach()
        await trio.sleep(300)
        assert awake(home) == {session}
        link.detach()
        link.detach()
        home.store.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(home.join, session, "Bo")
            await trio.sleep(300)
            assert awake(home) == {session}
            home.store.gate.set()
        await trio.sleep(121)
        assert awake(home) == set()


async def test_when_room_is_needed_the_longest_empty_session_sleeps_first() -> None:
    async with house(max_sessions=3) as home:
        groups = [await home.group("Ada") for _ in range(3)]
        for _, (ada,) in (groups[1], groups[0]):
            ada.link.detach()
            await trio.sleep(5)
        await home.someone(await home.session())
        # Some at a time, the longest empty first; connected sessions stay.
        assert groups[2][0] in awake(home)
        assert groups[1][0] not in awake(home)
        assert len(awake(home)) <= 3
        for session, (ada,) in groups[:2]:
            with trio.fail_after(1):
                if session not in awake(home) and len(awake(home)) == 3:
                    with pytest.raises(SessionUnavailable):
                        await home.connect(session, ada.user_id)
                else:
                    await home.connect(session, ada.user_id)


async def test_when_all_sessions_are_in_use_there_is_no_room_and_nobody_is_disturbed() -> None:
    async with house(max_sessions=2) as home:
        groups = [await home.group("Ada") for _ in range(2)]
        other = await home.session()
        for _ in range(3):
            with pytest.raises(SessionUnavailable):
                await home.join(other)
        groups[0][1][0].link.detach()
        await trio.sleep(LOOK_FOR_ROOM_EVERY_S)
        await home.join(other)
        assert awake(home) == {groups[1][0], other}
        assert not groups[1][1][0].phone.closed


async def test_a_caller_that_comes_while_a_session_falls_asleep_finds_it_whole() -> None:
    """After each number of steps that falling asleep may take."""
    outcomes = set()
    for steps in range(40):
        async with house() as home:
            session, (ada, bo) = await home.group("Ada", "Bo")
            for each in (ada, bo):
                each.link.detach()
            await settle()
            actor = home.actor(session)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(home.manager.lifecycle.put_to_sleep, home.table(session))
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                again = await home.connect(session, ada.user_id)
            await settle()
            outcomes.add(home.actor(session) is actor)
            assert len(again.phone.snapshot["participants"]) == 2
            assert running(home) == 1
            cy = await home.someone(session, "Cy")
            await again.link.update(position(7))
            await settle()
            assert cy.phone.heard() == [(ada.user_id, 7)]
    assert outcomes == {False, True} or outcomes == {False}


async def test_falling_asleep_that_is_cancelled_leaves_nothing_half_done() -> None:
    for steps in range(30):
        async with house() as home:
            session, (ada,) = await home.group("Ada")
            ada.link.detach()
            await settle()
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(home.manager.lifecycle.put_to_sleep, home.table(session))
                    for _ in range(steps):
                        await trio.lowlevel.cancel_shielded_checkpoint()
                    scope.cancel()
            assert not home.manager.lifecycle._transitions
            await home.connect(session, ada.user_id)
            assert running(home) == 1


async def test_an_orphan_that_falls_asleep_before_its_turn_is_not_started() -> None:
    """As when a caller needs room while the reaper starts one orphan after the other; after each
    number of steps that the first one may take.
    """
    for steps in range(6):
        async with house(reaper=False) as home:
            groups = [await home.group("Ada") for _ in range(2)]
            for _, (ada,) in groups:
                ada.link.detach()
            await settle()
            (first, _), (second, (ada,)) = groups
            sessions = home.names.lookup(SESSIONS)
            assert sessions is not None
            introspect.kill(sessions)
            await sessions.wait_exit()
            await settle()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(home.manager.lifecycle.restart_orphans)
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                await home.manager.lifecycle.put_to_sleep(home.table(second))
            assert awake(home) >= {first}
            assert running(home) == len(awake(home))
            await home.connect(second, ada.user_id)


async def test_a_session_that_crashed_sleeps_too() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        await home.crash(session)
        ada.link.detach()
        await settle()
        await trio.sleep(30)
        await home.crash(session)
        await trio.sleep(91)
        assert awake(home) == set()
        assert running(home) == 0
        await home.connect(session, ada.user_id)


async def test_a_session_that_hangs_is_put_to_sleep_and_its_last_activity_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        Fault(monkeypatch, actor_module.SessionActor, "terminate").left = 1
        await trio.sleep(40)
        home.store.touches.clear()
        ada.link.detach()
        await settle()
        await home.manager.lifecycle.put_to_sleep(home.table(session))
        assert [touched[0] for touched in home.store.touches] == [session]
        assert running(home) == 0


async def test_a_reaper_that_crashes_puts_to_sleep_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        ada.link.detach()
        fault = Fault(monkeypatch, home.manager.lifecycle, "stop")
        fault.left = 1
        await trio.sleep(61)
        assert [report.child_id for report in home.reports] == ["reaper"]
        assert not home.manager.lifecycle._transitions
        assert fault.left == 0
        await home.connect(session, ada.user_id)


async def test_a_sleeping_session_ends_as_any_other() -> None:
    async with house() as home:
        hour, day = await home.session(), await home.session(expires_in=24 * HOUR)
        people = [await home.someone(session) for session in (hour, day)]
        for each in people:
            each.link.detach()
        await trio.sleep(3500)
        assert awake(home) == set()
        assert home.store.sessions[hour].is_active
        await trio.sleep(200)
        assert not home.store.sessions[hour].is_active
        assert not home.store.sessions[day].is_active


async def test_the_host_ends_a_sleeping_session() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        ada.link.detach()
        await trio.sleep(61)
        await home.manager.end(session)
        assert not home.store.sessions[session].is_active
        await settle()
        assert running(home) == 0


async def test_a_token_of_who_left_wakes_no_session() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.leave()
        bo.link.detach()
        ada.link.detach()
        await trio.sleep(61)
        for _ in range(3):
            with pytest.raises(ParticipantNotFound):
                await home.manager.open(session, bo.user_id)
        assert running(home) == 0


async def test_many_who_come_at_once_with_bad_and_good_tokens_get_each_their_answer() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        ada.link.detach()
        await trio.sleep(61)
        answers: list[str] = []

        async def come(user_id: str) -> None:
            try:
                link = await home.manager.open(session, user_id)
            except ParticipantNotFound:
                answers.append("no")
            else:
                answers.append("yes")
                link.detach()

        calls: list[Callable[[], Awaitable[None]]] = [
            partial(come, user_id) for user_id in ["nobody", ada.user_id] * 5
        ]
        async with trio.open_nursery() as nursery:
            for call in calls:
                nursery.start_soon(call)
        assert sorted(answers) == ["no"] * 5 + ["yes"] * 5
        assert running(home) == 1
