"""More clients than slots, on real sockets: which are kept; health is always served."""

import errno
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing

from locshare.api import RestApplication
from locshare.http import HttpServer, ServerLimits, connection
from locshare.net import listening
from tests.api.conftest import FakeSessions, MakeApp
from tests.http.serving import connect, read_answer, read_to_end, serving
from tests.running import LAST_RESORT_S

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
CREATE = b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
NO_PROXIES: tuple[str, ...] = ()


@pytest.fixture
def app(make_app: MakeApp) -> RestApplication:
    return make_app()


async def connect_from(address: str, server: HttpServer) -> trio.SocketStream:
    """A connection from another loopback address; on Linux all of 127.0.0.0/8 are local."""
    sock = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    await sock.bind((address, 0))
    await sock.connect(server.addresses[0])
    return trio.SocketStream(sock)


@asynccontextmanager
async def crowd(server: HttpServer, size: int, begin: bytes = b"") -> AsyncIterator[list[Any]]:
    """``size`` connections that have sent ``begin`` and then stay silent."""
    async with AsyncExitStack() as stack:
        streams = []
        for _ in range(size):
            stream = await stack.enter_async_context(await connect(server))
            if begin:
                await stream.send_all(begin)
            streams.append(stream)
        await trio.testing.wait_all_tasks_blocked(0.02)
        yield streams


async def is_closed(stream: trio.SocketStream) -> bool:
    with trio.move_on_after(0.05):
        try:
            return await stream.receive_some(1) == b""
        except trio.BrokenResourceError:
            return True
    return False


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET /health/live HTTP/1.1\r\nX-Slow: ",
        CREATE.replace(b"Length: 0", b"Length: 9") + b"{",
        LIVE,
    ],
    ids=["silent", "half a head", "half a body", "idle after an answer"],
)
async def test_a_crowd_of_strangers_keeps_nobody_from_health(
    app: RestApplication, begin: bytes
) -> None:
    limits = ServerLimits(connections=40, reserved=4)
    async with serving(app, limits) as server, crowd(server, 55, begin):
        assert server.connections == 40
        assert server.statistics().evicted == 15
        async with await connect(server) as stream:
            await stream.send_all(LIVE)
            with trio.fail_after(LAST_RESORT_S):
                assert (await read_answer(stream))[0] == 200
            await stream.send_all(CREATE)
            assert (await read_answer(stream))[0] == 201


async def test_the_longest_idle_goes_first(app: RestApplication) -> None:
    async with serving(app, ServerLimits(connections=3)) as server, crowd(server, 3) as streams:
        first, second, third = streams
        await first.send_all(LIVE)
        await read_answer(first)
        async with await connect(server) as stream:
            await stream.send_all(LIVE)
            assert (await read_answer(stream))[0] == 200
            assert [await is_closed(each) for each in (first, second, third)] == [
                False, True, False,
            ]  # fmt: skip


async def test_a_client_that_does_not_read_its_answer_can_be_evicted() -> None:
    async def big(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 50_000_000})

    async with serving(big, ServerLimits(connections=2)) as server, crowd(server, 2, LIVE):
        async with await connect(server) as stream:
            await stream.send_all(LIVE)
            await stream.receive_some(1000)
        assert server.statistics().evicted == 1


