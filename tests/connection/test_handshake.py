"""The upgrade: who is admitted, and how a refusal is answered."""

import json
import socket
from collections.abc import Sequence

import pytest
import trio
import trio.testing

from locshare.connection.transport import Transport
from tests.connection.kit import (
    SNAPSHOT,
    SNAPSHOT_TEXT,
    Server,
    raw_client,
    raw_tcp,
    serving,
)
from tests.sockets import client_frame, request, trio_client

BROWSER = ("Origin: https://example.org",)


async def answer(server: Server, data: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    """Status, headers and problem of the answer to the raw bytes of a request."""
    async with raw_tcp(server) as raw:
        await raw.send(data)
        head = (await raw.head()).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])
        }
        problem = json.loads(await raw.exactly(int(headers["content-length"])))
        await raw.end()
    return int(head[0].split()[1]), headers, problem


REFUSALS = [
    ("/ws", 401, "TOKEN_MISSING", 4401),
    ("/ws?token=", 401, "TOKEN_MISSING", 4401),
    ("/ws?token=forged", 401, "TOKEN_INVALID", 4401),
    ("/ws?token=expired", 410, "SESSION_ENDED", 4410),
    ("/ws?token=over", 410, "SESSION_ENDED", 4410),
    ("/ws?token=removed", 403, "NOT_A_PARTICIPANT", 4403),
    ("/ws?token=no-session", 404, "SESSION_NOT_FOUND", 4404),
    ("/ws?token=no-store", 503, "UNAVAILABLE", 1013),
    ("/elsewhere?token=ada", 404, "NOT_FOUND", 4404),
]


@pytest.mark.parametrize(("target", "status", "code", "_close"), REFUSALS)
async def test_a_refusal_is_an_http_status_with_a_problem(
    target: str, status: int, code: str, _close: int
) -> None:
    async with serving() as server:
        got, headers, problem = await answer(server, request(target))
        assert (got, problem["status"], problem["code"]) == (status, status, code)
        assert headers["content-type"] == "application/problem+json"
        assert headers["connection"] == "close"
        assert ("retry-after" in headers) == (status == 503)
        await server.all_gone()
        assert sum(server.refused().values()) == 1
        assert server.closed() == {}


@pytest.mark.parametrize(("target", "_status", "_code", "close"), REFUSALS)
async def test_a_refused_browser_is_upgraded_and_gets_a_close_code(
    target: str, _status: int, _code: str, close: int
) -> None:
    async with serving() as server, raw_tcp(server) as raw:
        await raw.send(request(target, headers=BROWSER))
        assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
        first, payload = await raw.frame()
        assert first == 0x88
        assert int.from_bytes(payload[:2], "big") == close
        await raw.end()
        await raw.stream.aclose()
        await server.all_gone()
        assert sum(server.refused().values()) == 1
        assert server.closed() == {}, "a refusal is no connection"


async def test_a_browser_with_a_good_token_is_let_in() -> None:
    async with serving() as server, raw_tcp(server) as raw:
        await raw.send(request("/ws?token=ada", headers=BROWSER))
        await raw.head()
        assert await raw.frame() == (0x81, SNAPSHOT)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(request("/elsewhere?token=ada"), 404, id="another path"),
        pytest.param(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", 426, id="no upgrade"),
        pytest.param(request("/ws?token=ada", method="POST"), 405, id="another method"),
        pytest.param(
            request("/ws?token=ada").replace(b"Version: 13", b"Version: 8"), 400, id="old version"
        ),
        pytest.param(
            request("/ws?token=ada").replace(b"Key: d", b"Key: "), 400, id="malformed key"
        ),
        pytest.param(
            request("/ws?token=ada", headers=["Sec-WebSocket-Protocol: ,;"]), 400, id="subprotocol"
        ),
        pytest.param(request("/ws?" + "&".join("a=1" for _ in range(40))), 400, id="many fields"),
        pytest.param(
            request("/ws?token=ada", headers=[f"Sec-WebSocket-Protocol: {'a, ' * 64}a"]),
            400,
            id="many subprotocols",
        ),
        pytest.param(
            request("/ws?token=ada", headers=[f"Connection: {'a, ' * 64}a"]), 400, id="many options"
        ),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, id="tls hello"),
        pytest.param(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n", 414, id="long request line"),
        pytest.param(
            request("/ws", headers=[f"X-{n}: {'y' * 4000}" for n in range(5)])[:-2],
            431,
            id="large head",
        ),
        pytest.param(b"\x00" * 50 + b"\r\n\r\n", 400, id="zeros"),
        pytest.param(b"\n\n\r\n\r\n", 400, id="empty lines"),
        pytest.param(
            request("/ws?token=ada") + client_frame(b'{"type": "ping"}'), 400, id="early frames"
        ),
        pytest.param(request("/ws?token=ada") + b"\x81", 400, id="early byte of a frame"),
    ],
)
async def test_what_is_no_usable_upgrade_is_answered_and_closed(data: bytes, status: int) -> None:
    async with serving() as server:
        got, headers, problem = await answer(server, data)
        assert (got, problem["status"]) == (status, status)
        assert headers.get("allow") == ("GET" if status == 405 else None)
        assert headers.get("upgrade") == ("websocket" if status == 426 else None)
        await server.all_gone()
        assert server.refused() == {"no_such_path" if status == 404 else "not_an_upgrade": 1}


