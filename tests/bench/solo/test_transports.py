"""Every way to receive that is compared holds the same conversation, over real sockets."""

import json
import struct
from unittest.mock import patch

import pytest
import trio

from bench.solo.transports.serve import WAYS
from locshare.model.reasons import CloseReason
from tests.connection.kit import (
    SNAPSHOT_TEXT,
    an_update,
    client_frame,
    raw_client,
    raw_tcp,
    request,
    serving,
    trio_client,
)
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.parametrize("way", WAYS)


async def test_what_is_sent_in_whole_or_in_parts_reaches_the_others(way: str) -> None:
    with patch("locshare.connection.connection.Transport", WAYS[way]):
        async with (
            serving() as server,
            trio_client(server.url("bob")) as bob,
            raw_client(server, "ada") as ada,
        ):
            assert await bob.get_message() == SNAPSHOT_TEXT
            update = an_update(lat=2)
            await ada.send(client_frame(an_update(lat=1)))
            await ada.send(client_frame(update[:9], fin=False) + client_frame(b"now", 9))
            await ada.send(client_frame(update[9:], 0))
            assert await ada.frame() == (0x8A, b"now")
            latitudes = [json.loads(await bob.get_message())["data"]["lat"] for _ in range(2)]
            assert latitudes == [1, 2]
            await ada.send(client_frame(struct.pack("!H", 1000), 8))
            assert await ada.close_code() == 1000
            await server.all_gone(but=1)
            assert server.closed() == {"peer_closed": 1}


async def test_the_servers_close_and_a_lost_peer_end_the_connection(way: str) -> None:
    with patch("locshare.connection.connection.Transport", WAYS[way]):
        async with serving() as server:
            async with raw_client(server, "ada") as ada, raw_client(server, "bob") as bob:
                server.room.receivers["ada"].close(CloseReason.SESSION_ENDED)
                assert await ada.close_code() == 4410
                await ada.send(client_frame(struct.pack("!H", 4410), 8))
                await ada.end()
                await bob.stream.aclose()
                with trio.fail_after(LAST_RESORT_S):
                    await server.all_gone()
            assert server.closed() == {"session_ended": 1, "peer_gone": 1}
            assert sorted(server.room.detached) == ["ada", "bob"]


async def test_who_is_refused_sees_why(way: str) -> None:
    with patch("locshare.connection.connection.Transport", WAYS[way]):
        async with serving() as server:
            async with raw_tcp(server) as raw:
                await raw.send(request("/ws?token=forged"))
                assert (await raw.head()).startswith(b"HTTP/1.1 401 ")
            await server.all_gone()
            assert server.refused() == {"bad_token": 1}
