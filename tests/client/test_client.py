"""The client against the real rooms of the server, on real sockets."""

import itertools
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import trio
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from locshare.api import ApiLimits, Rate
from locshare.broadcast.outbox import OutboxLimits
from locshare.client import (
    COMPACT_DIALECT,
    PLAIN_DIALECT,
    ApiProblem,
    Client,
    ConnectionRefused,
    End,
    JoinLink,
    Live,
    NotConnected,
    Unreachable,
    connect,
    parse_join_link,
    retry,
)
from locshare.client.errors import problem_of, retry_after_of
from locshare.connection.context import ConnectionLimits
from locshare.connection.pool import PoolLimits
from locshare.model.events import (
    ParticipantUpdated,
    SessionEnded,
)
from locshare.model.participant import You
from locshare.model.position import ParticipantPosition
from locshare.model.reasons import CloseReason
from locshare.model.session import SessionView, Snapshot
from locshare.wire.messages import Pong
from locshare.wire.plain import PLAIN
from tests.client.server_kit import group, position
from tests.running import LAST_RESORT_S
from tests.simulate.kit import API_LIMITS, serving

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


# --- REST -------------------------------------------------------------------------------------


async def test_every_call_returns_the_response_of_the_server() -> None:
    async with serving() as server, group(server, "Ada", "Bo") as (client, session, (ada, bo)):
        about = await client.describe(session.session_id)
        assert (about.name, about.participant_count, about.is_active) == ("Alps", 2, True)
        assert about.expires_at == session.expires_at
        assert session.join_link == f"https://map.example/join/{session.session_id}"
        assert ada.websocket_url == "wss://map.example/ws"
        people = await client.participants(session.session_id)
        assert [each.display_name for each in people] == ["Ada", "Bo"]
        await client.remove(session.session_id, ada.user_id, ada.websocket_token)
        await client.remove(session.session_id, bo.user_id, session.host_token)
        assert await client.participants(session.session_id) == ()
        await client.end(session.session_id, session.host_token)
        assert not (await client.describe(session.session_id)).is_active


async def test_a_colour_a_lifetime_and_the_hosts_token_are_passed_on() -> None:
    async with serving() as server, Client(server.addresses.http_url) as client:
        session = await client.create_session(expires_in_minutes=60)
        assert session.expires_at - datetime.now(UTC) < timedelta(minutes=61)
        host = await client.join(
            session.session_id, "Ada", avatar_color="#112233", host_token=session.host_token
        )
        (ada,) = await client.participants(session.session_id)
        assert ada.avatar_color == "#112233"
        async with connect(server.ws, host.websocket_token) as connection:
            assert connection.snapshot.you.role == "host"


async def test_the_host_returns_with_the_key_and_locks_and_bans() -> None:
    async with serving() as server, group(server, "Ada") as (client, session, (ada,)):
        link = parse_join_link(f"See you: {session.host_url}.")
        assert link == JoinLink("https://map.example", session.session_id, session.host_key)
        host = await client.become_host(link.session_id, session.host_key)
        assert host.expires_at == session.expires_at

        assert (await client.lock(link.session_id, host.host_token, locked=True)).locked
        with pytest.raises(ApiProblem) as refused:
            await client.join(link.session_id, "Bo")
        assert (refused.value.code, refused.value.reconnect) == ("SESSION_LOCKED", False)
        assert not (await client.lock(link.session_id, host.host_token, locked=False)).locked

        new = await client.replace_link(link.session_id, host.host_token)
        shared = parse_join_link(new.join_link)
        assert (shared.session_id, shared.link_key) == (link.session_id, new.link_key)
        for call in (client.describe, client.participants, partial(client.join, display_name="Bo")):
            with pytest.raises(ApiProblem) as old:
                await call(link.session_id)
            assert (old.value.code, old.value.reconnect) == ("LINK_REPLACED", False)
            await call(link.session_id, link_key=shared.link_key)

        device = "0123456789abcdef"
        key = shared.link_key
        bo = await client.join(link.session_id, "Bo", device_key=device, link_key=key)
        await client.remove(link.session_id, bo.user_id, host.host_token, ban=True)
        with pytest.raises(ApiProblem) as banned:
            await client.join(link.session_id, "Bo again", device_key=device, link_key=key)
        assert (banned.value.code, banned.value.reconnect) == ("BANNED", False)
        with pytest.raises(ApiProblem) as wrong:
            await client.become_host(link.session_id, "wrong")
        assert wrong.value.code == "FORBIDDEN"
        assert ada.display_name == "Ada"


