"""What a host can do against strangers: the kept seat, the lock, removal, bans. And names."""

from hashlib import blake2b
from uuid import UUID, uuid4

import pytest
import trio

from locshare.actors.testing import settle
from locshare.model.participant import Role
from locshare.model.reasons import CloseReason
from locshare.session import actor as actor_module
from locshare.session.errors import (
    Banned,
    LinkReplaced,
    ParticipantNotFound,
    SessionFull,
    SessionLocked,
    SessionNotFound,
    SessionOver,
)
from locshare.session.features.kept_parts import MAX_SESSIONS, KeptParts
from locshare.session.features.roster import ADDRESS_S, Lock, ReplaceLink
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.origin import Origin
from locshare.session.rules import SessionRules
from locshare.store.port import StoreUnavailable
from tests.session.kit import HOUR, Fault, House, Phone, house, position

SMALL = SessionLimits(max_participants=3)


async def strangers(home: House, session: UUID, count: int = 3) -> list[str]:
    """People who join and never connect."""
    return [await home.join(session, f"Stranger {number}") for number in range(count)]


def names(home: House, session: UUID) -> list[str]:
    return [member.display_name for member in home.table(session).roster.values()]


# --- seats ----------------------------------------------------------------------------------------


async def test_the_host_finds_a_seat_in_a_session_that_strangers_have_filled() -> None:
    async with house(SMALL) as home:
        session = await home.session()
        await strangers(home, session)
        with pytest.raises(SessionFull):
            await home.join(session, "Ada")
        host = await home.join(session, "Host", "host")
        await home.connect(session, host)
        with pytest.raises(SessionFull):
            await home.join(session, "Ada")


async def test_hosts_are_not_without_number_either() -> None:
    async with house(SMALL) as home:
        session = await home.session()
        await strangers(home, session)
        for _ in range(3):
            await home.join(session, "Host", "host")
        with pytest.raises(SessionFull):
            await home.join(session, "Host", "host")
        # After a sleep it is known who is a host.
        await trio.sleep(61)
        with pytest.raises(SessionFull):
            await home.join(session, "Host", "host")


async def test_seats_that_nobody_connected_to_are_given_back_after_two_minutes() -> None:
    async with house(SMALL) as home:
        session = await home.session(expires_in=24 * HOUR)
        host = await home.connect(session, await home.join(session, "Host", "host"))
        fakes = await strangers(home, session, 2)
        await trio.sleep(119)
        with pytest.raises(SessionFull):
            await home.join(session, "Ada")
        await trio.sleep(1.1)
        assert [left["user_id"] for left in host.phone.all("participant_left")] == fakes
        assert names(home, session) == ["Host"]
        listed = await home.manager.participants(session)
        assert [each.user_id for each in listed] == [host.user_id]
        assert (await home.manager.describe(session)).participant_count == 1
        for name in ("Ada", "Bo"):
            await home.someone(session, name)
        # Their tokens find no seat any more, and get a clear answer.
        with pytest.raises(ParticipantNotFound):
            await home.manager.open(session, fakes[0])


async def test_who_has_connected_once_keeps_the_seat() -> None:
    async with house(SMALL) as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        bo.link.detach()
        await trio.sleep(1000)
        assert names(home, session) == ["Ada", "Bo"]
        ada.link.detach()
        await trio.sleep(61)  # asleep, and awake again
        await home.wake(session)
        await trio.sleep(1)
        assert names(home, session) == ["Ada", "Bo"]


async def test_an_honest_latecomer_takes_a_seat_again_when_there_is_one() -> None:
    async with house(SMALL) as home:
        session, (ada,) = await home.group("Ada")
        late = await home.join(session, "Late")
        await trio.sleep(121)
        await home.someone(session, "LATE")
        someone = await home.connect(session, late)
        await settle()
        joined = ada.phone.all("participant_joined")
        assert [each["display_name"] for each in joined] == ["Late", "LATE", "Late 2"]
        assert sum(each["user_id"] == late for each in joined) == 2
        assert someone.phone.types == ["session_state"]
        assert len(someone.phone.snapshot["participants"]) == 3
        await someone.link.update(position(5))
        await settle()
        assert ada.phone.heard() == [(late, 5)]
        await trio.sleep(500)
        assert late in home.table(session).roster


