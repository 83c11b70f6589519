"""The official clients of `websockets`, threaded and asyncio, as they come: what an app would use.

trio-websocket's client is in most other tests of this folder.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_asyncio
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import connect as connect_sync

from locshare.connection.context import ConnectionLimits
from locshare.connection.pool import PoolLimits
from locshare.model.reasons import CloseReason
from tests.connection.kit import QUICK_ENDS, SNAPSHOT_TEXT, Server, an_update, serving
from tests.running import LAST_RESORT_S
from tests.sockets import trio_client

TIMEOUT_S = LAST_RESORT_S
PING_MESSAGE = '{"type": "ping"}'
FAST_PULSE = PoolLimits(
    ping_interval=0.05,
    missed_pings=10,  # the client answers in a thread, which may have to wait for its turn
    drain_deadline=1.0,
    connection=ConnectionLimits(outbox=QUICK_ENDS),
)


async def in_thread(conversation: Callable[[ClientConnection], Awaitable[None]], url: str) -> None:
    """One conversation of an asyncio client, from connecting to closing."""

    async def converse() -> None:
        async with asyncio.timeout(TIMEOUT_S), connect_asyncio(url, proxy=None) as client:
            assert await client.recv() == SNAPSHOT_TEXT
            await conversation(client)

    await trio.to_thread.run_sync(asyncio.run, converse())


async def closed_with(client: ClientConnection) -> tuple[int, str]:
    """Code and reason with which the server closed; nothing comes before."""
    with pytest.raises(ConnectionClosed) as caught:
        await client.recv()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def type_of(text: str | bytes) -> str:
    return str(json.loads(text)["type"])


def talk_in_thread(server: Server) -> None:
    """The main conversation with the threaded client."""
    url = f"ws://127.0.0.1:{server.port}/ws"
    offered: list[Any] = ["locshare.v1", "locshare.bearer.bob"]
    with connect_sync(url, subprotocols=offered, open_timeout=TIMEOUT_S, proxy=None) as bob:
        assert bob.subprotocol == "locshare.v1"
        assert bob.protocol.extensions == [], "compression was offered, and declined"
        assert bob.recv(TIMEOUT_S) == SNAPSHOT_TEXT
        assert bob.ping(b"there?").wait(TIMEOUT_S)
        text = an_update(lat=2.5).decode()
        bob.send(text[at : at + 7] for at in range(0, len(text), 7))
        bob.send(an_update(lat=3.5), text=True)
        for lat in (4.5, 5.5):
            assert json.loads(bob.recv(TIMEOUT_S))["data"]["lat"] == lat
        bob.send(PING_MESSAGE)
        assert type_of(bob.recv(TIMEOUT_S)) == "pong"
        bob.close(CloseCode.NORMAL_CLOSURE, "until tomorrow")
        assert bob.protocol.close_code == CloseCode.NORMAL_CLOSURE


async def test_the_threaded_client_and_trio_websocket_see_each_other() -> None:
    async with serving() as server:
        async with trio_client(server.url("ada")) as ada, trio.open_nursery() as nursery:
            assert await ada.get_message() == SNAPSHOT_TEXT
            nursery.start_soon(trio.to_thread.run_sync, talk_in_thread, server)
            for lat in (2.5, 3.5):
                assert json.loads(await ada.get_message())["data"]["lat"] == lat
            await ada.send_message(an_update(lat=4.5).decode())
            await ada.send_message(an_update(lat=5.5).decode())
        await server.all_gone()
        assert server.closed() == {"peer_closed": 2}


async def test_the_asyncio_client_sees_why_the_session_is_over() -> None:
    async with serving() as server:

        async def conversation(client: ClientConnection) -> None:
            end = partial(server.room.receivers["ada"].close, CloseReason.SESSION_ENDED)
            await asyncio.to_thread(trio.from_thread.run_sync, end, trio_token=token)
            assert await closed_with(client) == (4410, CloseReason.SESSION_ENDED.text)

        token = trio.lowlevel.current_trio_token()
        await in_thread(conversation, server.url("ada"))
        await server.all_gone()
        assert server.closed() == {"session_ended": 1}


async def test_the_asyncio_client_may_leave() -> None:
    async def conversation(client: ClientConnection) -> None:
        await client.send('{"type": "leave"}')
        assert await closed_with(client) == (1000, CloseReason.LEFT.text)

    async with serving() as server:
        await in_thread(conversation, server.url("ada"))
        await server.all_gone()
        assert server.closed() == {"left": 1}


async def test_the_asyncio_client_gets_an_error_for_a_message_too_large() -> None:
    async def conversation(client: ClientConnection) -> None:
        await client.send("x" * 4097)
        assert json.loads(await client.recv())["data"]["code"] == "MESSAGE_TOO_LARGE"
        await client.send(["x" * 4096, "x" * 4096])
        assert json.loads(await client.recv())["data"]["code"] == "MESSAGE_TOO_LARGE"
        await client.send("x" * 65_537)
        code, _ = await closed_with(client)
        assert code == CloseCode.MESSAGE_TOO_BIG

    async with serving() as server:
        await in_thread(conversation, server.url("ada"))
        await server.all_gone()
        assert server.closed() == {"message_too_big": 1}


async def test_the_asyncio_client_answers_the_heartbeat_automatically() -> None:
    async def conversation(client: ClientConnection) -> None:
        await asyncio.sleep(FAST_PULSE.ping_interval * (FAST_PULSE.missed_pings + 2))
        await client.send(PING_MESSAGE)
        assert type_of(await client.recv()) == "pong"

    async with serving(FAST_PULSE, heartbeat=True) as server:
        await in_thread(conversation, server.url("ada"))
        await server.all_gone()
        assert server.closed() == {"peer_closed": 1}


async def test_the_asyncio_client_sees_the_status_of_a_refusal() -> None:
    async with serving() as server:
        with pytest.raises(InvalidStatus) as caught:
            await in_thread(nothing, server.url("forged"))
        answer = caught.value.response
        assert answer.status_code == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert json.loads(answer.body or b"")["code"] == "TOKEN_INVALID"


async def nothing(_client: ClientConnection) -> None:
    """Does nothing."""