async def test_a_refusal_is_a_problem_with_its_status_and_code() -> None:
    async with serving(max_participants=1) as server, group(server, "Ada") as (client, session, _):
        with pytest.raises(ApiProblem) as full:
            await client.join(session.session_id, "Bo")
        with pytest.raises(ApiProblem) as foreign:
            await client.end(session.session_id, "forged")
        with pytest.raises(ApiProblem) as odd:
            await client.describe("../../metrics")
    assert (full.value.status, full.value.code) == (409, "SESSION_FULL")
    assert (foreign.value.status, foreign.value.code) == (401, "TOKEN_INVALID")
    assert odd.value.status in (400, 404)
    assert not full.value.reconnect
    assert "forged" not in str(foreign.value)


async def test_after_the_time_that_a_refusal_names_a_retry_succeeds() -> None:
    limits = ApiLimits(create=Rate(1, 1), join=API_LIMITS.join)
    async with serving(api=limits) as server, Client(server.addresses.http_url) as client:

        async def create_until_refused() -> None:
            while True:  # on a busy machine the second may come late enough
                await client.create_session()

        with pytest.raises(ApiProblem) as refused:
            await create_until_refused()
        assert (refused.value.status, refused.value.retry_after) == (429, 1.0)
        assert refused.value.reconnect
        session = await retry(client.create_session)
        assert (await client.describe(session.session_id)).is_active


async def test_a_retry_waits_as_long_as_retry_after_says(autojump_clock: trio.abc.Clock) -> None:
    asked: list[float] = []
    refusals = [ApiProblem(503, "UNAVAILABLE", "later", after) for after in (7.0, None, 2.0)]

    async def call() -> None:
        asked.append(trio.current_time())
        if refusals:
            raise refusals.pop(0)

    await retry(call)
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert waits == pytest.approx([7, 1, 2]), "and doubles its own where none is named"


async def test_a_final_error_is_not_retried() -> None:
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        raise ApiProblem(404, "SESSION_NOT_FOUND", "no such session", None)

    with pytest.raises(ApiProblem):
        await retry(call)
    assert calls == 1


async def test_no_listener_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        port = taken.getsockname()[1]
        async with Client(f"http://127.0.0.1:{port}") as client:
            with pytest.raises(Unreachable):
                await client.create_session()
        with pytest.raises(Unreachable):
            async with connect(f"ws://127.0.0.1:{port}/ws", "token"):
                pass


def test_a_refusal_without_a_problem_body_is_still_a_problem() -> None:
    problem = problem_of(502, {"retry-after": "7"}, b"<html>Bad Gateway", ApiProblem)
    assert (problem.status, problem.code, problem.retry_after) == (502, "", 7.0)
    assert problem.reconnect


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("5", 5.0),
        (" 12 ", 12.0),
        ("99999999999999999999", 3600.0),
        ("soon", None),
        ("-3", None),
        ("²", None),
        ("1 Mar 99999999999999 12:00:30 GMT", None),
        ("1 Mar 2026 12:00:30 +99999999999999999999", None),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_reason(
    value: str | None, seconds: float | None
) -> None:
    assert retry_after_of(value, NOW) == seconds


# --- one connection ---------------------------------------------------------------------------