async def test_who_took_a_seat_again_and_did_not_connect_loses_it_again() -> None:
    async with house(SMALL) as home:
        session, _ = await home.group("Ada")
        late = await home.join(session, "Late")
        await trio.sleep(121)
        rules = SessionRules(home.table(session), SMALL)
        assert rules.restore_seat(late, trio.current_time())
        assert rules.seat_expiry() is not None
        rules.release_unused_seats(Moment(home.clock(), trio.current_time()))
        assert list(home.table(session).lapsed) == [late]


async def test_of_two_latecomers_who_come_at_once_for_one_seat_one_is_refused() -> None:
    async with house(SMALL) as home:
        session, _ = await home.group("Ada", "Bo")
        late = await home.join(session, "Late")
        await trio.sleep(121)
        later = await home.join(session, "Later")
        await trio.sleep(121)
        links = [await home.manager.open(session, each) for each in (late, later)]
        await links[0].attach(Phone(late))
        with pytest.raises(ParticipantNotFound):
            await links[1].attach(Phone(later))
        for link in links:
            link.detach()


async def test_lost_seats_are_lost_after_a_sleep_too_and_can_be_taken_again() -> None:
    async with house(SMALL) as home:
        session = await home.session()
        fakes = await strangers(home, session, 3)
        await trio.sleep(130)
        assert home.manager.directory._tables == {}
        assert await home.manager.participants(session) == ()
        assert (await home.manager.describe(session)).participant_count == 0
        ada = await home.someone(session, "Ada")
        assert len(ada.phone.snapshot["participants"]) == 1
        await home.connect(session, fakes[1])
        assert len(ada.phone.all("participant_joined")) == 1


async def test_only_so_many_who_never_connected_are_remembered() -> None:
    async with house(SMALL) as home:
        session, (_ada,) = await home.group("Ada")
        fakes = []
        for _ in range(4):
            fakes += await strangers(home, session, 2)
            await trio.sleep(121)
        await settle()
        table = home.table(session)
        assert list(table.lapsed) == fakes[-3:]
        active = {u for u, row in home.store.participants[session].items() if row.is_active}
        assert active == {_ada.user_id, *fakes[-3:]}
        with pytest.raises(ParticipantNotFound):
            await home.manager.open(session, fakes[0])


async def test_who_never_connected_can_be_removed_for_good() -> None:
    async with house(SMALL) as home:
        session, (ada,) = await home.group("Ada")
        (fake,) = await strangers(home, session, 1)
        await trio.sleep(121)
        ada.phone.messages.clear()
        await home.manager.remove(session, fake)
        assert ada.phone.messages == []
        with pytest.raises(ParticipantNotFound):
            await home.manager.open(session, fake)
        assert fake not in home.store.participants[session]


async def test_seats_are_given_back_by_the_next_incarnation_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house(SMALL) as home:
        session, (ada,) = await home.group("Ada")
        fakes = await strangers(home, session, 2)
        await home.crash(session)
        Fault(monkeypatch, actor_module, "deliver_events").left = 1
        await trio.sleep(121)
        assert sorted(left["user_id"] for left in ada.phone.all("participant_left")) == sorted(
            fakes
        )
        assert names(home, session) == ["Ada"]


# --- the lock -------------------------------------------------------------------------------------


async def test_a_locked_session_lets_in_only_hosts_and_members() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        fake = await home.join(session, "Fake")
        info = await home.manager.set_locked(session, True)
        assert info.locked
        assert ada.phone.all("session_updated") == [{"locked": True}]
        assert bo.phone.all("session_updated") == [{"locked": True}]
        with pytest.raises(SessionLocked):
            await home.join(session, "Cy")
        bo.link.detach()
        again = await home.connect(session, bo.user_id)
        assert again.phone.snapshot["session"]["locked"] is True
        await home.join(session, "Host", "host")
        await trio.sleep(121)
        with pytest.raises(ParticipantNotFound):
            await home.manager.open(session, fake)
        await home.manager.set_locked(session, True)
        await home.manager.set_locked(session, False)
        assert ada.phone.all("session_updated") == [{"locked": True}, {"locked": False}]
        await home.join(session, "Cy")


