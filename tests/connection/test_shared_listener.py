"""One port for everything: each request reaches its side, whole, however it comes."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from locshare.connection.pool import ConnectionPool
from locshare.connection.shared_listener import SharedLimits, SharedListener
from locshare.http import HttpServer, ServerLimits
from locshare.net.slots import SlotLimits
from locshare.net.sniffing import HEAD_BYTES_MAX, wants_websocket
from tests.connection.kit import QUICK, SNAPSHOT, Room, Verifier
from tests.http.serving import read_answer, read_to_end
from tests.running import LAST_RESORT_S
from tests.sockets import Raw, client_frame, request

PATHS = (b"/ws", b"/socket/websocket")
GET = b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
UPGRADE = request("/ws?token=ada")
PHOENIX = request("/folder/socket/websocket?vsn=2.0.0&token=ada")
ELSEWHERE = request("/api?token=ada")


def wants(head: bytes) -> bool | None:
    return wants_websocket(head, PATHS)


# --- the decision -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (UPGRADE, True),
        (PHOENIX, True),
        (ELSEWHERE, True),
        (request("/ws?token=ada", method="POST"), True),
        (UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"), True),
        (b"GET /ws HTTP/1.1\r\n\r\n", True),
        (b"GET /map/ws\r\n", True),
        (b"GET http://x/ws HTTP/1.1\r\n", True),
        (ELSEWHERE.replace(b"websocket", b"foo, WebSocket"), True),
        (GET, False),
        (POST, False),
        (request("/api", method="POST"), False),
        (ELSEWHERE.replace(b"websocket", b"h2c"), False),
        (b"GET /wss HTTP/1.1\r\n\r\n", False),
        (b"GET /a?next=/ws HTTP/1.1\r\n\r\nUpgrade: websocket\r\n\r\n", False),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", False),
        (b"\x16\x03\x01\x02\x00\x01\x00", False),
        (b"\r\n" + GET, False),
        (b"\r\n\r\n", False),
        (b" GET /ws HTTP/1.1\r\n", False),
        (b"A" * 21, False),
        (b"GET /" + b"x" * 8192, False),
        (b"GET /" + b"x" * 8192 + b"/ws HTTP/1.1\r\n\r\n", False),
        (b"GET /?" + b"x" * 8192, False),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * HEAD_BYTES_MAX, False),
        (b"", None),
        (b"\r", None),
        (b"GE", None),
        (b"GET /w", None),
        (b"GET /ws", None),
        (GET[:-1], None),
    ],
)
def test_a_path_or_an_upgrade_tells_a_websocket(head: bytes, wanted: bool | None) -> None:
    assert wants(head) is wanted


@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.sampled_from(
                [b"GET", b"POST", b" ", b"/", b"ws", b"?", b"\r\n", b"Upgrade: websocket",
                 b"HTTP/1.1", b"\x00", b"\x16\x03", b"socket/websocket"]
            )
        ).map(b"".join),
    )
)  # fmt: skip
def test_a_decision_does_not_depend_on_how_the_bytes_come(data: bytes) -> None:
    decisions = [wants(data[:size]) for size in range(len(data) + 1)]
    first = next((size for size, each in enumerate(decisions) if each is not None), None)
    if first is not None:
        assert set(decisions[first:]) == {decisions[first]}


# --- on real sockets ----------------------------------------------------------------------------


class Shared:
    """A pool and an HTTP server behind one port. The HTTP application answers each request with its
    path and the length of its body.
    """

    def __init__(self, limits: SharedLimits, http: ServerLimits) -> None:
        self.room = Room()
        self.pool = ConnectionPool(Verifier(), self.room, QUICK)
        self.listener = SharedListener("127.0.0.1:0", self.pool, limits, lambda peer: peer)
        self.http = HttpServer(self._app, None, http, self.listener.hand_over)
        self.listener.use(self.http)
        self.nursery: trio.Nursery
        self.paths: list[str] = []

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self.paths.append(scope["path"])
        text = f"{scope['path']} {len(body)}".encode()
        head = [(b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": text})

    def refused(self) -> dict[str, int]:
        return {label: n for label, n in self.listener.statistics().refused.items() if n}

    async def until_waiting(self, count: int) -> None:
        with trio.fail_after(LAST_RESORT_S):
            while self.listener.statistics().waiting != count:
                await trio.testing.wait_all_tasks_blocked()

    async def connect(self, address: str = "127.0.0.1") -> trio.SocketStream:
        sock = trio.socket.socket()
        await sock.bind((address, 0))
        await sock.connect(self.listener.addresses[0])
        return trio.SocketStream(sock)


@asynccontextmanager
async def sharing(
    limits: SharedLimits | None = None, http: ServerLimits | None = None
) -> AsyncIterator[Shared]:
    shared = Shared(limits or SharedLimits(), http or ServerLimits())
    async with trio.open_nursery() as nursery:
        shared.nursery = nursery
        await nursery.start(shared.pool.serve)
        await nursery.start(shared.http.serve)
        async with trio.open_nursery() as listening:
            await listening.start(shared.listener.serve)
            yield shared
            listening.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


async def expect_snapshot(raw: Raw) -> None:
    assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
    assert await raw.frame() == (0x81, SNAPSHOT)


async def read_refusal(stream: trio.SocketStream) -> tuple[int, str]:
    with trio.fail_after(LAST_RESORT_S):
        status, headers, body = await read_answer(stream)
        assert headers["connection"] == "close"
        assert await stream.receive_some() == b""
    return status, json.loads(body)["code"]


@pytest.mark.parametrize("whole", [UPGRADE, POST], ids=["upgrade", "post"])
async def test_a_request_may_be_cut_at_any_byte(whole: bytes) -> None:
    async with sharing() as shared:
        for cut in range(1, len(whole)):
            said = whole.replace(b"ada", b"%03d" % cut)  # nobody may connect so often
            async with await shared.connect() as stream:
                await stream.send_all(said[:cut])
                await trio.testing.wait_all_tasks_blocked(0.0005)
                await stream.send_all(said[cut:])
                if whole is POST:
                    assert (await read_answer(stream))[2] == b"/api 2"
                else:
                    await expect_snapshot(Raw(stream))


async def test_a_request_may_come_byte_by_byte() -> None:
    async with sharing() as shared, await shared.connect() as stream:
        for byte in UPGRADE:
            await stream.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked(0.0005)
        await expect_snapshot(Raw(stream))


async def test_an_upgrade_may_follow_requests_on_their_connection() -> None:
    """As behind a proxy that keeps connections: nginx with keepalive, HAProxy, Caddy, Apache."""
    async with sharing() as shared, await shared.connect() as stream:
        for each in (GET, POST, GET):
            await stream.send_all(each)
            assert (await read_answer(stream))[0] == 200
        await stream.send_all(UPGRADE[:30])
        await trio.testing.wait_all_tasks_blocked(0.001)
        await stream.send_all(UPGRADE[30:])
        raw = Raw(stream)
        await expect_snapshot(raw)
        await raw.send(client_frame(b'{"type": "ping"}'))
        assert json.loads((await raw.frame())[1])["type"] == "pong"
        assert shared.http.connections == 0
        assert len(shared.pool) == 1
        assert shared.paths == ["/api", "/api", "/api"]


@pytest.mark.parametrize("before", [GET, POST], ids=["get", "post"])
async def test_an_upgrade_sent_before_the_answer_to_a_request_is_a_request(before: bytes) -> None:
    async with sharing() as shared, await shared.connect() as stream:
        await stream.send_all(before + UPGRADE)
        assert (await read_answer(stream))[2].startswith(b"/api")
        assert (await read_answer(stream))[2] == b"/ws 0"
        assert len(shared.pool) == 0


async def test_what_looks_like_an_upgrade_inside_a_request_stays_inside() -> None:
    inside = b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(UPGRADE)
    async with sharing() as shared:
        async with await shared.connect() as stream:  # in its body
            await stream.send_all(inside + b"\r\n")
            await trio.testing.wait_all_tasks_blocked(0.001)
            await stream.send_all(UPGRADE)
            assert (await read_answer(stream))[2] == b"/api %d" % len(UPGRADE)
        async with await shared.connect() as stream:  # in its head, where it is no header
            await stream.send_all(inside)
            await trio.testing.wait_all_tasks_blocked(0.001)
            await stream.send_all(UPGRADE)
            assert (await read_answer(stream))[0] == 400
        assert shared.pool.statistics().accepted == 0


@pytest.mark.parametrize(
    ("data", "status", "word"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "plain HTTP"),
        (b"\x00" * 50, 400, "control character"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/1.1"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400, "RFC 9112"),
        (b"GET /" + b"x" * 20_000, 414, "longer than"),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000, 431, "longer than"),
    ],
    ids=["TLS", "zeros", "HTTP/2", "SSH", "line", "head"],
)
async def test_what_no_side_understands_is_answered_and_closed(
    data: bytes, status: int, word: str
) -> None:
    async with sharing() as shared, await shared.connect() as stream:
        await stream.send_all(data)
        with trio.fail_after(LAST_RESORT_S):
            got, _, body = await read_answer(stream)
            assert (got, word in json.loads(body)["detail"]) == (status, True)
            assert await stream.receive_some() == b""


@pytest.mark.parametrize("said", [b"", b"GET /a HTTP/1.1\r\nX-Slow: ", b"GE"])
async def test_a_request_that_does_not_come_is_refused_in_time(
    autojump_clock: trio.testing.MockClock, said: bytes
) -> None:
    async with sharing() as shared, await shared.connect() as stream:
        if said:
            await stream.send_all(said)
        assert await read_refusal(stream) == (408, "REQUEST_TIMEOUT")
        assert trio.current_time() == pytest.approx(SharedLimits().deadline_s, abs=1)
        assert shared.refused() == {"late": 1}


async def test_drops_do_not_put_the_deadline_off(autojump_clock: trio.testing.MockClock) -> None:
    async with sharing() as shared, await shared.connect() as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\n")
        with suppress(trio.BrokenResourceError):
            while trio.current_time() < 60:
                await stream.send_all(b"A: b\r\n")
                await trio.sleep(1)
        assert trio.current_time() < 15
        assert shared.refused() == {"late": 1}


async def test_of_those_that_wait_the_longest_idle_gives_way() -> None:
    limits = SharedLimits(SlotLimits(total=3, per_address=3, reserved=0))
    async with sharing(limits) as shared, AsyncExitStack() as stack:
        streams = []
        for n in range(3):
            streams.append(await stack.enter_async_context(await shared.connect()))
            await shared.until_waiting(n + 1)
        await streams[0].send_all(b"GET / HT")
        await trio.testing.wait_all_tasks_blocked(0.01)
        await stack.enter_async_context(await shared.connect())
        assert await read_refusal(streams[1]) == (503, "OVERLOADED")
        await streams[0].send_all(b"TP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_answer(streams[0]))[0] == 200
        assert shared.refused() == {"crowded_out": 1}


async def test_an_address_takes_waiting_places_from_itself_only() -> None:
    limits = SharedLimits(SlotLimits(total=100, per_address=2, reserved=0))
    async with sharing(limits) as shared, AsyncExitStack() as stack:
        honest = await stack.enter_async_context(await shared.connect("127.0.0.2"))
        await shared.until_waiting(1)
        for _ in range(9):
            await stack.enter_async_context(await shared.connect())
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert shared.listener.statistics().waiting == 3
        assert shared.refused() == {"crowded_out": 7}
        await honest.send_all(GET)
        assert (await read_answer(honest))[0] == 200


async def test_a_crowd_of_half_requests_keeps_neither_side_from_anyone() -> None:
    limits = SharedLimits(SlotLimits(total=20, per_address=20, reserved=0))
    async with sharing(limits) as shared, AsyncExitStack() as stack:
        for n in range(60):
            stranger = await stack.enter_async_context(await shared.connect())
            await stranger.send_all([b"", b"GET / HTTP/1.1\r\n", b"\r"][n % 3] or b"G")
        async with await shared.connect() as stream:
            await stream.send_all(GET)
            assert (await read_answer(stream))[0] == 200
        async with await shared.connect() as stream:
            await stream.send_all(UPGRADE)
            await expect_snapshot(Raw(stream))


async def test_clients_that_vanish_leave_nothing() -> None:
    async with sharing() as shared:
        for said in (b"", b"GET /", UPGRADE[:40], GET[:-2]):
            for reset in (False, True):
                stream = await shared.connect()
                if reset:
                    linger = b"\1\0\0\0\0\0\0\0"
                    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                if said:
                    await stream.send_all(said)
                await trio.testing.wait_all_tasks_blocked(0.001)
                await stream.aclose()
        await shared.until_waiting(0)
        await shared.pool.wait_at_most(0)
        with trio.fail_after(LAST_RESORT_S):
            while shared.http.connections:
                await trio.testing.wait_all_tasks_blocked()
        assert shared.refused() == {}


async def test_when_it_stops_those_that_wait_are_told_to_come_back() -> None:
    async with sharing() as shared:
        stream = await shared.connect()
        await shared.until_waiting(1)
    async with stream:
        assert await read_refusal(stream) == (503, "UNAVAILABLE")


async def test_without_file_descriptors_a_socket_without_a_request_goes_first() -> None:
    async with sharing() as shared, await shared.connect() as idle:
        await idle.send_all(GET)
        await read_answer(idle)
        async with await shared.connect() as silent:
            await shared.until_waiting(1)
            assert shared.listener._make_room()
            assert await read_refusal(silent) == (503, "OVERLOADED")
        assert shared.listener._make_room(), "then an idle HTTP connection"
        assert await idle.receive_some() == b""
        assert not shared.listener._make_room()


async def test_while_the_http_server_is_down_its_sockets_are_closed() -> None:
    async with sharing() as shared:
        shared.http._adopting = None  # as between two incarnations
        async with await shared.connect() as stream:
            await stream.send_all(GET)
            with trio.fail_after(LAST_RESORT_S):
                assert await read_to_end(stream) == b""
        async with await shared.connect() as stream:
            await stream.send_all(UPGRADE)
            await expect_snapshot(Raw(stream))


async def test_a_websocket_of_the_one_port_has_the_options_of_its_own_port() -> None:
    seen: list[tuple[int, int]] = []
    async with sharing() as shared:
        adopt = shared.pool.adopt

        def watch(sock: socket.socket, peer: str) -> None:
            seen.append(
                (
                    sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
                    sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT),
                )
            )
            adopt(sock, peer)

        shared.pool.adopt = watch  # type: ignore[method-assign]
        async with await shared.connect() as stream:
            await stream.send_all(UPGRADE[:50])
            await trio.testing.wait_all_tasks_blocked(0.001)
            await stream.send_all(UPGRADE[50:])
            await expect_snapshot(Raw(stream))
    assert seen == [(1, 1)]