async def test_the_snapshot_comes_first_and_then_typed_messages() -> None:
    async with (
        serving() as server,
        group(server, "Ada", "Bo") as (_, session, (ada, bo)),
        connect(server.ws, ada.websocket_token) as one,
        connect(server.ws, bo.websocket_token) as other,
    ):
        assert one.snapshot.session.id == session.session_id
        assert one.snapshot.you.user_id == ada.user_id
        await other.send_position(position(52.5))
        await other.ping()
        kinds = [type(await anext(one)), type(await anext(one))]
        assert kinds == [ParticipantUpdated, ParticipantPosition]
        assert await anext(other) == Pong()


async def test_the_token_is_in_no_url() -> None:
    class Deaf:
        """Keeps what it is told, and answers nothing."""

        heard = b""

        async def handle(self, stream: trio.SocketStream) -> None:
            self.heard += await stream.receive_some(65_536)
            await stream.aclose()

    deaf = Deaf()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, deaf.handle, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        with trio.fail_after(LAST_RESORT_S), pytest.raises(Unreachable, match="hung up"):
            async with connect(f"ws://127.0.0.1:{port}/ws", "t.o.k.e.n"):
                pass
        nursery.cancel_scope.cancel()
    assert deaf.heard.startswith(b"GET /ws HTTP/1.1\r\n")
    assert b"locshare.v1, locshare.bearer.t.o.k.e.n\r\n" in deaf.heard


async def test_a_ping_after_the_close_frame_is_ignored() -> None:
    """trio-websocket would answer it, which is an error of its own protocol library."""
    state = Snapshot(
        SessionView("id", "Alps", NOW, NOW), You("ada", "participant"), (), (), NOW, "epoch", 0
    )

    async def answer_close_with_ping(stream: trio.SocketStream) -> None:
        protocol = ServerProtocol(subprotocols=[Subprotocol("locshare.v1")])
        while protocol.state is not State.CLOSING and (data := await stream.receive_some(65_536)):
            protocol.receive_data(data)
            for event in protocol.events_received():
                if isinstance(event, Request):
                    protocol.send_response(protocol.accept(event))
                    protocol.send_text(PLAIN.encode(state))
                    await stream.send_all(b"".join(protocol.data_to_send()))
        await stream.send_all(b"\x89\x00")
        await trio.sleep(0.05)
        with suppress(trio.BrokenResourceError):
            await stream.send_all(b"".join(protocol.data_to_send()))

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            partial(trio.serve_tcp, answer_close_with_ping, 0, host="127.0.0.1")
        )
        port = listeners[0].socket.getsockname()[1]
        with trio.fail_after(LAST_RESORT_S):
            async with connect(f"ws://127.0.0.1:{port}/ws", "x") as connection:
                assert connection.snapshot == state
        nursery.cancel_scope.cancel()


async def test_a_silent_server_is_unreachable_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with trio.fail_after(LAST_RESORT_S), pytest.raises(Unreachable, match="in time"):
            async with connect(f"ws://127.0.0.1:{silent.getsockname()[1]}/ws", "x", timeout=0.1):
                pass


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/ws",
        "ws:///ws",
        "nonsense",
        "ws://127.0.0.1:99999/ws",
        "ws://127.0.0.1:x/ws",
        "ws://[::1/ws",
    ],
)
async def test_a_url_that_is_not_a_websocket_is_refused(url: str) -> None:
    with pytest.raises(Unreachable, match="begins with ws"):
        async with connect(url, "token"):
            pass


async def test_a_host_that_can_have_no_address_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="cannot connect"):
        async with connect(f"ws://{'a' * 64}.example/ws", "token"):
            pass


async def test_a_refused_upgrade_has_the_status_and_the_code() -> None:
    async with serving() as server, group(server, "Ada") as (client, session, (ada,)):
        with pytest.raises(ConnectionRefused) as forged:
            async with connect(server.ws, "forged"):
                pass
        await client.end(session.session_id, session.host_token)
        with pytest.raises(ConnectionRefused) as over:
            async with connect(server.ws, ada.websocket_token):
                pass
    assert (forged.value.status, forged.value.code) == (401, "TOKEN_INVALID")
    assert (over.value.status, over.value.code) == (410, "SESSION_ENDED")
    assert not forged.value.reconnect
    assert not over.value.reconnect