async def test_a_lock_holds_over_crashes_sleep_and_restarts() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        await home.manager.set_locked(session, True)
        await home.crash(session)
        with pytest.raises(SessionLocked):
            await home.join(session, "Cy")
        ada.link.detach()
        await trio.sleep(61)
        assert (await home.manager.describe(session)).locked
        with pytest.raises(SessionLocked):
            await home.join(session, "Cy")
        store = home.store
    async with house() as again:
        again.store.sessions, again.store.participants = store.sessions, store.participants
        with pytest.raises(SessionLocked):
            await again.join(session, "Cy")


@pytest.mark.parametrize(
    ("command", "refusal"), [(Lock(True), SessionLocked), (ReplaceLink("new"), LinkReplaced)]
)
async def test_a_join_that_is_written_too_slowly_is_refused_for_what_came_first(
    command: Lock | ReplaceLink, refusal: type[Exception]
) -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        home.store.gate = trio.Event()
        refused = False

        async def join() -> None:
            nonlocal refused
            with pytest.raises(refusal):
                await home.join(session, "Slow")
            refused = True

        async with trio.open_nursery() as nursery:
            nursery.start_soon(join)
            await trio.sleep(home.limits.reservation_lifetime + 1)
            await home.manager.command(session, command)
            home.store.gate.set()
        assert refused
        assert not [
            row for row in home.store.participants[session].values() if row.display_name == "Slow"
        ]
        assert ada.phone.types == ["session_updated"]


async def test_a_lock_that_cannot_be_written_is_none() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        home.store.away = True
        with pytest.raises(StoreUnavailable):
            await home.manager.set_locked(session, True)
        home.store.away = False
        assert ada.phone.messages == []
        await home.join(session, "Bo")


async def test_a_session_that_has_ended_cannot_be_locked() -> None:
    async with house() as home:
        session, _ = await home.group("Ada")
        await home.manager.end(session)
        with pytest.raises(SessionOver):
            await home.manager.set_locked(session, True)
        with pytest.raises(SessionNotFound):
            await home.manager.set_locked(uuid4(), True)


# --- whose token counts ---------------------------------------------------------------------------


async def test_a_token_counts_for_the_host_and_for_who_is_in_the_session() -> None:
    async with house() as home:
        session, (ada, bo, cy) = await home.group("Ada", "Bo", "Cy")
        fake = await home.join(session, "Fake")
        creator = str(home.store.sessions[session].creator_id)
        await bo.link.leave()
        await home.manager.remove(session, cy.user_id)

        async def assert_who_counts() -> None:
            for user_id in (ada.user_id, creator, fake):
                await home.manager.authorise(session, user_id)
            for user_id in (bo.user_id, cy.user_id, "nobody", ""):
                with pytest.raises(ParticipantNotFound):
                    await home.manager.authorise(session, user_id)

        await assert_who_counts()
        for each in (ada, bo, cy):
            each.link.detach()
        await trio.sleep(130)
        assert home.manager.directory._tables == {}
        await assert_who_counts()
        assert home.manager.directory._tables == {}, "asking starts nothing"
        await home.manager.end(session)
        for user_id in (ada.user_id, creator):
            with pytest.raises(SessionOver):
                await home.manager.authorise(session, user_id)


# --- bans -----------------------------------------------------------------------------------------

HERE, THERE = Origin.of("192.0.2.1", "device-of-bo-0001"), Origin.of("192.0.2.2", None)


