"""Live against the real rooms of the server: it stays connected as long as that can succeed."""

from random import Random
from uuid import UUID

import pytest
import trio
from msgspec import structs

from locshare.client import (
    Backoff,
    ClientError,
    ConnectionRefused,
    Live,
    NotConnected,
    Pace,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantPosition,
    SessionUpdated,
    connect,
)
from locshare.connection.context import ConnectionLimits
from locshare.connection.pool import PoolLimits
from locshare.connection.rate_policy import RateLimits
from locshare.model.reasons import CloseReason
from locshare.session import actor as session_actor
from tests.client.server_kit import Diary, cutting_proxy, group, position
from tests.running import LAST_RESORT_S
from tests.simulate.kit import Server, serving, until

QUICK = Backoff(initial_s=0.02, max_s=0.05)


async def crash(server: Server, session_id: str) -> None:
    """The session's actor raises in its next handler."""
    actor = server.names.lookup(UUID(session_id))
    assert actor is not None
    actor.cast("a message that no session knows")
    await actor.wait_exit()


async def test_the_replica_is_the_snapshot_with_every_later_message_applied() -> None:
    async with serving() as server, group(server, "Ada", "Bo") as (client, session, (ada, bo)):
        diary = Diary()
        one = Live(server.ws, ada.websocket_token, watcher=diary)
        other = Live(server.ws, bo.websocket_token)
        async with trio.open_nursery() as nursery:
            await nursery.start(one.run)
            await nursery.start(other.run)
            await client.join(session.session_id, "Cleo")
            assert await other.send_position(position(52.25))
            await diary.until("ParticipantPosition")
            await diary.until("ParticipantJoined")
            assert one.replica is not None
            assert {each.display_name for each in one.replica.participants.values()} == {
                "Ada", "Bo", "Cleo",
            }  # fmt: skip
            assert one.replica.participants[bo.user_id].online
            assert one.replica.positions[bo.user_id].lat == 52.25
            assert await other.leave()
            await diary.until("ParticipantLeft")
            assert bo.user_id not in one.replica.participants
            assert one.replica.positions == {}
            nursery.cancel_scope.cancel()


class Soonest(Random):
    """Chance that is none: always the lower end of what it may be."""

    def uniform(self, a: float, b: float) -> float:
        return a


async def test_a_client_reconnects_after_a_restart_of_the_server() -> None:
    diary = Diary()
    async with trio.open_nursery() as nursery:
        async with serving() as first, group(first, "Ada") as (_, _, (ada,)):
            live = Live(
                first.ws, ada.websocket_token, watcher=diary, backoff=QUICK, random=Soonest()
            )
            await nursery.start(live.run)
        await diary.until("RESTART for now")
        assert not await live.send_position(position())
        assert not await live.leave()
        async with serving(again=first):
            await diary.until("connected", 2)
            assert await live.send_position(position())
            nursery.cancel_scope.cancel()
    assert diary.lines[:2] == ["connected", "RESTART for now"]
    assert diary.waits[0] == CloseReason.RESTART.wait_s[0]
    assert [each.resumed for each in diary.snapshots] == [None, False], "it has another epoch"
    assert diary.missed_events == []


async def test_what_was_missed_comes_in_order_after_a_drop_and_after_a_crash() -> None:
    diary, others = Diary(), Diary()
    async with (
        serving() as server,
        group(server, "Ada", "Bo", "Cy") as (client, session, (ada, bo, cy)),
        cutting_proxy(server.ws) as proxy,
        trio.open_nursery() as nursery,
    ):
        live = Live(proxy.url, ada.websocket_token, watcher=diary, backoff=QUICK)
        other = Live(server.ws, bo.websocket_token, watcher=others)
        await nursery.start(other.run)
        await nursery.start(live.run)
        await others.until("ParticipantUpdated")

        proxy.tunnel = True
        proxy.cut()
        await diary.until("Unreachable for now")
        dee = await client.join(session.session_id, "Dee", avatar_color="#112233")
        await crash(server, session.session_id)
        await client.lock(session.session_id, session.host_token, locked=True)
        await client.remove(session.session_id, cy.user_id, session.host_token)
        await others.until("ParticipantLeft")
        proxy.tunnel = False
        await diary.until("connected", 2)

        happened = [
            ParticipantJoined(dee.user_id, "Dee", "#112233"),
            SessionUpdated(True),
            ParticipantLeft(cy.user_id, "removed"),
        ]
        assert [structs.replace(each, seq=0) for each in diary.missed_events] == happened
        numbers = [each.seq for each in diary.missed_events]
        assert numbers == sorted(numbers)
        assert diary.snapshots[1].resumed is True
        assert diary.snapshots[1].seq == numbers[-1]
        assert others.lines.count("ParticipantUpdated") == 1, "and nobody saw Ada offline"
        assert live.replica is not None
        assert set(live.replica.participants) == {ada.user_id, bo.user_id, dee.user_id}

        await client.lock(session.session_id, session.host_token, locked=False)
        await diary.until("SessionUpdated")
        new = await client.replace_link(session.session_id, session.host_token)
        await diary.until("SessionUpdated", 2)
        assert live.replica is not None
        assert live.replica.session.link_key == new.link_key
        proxy.cut()
        await diary.until("connected", 3)
        assert diary.snapshots[2].resumed is True
        assert len(diary.missed_events) == 3, "what was received is not missed"
        nursery.cancel_scope.cancel()