async def test_a_store_that_is_down_is_a_refusal_that_allows_a_retry() -> None:
    async with serving() as first, group(first, "Ada") as (_, _, (ada,)):
        pass
    async with serving(again=first) as server:
        server.store.away = True
        with pytest.raises(ConnectionRefused) as refused:
            async with connect(server.ws, ada.websocket_token):
                pass
    assert (refused.value.status, refused.value.reconnect) == (503, True)
    assert refused.value.retry_after == 5.0


async def test_the_iteration_ends_with_the_connection_and_its_reason() -> None:
    async with (
        serving() as server,
        group(server, "Ada") as (client, session, (ada,)),
        connect(server.ws, ada.websocket_token) as connection,
    ):
        await client.end(session.session_id, session.host_token)
        messages = [message async for message in connection]
        assert [type(message) for message in messages] == [SessionEnded]
        assert connection.end == End(4410, CloseReason.SESSION_ENDED)
        with pytest.raises(NotConnected):
            await connection.send_position(position())


async def test_leaving_closes_with_1000() -> None:
    async with (
        serving() as server,
        group(server, "Ada") as (client, session, (ada,)),
        connect(server.ws, ada.websocket_token) as connection,
    ):
        await connection.leave()
        assert [message async for message in connection] == []
        assert connection.end == End(1000, CloseReason.LEFT)
        assert await client.participants(session.session_id) == ()


async def test_an_exception_of_the_block_is_raised_unwrapped() -> None:
    async with serving() as server, group(server, "Ada") as (_, _, (ada,)):
        with pytest.raises(ZeroDivisionError):
            async with connect(server.ws, ada.websocket_token):
                _ = 1 / 0
        with trio.fail_after(LAST_RESORT_S):
            await server.pool.wait_at_most(0)


async def test_cancellation_closes_the_connection() -> None:
    async with serving() as server, group(server, "Ada") as (_, _, (ada,)):
        with trio.move_on_after(5) as scope:
            async with connect(server.ws, ada.websocket_token) as connection:
                scope.cancel()
                await anext(connection)
        assert scope.cancelled_caught
        with trio.fail_after(LAST_RESORT_S):
            await server.pool.wait_at_most(0)
        assert server.connections().closed["peer_closed"] == 1


async def test_a_stopping_server_is_answered_at_once() -> None:
    async with serving() as server, group(server, "Ada") as (_, _, (ada,)):
        pass
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        # Who does not answer a close is waited for.
        limits = PoolLimits(
            drain_deadline=10 * LAST_RESORT_S,
            connection=ConnectionLimits(outbox=OutboxLimits(linger=10 * LAST_RESORT_S)),
        )
        async with serving(again=server, limits=limits) as second:
            live = Live(second.ws, ada.websocket_token)
            nursery.start_soon(live.run)
            await live.has_connected.wait()
            began = trio.current_time()
        stopped_in = trio.current_time() - began
        nursery.cancel_scope.cancel()
    assert stopped_in < LAST_RESORT_S


# --- dialects ---------------------------------------------------------------------------------


async def test_compact_is_spoken_unless_plain_is_forced() -> None:
    async with (
        serving() as server,
        group(server, "Ada", "Bo") as (_, _, (ada, bo)),
        connect(server.ws, ada.websocket_token) as compact,
        connect(server.ws, bo.websocket_token, dialects=[PLAIN_DIALECT]) as plain,
    ):
        assert (compact.dialect, plain.dialect) == (COMPACT_DIALECT, PLAIN_DIALECT)
        kinds = [type(await anext(compact))]
        assert kinds == [ParticipantUpdated]
        for sender, receiver, user in [(compact, plain, ada), (plain, compact, bo)]:
            sent = position(52.1234567)
            await sender.send_position(sent)
            got = await anext(receiver)
            assert isinstance(got, ParticipantPosition)
            assert (got.user_id, got.lat, got.accuracy) == (user.user_id, 52.1234567, 5)
            assert abs(got.timestamp - sent.timestamp) < timedelta(milliseconds=1)


