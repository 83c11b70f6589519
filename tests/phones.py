"""Phones that speak the plain dialect over a real WebSocket: trio-websocket and JSON, none of the
server's own code.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import trio
import trio_websocket

from tests.held_to_contract import check
from tests.running import LAST_RESORT_S
from tests.sockets import trio_client

BERLIN_LAT = 52.520008
BERLIN: dict[str, Any] = {
    "lat": BERLIN_LAT,
    "lng": 13.404954,
    "accuracy": 8,
    "timestamp": "2026-03-01T12:00:00Z",
}


LATE_MS = 15_000
"""A fix that gets older than a second on its way has its age. Where nothing is said of ages, one
below this is a busy machine's.
"""


def on_time(position: dict[str, Any]) -> dict[str, Any]:
    """A position as a server passes it on that is not busy."""
    if position.get("age_ms", LATE_MS) < LATE_MS:
        del position["age_ms"]
    return position


class Phone:
    """One connection. ``snapshot`` is the data of the first message."""

    def __init__(self, socket: trio_websocket.WebSocketConnection, user_id: str = "") -> None:
        self.socket = socket
        self.user_id = user_id
        self.snapshot: dict[str, Any] = {}

    async def next(self) -> dict[str, Any]:
        """The next message."""
        with trio.fail_after(LAST_RESORT_S):
            payload = await self.socket.get_message()
        check("plain", payload)
        message: dict[str, Any] = json.loads(payload)
        if message["type"] == "location_update":
            on_time(message["data"])
        elif message["type"] == "session_state":
            for position in message["data"]["positions"]:
                on_time(position)
        return message

    async def until(self, kind: str, **data: Any) -> dict[str, Any]:
        """The data of the next message of this kind in which these fields have these values."""
        while True:
            message = await self.next()
            found: dict[str, Any] = message["data"]
            if message["type"] == kind and data.items() <= found.items():
                return found

    async def until_pong(self) -> list[dict[str, Any]]:
        """Send a ping, and return the messages before its answer."""
        await self.send("ping")
        found = []
        while (message := await self.next())["type"] != "pong":
            found.append(message)
        return found

    async def send(self, kind: str, data: Any = None) -> None:
        await self.send_raw(json.dumps({"type": kind, "data": {} if data is None else data}))

    async def send_raw(self, message: str | bytes) -> None:
        await self.socket.send_message(message)

    async def move(self, lat: Any = BERLIN_LAT, **changes: Any) -> None:
        await self.send("location_update", BERLIN | {"lat": lat} | changes)

    async def close_code(self) -> int:
        """The code of the close, which comes before any other message."""
        try:
            message = await self.next()
        except trio_websocket.ConnectionClosed as end:
            return end.reason.code if end.reason is not None else 1006
        raise AssertionError(f"{message['type']} instead of the end")

    async def closed(self) -> int:
        """The code of the close; messages before it are skipped."""
        with trio.fail_after(LAST_RESORT_S):
            while True:
                try:
                    await self.socket.get_message()
                except trio_websocket.ConnectionClosed as end:
                    return end.reason.code if end.reason is not None else 1006


@asynccontextmanager
async def connected(
    url: str, token: str, user_id: str = "", *, token_in_query: bool = False
) -> AsyncIterator[Phone]:
    """A phone that has its snapshot."""
    if token_in_query:
        context = trio_client(f"{url}?token={quote(token)}")
    else:
        context = trio_client(url, ["locshare.v1", f"locshare.bearer.{token}"])
    async with context as socket:
        phone = Phone(socket, user_id)
        first = await phone.next()
        assert first["type"] == "session_state"
        phone.snapshot = first["data"]
        yield phone