async def test_who_was_banned_does_not_join_from_the_same_place() -> None:
    async with house() as home:
        session, (_ada,) = await home.group("Ada")
        other = await home.session()
        bo = await home.connect(session, await home.join(session, "Bo", origin=HERE))
        await home.manager.remove(session, bo.user_id, ban=True)
        assert bo.phone.reason is CloseReason.FORBIDDEN
        with pytest.raises(Banned):
            await home.join(session, "Bob", origin=HERE)
        with pytest.raises(Banned):
            await home.join(session, "Bob", origin=Origin.of("192.0.2.1", None))
        with pytest.raises(Banned):
            await home.join(session, "Bob", origin=Origin.of("192.0.2.9", "device-of-bo-0001"))
        await home.join(session, "Host", "host", origin=HERE)
        await home.join(session, "Cy", origin=THERE)
        await home.join(other, "Bo", origin=HERE)
        # An address may be shared by many, a device is not.
        await trio.sleep(ADDRESS_S + 1)
        await home.join(session, "Di", origin=Origin.of("192.0.2.1", "device-of-di-0001"))
        with pytest.raises(Banned):
            await home.join(session, "Bo", origin=HERE)


async def test_a_removal_without_a_ban_bars_nobody_and_neither_does_one_of_no_place() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        cy = await home.join(session, "Cy", origin=HERE)
        await home.manager.remove(session, cy)
        await home.join(session, "Cy", origin=HERE)
        await home.manager.remove(session, bo.user_id, ban=True)
        await home.join(session, "Bo")
        with pytest.raises(ParticipantNotFound):
            await home.manager.remove(session, "nobody", ban=True)
        assert not ada.phone.closed


async def test_a_ban_lasts_over_a_sleep_and_ends_with_the_session() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        bo = await home.join(session, "Bo", origin=HERE)
        await home.manager.remove(session, bo, ban=True)
        ada.link.detach()
        await trio.sleep(61)
        with pytest.raises(Banned):
            await home.join(session, "Bo", origin=HERE)
        assert home.manager.directory._tables == {}, "who is banned wakes nobody"
        await home.manager.end(session)
        assert len(home.manager._kept) == 0


def test_what_is_kept_of_sleeping_sessions_is_bounded_and_the_oldest_give_way() -> None:
    kept, sessions = KeptParts(), [uuid4() for _ in range(MAX_SESSIONS + 1)]
    for each in sessions:
        kept.put(each, {"roster": 1})
    assert len(kept) == MAX_SESSIONS
    assert kept.get(sessions[0]) == {}
    assert kept.get(sessions[1]) == {"roster": 1}
    kept.put(sessions[1], {})
    assert len(kept) == MAX_SESSIONS - 1, "of nothing no entry is kept"
    kept.forget(sessions[2])
    kept.forget(sessions[2])
    assert kept.get(sessions[2]) == {}


def test_an_origin_tells_neither_address_nor_device() -> None:
    assert "192.0.2.1" not in repr(HERE)
    plain = blake2b(b"192.0.2.1", person=b"address", digest_size=16).digest()
    assert HERE.address != plain, "who has the memory has no table of addresses for it"
    assert Origin.of("192.0.2.1", "device-of-bo-0001") == HERE
    assert HERE.address != Origin.of("", "192.0.2.1").device
    assert Origin.of("", "") == Origin()


# --- names ----------------------------------------------------------------------------------------


async def test_a_second_ada_becomes_ada_2() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        for name in ("Ada", "\u0410da", "ADA"):
            await home.join(session, name)
        assert names(home, session) == ["Ada", "Ada 2", "\u0410da 3", "ADA 4"]
        sent = [each["display_name"] for each in ada.phone.all("participant_joined")]
        assert sent == names(home, session)[1:]
        rows = home.store.participants[session].values()
        assert [row.display_name for row in rows] == names(home, session)


async def test_a_number_makes_no_name_longer_than_the_database_has_room_for() -> None:
    async with house() as home:
        session, _ = await home.group("Ada")
        for name in ("x" * 100, "x" * 100, "x" * 98):
            await home.join(session, name)
        assert names(home, session)[1:] == ["x" * 100, "x" * 98 + " 2", "x" * 98]


