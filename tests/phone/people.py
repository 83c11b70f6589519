"""People in a session: who presses what, and the others, who are on the official client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import flet_geolocator as ftg
import flet_map as ftm
import httpx
import pytest

from locshare.client import Client, Live, Position, parse_join_link
from tests.phone.kit import Phone

APP = pytest.mark.e2e
"""The mark of what uses the server, which each worker starts once."""
BERLIN = (52.5163, 13.3777)


DENIED = {"get_permission_status": "denied"}


class Friend:
    """Somebody else in the session, on the official client."""

    def __init__(self, one: Phone, live: Live, user_id: str, task: asyncio.Task[Any]) -> None:
        self.one = one
        self.live = live
        self.user_id = user_id
        self.task = task

    async def stand(self, lat: float, lng: float) -> None:
        position = Position(lat, lng, 8.0, datetime.now(UTC))
        await self.one.app.controller._guest.run(self.live.send_position, position)

    async def leave(self) -> None:
        await self.one.app.controller._guest.run(self.live.leave)

    def sees(self, name: str) -> Any:
        assert self.live.replica is not None
        people = self.live.replica.participants.values()
        return next((each for each in people if each.display_name == name), None)


def standing_of(live: Live) -> str:
    """Of a connection, for the report of a test that fails."""
    where = {} if live.replica is None else live.replica.positions
    return f"is connected: {live.connected}, is asked for {live.pace}, sees {where}"


@asynccontextmanager
async def friend(one: Phone, link: str, name: str) -> AsyncIterator[Friend]:
    guest = one.app.controller._guest
    found = parse_join_link(link)

    async def join() -> Any:
        async with Client(found.url) as client:
            return await client.join(found.session_id, name, link_key=found.link_key)

    me = await guest.run(join)
    live = Live(me.websocket_url, me.websocket_token)
    task = asyncio.ensure_future(guest.run(live.run))
    try:
        await guest.run(live.has_connected.wait)
        yield Friend(one, live, me.user_id, task)
    except AssertionError as error:
        error.add_note(f"{name} {standing_of(live)}; {me.user_id}")
        for each in one.app.controller._participations.values():
            error.add_note(f"the phone {standing_of(each.live)}; {each.membership.user_id}")
        raise
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def create(one: Phone, name: str = "Ada", session: str = "Sunday ride") -> str:
    """Returns the join link."""
    await one.press("new")
    await one.type("name", name)
    await one.type("session_name", session)
    await one.press("create")
    await one.shows(session)
    await one.shows("1 person")
    link: str = one.state.settings.memberships[-1].join_link
    return link


def made(server: str, name: str = "Alps") -> dict[str, Any]:
    """A session that somebody else has created."""
    answer = httpx.post(f"{server}/api/sessions", json={"name": name})
    found: dict[str, Any] = answer.json()
    return found


async def asked(method: str, url: str, session: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the server answers the session's host."""
    headers = {"Authorization": f"Bearer {session['host_token']}"}
    async with httpx.AsyncClient() as http:
        found: dict[str, Any] = (await http.request(method, url, headers=headers, **more)).json()
    return found


def places(one: Phone) -> list[tuple[float, float]]:
    return [
        (round(float(each.coordinates.latitude), 4), round(float(each.coordinates.longitude), 4))
        for each in one.all(ftm.Marker)
    ]


def streaming(one: Phone) -> bool:
    return one.service(ftg.Geolocator).on_position_change is not None


def called(one: Phone, name: str) -> int:
    return sum(each == name for each, _ in one.calls)