async def test_without_a_connection_to_evict_the_reserve_serves_health_only(
    app: RestApplication, manager: FakeSessions
) -> None:
    manager.gate = trio.Event()  # a database that does not respond
    limits = ServerLimits(connections=5, reserved=2)
    async with serving(app, limits) as server, crowd(server, 5, CREATE) as streams:
        for path in (b"/health/live", b"/health/ready", b"/metrics"):
            async with await connect(server) as stream:
                await stream.send_all(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                with trio.fail_after(LAST_RESORT_S):
                    status, headers, _ = await read_answer(stream)
                assert (status, headers["connection"]) == (200, "close")
        async with await connect(server) as stream:
            await stream.send_all(CREATE)
            status, headers, body = await read_answer(stream)
            assert (status, json.loads(body)["code"]) == (503, "UNAVAILABLE")
            assert int(headers["retry-after"]) > 0
            assert await read_to_end(stream) == b""
        assert server.statistics().reserved == 4
        # Strangers may use the reserve, but are evicted from it.
        async with crowd(server, 9), await connect(server) as stream:
            await trio.testing.wait_all_tasks_blocked(0.02)
            assert server.connections == 5 + 2
            await stream.send_all(LIVE)
            with trio.fail_after(LAST_RESORT_S):
                assert (await read_answer(stream))[0] == 200
        manager.gate.set()
        for stream in streams:
            assert (await read_answer(stream))[0] == 201, "a busy connection is kept"


async def test_one_address_cannot_hold_more_than_its_share(app: RestApplication) -> None:
    limits = ServerLimits(connections=50, connections_per_address=3, trusted_proxies=NO_PROXIES)
    async with serving(app, limits) as server, crowd(server, 8) as streams:
        assert server.connections == 3
        assert [await is_closed(each) for each in streams] == [True] * 5 + [False] * 3
        async with await connect_from("127.0.0.2", server) as other:
            assert server.statistics().evicted == 5
            await other.send_all(LIVE)
            assert (await read_answer(other))[0] == 200
            assert server.connections == 4


async def test_a_connection_evicted_before_it_began_is_just_closed(
    app: RestApplication,
) -> None:
    limits = ServerLimits(connections=2)
    with structlog.testing.capture_logs() as logged:
        async with serving(app, limits) as server:
            # All wait in the kernel's queue, and are accepted in one turn of the loop.
            socks = [socket.create_connection(server.addresses[0]) for _ in range(9)]
            await trio.testing.wait_all_tasks_blocked(0.02)
            assert server.connections == 2
            assert server.statistics().evicted == 7
            for sock in socks:
                sock.close()
    assert [entry["event"] for entry in logged] == ["http_listening"]


async def test_a_trusted_proxy_may_hold_all(app: RestApplication) -> None:
    limits = ServerLimits(connections=50, connections_per_address=3)
    async with serving(app, limits) as server, crowd(server, 8):
        assert server.connections == 8


async def test_places_are_given_back(app: RestApplication) -> None:
    limits = ServerLimits(connections=4, connections_per_address=2, trusted_proxies=NO_PROXIES)
    async with serving(app, limits) as server:
        for _ in range(12):
            async with await connect(server) as stream:
                await stream.send_all(LIVE)
                await read_answer(stream)
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert server.connections == 0
        assert server.statistics().evicted == 0


# --- clients that take their time ---------------------------------------------------------------


async def test_a_client_that_reads_too_slowly_overall_is_cut(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 100_000_000  # much more than the buffers of two sockets hold
    monkeypatch.setattr(connection, "_MIN_READ_BYTES_PER_S", 8_000_000)

    async def big(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * size})

    limits = ServerLimits(write_timeout_s=15)
    async with serving(big, limits) as server, await connect(server) as stream:
        await stream.send_all(LIVE)
        began = trio.current_time()
        while server.connections or trio.current_time() == began:
            # Each time the socket has room again before the timeout of one write.
            with suppress(trio.BrokenResourceError):
                for _ in range(100):
                    await stream.receive_some(65_536)
            await trio.sleep(10)
            assert trio.current_time() - began < 31, "it may take 15 + 12.5 s"
        assert trio.current_time() - began > 25


async def test_a_flood_of_requests_in_a_row_waits_for_its_answers(
    app: RestApplication, manager: FakeSessions
) -> None:
    manager.gate = trio.Event()
    calls = 0
    create = manager.create

    async def counted(**wish: Any) -> Any:
        nonlocal calls
        calls += 1
        return await create(**wish)

    manager.create = counted  # type: ignore[method-assign]

    async def flood(stream: trio.SocketStream) -> None:
        while True:
            await stream.send_all(CREATE * 100)

    async with serving(app) as server, await connect(server) as stream:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, stream)
            await trio.testing.wait_all_tasks_blocked(0.02)
            assert calls == 1, "one at a time, and the rest waits in the kernel"
            async with await connect(server) as other:
                await other.send_all(LIVE)
                assert (await read_answer(other))[0] == 200
            nursery.cancel_scope.cancel()
        await stream.aclose()
        manager.gate.set()
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert server.connections == 0