async def test_joins_at_the_same_time_get_different_names() -> None:
    async with house() as home:
        session = await home.session()
        home.store.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(home.join, session, "Ada")
            await settle()
            home.store.gate.set()
        assert sorted(names(home, session)) == ["Ada", "Ada 2", "Ada 3", "Ada 4", "Ada 5"]


async def test_a_name_is_free_again_when_its_owner_has_left() -> None:
    async with house() as home:
        session, (_ada, bo) = await home.group("Ada", "Bo")
        await bo.link.leave()
        await home.join(session, "bo")
        assert names(home, session) == ["Ada", "bo"]


# --- passing the role on --------------------------------------------------------------------------


async def test_everyone_hears_who_is_a_host_now() -> None:
    async with house() as home:
        session = await home.session()
        ada = await home.connect(session, await home.join(session, "Ada"))
        bo = await home.connect(session, await home.join(session, "Bo"))
        await home.manager.set_role(session, bo.user_id, "host")
        await settle()
        for each in (ada, bo):
            told = each.phone.all("participant_updated")[-1]
            assert (told["user_id"], told["online"], told["role"]) == (bo.user_id, True, "host")
        assert await home.manager.authorise(session, bo.user_id) == "host"


async def test_a_role_is_kept_over_a_sleep_and_shown_to_whoever_comes() -> None:
    async with house() as home:
        session = await home.session()
        bo = await home.join(session, "Bo")
        await home.connect(session, await home.join(session, "Ada"))
        await home.manager.set_role(session, bo, "host")
        again = await home.connect(session, bo)
        state = again.phone.all("session_state")[-1]
        assert state["you"] == {"user_id": bo, "role": "host"}
        assert [each.get("role") for each in state["participants"]] == ["host", None]
        assert home.store.participants[session][bo].role == "host"


async def test_a_role_that_is_not_written_is_not_given() -> None:
    async with house() as home:
        session = await home.session()
        bo = await home.join(session, "Bo")
        home.store.away = True
        with pytest.raises(StoreUnavailable):
            await home.manager.set_role(session, bo, "host")
        assert home.table(session).roster[bo].role == "participant"


async def test_who_is_not_there_gets_no_role() -> None:
    async with house() as home:
        session = await home.session()
        with pytest.raises(ParticipantNotFound):
            await home.manager.set_role(session, str(uuid4()), "host")


async def test_a_session_does_not_grow_by_hosts_who_step_down() -> None:
    async with house(SMALL) as home:
        session = await home.session()
        await strangers(home, session)
        host = await home.join(session, "Host", "host")
        with pytest.raises(SessionFull):
            await home.manager.set_role(session, host, "participant")


async def test_of_two_hosts_who_step_down_at_once_to_one_seat_the_other_stays_a_host() -> None:
    async with house(SMALL) as home:
        session = await home.session()
        await strangers(home, session, 2)
        hosts = [await home.join(session, name, "host") for name in ("Ada", "Bo")]
        refused = []

        async def step_down(user_id: str) -> None:
            try:
                await home.manager.set_role(session, user_id, "participant")
            except SessionFull:
                refused.append(user_id)

        home.store.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            for each in hosts:
                nursery.start_soon(step_down, each)
            await settle()
            home.store.gate.set()
        (host,) = refused
        for each in hosts:
            role = "host" if each == host else "participant"
            assert home.table(session).roster[each].role == role
            assert home.store.participants[session][each].role == role


async def test_of_two_changes_of_a_role_at_once_the_later_counts_in_store_and_session_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, (_ada, bo) = await home.group("Ada", "Bo")
        write, answer = home.store.set_role, trio.Event()

        async def answered_late(session_id: UUID, user_id: str, role: Role) -> None:
            await write(session_id, user_id, role)
            if role == "host":
                await answer.wait()

        monkeypatch.setattr(home.store, "set_role", answered_late)
        async with trio.open_nursery() as nursery:
            roles: tuple[Role, Role] = "host", "participant"
            for role in roles:
                nursery.start_soon(home.manager.set_role, session, bo.user_id, role)
                await settle()
            answer.set()
        assert home.store.participants[session][bo.user_id].role == "participant"
        assert home.table(session).roster[bo.user_id].role == "participant"
