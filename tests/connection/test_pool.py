"""The pool: heartbeat, drain, crashes, and a listener that may crash and restart."""

import gc
import json
import weakref

import pytest
import structlog
import trio
import trio.testing
import trio_websocket

from locshare.connection.connection import Connection
from locshare.connection.context import ConnectionLimits
from locshare.connection.listener import Listener
from locshare.connection.pool import ConnectionPool, PoolLimits
from locshare.model.reasons import CloseReason
from tests.connection.kit import PATIENT, QUICK_ENDS, Room, Verifier, raw_client, raw_tcp, serving
from tests.running import LAST_RESORT_S
from tests.skipping import KERNEL
from tests.sockets import client_frame, request, trio_client

FAST_PULSE = PoolLimits(
    ping_interval=0.1, drain_deadline=1.0, connection=ConnectionLimits(outbox=QUICK_ENDS)
)

# --- heartbeat ----------------------------------------------------------------------------------


async def test_a_client_that_never_answers_pings_is_closed_with_4408() -> None:
    async with serving(FAST_PULSE, heartbeat=True) as server, raw_client(server, "mute") as mute:
        pings = 0
        while True:
            first, payload = await mute.frame()
            if first != 0x89:
                break
            pings += 1
        assert first == 0x88
        assert int.from_bytes(payload[:2], "big") == CloseReason.SILENT.code
        assert pings == FAST_PULSE.missed_pings
        await mute.end()
        await server.all_gone()
        assert server.closed() == {"silent": 1}
        assert server.room.detached == ["mute"]


async def test_a_pong_or_any_other_bytes_keep_a_connection() -> None:
    async with (
        serving(FAST_PULSE, heartbeat=True) as server,
        raw_client(server, "ponging") as ponging,
        raw_client(server, "sending") as sending,
    ):
        for _ in range(8):
            first, payload = await ponging.frame()
            assert first == 0x89
            await ponging.send(client_frame(payload, 10))
            await sending.send(client_frame(b'{"type": "ping"}'))
        assert server.closed() == {}


async def test_a_client_of_trio_websocket_answers_the_heartbeat_automatically() -> None:
    async with (
        serving(FAST_PULSE, heartbeat=True) as server,
        trio_client(server.url("ada")) as ada,
        raw_client(server, "metronome") as metronome,
    ):
        for _ in range(5):
            _, payload = await metronome.frame()
            await metronome.send(client_frame(payload, 10))
        assert ada.closed is None
        assert server.closed() == {}


# --- drain --------------------------------------------------------------------------------------


async def test_a_cancelled_pool_closes_every_connection_with_1012() -> None:
    limits = PoolLimits(drain_batch=2, drain_interval=0.01, drain_deadline=2.0)
    room = Room()
    pool = ConnectionPool(Verifier(), room, limits)
    listener = Listener("127.0.0.1:0", pool)
    async with trio.open_nursery() as nursery:
        await nursery.start(listener.serve)
        scope = trio.CancelScope()

        async def serve(task_status: trio.TaskStatus[None]) -> None:
            with scope:
                await pool.serve(task_status=task_status)

        await nursery.start(serve)
        codes = []

        async def client(user_id: str, task_status: trio.TaskStatus[None]) -> None:
            url = f"ws://127.0.0.1:{listener.addresses[0][1]}/ws?token={user_id}"
            async with trio_client(url) as socket:
                await socket.get_message()
                task_status.started()
                with pytest.raises(trio_websocket.ConnectionClosed) as closed:
                    await socket.get_message()
                assert closed.value.reason is not None
                codes.append(closed.value.reason.code)

        with trio.fail_after(LAST_RESORT_S):
            async with trio.open_nursery() as clients:
                for n in range(5):
                    await clients.start(client, f"user-{n}")
                scope.cancel()
            await pool.wait_at_most(0)
        assert codes == [1012] * 5
        assert pool.statistics().closed["restart"] == 5
        nursery.cancel_scope.cancel()


async def test_a_drain_does_not_wait_for_stuck_clients_beyond_its_deadline() -> None:
    limits = PoolLimits(drain_deadline=0.1, connection=PATIENT)
    with trio.fail_after(LAST_RESORT_S):
        async with serving(limits) as server, raw_client(server, "stuck"):
            server.nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await server.pool.wait_at_most(0)
    assert server.closed() == {"restart": 1}


