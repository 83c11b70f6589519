"""A session and its phones, as any client of the contract sees them: httpx and trio-websocket, and
nothing of the server's own code.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import trio
import trio_websocket

from tests.connection.kit import trio_client
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S
BERLIN = {"lat": 52.520008, "lng": 13.404954, "accuracy": 8, "timestamp": "2026-03-01T12:00:00Z"}
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
"""Headers of a request that, once refused, is answered as any other."""
UNKNOWN = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"


class Person(NamedTuple):
    """Someone who joined."""

    user_id: str
    token: str
    url: str

    @property
    def headers(self) -> dict[str, str]:
        """For REST."""
        return bearer(self.token)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Group:
    """A session."""

    def __init__(self, http: httpx.AsyncClient, created: dict[str, Any]) -> None:
        self.http = http
        self.created = created
        self.id: str = created["session_id"]
        self.path = f"/api/sessions/{self.id}"
        self.host = bearer(created["host_token"])

    async def join(self, name: str = "Ada", **options: Any) -> Person:
        answer = await self.http.post(
            f"{self.path}/join", json={"display_name": name} | options.pop("body", {}), **options
        )
        assert answer.status_code == 201, answer.text
        joined = answer.json()
        return Person(joined["user_id"], joined["websocket_token"], joined["websocket_url"])

    async def participants(self) -> dict[str, dict[str, Any]]:
        answer = await self.http.get(f"{self.path}/participants")
        assert answer.status_code == 200, answer.text
        return {each["user_id"]: each for each in answer.json()["participants"]}

    async def end(self) -> None:
        answer = await self.http.delete(self.path, headers=self.host)
        assert answer.status_code == 200, answer.text


async def create(http: httpx.AsyncClient, **wish: Any) -> Group:
    answer = await http.post("/api/sessions", json=wish)
    assert answer.status_code == 201, answer.text
    return Group(http, answer.json())


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """``answer`` is a whole problem with this status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, "about:blank")
    assert problem["title"]
    assert problem["detail"]
    return problem


class Phone:
    """One connection. ``snapshot`` is the data of the first message."""

    def __init__(self, socket: trio_websocket.WebSocketConnection) -> None:
        self.socket = socket
        self.snapshot: dict[str, Any] = {}

    async def next(self) -> dict[str, Any]:
        with trio.fail_after(DEADLINE_S):
            message: dict[str, Any] = json.loads(await self.socket.get_message())
        assert set(message) == {"type", "data"}
        return message

    async def until(self, kind: str, **data: Any) -> dict[str, Any]:
        """The data of the next message of this kind in which these fields have these values."""
        while True:
            message = await self.next()
            found: dict[str, Any] = message["data"]
            if message["type"] == kind and data.items() <= found.items():
                return found

    async def until_pong(self) -> list[dict[str, Any]]:
        """Ask, and return what came before the answer."""
        await self.send("ping")
        found = []
        while (message := await self.next())["type"] != "pong":
            found.append(message)
        return found

    async def send(self, kind: str, data: Any = None) -> None:
        await self.send_raw(json.dumps({"type": kind, "data": {} if data is None else data}))

    async def send_raw(self, message: str | bytes) -> None:
        await self.socket.send_message(message)

    async def move(self, **changes: Any) -> None:
        await self.send("location_update", BERLIN | changes)

    async def closed(self) -> int:
        """Everything until the server's close; its code."""
        with trio.fail_after(DEADLINE_S):
            while True:
                try:
                    await self.socket.get_message()
                except trio_websocket.ConnectionClosed as end:
                    return end.reason.code if end.reason is not None else 1006


@asynccontextmanager
async def phone(person: Person, *, token_in_query: bool = False) -> AsyncIterator[Phone]:
    """Connected, with its snapshot."""
    if token_in_query:
        context = trio_client(f"{person.url}?token={quote(person.token)}")
    else:
        context = trio_client(person.url, ["locshare.v1", f"locshare.bearer.{person.token}"])
    async with context as socket:
        found = Phone(socket)
        first = await found.next()
        assert first["type"] == "session_state"
        found.snapshot = first["data"]
        yield found


@asynccontextmanager
async def pair(group: Group) -> AsyncIterator[tuple[Person, Phone, Person, Phone]]:
    """Two people who are connected, of whom the first knows that the second is."""
    ada, bo = await group.join("Ada"), await group.join("Bo")
    async with phone(ada) as first, phone(bo) as second:
        await first.until("participant_updated", user_id=bo.user_id, online=True)
        yield ada, first, bo, second
