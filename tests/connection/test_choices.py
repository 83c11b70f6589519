"""What clients choose for their connection reaches the session, in each dialect, and what is no
choice changes nothing.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import structs

from locshare.connection.context import ConnectionLimits
from locshare.connection.pool import PoolLimits
from locshare.connection.rate_policy import RateLimits
from locshare.session.commands import AttachOptions
from locshare.session.errors import SessionOver
from locshare.wire.compact import COMPACT
from tests.connection.kit import (
    QUICK,
    QUICK_ENDS,
    SNAPSHOT,
    Rooms,
    Server,
    Tokens,
    raw_client,
    raw_tcp,
    serving,
)
from tests.connection.test_phoenix import OK as OK_REPLY
from tests.connection.test_phoenix import ONE, TWO, Client
from tests.sockets import Raw, client_frame, request

pytestmark = pytest.mark.usefixtures("read_each_way")


@asynccontextmanager
async def upgraded(server: Server, target: str, *headers: str) -> AsyncIterator[Raw]:
    async with raw_tcp(server) as raw:
        await raw.send(request(target, headers=headers))
        assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
        yield raw


@asynccontextmanager
async def a_channel_client() -> AsyncIterator[tuple[Client, Rooms]]:
    rooms = Rooms()
    async with (
        serving(QUICK, verifier=Tokens(), sessions=rooms) as server,
        upgraded(server, "/socket/websocket?vsn=2.0.0&token=1:ada") as raw,
    ):
        yield Client(raw, "2.0.0"), rooms


async def tell(raw: Raw, kind: str, **data: Any) -> None:
    await raw.send(client_frame(json.dumps({"type": kind, "data": data}).encode()))


async def answer(raw: Raw) -> Any:
    first, payload = await raw.frame()
    assert first == 0x81
    return json.loads(payload)


async def is_served(raw: Raw) -> None:
    """All that was sent has been handled."""
    await tell(raw, "ping")
    assert (await answer(raw))["type"] == "pong"


async def test_a_plain_client_s_choices_reach_its_session_in_order() -> None:
    async with serving() as server, raw_client(server, "ada") as raw:
        await tell(raw, "set_pace", interval_s=30)
        await tell(raw, "presence", state="hidden")
        await tell(raw, "presence", state="active")
        await tell(raw, "set_pace", interval_s=0)
        await is_served(raw)
        assert server.room.choices == [
            ("ada", 30.0), ("ada", "hidden"), ("ada", "active"), ("ada", 0.0),
        ]  # fmt: skip


async def test_a_compact_client_s_choices_reach_its_session() -> None:
    protocol = f"Sec-WebSocket-Protocol: {COMPACT.name}"
    async with serving() as server, upgraded(server, "/ws?token=ada", protocol) as raw:
        for message in ([11, 5], [13, 1], [13, 2], [13, 0], [2]):
            await raw.send(client_frame(msgspec.msgpack.encode(message), 2))
        frames = [await raw.frame() for _ in range(2)]
        assert msgspec.msgpack.decode(frames[-1][1]) == [4, {}]
        assert [choice for _, choice in server.room.choices] == [5.0, "paused", "hidden", "active"]


async def test_each_channel_of_a_phoenix_socket_has_choices_of_its_own() -> None:
    async with a_channel_client() as (ada, rooms):
        await ada.join("1", ONE)
        await ada.join("2", TWO, "2:ada")
        await ada.tell("1", "8", ONE, "set_pace", {"interval_s": 30})
        assert await ada.hear() == ["1", "8", ONE, "phx_reply", OK_REPLY]
        await ada.tell("2", "9", TWO, "presence", {"state": "paused"})
        assert await ada.hear() == ["2", "9", TWO, "phx_reply", OK_REPLY]
        await ada.tell("2", None, TWO, "set_pace", {"interval_s": 5})  # no ref, no reply
        await ada.still_served()
        first, second = rooms.of.values()
        assert first.choices == [("ada", 30.0)]
        assert second.choices == [("ada", "paused"), ("ada", 5.0)]


@pytest.mark.parametrize(
    ("event", "payload"),
    [("set_pace", {"interval_s": 61}), ("set_pace", {}), ("presence", {"state": "away"})],
)
async def test_a_wrong_choice_on_a_channel_is_an_error_and_changes_nothing(
    event: str, payload: object
) -> None:
    async with a_channel_client() as (ada, rooms):
        await ada.join("1", ONE)
        await ada.tell("1", "8", ONE, event, payload)
        join_ref, ref, topic, name, said = await ada.hear()
        assert (join_ref, ref, topic, name) == ("1", "8", ONE, "phx_reply")
        assert said["status"] == "error"
        assert said["response"]["reason"] == "invalid_message"
        await ada.still_served()
        assert rooms.of[UUID(int=1)].choices == []


async def test_a_wrong_choice_is_answered_and_changes_nothing() -> None:
    async with serving() as server, raw_client(server, "ada") as raw:
        await tell(raw, "set_pace", interval_s=60.5)
        refused = await answer(raw)
        assert refused["data"]["code"] == "INVALID_MESSAGE"
        assert "60.5" not in refused["data"]["message"]
        await tell(raw, "presence", state="somewhere")
        assert (await answer(raw))["data"]["code"] == "INVALID_MESSAGE"
        await is_served(raw)
        assert server.room.choices == []


async def test_choices_count_against_the_rate_of_messages() -> None:
    rates = RateLimits(message_rate=0.001, message_burst=3)
    limits = structs.replace(QUICK, connection=ConnectionLimits(outbox=QUICK_ENDS, rates=rates))
    assert isinstance(limits, PoolLimits)
    async with serving(limits) as server, raw_client(server, "ada") as raw:
        for number in range(4):
            await tell(raw, "presence", state=("active", "hidden")[number % 2])
        assert (await answer(raw))["data"]["code"] == "RATE_LIMITED"
        assert len(server.room.choices) == 3


async def test_a_choice_in_a_session_that_is_over_ends_the_connection_as_such() -> None:
    async with serving() as server, raw_client(server, "ada") as raw:
        server.room.fail_update = SessionOver()
        await tell(raw, "set_pace", interval_s=5)
        first, payload = await raw.frame()
        assert (first, payload[:2]) == (0x88, (4410).to_bytes(2, "big"))


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", AttachOptions()),
        ("&pace=30", AttachOptions(interval_s=30.0)),
        ("&pace=0.5&resume=e.7", AttachOptions("e.7", 0.5)),
        ("&pace=-1", AttachOptions()),
        ("&pace=1000", AttachOptions()),
        ("&pace=soon", AttachOptions()),
        ("&pace=nan", AttachOptions()),
        ("&pace=", AttachOptions()),
    ],
)
async def test_the_upgrade_may_name_a_pace_and_is_never_refused_for_it(
    query: str, options: AttachOptions
) -> None:
    async with serving() as server, upgraded(server, f"/ws?token=ada{query}") as raw:
        assert await raw.frame() == (0x81, SNAPSHOT)
        assert server.room.options == [options]


@pytest.mark.parametrize(
    ("said", "interval_s"),
    [(30, 30.0), ("7.5", 7.5), (61, 0.0), (None, 0.0), ([1], 0.0), ({"a": 1}, 0.0), (True, 0.0)],
)
async def test_a_join_may_name_a_pace_and_is_never_refused_for_it(
    said: object, interval_s: float
) -> None:
    async with a_channel_client() as (ada, rooms):
        await ada.tell("1", "1", ONE, "phx_join", {"pace": said})
        assert (await ada.hear())[4]["status"] == "ok"
        assert (await ada.raw.frame())[1] == SNAPSHOT
        assert rooms.of[UUID(int=1)].options == [AttachOptions(interval_s=interval_s)]