@pytest.mark.parametrize(
    ("was", "became", "lost"),
    [
        (b"Upgrade: websocket\r\nConnection: Upgrade", b"Connection: close", "HTTP/1.0"),
        (b"Connection: Upgrade", b"Connection: Upgrade", "HTTP/1.0"),
        (b"Upgrade: websocket\r\nConnection: Upgrade", b"Connection: close", "without Upgrade"),
        (b"Connection: Upgrade", b"Connection: close", "without Connection: Upgrade"),
        (b"Connection: Upgrade", b"X: y", "without Connection: Upgrade"),
    ],
    ids=["as nginx does", "only 1.0", "Upgrade dropped", "Connection replaced", "dropped"],
)
async def test_an_upgrade_that_a_proxy_spoiled_is_answered_with_what_to_set(
    was: bytes, became: bytes, lost: str
) -> None:
    data = request("/ws?token=ada").replace(was, became)
    if lost == "HTTP/1.0":
        data = data.replace(b"HTTP/1.1", b"HTTP/1.0")
    async with serving() as server:
        got, headers, problem = await answer(server, data)
        assert (got, problem["code"], headers["upgrade"]) == (426, "BAD_HANDSHAKE", "websocket")
        for each in (lost, "proxy_http_version 1.1", "Upgrade $http_upgrade", "Connection upgrade"):
            assert each in str(problem["detail"])


async def test_a_request_of_http_1_0_that_wants_no_websocket_is_505() -> None:
    async with serving() as server:
        assert (await answer(server, b"GET /ws HTTP/1.0\r\n\r\n"))[0] == 505


async def test_only_a_request_is_accepted() -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        with pytest.raises(RuntimeError, match="no request"):
            await Transport(mine).accept(None)
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


async def test_a_client_that_vanishes_during_its_request_leaves_nothing_behind() -> None:
    async with serving() as server:
        async with raw_tcp(server) as raw:
            await raw.send(b"GET /ws HTTP/1.1\r\n")
        await server.all_gone()
        assert server.refused() == {"lost_in_handshake": 1}


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        (["locshare.v1", "locshare.bearer.ada"], "locshare.v1"),
        (["locshare.bearer.ada", "locshare.v1"], "locshare.v1"),
        (["chat", "locshare.v1", "locshare.bearer.ada"], "locshare.v1"),
    ],
)
async def test_the_token_may_be_a_subprotocol_and_is_never_echoed(
    offered: Sequence[str], answered: str
) -> None:
    async with (
        serving() as server,
        trio_client(f"ws://127.0.0.1:{server.port}/ws", subprotocols=offered) as ada,
    ):
        assert ada.subprotocol == answered
        assert await ada.get_message() == SNAPSHOT_TEXT
        assert list(server.room.receivers) == ["ada"]


async def test_without_an_offer_no_subprotocol_is_answered() -> None:
    async with serving() as server, raw_tcp(server) as raw:
        await raw.send(request("/ws?token=ada"))
        assert b"sec-websocket-protocol" not in (await raw.head()).lower()


async def test_compression_is_declined() -> None:
    async with serving() as server, raw_tcp(server) as raw:
        offer = "Sec-WebSocket-Extensions: permessage-deflate"
        await raw.send(request("/ws?token=ada", headers=[offer]))
        assert b"sec-websocket-extensions" not in (await raw.head()).lower()


async def test_no_token_is_ever_logged(capsys: pytest.CaptureFixture[str]) -> None:
    async with serving() as server:
        await answer(server, request("/ws?token=forged"))
        await answer(server, b"GET /ws?token=secret HTTP/1.1\r\n\r\n")
        async with raw_client(server, "topsecret"):
            pass
        await server.all_gone()
    logged = capsys.readouterr()
    text = logged.out + logged.err
    assert "connection_refused" in text, "something was logged at all"
    assert "forged" not in text
    assert "secret" not in text


async def test_a_request_may_be_sixteen_kibibytes_and_not_one_byte_more() -> None:
    head = request("/ws?token=ada")[:-2]
    filler = b"".join(b"X-%d: " % n + b"x" * 1000 + b"\r\n" for n in range(15))
    rest = 16 * 1024 - len(head + filler) - len(b"Y: \r\n\r\n")
    whole = head + filler + b"Y: " + b"y" * rest + b"\r\n\r\n"
    assert len(whole) == 16 * 1024
    async with serving() as server:
        async with raw_tcp(server) as raw:
            await raw.send(whole)
            assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
        async with raw_tcp(server) as raw:
            await raw.send(whole[:-2] + b"Z:")  # as long, and not yet at its end
            await trio.testing.wait_all_tasks_blocked()
            assert server.pool.statistics().handshakes == 1
            await raw.send(b"z")
            assert (await raw.head()).startswith(b"HTTP/1.1 431 ")