async def test_a_crash_of_the_session_is_no_news() -> None:
    diary = Diary()
    async with serving() as server, group(server, "Ada", "Bo") as (_, session, (ada, bo)):
        one = Live(server.ws, ada.websocket_token, watcher=diary)
        other = Live(server.ws, bo.websocket_token)
        async with trio.open_nursery() as nursery:
            await nursery.start(one.run)
            await nursery.start(other.run)
            assert await other.send_position(position(1.0))
            await diary.until("ParticipantPosition")
            await crash(server, session.session_id)
            assert await other.send_position(position(2.0))
            await diary.until("ParticipantPosition", 2)
            nursery.cancel_scope.cancel()
    assert diary.lines.count("connected") == 1


async def test_a_server_that_hears_nothing_closes_with_4408_and_the_client_comes_back() -> None:
    diary = Diary()
    pulse = PoolLimits(ping_interval=0.05, drain_deadline=1.0)
    async with (
        serving(limits=pulse) as server,
        group(server, "Ada") as (_, _, (ada,)),
        cutting_proxy(server.ws) as proxy,
        trio.open_nursery() as nursery,
    ):
        live = Live(proxy.url, ada.websocket_token, watcher=diary, backoff=QUICK)
        await nursery.start(live.run)
        proxy.deaf = True
        await diary.until("SILENT for now")
        proxy.deaf = False
        await diary.until("connected", 2)
        nursery.cancel_scope.cancel()


async def test_a_flood_is_closed_with_4429_and_the_client_waits_ten_seconds_or_more() -> None:
    diary = Diary()
    strict = PoolLimits(
        drain_deadline=1.0, connection=ConnectionLimits(rates=RateLimits(excess_tolerated=3.0))
    )
    async with (
        serving(limits=strict) as server,
        group(server, "Ada") as (_, _, (ada,)),
        trio.open_nursery() as nursery,
    ):
        live = Live(server.ws, ada.websocket_token, watcher=diary, backoff=QUICK)
        await nursery.start(live.run)
        while live.connected:
            await live.send_position(position())
        await diary.until("RATE_LIMITED for now")
        nursery.cancel_scope.cancel()
    (wait,) = diary.waits
    assert wait is not None
    assert 10 <= wait <= 15


async def test_a_participant_who_connects_elsewhere_does_not_take_the_place_back() -> None:
    diary = Diary()
    async with (
        serving() as server,
        group(server, "Ada") as (_, _, (ada,)),
        trio.open_nursery() as nursery,
    ):
        await nursery.start(Live(server.ws, ada.websocket_token, watcher=diary).run)
        nursery.start_soon(Live(server.ws, ada.websocket_token).run)
        await diary.until("REPLACED for good")
        nursery.cancel_scope.cancel()


async def test_who_is_removed_stays_away() -> None:
    diary = Diary()
    async with (
        serving() as server,
        group(server, "Ada") as (client, session, (ada,)),
        trio.open_nursery() as nursery,
    ):
        await nursery.start(Live(server.ws, ada.websocket_token, watcher=diary).run)
        await client.remove(session.session_id, ada.user_id, session.host_token)
        await diary.until("FORBIDDEN for good")


async def test_a_connection_that_a_proxy_cuts_comes_back_with_the_newest_position() -> None:
    diary = Diary()
    async with serving() as server, group(server, "Ada", "Bo") as (_, _, (ada, bo)):
        one = Live(server.ws, ada.websocket_token, watcher=diary)
        async with cutting_proxy(server.ws) as proxy, trio.open_nursery() as nursery:
            other = Live(proxy.url, bo.websocket_token, backoff=QUICK)
            await nursery.start(one.run)
            await nursery.start(other.run)
            for cut in range(1, 4):
                assert await other.send_position(position(float(cut)))
                await diary.until("ParticipantPosition", 2 * cut - 1)
                proxy.cut()
                await diary.until("ParticipantPosition", 2 * cut)
            nursery.cancel_scope.cancel()
        assert proxy.connections == 4


