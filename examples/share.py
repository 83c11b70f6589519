"""Walk in a circle and print where the others are, until the session ends."""

import itertools
import math
import sys
from datetime import UTC, datetime

import trio

from locshare.client import (
    Client,
    Live,
    ParticipantJoined,
    ParticipantPosition,
    Position,
    ServerMessage,
    Snapshot,
    Watcher,
    parse_join_link,
    watch_network,
)


class Printer(Watcher):
    """What to do with each message. Live calls it; it must return quickly."""

    def connected(self, snapshot: Snapshot) -> None:
        self.names = {each.user_id: each.display_name for each in snapshot.participants}

    def received(self, message: ServerMessage) -> None:
        match message:
            case ParticipantJoined(user_id, display_name):
                self.names[user_id] = display_name
            case ParticipantPosition(user_id, lat, lng):
                name = self.names.get(user_id, "someone")
                print(f"{name} is at {lat:.5f}, {lng:.5f}", flush=True)


async def walk(live: Live) -> None:
    for step in itertools.count():
        angle = math.radians(6 * step)
        lat, lng = 52.52 + 0.001 * math.sin(angle), 13.405 + 0.001 * math.cos(angle)
        await live.send_position(Position(lat, lng, accuracy=5.0, timestamp=datetime.now(UTC)))
        await trio.sleep(1)


async def main(text: str, name: str) -> None:
    link = parse_join_link(text)
    async with Client(link.url) as client:
        me = await client.join(link.session_id, name, link_key=link.link_key)
    live = Live(me.websocket_url, me.websocket_token, watcher=Printer())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(walk, live)
        nursery.start_soon(watch_network, live.network_changed)
        end = await live.run()
        nursery.cancel_scope.cancel()
    print("ended:", end)


trio.run(main, sys.argv[1], sys.argv[2])
