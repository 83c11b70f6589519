"""The API over real sockets: slow and hostile clients, and the stop."""

import json
import re
import socket
from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog.testing
import trio
import trio.testing

from locshare.api import ApiLimits, RestApplication
from locshare.http import HttpServer, ServerLimits
from tests.api.conftest import FakeSessions, MakeApp, assert_problem
from tests.http.serving import connect, read_answer, read_to_end, serving
from tests.running import LAST_RESORT_S

BODY = b'{"display_name": "Ada"}'


@pytest.fixture
def app(make_app: MakeApp) -> RestApplication:
    return make_app()


async def test_it_serves_on_the_port_that_it_reports(app: RestApplication) -> None:
    async with serving(app) as server:
        host, port = server.addresses[0]
        assert port > 0
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
            created = await client.post("/api/sessions", json={"name": "Zürich 🚲"})
            assert created.status_code == 201
            assert created.json()["name"] == "Zürich 🚲"
            answer = await client.get(f"/api/sessions/{created.json()['session_id']}")
            assert answer.status_code == 200
            assert "server" not in answer.headers
            assert_problem(await client.get("/nowhere"), 404, "NOT_FOUND")
            head = await client.head("/health/live")
            assert (head.status_code, head.content) == (200, b"")


async def test_started_again_it_binds_the_same_port(app: RestApplication) -> None:
    server = HttpServer(app, "127.0.0.1:0")
    seen = []
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            seen.append(await nursery.start(server.serve))
            async with await connect(server) as stream:
                await stream.send_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await read_answer(stream))[0] == 200
            nursery.cancel_scope.cancel()
    assert seen[0] == seen[1]


async def test_an_address_in_use_is_an_error(app: RestApplication) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {address}: Address already in use"):
            await HttpServer(app, address).serve()


async def test_many_requests_use_one_connection(app: RestApplication) -> None:
    async with serving(app) as server, await connect(server) as stream:
        for _ in range(3):
            await stream.send_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await read_answer(stream))[0] == 200
        assert server.connections == 1


async def test_an_idle_connection_and_a_slow_head_end_with_the_keep_alive_time(
    app: RestApplication, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(app, ServerLimits(keep_alive_s=5)) as server:
        for first in (b"", b"GET / HTTP/1.1\r\nX-Slow: "):
            async with await connect(server) as stream:
                if first:
                    await stream.send_all(first)
                began = trio.current_time()
                assert await read_to_end(stream) == b""
                assert 4.9 < trio.current_time() - began < 5.1


async def test_the_idle_time_begins_again_after_each_answer(
    app: RestApplication, autojump_clock: trio.testing.MockClock
) -> None:
    # Quart used to cancel the task in which hypercorn started the idle time.
    async with (
        serving(app, ServerLimits(keep_alive_s=5)) as server,
        await connect(server) as stream,
    ):
        for _ in range(3):
            await trio.sleep(4)
            await stream.send_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await read_answer(stream))[0] == 200
        began = trio.current_time()
        assert await read_to_end(stream) == b""
        assert 4.9 < trio.current_time() - began < 5.1


