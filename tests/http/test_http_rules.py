"""HTTP/1.1 as RFC 9110 and 9112 define it, and nothing else, in raw bytes."""

import json
import re
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing

from locshare.api import RestApplication
from locshare.http import ServerLimits
from tests.api.conftest import FakeSessions, MakeApp
from tests.http.serving import connect, read_answer, read_to_end, serving
from tests.running import LAST_RESORT_S

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
CREATE = b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture
def app(make_app: MakeApp) -> RestApplication:
    return make_app()


async def ask(app: Any, request: bytes, limits: ServerLimits | None = None) -> list[int]:
    """The statuses of all responses to ``request``; the server then closes."""
    with structlog.testing.capture_logs() as logged:
        async with serving(app, limits) as server, await connect(server) as stream:
            await stream.send_all(request)
            with trio.fail_after(LAST_RESORT_S):
                answers = await read_to_end(stream)
    assert not [entry for entry in logged if entry["log_level"] == "error"]
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answers)]


# --- one protocol -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_bytes",
    [
        PREFACE,
        PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 50,
        b"GET /health/live HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /health/live HTTP/3.0\r\nHost: x\r\n\r\n",
        b"GET /health/live HTTP/0.9\r\nHost: x\r\n\r\n",
        b"GET /health/live HTTP/1.2\r\nHost: x\r\n\r\n",
    ],
)
async def test_another_version_of_http_is_505_and_closed(
    app: RestApplication, request_bytes: bytes
) -> None:
    assert await ask(app, request_bytes) == [505]


@pytest.mark.parametrize(
    "upgrade",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAA\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    ],
)
async def test_an_upgrade_is_ignored(app: RestApplication, upgrade: bytes) -> None:
    async with serving(app) as server, await connect(server) as stream:
        for _ in range(2):
            await stream.send_all(LIVE + upgrade + b"\r\n")
            status, headers, body = await read_answer(stream)
            assert (status, body) == (200, b'{"status":"ok"}')
            assert "upgrade" not in headers


