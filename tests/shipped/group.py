"""A group on a map, as its phones ask for it: the page, a session, two people, a position of one
that reaches the other.
"""

import json
import ssl
from typing import Any, Final

import httpx
import trio
from trio_websocket import WebSocketConnection, open_websocket_url

from tests.running import LAST_RESORT_S

FIX: Final = {"lat": 52.5, "lng": 13.4, "accuracy": 5, "timestamp": "2030-01-01T12:00:00Z"}


def join(http: httpx.Client, session: str, name: str) -> dict[str, Any]:
    """The answer to someone who joins."""
    answer = http.post(f"/api/sessions/{session}/join", json={"display_name": name})
    assert answer.status_code == 201, answer.text
    joined: dict[str, Any] = answer.json()
    return joined


def use(http: httpx.Client) -> str:
    """Create a session, join it, open the page. Returns the session's id."""
    session: str = http.post("/api/sessions", json={"name": "bare"}).json()["session_id"]
    join(http, session, "Ada")
    assert http.get(f"/join/{session}").status_code == 200
    assert http.get("/world.json").status_code == 200
    return session


def connect(joined: dict[str, Any], site: str, trust: ssl.SSLContext | None) -> Any:
    """A WebSocket to ``site``, an http or https URL, for someone who has joined."""
    offer = ["locshare.v1", f"locshare.bearer.{joined['websocket_token']}"]
    url = site.replace("http", "ws", 1) + "/ws"
    return open_websocket_url(url, ssl_context=trust, subprotocols=offer)


async def pass_position(sender: WebSocketConnection, receiver: WebSocketConnection) -> None:
    """Send a position from one, and wait until the other has it."""
    await sender.send_message(json.dumps({"type": "location_update", "data": FIX}))
    with trio.fail_after(LAST_RESORT_S):
        while "52.5" not in str(await receiver.get_message()):
            pass


async def meet(site: str, trust: ssl.SSLContext | None = None) -> str:
    """Everything that the module says. Returns the id of the session, which goes on."""
    with httpx.Client(base_url=site, verify=trust or True, timeout=LAST_RESORT_S) as http:
        session = use(http)
        bo, cy = (join(http, session, name) for name in ("Bo", "Cy"))
    async with connect(bo, site, trust) as sender, connect(cy, site, trust) as receiver:
        await pass_position(sender, receiver)
    return session
