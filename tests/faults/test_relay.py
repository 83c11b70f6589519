"""The relay in front of the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
import trio

from locshare.model.errors import LocshareError
from locshare.ops.faults.relay import Relay
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S


@asynccontextmanager
async def echo(url: str) -> AsyncIterator[str]:
    """A server that sends back what it gets. ``url`` has PORT for its port."""

    async def serve(stream: trio.SocketStream) -> None:
        async for chunk in stream:
            await stream.send_all(chunk)

    async with trio.open_nursery() as nursery:
        (listener, *_) = await nursery.start(trio.serve_tcp, serve, 0)
        port: int = listener.socket.getsockname()[1]
        yield url.replace("PORT", str(port))
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def client(url: str) -> AsyncIterator[trio.SocketStream]:
    (folder,) = parse_qs(urlsplit(url).query)["host"]
    async with await trio.open_unix_socket(f"{folder}/.s.PGSQL.5432") as stream:
        yield stream


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:pw@localhost:PORT/db?application_name=x&sslmode=require",
        "postgresql://me:pw@/db?host=localhost&port=PORT&application_name=x",
    ],
)
async def test_the_url_leads_through_the_relay_and_keeps_all_else(url: str) -> None:
    with trio.fail_after(DEADLINE_S):
        async with Relay().around(lambda: echo(url))() as relayed, client(relayed) as stream:
            parts = urlsplit(relayed)
            assert (parts.username, parts.password, parts.path) == ("me", "pw", "/db")
            assert parse_qs(parts.query)["application_name"] == ["x"]
            assert "sslmode" not in parts.query
            await stream.send_all(b"hello")
            assert await stream.receive_some() == b"hello"


@asynccontextmanager
async def _two_hosts() -> AsyncIterator[str]:
    yield "postgresql://a,b/db"


async def test_several_hosts_are_refused_and_no_error_is_wrapped() -> None:
    with pytest.raises(LocshareError, match="one host"):
        async with Relay().around(_two_hosts)():
            pass
    with pytest.raises(RuntimeError, match="of whoever uses it"):
        async with Relay().around(_nobody)():
            raise RuntimeError("of whoever uses it")


async def test_cut_breaks_open_connections_and_refuses_new_ones() -> None:
    relay = Relay()
    with trio.fail_after(DEADLINE_S):
        async with relay.around(lambda: echo("postgresql://localhost:PORT/"))() as url:
            async with client(url) as stream:
                await stream.send_all(b"x")
                await stream.receive_some()
                relay.cut()
                assert await _end(stream)
                async with client(url) as other:
                    assert await _end(other)
                relay.restore()
            async with client(url) as stream:
                await stream.send_all(b"x")
                assert await stream.receive_some() == b"x"


async def test_what_is_late_is_in_order_and_comes_at_once_when_that_ends() -> None:
    relay = Relay()
    with trio.fail_after(DEADLINE_S):
        async with (
            relay.around(lambda: echo("postgresql://localhost:PORT/"))() as url,
            client(url) as stream,
        ):
            relay.delay(0.2)
            began = trio.current_time()
            await stream.send_all(b"1")
            assert await stream.receive_some() == b"1"
            assert trio.current_time() - began >= 0.2
            relay.delay(3600)
            assert relay.sentence == "the database answers 3600 s late"
            await stream.send_all(b"2")
            with trio.move_on_after(0.1):
                raise AssertionError(await stream.receive_some())
            relay.restore()
            assert await stream.receive_some() == b"2"


async def test_a_database_that_is_away_ends_the_connection() -> None:
    with trio.fail_after(DEADLINE_S):
        async with Relay().around(_nobody)() as url, client(url) as stream:
            assert await _end(stream)


@asynccontextmanager
async def _nobody() -> AsyncIterator[str]:
    yield "postgresql://localhost:1/"


async def _end(stream: trio.SocketStream) -> bool:
    try:
        return bytes(await stream.receive_some()) == b""
    except trio.BrokenResourceError:
        return True
