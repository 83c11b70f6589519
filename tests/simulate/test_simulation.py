"""A simulation against the real rooms of the server: everything is counted, and nothing stays."""

import re
import socket
from contextlib import suppress
from uuid import UUID

import pytest
import trio
from msgspec import structs

from locshare.api import ApiLimits, Rate
from locshare.client import ApiProblem, Client, Unreachable
from locshare.simulate import simulation as simulation_module
from locshare.simulate.cities import CITIES
from locshare.simulate.crowd import Crowd
from locshare.simulate.geo import Place, distance
from locshare.simulate.simulation import CouldNotConnect, Plan, simulate
from locshare.simulate.track import TrackPoint
from tests.running import LAST_RESORT_S
from tests.simulate.kit import Server, serving, until


def plan_for(server: Server, **changes: object) -> Plan:
    plan = Plan(
        server.addresses.http_url,
        CITIES["berlin"],
        size=4,
        interval=0.1,
        ws_url=server.addresses.ws_url,
    )
    return structs.replace(plan, **changes)


async def run(plan: Plan) -> Crowd:
    """Until everyone has reported a few times, however long that takes here."""
    crowd, stop = Crowd(), trio.Event()
    with trio.fail_after(LAST_RESORT_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(simulate, plan, crowd, stop)
            await until(lambda: crowd.sent >= 5 * plan.people)
            stop.set()
    return crowd


async def test_every_update_is_received_by_all_others_of_the_session() -> None:
    async with serving() as server:
        summary = (await run(plan_for(server, sessions=2))).summary()
    assert (summary.sessions, summary.people) == (2, 8)
    assert summary.sent >= 8 * 5
    assert summary.expected == summary.sent * 3
    assert summary.received + summary.skipped == summary.expected
    assert (summary.lost, summary.waived, summary.foreign, summary.failed) == (0, 0, 0, 0)
    assert summary.errors == {}
    assert summary.latency_ms.p99 is not None


async def test_afterwards_all_have_left_and_the_sessions_have_ended() -> None:
    async with serving() as server:
        crowd = await run(plan_for(server, sessions=2))
        assert server.connections().closed["left"] == 8
        async with Client(server.addresses.http_url) as client:
            for session_id in {each.session_id for each in crowd.people}:
                about = await client.describe(session_id)
                assert (about.participant_count, about.is_active) == (0, False)


async def test_an_existing_session_is_not_ended() -> None:
    async with serving() as server, Client(server.addresses.http_url) as client:
        session = await client.create_session()
        await client.join(session.session_id, "Ada")
        crowd = await run(plan_for(server, session_id=session.session_id, sessions=5))
        assert len(crowd.people) == 4
        about = await client.describe(session.session_id)
        assert (about.participant_count, about.is_active) == (1, True)


async def test_a_stopped_simulation_ends_in_order() -> None:
    async with serving() as server:
        stop, crowd = trio.Event(), Crowd()
        with trio.fail_after(LAST_RESORT_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(simulate, plan_for(server), crowd, stop)
                assert crowd.connected == 4
                await until(lambda: crowd.received > 0)
                stop.set()
        assert server.connections().closed["left"] == 4
    summary = crowd.summary()
    assert (summary.lost, summary.failed) == (0, 0)


async def test_a_full_session_is_an_error_and_all_leave() -> None:
    async with serving(max_participants=3) as server:
        crowd = Crowd()
        with pytest.raises(ApiProblem) as full:
            await simulate(plan_for(server), crowd, trio.Event())
        assert full.value.code == "SESSION_FULL"
        (record,) = server.store.sessions.values()
        assert not (await server.manager.describe(record.id)).is_active


@pytest.mark.parametrize("silent", [False, True], ids=["nobody-listens", "nobody-answers"])
async def test_a_dead_server_is_an_error_within_the_duration(
    silent: bool, autojump_clock: trio.abc.Clock
) -> None:
    url, why = "http://127.0.0.1:1", "no answer: ConnectError"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if silent:
            url, why = f"http://127.0.0.1:{listener.getsockname()[1]}", "no answer"
        began = trio.current_time()
        with pytest.raises(CouldNotConnect) as told:
            await simulate(Plan(url, CITIES["berlin"], duration=3), Crowd(), trio.Event())
    assert str(told.value) == f"could not connect to {url} within 3 s: {why}"
    assert trio.current_time() - began == pytest.approx(3, abs=0.01)


async def test_a_dead_server_is_an_error_also_without_a_duration(
    autojump_clock: trio.abc.Clock,
) -> None:
    crowd = Crowd()
    with pytest.raises(Unreachable):
        await simulate(Plan("http://127.0.0.1:1", CITIES["berlin"]), crowd, trio.Event())
    assert isinstance(crowd.last_error, Unreachable), "and while it is tried, it can be shown"


async def test_joining_for_longer_than_the_duration_is_an_error() -> None:
    slow = ApiLimits(create=Rate(1000, 1000), join=Rate(1, 1))
    async with serving(api=slow) as server:
        crowd = Crowd()
        with trio.fail_after(LAST_RESORT_S), pytest.raises(CouldNotConnect) as told:
            await simulate(plan_for(server, duration=1), crowd, trio.Event())
    url, joined = re.escape(server.addresses.http_url), r"( \([123] of 4 had joined\))?"
    assert re.match(rf"could not connect to {url} within 1 s{joined}: ", str(told.value))


async def test_stopped_before_any_connection_it_ends_without_an_error() -> None:
    stop, crowd = trio.Event(), Crowd()
    stop.set()
    with trio.fail_after(LAST_RESORT_S):
        await simulate(Plan("http://127.0.0.1:1", CITIES["berlin"]), crowd, stop)
    assert (crowd.summary().people, crowd.summary().sent) == (0, 0)


async def test_a_session_ended_by_another_is_a_failure() -> None:
    async with serving() as server, Client(server.addresses.http_url) as client:
        session = await client.create_session()
        crowd = Crowd()
        plan = plan_for(server, session_id=session.session_id)
        with trio.fail_after(LAST_RESORT_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(simulate, plan, crowd, trio.Event())
                await client.end(session.session_id, session.host_token)
    summary = crowd.summary()
    assert (summary.failed, summary.lost) == (4, 0)
    assert summary.errors == {"closed session_ended": 4}


async def test_participants_that_join_but_cannot_connect_are_an_error_and_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulation_module, "CONNECT_DEADLINE_S", 0.2)
    async with serving() as server:
        with trio.fail_after(LAST_RESORT_S), pytest.raises(CouldNotConnect) as told:
            await simulate(plan_for(server, ws_url="ws://127.0.0.1:1"), Crowd(), trio.Event())
        (record,) = server.store.sessions.values()
        assert not (await server.manager.describe(record.id)).is_active
    assert str(told.value) == (
        f"could not connect to {server.addresses.http_url} (4 of 4 had joined): "
        "cannot connect to 127.0.0.1:1"
    )


async def test_a_participant_not_connected_at_the_end_is_a_failure() -> None:
    async with serving() as server:
        crowd, stop = Crowd(), trio.Event()
        with trio.fail_after(LAST_RESORT_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(simulate, plan_for(server), crowd, stop)
                crowd.people[0].live.go_offline()
                await until(lambda: crowd.connected == 3)
                stop.set()
    assert (crowd.summary().failed, crowd.summary().lost) == (1, 0)


async def test_a_lost_connection_is_a_reconnect_and_loses_nothing() -> None:
    async with serving() as server:
        crowd, stop = Crowd(), trio.Event()
        with trio.fail_after(LAST_RESORT_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(simulate, plan_for(server), crowd, stop)
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
    # All of it is waited for; and what was sent before has to come in it.
    monkeypatch.setattr("locshare.simulate.simulation.DRAIN_TIMEOUT_S", 2.0)
    async with serving() as server:
        crowd, stop = Crowd(), trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(simulate, plan_for(server), crowd, stop)
            await until(lambda: crowd.received > 0)
            # An update in the account that is not sent: to the receivers it looks the same.
            sender = crowd.people[0]
            newest = sender._newest.replace(year=sender._newest.year + 1)
            crowd.ledgers[0].sending(sender.ticket.user_id, newest, trio.current_time())
            stop.set()
    assert crowd.summary().lost == 3


async def test_participants_follow_a_recorded_track_from_different_points() -> None:
    way = [TrackPoint(Place(46.0, 8.0), 0.0), TrackPoint(Place(46.1, 8.0), 10_000.0)]
    async with serving() as server, Client(server.addresses.http_url) as client:
        session = await client.create_session()
        plan = plan_for(server, tracks=(way,), session_id=session.session_id)
        crowd, stop = Crowd(), trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(simulate, plan, crowd, stop)
            watcher = crowd.people[0].live
            replica = watcher.replica
            assert replica is not None
            await until(lambda: len(replica.positions) == 3)
            places = [Place(p.lat, p.lng) for p in replica.positions.values()]
            stop.set()
    assert {place.lng for place in places} == {8.0}
    assert min(distance(a, b) for a in places for b in places if a != b) > 1_000


async def test_a_cancelled_simulation_ends_at_once() -> None:
    async with serving() as server:
        crowd = Crowd()
        with suppress(trio.Cancelled), trio.fail_after(LAST_RESORT_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(simulate, plan_for(server), crowd, trio.Event())
                nursery.cancel_scope.cancel()
        with trio.fail_after(LAST_RESORT_S):
            await server.pool.wait_at_most(0)
        info = await server.manager.describe(UUID(crowd.people[0].session_id))
        assert (info.participant_count, info.is_active) == (4, True)
