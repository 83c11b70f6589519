"""The client against the real rooms of the server, on real sockets."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import trio
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from locshare.api import ApiLimits, Rate
from locshare.client import (
    ApiProblem,
    Backoff,
    Client,
    ClientError,
    ConnectionRefused,
    End,
    JoinLink,
    Live,
    NotConnected,
    SessionCreated,
    SessionJoined,
    Unreachable,
    Watcher,
    connect,
    parse_join_link,
    retry,
)
from locshare.client.errors import problem_of, retry_after_of
from locshare.model.events import (
    ParticipantUpdated,
    SessionEnded,
)
from locshare.model.participant import You
from locshare.model.position import ParticipantPosition, Position
from locshare.model.reasons import CloseReason
from locshare.model.session import SessionView, Snapshot
from locshare.wire.messages import Pong, ServerMessage
from locshare.wire.plain import PLAIN
from tests.running import LAST_RESORT_S
from tests.simulate.kit import API_LIMITS, Server, serving

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def position(lat: float = 52.5) -> Position:
    return Position(lat, 13.4, 5.0, datetime.now(UTC))


@asynccontextmanager
async def group(
    server: Server, *names: str
) -> AsyncIterator[tuple[Client, SessionCreated, list[SessionJoined]]]:
    """A session that these have joined."""
    async with Client(server.addresses.http_url) as client:
        session = await client.create_session("Alps")
        yield client, session, [await client.join(session.session_id, name) for name in names]


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

        device = "0123456789abcdef"
        bo = await client.join(link.session_id, "Bo", device_key=device)
        await client.remove(link.session_id, bo.user_id, host.host_token, ban=True)
        with pytest.raises(ApiProblem) as banned:
            await client.join(link.session_id, "Bo again", device_key=device)
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


async def test_a_retry_waits_as_long_as_retry_after_says() -> None:
    limits = ApiLimits(create=Rate(1, 1), join=API_LIMITS.join)
    async with serving(api=limits) as server, Client(server.addresses.http_url) as client:
        await client.create_session()
        with pytest.raises(ApiProblem) as refused:
            await client.create_session()
        assert (refused.value.status, refused.value.retry_after) == (429, 1.0)
        assert refused.value.reconnect
        session = await retry(client.create_session)
        assert (await client.describe(session.session_id)).is_active


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


@pytest.mark.parametrize("url", ["http://127.0.0.1/ws", "ws:///ws", "nonsense"])
async def test_a_url_that_is_not_a_websocket_is_refused(url: str) -> None:
    with pytest.raises(Unreachable, match="begins with ws"):
        async with connect(url, "token"):
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
        async with serving(again=server) as second:
            live = Live(second.ws, ada.websocket_token)
            nursery.start_soon(live.run)
            await live.has_connected.wait()
            began = trio.current_time()
        stopped_in = trio.current_time() - began
        nursery.cancel_scope.cancel()
    assert stopped_in < 0.5


def test_an_unknown_close_code_allows_a_reconnect() -> None:
    assert End.of(4999).reconnect
    assert End.of(4999).text == "closed with 4999"


# --- a lasting connection ---------------------------------------------------------------------


class Diary(Watcher):
    """Notes everything, and wakes who waits for something of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = trio.Event()

    def _note(self, line: str) -> None:
        self.lines.append(line)
        self._changed.set()
        self._changed = trio.Event()

    def connected(self, snapshot: Snapshot) -> None:
        self._note("connected")

    def received(self, message: ServerMessage) -> None:
        self._note(type(message).__name__)

    def disconnected(self, cause: ClientError, retry_in: float | None) -> None:
        again = "for good" if retry_in is None else "for now"
        name = cause.end.reason if isinstance(cause, NotConnected) else type(cause)
        self._note(f"{getattr(name, '__name__', None) or getattr(name, 'name', name)} {again}")

    async def until(self, line: str, times: int = 1) -> None:
        with trio.fail_after(LAST_RESORT_S):
            while self.lines.count(line) < times:
                await self._changed.wait()


QUICK = Backoff(initial_s=0.02, max_s=0.05)


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


async def test_a_client_reconnects_after_a_restart_of_the_server() -> None:
    diary = Diary()
    async with trio.open_nursery() as nursery:
        async with serving() as first, group(first, "Ada") as (_, _, (ada,)):
            live = Live(first.ws, ada.websocket_token, watcher=diary, backoff=QUICK)
            await nursery.start(live.run)
        await diary.until("RESTART for now")
        assert not await live.send_position(position())
        assert not await live.leave()
        async with serving(again=first):
            await diary.until("connected", 2)
            assert await live.send_position(position())
            nursery.cancel_scope.cancel()
    assert diary.lines[:2] == ["connected", "RESTART for now"]


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