async def test_the_own_position_is_in_the_snapshot_and_in_no_flush() -> None:
    async with serving() as server, group(server, "Ada", "Bo") as (_, _, (ada, bo)):
        async with (
            connect(server.ws, ada.websocket_token) as one,
            connect(server.ws, bo.websocket_token) as other,
        ):
            await one.send_position(position())
            await anext(other)
            await one.ping()
            assert [type(await anext(one)) for _ in range(2)] == [ParticipantUpdated, Pong]
        async with connect(server.ws, ada.websocket_token) as again:
            assert [each.user_id for each in again.snapshot.positions] == [ada.user_id]


STATE = Snapshot(
    SessionView("id", "Alps", NOW, NOW), You("ada", "participant"), (), (), NOW, "epoch", 0
)


@pytest.mark.parametrize("names_it", [True, False])
async def test_a_server_that_knows_only_plain_is_spoken_to_in_plain(names_it: bool) -> None:
    heard: list[bytes] = []
    offered: list[str | None] = []

    async def old_server(stream: trio.SocketStream) -> None:
        protocol = ServerProtocol(subprotocols=[Subprotocol("locshare.v1")] if names_it else None)
        while data := await stream.receive_some(65_536):
            protocol.receive_data(data)
            for event in protocol.events_received():
                if isinstance(event, Request):
                    offered.append(event.headers.get("Sec-WebSocket-Protocol"))
                    protocol.send_response(protocol.accept(event))
                    protocol.send_text(PLAIN.encode(STATE))
                elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    heard.append(bytes(event.data))
                    protocol.send_text(PLAIN.encode(Pong()))
            with suppress(trio.BrokenResourceError):
                await stream.send_all(b"".join(protocol.data_to_send()))

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, old_server, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        with trio.fail_after(LAST_RESORT_S):
            url = f"ws://127.0.0.1:{port}/ws"
            async with connect(url, "x", resume="epoch.7", pace=5) as connection:
                assert connection.dialect == PLAIN_DIALECT
                assert connection.snapshot == STATE
                await connection.ping()
                assert await anext(connection) == Pong()
        nursery.cancel_scope.cancel()
    assert offered == ["locshare.v1.compact, locshare.v1, locshare.bearer.x"]
    assert heard == [b'{"type":"ping","data":{}}']


async def test_a_dialect_or_a_pace_that_does_not_exist_is_an_error_of_the_caller() -> None:
    for wrong in ([], ["locshare.v9"]):
        with pytest.raises(ValueError, match=r"allowed are locshare\.v1\.compact, "):
            async with connect("ws://127.0.0.1:1/ws", "x", dialects=wrong):
                pass
    with pytest.raises(ValueError, match="0 to 60"):
        async with connect("ws://127.0.0.1:1/ws", "x", pace=61):
            pass


async def test_a_send_that_is_cancelled_ends_the_connection_and_a_client_reconnects() -> None:
    async def reads_no_more(stream: trio.SocketStream) -> None:
        protocol = ServerProtocol()
        while protocol.state is not State.OPEN:
            protocol.receive_data(await stream.receive_some(65_536))
            for event in protocol.events_received():
                assert isinstance(event, Request)
                protocol.send_response(protocol.accept(event))
                protocol.send_text(PLAIN.encode(STATE))
        await stream.send_all(b"".join(protocol.data_to_send()))
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        listeners[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        nursery.start_soon(trio.serve_listeners, reads_no_more, listeners)
        url = f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/ws"
        with trio.fail_after(LAST_RESORT_S):
            async with connect(url, "x", dialects=[PLAIN_DIALECT]) as connection:
                patience = trio.CancelScope()
                while not patience.cancelled_caught:
                    with trio.move_on_after(0.1) as patience:
                        await connection.send_position(position())
                assert [message async for message in connection] == []
                with pytest.raises(NotConnected) as lost:
                    await connection.send_position(position())
                assert lost.value.reconnect
        nursery.cancel_scope.cancel()
