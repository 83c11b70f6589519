"""Join a session once and print who is in it."""

import sys

import trio

from locshare.client import Client, connect, parse_join_link


async def main(text: str, name: str) -> None:
    link = parse_join_link(text)
    async with Client(link.url) as client:
        me = await client.join(link.session_id, name, link_key=link.link_key)
    async with connect(me.websocket_url, me.websocket_token) as connection:
        for participant in connection.snapshot.participants:
            print(participant.display_name, "online" if participant.online else "offline")
        await connection.leave()


trio.run(main, sys.argv[1], sys.argv[2])