async def test_a_client_that_vanished_without_a_word_is_forgotten_in_time(
    app: RestApplication, autojump_clock: trio.testing.MockClock
) -> None:
    begun = CREATE.replace(b"Length: 0", b"Length: 9")
    async with (
        serving(app) as server,
        crowd(server, 1),
        crowd(server, 1, begun),
        crowd(server, 1, LIVE),
    ):
        assert server.connections == 3
        await trio.sleep(31)  # more than any of the deadlines
        assert server.connections == 0


# --- accepting ----------------------------------------------------------------------------------


class Listening:
    """A listening socket whose ``accept`` fails first with each of ``errors``."""

    def __init__(self, sock: socket.socket, errors: list[int]) -> None:
        self._sock = sock
        self._errors = errors

    def fileno(self) -> int:
        return self._sock.fileno()

    def accept(self) -> Any:
        if self._errors:
            raise OSError(self._errors.pop(0), "as told")
        return self._sock.accept()


@pytest.mark.parametrize(
    "number",
    [errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTUNREACH,
     errno.ECONNRESET, errno.ETIMEDOUT, errno.EINTR],
    ids=lambda number: errno.errorcode[number],
)  # fmt: skip
async def test_an_accept_error_of_one_client_does_not_stop_accepting(number: int) -> None:
    taken: list[Any] = []
    (sock,) = await listening.listen("127.0.0.1", 0, 8)
    with sock:
        async with trio.open_nursery() as nursery:
            broken: Any = Listening(sock, [number, number])
            nursery.start_soon(listening.accept, broken, lambda *accepted: taken.append(accepted))
            async with await trio.open_tcp_stream(*sock.getsockname()):
                with trio.fail_after(LAST_RESORT_S):
                    while not taken:
                        await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    taken[0][0].close()


async def test_an_accept_error_of_the_listening_socket_is_raised() -> None:
    (sock,) = await listening.listen("127.0.0.1", 0, 8)
    with sock:
        async with await trio.open_tcp_stream(*sock.getsockname()):
            broken: Any = Listening(sock, [errno.EINVAL])
            with pytest.raises(OSError, match="as told"):
                await listening.accept(broken, lambda *_: None)


async def test_without_file_descriptors_the_longest_idle_makes_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    taken: list[Any] = []
    asked: list[bool] = []

    def make_room() -> bool:
        asked.append(True)
        return len(asked) == 1

    (sock,) = await listening.listen("127.0.0.1", 0, 8)
    with sock, structlog.testing.capture_logs() as logged:
        async with trio.open_nursery() as nursery:
            broken: Any = Listening(sock, [errno.EMFILE, errno.ENFILE])
            nursery.start_soon(
                listening.accept, broken, lambda *accepted: taken.append(accepted), make_room
            )
            async with await trio.open_tcp_stream(*sock.getsockname()):
                await trio.sleep(listening.PAUSE_WHEN_OUT_OF_FILES_S)
                await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    taken[0][0].close()
    assert len(asked) == 2
    assert [entry["event"] for entry in logged] == ["out_of_files"]


async def test_a_lack_of_file_descriptors_is_logged_once_a_minute(
    autojump_clock: trio.testing.MockClock,
) -> None:
    (sock,) = await listening.listen("127.0.0.1", 0, 8)
    pauses = round(listening.QUIET_S / listening.PAUSE_WHEN_OUT_OF_FILES_S)
    with sock, structlog.testing.capture_logs() as logged:
        async with trio.open_nursery() as nursery:
            broken: Any = Listening(sock, [errno.EMFILE] * 2 * pauses)
            nursery.start_soon(listening.accept, broken, lambda accepted, _: accepted.close())
            async with await trio.open_tcp_stream(*sock.getsockname()) as stream:
                assert await stream.receive_some() == b"", "accepted in the end, and closed"
            nursery.cancel_scope.cancel()
    assert [entry["event"] for entry in logged] == ["out_of_files"] * 2


async def test_a_server_without_file_descriptors_closes_an_idle_connection(
    app: RestApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(app) as server, crowd(server, 2) as (first, second):
        assert server.make_room()
        assert await is_closed(first)
        assert not await is_closed(second)
