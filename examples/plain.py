"""The same without locshare.client: httpx for REST, trio-websocket for the WebSocket."""

import itertools
import json
import math
import sys
from datetime import UTC, datetime

import httpx
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url


async def walk(socket: WebSocketConnection) -> None:
    for step in itertools.count():
        angle = math.radians(6 * step)
        data = {
            "lat": 52.52 + 0.001 * math.sin(angle),
            "lng": 13.405 + 0.001 * math.cos(angle),
            "accuracy": 5,
            "timestamp": datetime.now(UTC).isoformat(),
        }
        await socket.send_message(json.dumps({"type": "location_update", "data": data}))
        await trio.sleep(1)


async def watch(socket: WebSocketConnection) -> None:
    names: dict[str, str] = {}
    while True:
        message = json.loads(await socket.get_message())
        kind, data = message["type"], message["data"]
        if kind == "session_state":  # always the first one
            names = {each["user_id"]: each["display_name"] for each in data["participants"]}
        elif kind == "participant_joined":
            names[data["user_id"]] = data["display_name"]
        elif kind == "location_update":
            name = names.get(data["user_id"], "someone")
            print(f"{name} is at {data['lat']:.5f}, {data['lng']:.5f}", flush=True)
        # Skip any other type: a newer server may send more.


async def main(link: str, name: str) -> None:
    server, _, path = link.partition("/join/")
    session_id, link_key = path[:36], path[37:]
    async with httpx.AsyncClient(base_url=server) as http:
        body = {"display_name": name, "link_key": link_key}
        answer = await http.post(f"/api/sessions/{session_id}/join", json=body)
        answer.raise_for_status()
        me = answer.json()
    protocols = ["locshare.v1", f"locshare.bearer.{me['websocket_token']}"]
    async with open_websocket_url(me["websocket_url"], subprotocols=protocols) as socket:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(walk, socket)
                nursery.start_soon(watch, socket)
        except* ConnectionClosed:
            print("ended:", socket.closed)


trio.run(main, sys.argv[1], sys.argv[2])
