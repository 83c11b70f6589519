"""In thirty lines: say where you are each second, print where the others are. Needs two packages:
httpx and websockets.
"""

import json
import sys
import time
from datetime import UTC, datetime

import httpx
from websockets import ConnectionClosed, Subprotocol
from websockets.sync.client import connect

link, name = sys.argv[1:]
calls = link.replace("/join/", "/api/sessions/")
joining = httpx.post(f"{calls}/join", json={"display_name": name})
me, names, due = joining.raise_for_status().json(), {}, 0.0
protocols = [Subprotocol("locshare.v1"), Subprotocol(f"locshare.bearer.{me['websocket_token']}")]
with connect(me["websocket_url"], subprotocols=protocols) as socket:
    while socket.close_code is None:
        try:
            if time.monotonic() >= due:
                fix = {"lat": 52.52, "lng": 13.405, "timestamp": datetime.now(UTC).isoformat()}
                socket.send(json.dumps({"type": "location_update", "data": fix}))
                due = time.monotonic() + 1
            message = json.loads(socket.recv(timeout=1))
        except (TimeoutError, ConnectionClosed):
            continue
        kind, data = message["type"], message["data"]
        for each in data["participants"] if kind == "session_state" else [data]:
            if "display_name" in each:  # of the snapshot, or of one who has just joined
                names[each["user_id"]] = each["display_name"]
        if kind == "location_update":
            place = f"{data['lat']:.5f}, {data['lng']:.5f}"
            print(names[data["user_id"]], "is at", place, flush=True)
print("ended:", socket.close_code)