async def test_a_final_close_ends_the_client() -> None:
    diary = Diary()
    async with serving() as server, group(server, "Ada") as (client, session, (ada,)):
        live = Live(server.ws, ada.websocket_token, watcher=diary)
        ends: list[ClientError] = []

        async def run(*, task_status: trio.TaskStatus[None]) -> None:
            ends.append(await live.run(task_status=task_status))

        with trio.fail_after(LAST_RESORT_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(run)
                await client.end(session.session_id, session.host_token)
        forged = await Live(server.ws, "forged").run()
    assert diary.lines == ["connected", "SessionEnded", "SESSION_ENDED for good"]
    assert live.replica is not None
    assert live.replica.ended == "ended_by_host"
    assert isinstance(ends[0], NotConnected)
    assert isinstance(forged, ConnectionRefused)


async def test_a_client_that_goes_offline_is_shown_offline_and_can_return() -> None:
    diary = Diary()
    async with (
        serving(offline_grace=0) as server,
        group(server, "Ada") as (client, session, (ada,)),
    ):
        live = Live(server.ws, ada.websocket_token, watcher=diary)
        async with trio.open_nursery() as nursery:
            await nursery.start(live.run)
            live.go_offline()
            await diary.until("WentOffline for now")
            with trio.fail_after(LAST_RESORT_S):
                await server.pool.wait_at_most(0)
            (view,) = await client.participants(session.session_id)
            assert not view.online
            live.go_online()
            await diary.until("connected", 2)
            nursery.cancel_scope.cancel()


async def test_going_offline_twice_is_undone_by_going_online_once() -> None:
    diary = Diary()
    async with serving() as server, group(server, "Ada") as (_, _, (ada,)):
        live = Live(server.ws, ada.websocket_token, watcher=diary)
        async with trio.open_nursery() as nursery:
            await nursery.start(live.run)
            live.go_offline()
            await diary.until("WentOffline for now")
            live.go_offline()
            live.go_online()
            await diary.until("connected", 2)
            nursery.cancel_scope.cancel()


async def test_what_a_participant_chooses_is_kept_over_reconnects() -> None:
    diary = Diary()
    async with (
        serving() as server,
        group(server, "Ada", "Bo") as (_, _, (ada, bo)),
        cutting_proxy(server.ws) as proxy,
        trio.open_nursery() as nursery,
    ):
        one = Live(server.ws, ada.websocket_token, watcher=diary)
        other = Live(proxy.url, bo.websocket_token, backoff=QUICK)
        await nursery.start(one.run)
        await nursery.start(other.run)
        await diary.until("ParticipantUpdated")
        assert await other.set_presence("hidden")
        assert await other.set_pace(60)
        await diary.until("ParticipantUpdated", 2)
        assert one.replica is not None
        assert one.replica.participants[bo.user_id].state == "hidden"

        proxy.tunnel = True
        proxy.cut()
        await until(lambda: not other.connected)
        assert not await other.set_presence("paused")
        proxy.tunnel = False
        replica = one.replica
        await until(lambda: replica.participants[bo.user_id].state == "paused")
        await until(lambda: other.connected)  # the others hear it before its snapshot comes
        assert await one.send_position(position(7.0))
        assert await other.send_position(position(8.0))
        await diary.until("ParticipantPosition")
        assert other.replica is not None
        assert ada.user_id not in other.replica.positions, "it is not due for a minute"
        nursery.cancel_scope.cancel()


async def test_a_sender_whom_nobody_sees_is_slowed_down_by_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_actor, "SETTLE_S", 0.05)
    diary, quick = Diary(), Pace(0.0, 0.0)
    async with (
        serving() as server,
        group(server, "Ada", "Bo") as (_, _, (ada, bo)),
        trio.open_nursery() as nursery,
    ):
        live = Live(server.ws, ada.websocket_token, watcher=diary)
        await nursery.start(live.run)
        assert live.pace == quick
        assert await live.send_position(position(1.0))
        await diary.until("Pace")
        assert live.pace == Pace(15.0, 0.0)
        assert not await live.send_position(position(2.0))
        async with connect(server.ws, bo.websocket_token) as watching:
            await diary.until("Pace", 2)
            assert live.pace == quick
            got = await anext(watching)
            assert isinstance(got, ParticipantPosition)
            assert got.lat == 2.0, "what waited comes at once"
        nursery.cancel_scope.cancel()