async def test_a_body_that_drips_is_given_up(
    make_app: MakeApp, autojump_clock: trio.testing.MockClock
) -> None:
    app = make_app(limits=ApiLimits(body_timeout_s=10))
    async with serving(app) as server, await connect(server) as stream:
        await stream.send_all(
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        began = trio.current_time()
        status, headers, body = await read_answer(stream)
        assert 9.9 < trio.current_time() - began < 10.1
        assert (status, headers["connection"]) == (408, "close")
        assert json.loads(body)["code"] == "REQUEST_TIMEOUT"
        assert await read_to_end(stream) == b""


async def test_a_chunked_body_without_end_is_too_large(app: RestApplication) -> None:
    async with serving(app) as server, await connect(server) as stream:
        await stream.send_all(
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )

        async def flood() -> None:
            chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
            try:
                while True:
                    await stream.send_all(chunk)
            except trio.BrokenResourceError:
                pass  # expected: the server closed the connection

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            status, headers, body = await read_answer(stream)
        assert (status, headers["connection"]) == (413, "close")
        assert json.loads(body)["code"] == "BODY_TOO_LARGE"


async def test_a_body_in_tiny_chunks_that_is_too_large_leaves_nothing_behind(
    app: RestApplication,
) -> None:
    async with serving(app) as server:
        async with await connect(server) as stream:
            await stream.send_all(
                b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 20_000
            )
            assert (await read_answer(stream))[0] == 413
            await read_to_end(stream)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert server.connections == 0


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET http://[x/api HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://x/health/live HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET //[x/ HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /api//sessions HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /health/live?a=%ff&b HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /health/live HTTP/1.1\r\nHost: \r\n\r\n", 200),
        (b"GET /health/live HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.0\r\n\r\n", 200),
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nCookie: \xff;=\r\n\r\n", 200),
        (b"BREW /api/sessions HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ],
)
async def test_no_request_makes_a_5xx(
    app: RestApplication, request_bytes: bytes, status: int
) -> None:
    with structlog.testing.capture_logs() as logged:
        async with serving(app) as server, await connect(server) as stream:
            await stream.send_all(request_bytes)
            assert (await read_answer(stream))[0] == status
    assert not [entry for entry in logged if entry["log_level"] == "error"]


async def test_a_connection_that_the_client_closes_is_gone_at_once(app: RestApplication) -> None:
    # hypercorn used to keep it for the rest of its idle time.
    async with serving(app) as server:
        for first in (b"", b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"):
            async with await connect(server) as stream:
                if first:
                    await stream.send_all(first)
                    await read_answer(stream)
                await trio.testing.wait_all_tasks_blocked(0.02)
                assert server.connections == 1
            await trio.testing.wait_all_tasks_blocked(0.02)
            assert server.connections == 0


async def big_answer(scope: Any, receive: Any, send: Any) -> None:
    """An application whose answer is larger than the buffers of a socket."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * 50_000_000})


async def test_a_client_that_does_not_read_is_cut_after_the_write_timeout(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with (
        serving(big_answer, ServerLimits(write_timeout_s=10)) as server,
        await connect(server) as stream,
    ):
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked(0.02)
        mock_clock.jump(9.9)
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert server.connections == 1
        mock_clock.jump(0.2)
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert server.connections == 0


async def test_a_stop_closes_idle_connections_at_once(app: RestApplication) -> None:
    server = HttpServer(app, "127.0.0.1:0", ServerLimits(stop_s=1000, keep_alive_s=1000))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        async with await connect(server) as stream:
            await stream.send_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            await read_answer(stream)
            began = trio.current_time()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                assert await read_to_end(stream) == b""
    assert trio.current_time() - began < LAST_RESORT_S


async def ask_and_stop(server: HttpServer, request: bytes) -> tuple[bytes, float]:
    """The bytes received when the server stops during ``request``, and the duration of the stop."""
    serve = trio.CancelScope()
    stopped: list[float] = []

    async def run(*, task_status: trio.TaskStatus[Any]) -> None:
        with serve:
            await server.serve(task_status=task_status)
        stopped.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        async with await connect(server) as stream:
            await stream.send_all(request)
            await trio.testing.wait_all_tasks_blocked(0.05)
            began = trio.current_time()
            serve.cancel()
            answer = await read_to_end(stream)
    return answer, stopped[0] - began


CREATE = b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


async def test_a_stop_lets_a_running_request_finish(
    app: RestApplication, manager: FakeSessions
) -> None:
    gate = manager.gate = trio.Event()

    async def open_gate() -> None:
        await trio.testing.wait_all_tasks_blocked(0.2)
        gate.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(open_gate)
        server = HttpServer(app, "127.0.0.1:0", ServerLimits(stop_s=1000))
        answer, seconds = await ask_and_stop(server, CREATE)
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert seconds < LAST_RESORT_S


async def test_a_stop_cuts_endless_requests(app: RestApplication, manager: FakeSessions) -> None:
    manager.gate = trio.Event()
    server = HttpServer(app, "127.0.0.1:0", ServerLimits(stop_s=0.2))
    with structlog.testing.capture_logs() as logged:
        answer, seconds = await ask_and_stop(server, CREATE)
    assert answer == b""
    assert "http_application_failed" not in [entry["event"] for entry in logged]
    assert seconds < LAST_RESORT_S, "the request would go on for ever"
    assert server.connections == 0


async def test_a_stop_is_not_held_up_by_a_client_that_does_not_read() -> None:
    limits = ServerLimits(stop_s=0.2, write_timeout_s=1000)
    server = HttpServer(big_answer, "127.0.0.1:0", limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        async with await connect(server) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await trio.testing.wait_all_tasks_blocked(0.05)
            began = trio.current_time()
            nursery.cancel_scope.cancel()
    assert trio.current_time() - began < LAST_RESORT_S
    assert server.connections == 0


async def test_an_application_that_fails_ends_its_own_connection_only() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/broken":
            raise RuntimeError("broken")
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with structlog.testing.capture_logs() as logged:
        async with serving(broken) as server:
            for path, status in ((b"/broken", 500), (b"/", 204)):
                async with await connect(server) as stream:
                    await stream.send_all(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert (await read_answer(stream))[0] == status
    assert "http_application_failed" in [entry["event"] for entry in logged]


async def session_path(manager: FakeSessions) -> str:
    session = await manager.create(name=None, expires_in=timedelta(hours=1))
    return f"/api/sessions/{session.id}"


async def test_an_unread_body_does_not_delay_the_response(
    app: RestApplication, manager: FakeSessions
) -> None:
    path = await session_path(manager)
    async with serving(app) as server:
        async with await connect(server) as stream:
            await stream.send_all(
                f"GET {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
                + b"1\r\n \r\n" * 2_000
                + b"0\r\n\r\n"
            )
            assert (await read_answer(stream))[0] == 200
            await read_to_end(stream)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert server.connections == 0


async def test_requests_that_come_together_are_answered_in_order(
    app: RestApplication, manager: FakeSessions
) -> None:
    path = await session_path(manager)
    requests = [("GET", path), ("HEAD", path), ("GET", "/nowhere"), ("GET", "/health/live")]
    async with serving(app) as server, await connect(server) as stream:
        await stream.send_all(
            b"".join(
                f"{how} {where} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for how, where in requests
            )
            + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        answers = await read_to_end(stream)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200", b"200", b"404", b"200", b"404"]


async def test_a_short_answer_comes_in_one_piece(
    app: RestApplication, manager: FakeSessions
) -> None:
    path = await session_path(manager)
    async with serving(app) as server, await connect(server) as stream:
        for where in (path, "/health/live"):
            await stream.send_all(f"GET {where} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head, _, body = (await stream.receive_some(65_536)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert body.endswith(b"}")


async def test_a_response_without_its_body_still_sends_its_head() -> None:
    async def gives_up(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async with serving(gives_up) as server, await connect(server) as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_to_end(stream)).startswith(b"HTTP/1.1 200")


async def test_silence_in_the_middle_of_a_request_ends_with_the_read_timeout(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def waits(_scope: Any, receive: Any, _send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    limits = ServerLimits(keep_alive_s=5, read_timeout_s=9)
    async with serving(waits, limits) as server, await connect(server) as stream:
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        await trio.sleep(6)
        await stream.send_all(b"x")
        began = trio.current_time()
        assert await read_to_end(stream) == b""
        assert 8.9 < trio.current_time() - began < 9.1


async def test_a_client_that_waits_for_100_continue_gets_it(app: RestApplication) -> None:
    async with serving(app) as server, await connect(server) as stream:
        await stream.send_all(
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        with trio.fail_after(LAST_RESORT_S):
            assert (await read_answer(stream))[0] == 100
            await stream.send_all(b"{}")
            assert (await read_answer(stream))[0] == 201


async def test_an_answer_in_parts_arrives_in_parts() -> None:
    seen = trio.Event()

    async def in_parts(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await seen.wait()
        await send({"type": "http.response.body", "body": b"HTTP/1.1 200 a body"})

    async with serving(in_parts) as server, await connect(server) as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        with trio.fail_after(LAST_RESORT_S):
            while b"first" not in got:
                got += bytes(await stream.receive_some())
            seen.set()
            got += await read_to_end(stream)
    assert b"HTTP/1.1 200 a body\r\n0\r\n\r\n" in got


async def test_a_request_that_takes_long_is_not_idle_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def slow(_scope: Any, _receive: Any, send: Any) -> None:
        await trio.sleep(12)
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with (
        serving(slow, ServerLimits(keep_alive_s=5)) as server,
        await connect(server) as stream,
    ):
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_answer(stream))[0] == 200
        answered = trio.current_time()
        assert await read_to_end(stream) == b""
        assert 4.9 < trio.current_time() - answered < 5.1


async def test_a_truncated_body_joins_no_one(app: RestApplication, manager: FakeSessions) -> None:
    session = await manager.create(name=None, expires_in=timedelta(hours=1))
    head = (
        f"POST /api/sessions/{session.id}/join HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY) + 1}\r\n\r\n"
    )
    async with serving(app) as server, await connect(server) as stream:
        await stream.send_all(head.encode() + BODY)
        await trio.testing.wait_all_tasks_blocked(0.02)
        await stream.send_eof()
        assert not (await read_to_end(stream)).startswith(b"HTTP/1.1 2")
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert (await manager.describe(session.id)).participant_count == 0


@pytest.mark.parametrize("path", ["/api/sessions", "/api/sessions/{id}/join"])
async def test_a_body_that_will_be_too_large_is_refused_before_it_comes(
    app: RestApplication, manager: FakeSessions, path: str
) -> None:
    session = await manager.create(name=None, expires_in=timedelta(hours=1))
    head = (
        f"POST {path.format(id=session.id)} HTTP/1.1\r\nHost: x\r\n"
        "Content-Type: application/json\r\nContent-Length: 16385\r\n\r\n"
    )
    async with serving(app) as server, await connect(server) as stream:
        await stream.send_all(head.encode())
        with trio.fail_after(LAST_RESORT_S):
            status, headers, body = await read_answer(stream)
        assert (status, headers["connection"]) == (413, "close")
        assert json.loads(body)["code"] == "BODY_TOO_LARGE"


@pytest.mark.parametrize("path", ["/api/sessions", "/api/sessions/{id}/join"])
async def test_a_body_of_exactly_16_kib_is_read(
    app: RestApplication, manager: FakeSessions, path: str
) -> None:
    session = await manager.create(name=None, expires_in=timedelta(hours=1))
    for size, status in ((16_384, 201), (16_385, 413)):
        body = b'{"display_name": "Ada"}'.ljust(size)
        head = (
            f"POST {path.format(id=session.id)} HTTP/1.1\r\nHost: x\r\n"
            f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
        )
        async with serving(app) as server, await connect(server) as stream:
            await stream.send_all(head.encode() + body)
            assert (await read_answer(stream))[0] == status


def test_the_limits_of_the_server_are_these_unless_others_are_given() -> None:
    limits = ServerLimits()
    assert (limits.header_bytes, limits.body_bytes) == (16_384, 262_144)
    assert (limits.keep_alive_s, limits.read_timeout_s, limits.write_timeout_s) == (15, 30, 15)
    assert (limits.backlog, limits.requests_per_connection, limits.stop_s) == (1024, 10_000, 0.8)
