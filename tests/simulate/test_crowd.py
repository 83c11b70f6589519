"""A simulation against the real rooms of the server: everything is counted, and nothing stays."""

from contextlib import suppress
from uuid import UUID

import pytest
import trio
from msgspec import structs

from locshare.client import ApiProblem, Client, Unreachable
from locshare.simulate import crowd as crowd_module
from locshare.simulate.cities import CITIES
from locshare.simulate.crowd import Crowd, Plan, simulate
from locshare.simulate.geo import Place, distance
from locshare.simulate.track import TrackPoint
from tests.simulate.kit import Server, serving, until


def plan_for(server: Server, **changes: object) -> Plan:
    plan = Plan(
        server.addresses.http_url,
        CITIES["berlin"],
        size=4,
        interval=0.1,
        duration=0.5,
        ws_url=server.addresses.ws_url,
    )
    return structs.replace(plan, **changes)


async def run(plan: Plan, stop: trio.Event | None = None) -> Crowd:
    crowd = Crowd()
    with trio.fail_after(20):
        await simulate(plan, crowd, stop or trio.Event())
    return crowd


async def test_everything_sent_is_received_by_all_others_of_the_session() -> None:
    async with serving() as server:
        summary = (await run(plan_for(server, sessions=2))).summary()
    assert (summary.sessions, summary.people) == (2, 8)
    assert summary.sent >= 8 * 4
    assert summary.expected == summary.sent * 3
    assert summary.received + summary.skipped == summary.expected
    assert (summary.lost, summary.waived, summary.foreign, summary.failed) == (0, 0, 0, 0)
    assert summary.errors == {}
    assert summary.latency_ms.p99 is not None


async def test_afterwards_everyone_has_left_and_the_sessions_are_over() -> None:
    async with serving() as server:
        crowd = await run(plan_for(server, sessions=2))
        assert server.connections().closed["left"] == 8
        async with Client(server.addresses.http_url) as client:
            for session_id in {each.session_id for each in crowd.people}:
                about = await client.describe(session_id)
                assert (about.participant_count, about.is_active) == (0, False)


async def test_an_existing_session_goes_on_without_them() -> None:
    async with serving() as server, Client(server.addresses.http_url) as client:
        session = await client.create_session()
        await client.join(session.session_id, "Ada")
        crowd = await run(plan_for(server, session_id=session.session_id, sessions=5))
        assert len(crowd.people) == 4
        about = await client.describe(session.session_id)
        assert (about.participant_count, about.is_active) == (1, True)


async def test_told_to_stop_it_ends_in_order() -> None:
    async with serving() as server:
        stop, crowd = trio.Event(), Crowd()
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                await nursery.start(simulate, plan_for(server, duration=None), crowd, stop)
                assert crowd.connected == 4
                await until(lambda: crowd.received > 0)
                stop.set()
        assert server.connections().closed["left"] == 4
    summary = crowd.summary()
    assert (summary.lost, summary.failed) == (0, 0)


async def test_a_full_session_is_told_and_nobody_stays_in_it() -> None:
    async with serving(max_participants=3) as server:
        crowd = Crowd()
        with pytest.raises(ApiProblem) as full:
            await simulate(plan_for(server), crowd, trio.Event())
        assert full.value.code == "SESSION_FULL"
        (record,) = server.store.sessions.values()
        assert not (await server.manager.describe(record.id)).is_active


async def test_nobody_there_is_told(autojump_clock: trio.abc.Clock) -> None:
    plan = Plan("http://127.0.0.1:1", CITIES["berlin"], duration=1)
    with pytest.raises(Unreachable):
        await simulate(plan, Crowd(), trio.Event())


async def test_an_end_by_someone_else_is_counted_as_failure() -> None:
    async with serving() as server, Client(server.addresses.http_url) as client:
        session = await client.create_session()
        crowd = Crowd()
        plan = plan_for(server, session_id=session.session_id, duration=None)
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                await nursery.start(simulate, plan, crowd, trio.Event())
                await client.end(session.session_id, session.host_token)
    summary = crowd.summary()
    assert (summary.failed, summary.lost) == (4, 0)
    assert summary.errors == {"closed session_ended": 4}


async def test_who_could_not_connect_is_counted_as_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crowd_module, "CONNECT_DEADLINE_S", 0.2)
    async with serving() as server:
        crowd = await run(plan_for(server, duration=0.1, ws_url="ws://127.0.0.1:1"))
    summary = crowd.summary()
    assert (summary.sent, summary.lost, summary.failed) == (0, 0, 4)


async def test_a_lost_connection_is_a_reconnect_and_no_loss() -> None:
    async with serving() as server:
        crowd, stop = Crowd(), trio.Event()
        with trio.fail_after(15):
            async with trio.open_nursery() as nursery:
                await nursery.start(simulate, plan_for(server, duration=None), crowd, stop)
                crowd.people[0].live.go_offline()
                await until(lambda: crowd.connected == 3)
                crowd.people[0].live.go_online()
                await until(lambda: crowd.connected == 4)
                received = crowd.received
                await until(lambda: crowd.received >= received + 20)
                stop.set()
    summary = crowd.summary()
    assert (summary.reconnects, summary.lost, summary.failed) == (1, 0, 0)


async def test_a_position_that_the_server_swallows_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The account is worth something only if it can come out wrong."""
    monkeypatch.setattr("locshare.simulate.crowd.PATIENCE_S", 0.5)
    async with serving() as server:
        crowd, stop = Crowd(), trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(simulate, plan_for(server, duration=None), crowd, stop)
            await until(lambda: crowd.received > 0)
            # An update in the account that is not sent: to the receivers it looks the same.
            sender = crowd.people[0]
            newest = sender._newest.replace(year=sender._newest.year + 1)
            crowd.ledgers[0].sending(sender.ticket.user_id, newest, trio.current_time())
            stop.set()
    assert crowd.summary().lost == 3


async def test_people_follow_a_recorded_way_each_elsewhere_on_it() -> None:
    way = [TrackPoint(Place(46.0, 8.0), 0.0), TrackPoint(Place(46.1, 8.0), 10_000.0)]
    async with serving() as server, Client(server.addresses.http_url) as client:
        session = await client.create_session()
        plan = plan_for(server, tracks=(way,), session_id=session.session_id, duration=None)
        crowd, stop = Crowd(), trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(simulate, plan, crowd, stop)
            watcher = crowd.people[0].live
            picture = watcher.picture
            assert picture is not None
            await until(lambda: len(picture.positions) == 3)
            places = [Place(p.lat, p.lng) for p in picture.positions.values()]
            stop.set()
    assert {place.lng for place in places} == {8.0}
    assert min(distance(a, b) for a in places for b in places if a != b) > 1_000


async def test_cancelled_it_ends_at_once() -> None:
    async with serving() as server:
        crowd = Crowd()
        with suppress(trio.Cancelled), trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                await nursery.start(simulate, plan_for(server, duration=None), crowd, trio.Event())
                nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            await server.pool.wait_at_most(0)
        info = await server.manager.describe(UUID(crowd.people[0].session_id))
        assert (info.participant_count, info.is_active) == (4, True)
