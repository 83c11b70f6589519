"""Each child of the real tree is killed under traffic; the two phones go on talking.

The whole application with a real database, in this process, so that a child can be killed at the
roots: without warning, as a bug in it would.
"""

from pathlib import Path

import pytest
import trio

from tests.faults.kit import DEADLINE_S, running, talk


@pytest.mark.parametrize(
    "name",
    ["control", "store", "flush", "sessions", "reaper", "reader", "heartbeat", "listener", "api"],
)
async def test_when_a_child_dies_no_phone_notices_and_others_can_still_come(
    name: str, postgres_url: str, tmp_path: Path
) -> None:
    async with running(postgres_url, tmp_path) as server:
        session = await server.create()
        async with server.phone(session, "Ada") as ada, server.phone(session, "Bo") as bo:
            await talk(ada, bo, 1)
            await server.kill(name)
            await talk(ada, bo, 2)
            with trio.fail_after(DEADLINE_S):
                async with server.phone(session, "Cy") as cy:
                    await ada.until("participant_joined")
                    await talk(cy, ada, 3)
            assert bo.socket.closed is None


async def test_when_the_home_of_the_connections_dies_phones_are_cut_and_come_back(
    postgres_url: str, tmp_path: Path
) -> None:
    async with running(postgres_url, tmp_path) as server:
        session = await server.create()
        async with server.phone(session, "Ada") as ada:
            await server.kill("connections")
            assert await ada.close_code() in (1006, 1012)
        async with server.phone(session, "Ada") as ada, server.phone(session, "Bo") as bo:
            await talk(ada, bo, 1)


async def test_the_same_addresses_serve_after_the_listeners_were_restarted(
    postgres_url: str, tmp_path: Path
) -> None:
    async with running(postgres_url, tmp_path) as server:
        before = server.application.addresses
        await server.kill("listener")
        await server.kill("api")
        assert server.application.addresses == before