async def test_a_drain_cuts_short_handshakes_and_sessions_that_do_not_answer() -> None:
    limits = PoolLimits(
        drain_deadline=10 * LAST_RESORT_S, connection=ConnectionLimits(outbox=QUICK_ENDS)
    )
    async with serving(limits) as server, raw_tcp(server) as hesitant, raw_tcp(server) as attaching:
        server.room.hold_attach = trio.Event()
        await hesitant.send(b"GET /ws")
        await attaching.send(request("/ws?token=ada"))
        await attaching.head()
        with trio.fail_after(LAST_RESORT_S):
            await server.pool.drain()
        assert len(server.pool) == 0
        assert server.room.detached == ["ada"]


async def test_a_draining_pool_admits_no_client() -> None:
    async with serving() as server:
        await server.pool.drain()
        async with raw_tcp(server) as late:
            await late.end()
        assert server.refused() == {"draining": 1}


# --- crashes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["peer closes", "we close", "peer vanishes"])
async def test_an_ended_connection_is_given_back_without_the_garbage_collector(how: str) -> None:
    async with serving() as server:
        gc.collect()
        gc.disable()
        try:
            async with raw_client(server, "ada") as ada:
                (connection,) = server.pool._connections()
                gone = weakref.ref(connection.transport)
                del connection
                if how == "peer closes":
                    await ada.send(client_frame(b"\x03\xe8", 8))
                    await ada.end()
                elif how == "we close":
                    await ada.send(client_frame(b'{"type": "leave"}'))
                    await ada.end()
            await server.all_gone()
            await trio.testing.wait_all_tasks_blocked()
            assert gone() is None
        finally:
            gc.enable()


async def test_a_connection_task_that_crashes_ends_only_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving() as server, raw_client(server, "bob") as bob:
        with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
            patch.setattr(Connection, "_handshake", None)
            async with raw_tcp(server) as unlucky:
                await unlucky.end()
        assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
            "connection_crashed"
        ]
        await bob.send(client_frame(b'{"type": "ping"}'))
        assert json.loads((await bob.frame())[1]) == {"type": "pong", "data": {}}
        assert server.pool.statistics().crashes == 1


async def test_the_connection_of_a_participant_can_be_killed_and_no_other() -> None:
    async with (
        serving() as server,
        raw_tcp(server),
        raw_client(server, "ada") as ada,
        raw_client(server, "bob"),
    ):
        assert not server.pool.kill("carl")
        assert server.pool.kill("ada")
        await ada.end()
        await server.all_gone(but=2)
        assert server.closed() == {"going_away": 1}
        assert list(server.room.receivers) == ["bob"]
        assert not server.pool.kill("ada")


async def test_a_connection_that_closes_already_is_not_killed() -> None:
    async with serving() as server, raw_client(server, "ada"):
        server.room.receivers["ada"].close(CloseReason.SESSION_ENDED)
        assert not server.pool.kill("ada")


async def test_a_listener_that_dies_and_comes_back_closes_no_connection() -> None:
    room = Room()
    pool = ConnectionPool(Verifier(), room, PoolLimits(drain_deadline=1.0))
    listener = Listener("127.0.0.1:0", pool)
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.serve)

        async def one_life(task_status: trio.TaskStatus[trio.CancelScope]) -> None:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as inner:
                    await inner.start(listener.serve)
                    task_status.started(scope)

        scope = await nursery.start(one_life)
        port = listener.addresses[0][1]
        url = f"ws://127.0.0.1:{port}/ws?token="
        async with trio_client(url + "ada") as ada:
            await ada.get_message()
            scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            await nursery.start(one_life)
            assert listener.addresses[0][1] == port
            async with trio_client(url + "bob") as bob:
                await bob.get_message()
                await ada.send_message('{"type": "ping"}')
                assert json.loads(await ada.get_message())["type"] == "pong"
        nursery.cancel_scope.cancel()


# --- accepting ----------------------------------------------------------------------------------


async def test_a_storm_of_connections_is_served_in_full() -> None:
    async with serving() as server, trio.open_nursery() as nursery:

        async def one(n: int) -> None:
            async with raw_client(server, f"user-{n}"):
                pass

        for n in range(200):
            nursery.start_soon(one, n)
    assert server.pool.statistics().opened == 200


async def test_it_listens_on_ipv6_too() -> None:
    pool = ConnectionPool(Verifier(), Room(), PoolLimits(drain_deadline=1.0))
    listener = Listener("[::1]:0", pool)
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.serve)
        try:
            await nursery.start(listener.serve)
        except OSError:
            pytest.skip(f"{KERNEL} has no IPv6")
        url = f"ws://[::1]:{listener.addresses[0][1]}/ws?token=ada"
        async with trio_client(url) as ada:
            await ada.get_message()
        nursery.cancel_scope.cancel()