async def test_a_websocket_is_pointed_to_the_other_port(app: RestApplication) -> None:
    async with serving(app) as server, await connect(server) as stream:
        await stream.send_all(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        status, _, body = await read_answer(stream)
        assert status == 404
        assert "websocket_url" in json.loads(body)["detail"]


async def test_methods_have_a_case(app: RestApplication) -> None:
    async with serving(app) as server, await connect(server) as stream:
        await stream.send_all(b"get /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers, body = await read_answer(stream)
        assert (status, headers["connection"]) == (405, "close")
        assert "GET" in headers["allow"]
        assert json.loads(body)["detail"] == "methods are in capitals"
        assert await read_to_end(stream) == b""
    assert server.statistics().malformed == {"405": 1}


async def test_connect_is_not_allowed(app: RestApplication) -> None:
    async with serving(app) as server, await connect(server) as stream:
        await stream.send_all(b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n\x16\x03\x01")
        status, headers, _ = await read_answer(stream)
        assert (status, headers["connection"]) == (405, "close")
        assert "GET" in headers["allow"]
        assert await read_to_end(stream) == b""


# --- one reading of the bytes -----------------------------------------------------------------

REFUSED = {
    "length and coding": CREATE + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "coding and length": CREATE + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": CREATE + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "one length twice": CREATE + b"Content-Length: 2\r\ncontent-length: 2\r\n\r\n{}",
    "a list of lengths": CREATE + b"Content-Length: 2, 2\r\n\r\n{}",
    "a sign": CREATE + b"Content-Length: +2\r\n\r\n{}",
    "a negative length": CREATE + b"Content-Length: -2\r\n\r\n{}",
    "no length": CREATE + b"Content-Length:\r\n\r\n{}",
    "a hexadecimal length": CREATE + b"Content-Length: 0x2\r\n\r\n{}",
    "an underscore": CREATE + b"Content-Length: 1_0\r\n\r\n{}",
    "a length of 21 digits": CREATE + b"Content-Length: " + b"1" * 21 + b"\r\n\r\n{}",
    "coding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bare LF after the request line": b"GET / HTTP/1.1\nHost: x\r\n\r\n",
    "a bare LF after a header": LIVE + b"A: b\nC: d\r\n\r\n",
    "an end of bare LFs": b"GET /health/live HTTP/1.1\nHost: x\n\n",
    "a bare CR in a value": LIVE + b"A: b\rC: d\r\n\r\n",
    "a CR too many": LIVE + b"A: b\r\r\n\r\n",
    "a folded line": LIVE + b"A: b\r\n c\r\n\r\n",
    "a line folded with a tab": LIVE + b"A: b\r\n\tc\r\n\r\n",
    "a folded first line": b"GET /health/live HTTP/1.1\r\n Host: x\r\n\r\n",
    "a NUL in a value": LIVE + b"A: b\0c\r\n\r\n",
    "a NUL in the path": b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a control character": LIVE + b"A: b\x01c\r\n\r\n",
    "a vertical tab": LIVE + b"A: b\x0bc\r\n\r\n",
    "an escape": LIVE + b"A: \x1b[2J\r\n\r\n",
    "a DEL": LIVE + b"A: \x7f\r\n\r\n",
    "a space before the colon": LIVE + b"A : b\r\n\r\n",
    "a header without a name": LIVE + b": b\r\n\r\n",
    "a header without a colon": LIVE + b"A\r\n\r\n",
    "no Host": b"GET /health/live HTTP/1.1\r\n\r\n",
    "two Hosts": LIVE + b"Host: y\r\n\r\n",
    "one Host twice": LIVE + b"host: x\r\n\r\n",
    "a Host with a path": b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "a Host with a user": b"GET / HTTP/1.1\r\nHost: a@x\r\n\r\n",
    "a Host with two ports": b"GET / HTTP/1.1\r\nHost: x:1:2\r\n\r\n",
    "a Host with a space": b"GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
    "a Host of two": b"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n",
    "half an address": b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "no address": b"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n",
    "an address too short": b"GET / HTTP/1.1\r\nHost: [1:2]\r\n\r\n",
    "a target without a slash": b"GET health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "another scheme": b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "a URL without a host": b"GET http:///x HTTP/1.1\r\nHost: x\r\n\r\n",
    "a URL with a user": b"GET http://a:b@x/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "a fragment": b"GET /health/live#x HTTP/1.1\r\nHost: x\r\n\r\n",
    "a star for GET": b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    "two spaces": b"GET  /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space in the path": b"GET /health live HTTP/1.1\r\nHost: x\r\n\r\n",
    "no version": b"GET /health/live\r\nHost: x\r\n\r\n",
    "a version in small letters": b"GET /health/live http/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "two empty lines first": b"\r\n\r\n" + LIVE + b"\r\n",
}


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED)
async def test_an_ambiguous_request_is_400_and_closed(
    app: RestApplication, manager: FakeSessions, request_bytes: bytes
) -> None:
    # The second request must never be read.
    assert await ask(app, request_bytes + CREATE + b"\r\n") == [400]


@pytest.mark.parametrize("part", [1, 3])
async def test_a_head_in_pieces_is_checked_like_a_whole_one(
    app: RestApplication, part: int
) -> None:
    async def in_pieces(request: bytes) -> bytes:
        async with await connect(server) as stream:
            for start in range(0, len(request), part):
                await stream.send_all(request[start : start + part])
                await trio.testing.wait_all_tasks_blocked()
            return await read_to_end(stream)

    async with serving(app) as server:
        good = await in_pieces(LIVE + b"Connection: close\r\n\r\n")
        assert good.startswith(b"HTTP/1.1 200")
        bad = await in_pieces(LIVE + b"A: b\r\n c\r\n\r\n")
        assert bad.startswith(b"HTTP/1.1 400")


async def test_one_empty_line_before_a_request_is_ignored(app: RestApplication) -> None:
    request = LIVE + b"Connection: close\r\n\r\n"
    assert await ask(app, b"\r\n" + request) == [200]
    async with serving(app) as server, await connect(server) as stream:
        for _ in range(2):
            await stream.send_all(b"\r\n")
            await trio.testing.wait_all_tasks_blocked()
            await stream.send_all(LIVE + b"\r\n")
            assert (await read_answer(stream))[0] == 200


async def test_another_coding_than_chunked_is_501(app: RestApplication) -> None:
    for coding in (b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity", b"xchunked"):
        request = CREATE + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n"
        assert await ask(app, request) == [501], coding


async def test_the_refusal_gives_a_reason_and_quotes_nothing(app: RestApplication) -> None:
    for request, says in (
        (LIVE + b"A: secret\r\n folded\r\n\r\n", "folded"),
        (b"secret\r\n\r\n", "RFC 9112"),
        (CREATE + b"Content-Length: 9secret\r\n\r\n", "RFC 9112"),
    ):
        async with serving(app) as server, await connect(server) as stream:
            await stream.send_all(request)
            status, headers, body = await read_answer(stream)
        assert (status, headers["connection"]) == (400, "close")
        assert headers["content-type"] == "application/problem+json"
        problem = json.loads(body)
        assert problem["code"] == "BAD_REQUEST"
        assert says in problem["detail"]
        assert "secret" not in str(problem)
        assert server.statistics().malformed == {"400": 1}


# --- limits -------------------------------------------------------------------------------------


def head_of(size: int) -> bytes:
    """A request whose head has ``size`` bytes, in two fields beside Host."""
    start, end = LIVE + b"Connection: close\r\nX: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


async def test_a_head_of_16_kib_is_served_and_a_byte_more_is_431(app: RestApplication) -> None:
    assert await ask(app, head_of(16_384)) == [200]
    assert await ask(app, head_of(16_385)) == [431]
    assert await ask(app, LIVE + b"X: " + b"x" * 20_000) == [431]  # no end in sight


async def test_100_fields_are_served_and_one_more_is_431(app: RestApplication) -> None:
    fields = b"".join(b"X%d: y\r\n" % number for number in range(98))
    close = b"Connection: close\r\n"
    assert await ask(app, LIVE + close + fields + b"\r\n") == [200]
    assert await ask(app, LIVE + close + fields + b"Z: y\r\n\r\n") == [431]


async def test_a_path_of_8000_bytes_is_served_and_a_byte_more_is_414(app: RestApplication) -> None:
    def asking(size: int) -> bytes:
        path = b"/health/live?" + b"x" * (size - len("/health/live?"))
        return b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    assert await ask(app, asking(8000)) == [200]
    assert await ask(app, asking(8001)) == [414]
    assert await ask(app, asking(60_000)) == [414]
    assert await ask(app, b"GET /" + b"x" * 10_000) == [414]  # no end in sight


# --- targets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://x/health/live", 200),
        (b"HTTP://where.example:8080/health/live?a=b", 200),
        (b"https://where.example/health/live", 200),
        (b"http://[::1]:8080/health/live", 200),
        (b"http://x", 404),
        (b"http://x?a", 404),
        (b"http://x/nowhere", 404),
    ],
)
async def test_a_whole_url_is_served_by_its_path(
    app: RestApplication, target: bytes, status: int
) -> None:
    request = b"GET " + target + b" HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n"
    assert await ask(app, request) == [status]


async def test_the_host_of_a_whole_url_counts_and_not_the_header() -> None:
    seen: list[Any] = []

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        seen.append((scope["path"], [v for k, v in scope["headers"] if k == b"host"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    request = b"GET http://a.example/x HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n"
    assert await ask(application, request) == [204]
    assert seen == [("/x", [b"a.example"])]


async def test_options_star_lists_the_methods_of_the_server(app: RestApplication) -> None:
    for target in (b"*", b"http://x"):
        async with serving(app) as server, await connect(server) as stream:
            await stream.send_all(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            status, headers, body = await read_answer(stream)
        assert (status, body) == (200, b"")
        assert headers["allow"] == "GET, HEAD, POST, PATCH, DELETE, OPTIONS"


# --- bodies -------------------------------------------------------------------------------------


async def test_another_expectation_than_100_continue_is_417(app: RestApplication) -> None:
    assert await ask(app, CREATE + b"Content-Length: 2\r\nExpect: a miracle\r\n\r\n") == [417]
    request = b"POST /api/sessions HTTP/1.0\r\nExpect: x\r\nContent-Length: 0\r\n\r\n"
    assert await ask(app, request) == [201]


@pytest.mark.parametrize(
    "body",
    [
        b"5;ext=1\r\n{    \r\n1\r\n}\r\n0\r\n\r\n",
        b"2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
        b"0000002\r\n{}\r\n000\r\n\r\n",
    ],
)
async def test_a_chunked_body_is_read_and_the_connection_closed_after_it(
    app: RestApplication, body: bytes
) -> None:
    request = CREATE + b"Transfer-Encoding: chunked\r\n\r\n" + body
    assert await ask(app, request) == [201]


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"2\n{}\r\n0\r\n\r\n",
        b"2\r\n{}0\r\n\r\n",
        b"\r\n2\r\n{}\r\n0\r\n\r\n",
        b"1" * 21 + b"\r\n{}",
        b"2\r\n{}\r\n0\r\nbad trailer\r\n\r\n",
    ],
)
async def test_a_broken_chunk_is_400_and_closed(
    app: RestApplication, manager: FakeSessions, body: bytes
) -> None:
    request = CREATE + b"Transfer-Encoding: chunked\r\n\r\n" + body
    assert await ask(app, request + CREATE + b"\r\n") == [400]


async def test_a_chunk_of_any_size_is_413_when_it_is_more_than_a_body_may_be(
    app: RestApplication,
) -> None:
    head = CREATE + b"Transfer-Encoding: chunked\r\n\r\n"
    huge = b"FFFFFFFFFFFFFFFF\r\n" + b" " * 40_000
    assert await ask(app, head + huge) == [413]


async def test_chunk_extensions_are_bounded_too(app: RestApplication) -> None:
    head = CREATE + b"Transfer-Encoding: chunked\r\n\r\n"
    async with serving(app, ServerLimits(body_bytes=50_000)) as server:
        async with await connect(server) as stream:
            await stream.send_all(head + (b"1;" + b"x" * 1000 + b"\r\n \r\n") * 60)
            assert (await read_answer(stream))[0] == 413
            await read_to_end(stream)
        async with await connect(server) as stream:
            await stream.send_all(head + b"1;" + b"x" * 20_000)
            assert (await read_answer(stream))[0] in (400, 431)
            await read_to_end(stream)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert server.connections == 0


async def test_no_request_is_smuggled_behind_a_chunked_body(
    app: RestApplication, manager: FakeSessions
) -> None:
    # h11 accepts the bare LF as the end of the trailers; another server may not.
    head = CREATE + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\n"
    assert await ask(app, head + CREATE + b"\r\n") == [201]


async def test_nothing_that_drips_in_after_a_refusal_keeps_the_connection(
    app: RestApplication, autojump_clock: trio.testing.MockClock
) -> None:
    for request in (b"nonsense\r\n\r\n", PREFACE, CREATE + b"Content-Length: x\r\n\r\n",
                    b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"):  # fmt: skip
        async with serving(app) as server, await connect(server) as stream:
            await stream.send_all(request)
            assert (await read_answer(stream))[0] in (400, 404, 505)
            assert await read_to_end(stream) == b"", "the server said that nothing more comes"
            began = trio.current_time()
            try:
                while trio.current_time() - began < 60:
                    await stream.send_all(b"x")
                    await trio.sleep(0.1)
            except trio.BrokenResourceError:
                pass
            assert trio.current_time() - began < 5
            assert server.connections == 0


async def test_a_client_that_still_sends_gets_the_whole_refusal(app: RestApplication) -> None:
    # Closing a socket with unread bytes resets it, and the response is lost.
    async with serving(app) as server, await connect(server) as stream:
        await stream.send_all(CREATE + b"Content-Length: 150000\r\n\r\n" + b" " * 150_000)
        status, _, body = await read_answer(stream)
        assert (status, json.loads(body)["code"]) == (413, "BODY_TOO_LARGE")
        assert await read_to_end(stream) == b""


async def test_a_client_that_has_shut_its_side_leaves_nothing_behind(
    app: RestApplication, manager: FakeSessions
) -> None:
    manager.gate = trio.Event()
    async with serving(app) as server, await connect(server) as stream:
        await stream.send_all(CREATE + b"Content-Length: 0\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert server.connections == 1
        await stream.send_eof()
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert server.connections == 0
