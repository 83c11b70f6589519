"""A session and its phones as any client sees them: httpx and trio-websocket, none of the server's
code.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
import trio

from tests.phones import Phone, connected
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
"""Headers of a request that, once refused, is answered as any other."""
UNKNOWN = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"


async def patiently(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Ask again while the answer is "come back later" (503), as every client does; sooner, though,
    than Retry-After says.
    """
    with trio.fail_after(DEADLINE_S):
        while (answer := await ask()).status_code == 503:
            assert int(answer.headers["Retry-After"]) > 0
            await trio.sleep(0.02)
    return answer


class Person(NamedTuple):
    """Someone who joined."""

    user_id: str
    token: str
    url: str

    def asking(self, **query: object) -> "Person":
        """The same, who asks for something when they connect."""
        return self._replace(url=f"{self.url}?{urlencode(query)}")

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
        body = {"display_name": name} | options.pop("body", {})
        answer = await patiently(lambda: self.http.post(f"{self.path}/join", json=body, **options))
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
    answer = await patiently(lambda: http.post("/api/sessions", json=wish))
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


@asynccontextmanager
async def phone(person: Person, *, token_in_query: bool = False) -> AsyncIterator[Phone]:
    """Connected, with its snapshot."""
    async with connected(
        person.url, person.token, person.user_id, token_in_query=token_in_query
    ) as found:
        yield found


@asynccontextmanager
async def pair_of(one: Person, other: Person) -> AsyncIterator[tuple[Phone, Phone]]:
    """The phones of both; the first knows that the second is online."""
    async with phone(one) as first, phone(other) as second:
        await first.until("participant_updated", user_id=other.user_id, online=True)
        yield first, second


@asynccontextmanager
async def pair(group: Group) -> AsyncIterator[tuple[Person, Phone, Person, Phone]]:
    """Two new participants and their phones, as :func:`pair_of`."""
    ada, bo = await group.join("Ada"), await group.join("Bo")
    async with pair_of(ada, bo) as (first, second):
        yield ada, first, bo, second
