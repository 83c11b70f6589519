"""Each child of the real tree is killed under traffic; the two phones go on talking.

The whole application with a real database, in this process, so that a child can be killed at the
roots: without warning, as a bug in it would.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
from tests.connection.kit import trio_client
from tests.session.served import Client

from locshare.actors import Ref
from locshare.app import Application
from locshare.config import Settings
from locshare.supervisor import SupervisorRef, open_supervisor

DEADLINE_S = 15


class Running:
    """The application, its root, and a group of two who see each other."""

    def __init__(self, application: Application, root: SupervisorRef) -> None:
        self.application = application
        self.root = root

    def child(self, name: str) -> Ref:
        ref = self.root.child(name)
        assert ref is not None
        return ref

    async def kill(self, name: str) -> None:
        """End a child as a crash would, and wait for its next life."""
        before = self.child(name)
        before._incarnation.kill()
        await before.wait_exit()
        with trio.fail_after(DEADLINE_S):
            # A supervisor tells nobody that a child is back.
            while (now := self.root.child(name)) is None or now is before or not now.alive:  # noqa: ASYNC110
                await trio.sleep(0.01)

    async def create(self) -> str:
        async with httpx.AsyncClient(base_url=self.application.addresses.http_url) as http:
            created = await http.post("/api/sessions", json={})
            assert created.status_code == 201, created.text
            session_id: str = created.json()["session_id"]
        return session_id

    @asynccontextmanager
    async def phone(self, session_id: str, name: str) -> AsyncIterator[Client]:
        async with httpx.AsyncClient(base_url=self.application.addresses.http_url) as http:
            answer = await http.post(
                f"/api/sessions/{session_id}/join", json={"display_name": name}
            )
        assert answer.status_code == 201, answer.text
        joined = answer.json()
        protocols = ["locshare.v1", f"locshare.bearer.{joined['websocket_token']}"]
        async with trio_client(joined["websocket_url"], protocols) as socket:
            client = Client(joined["user_id"], socket)
            assert (await client.next())["type"] == "session_state"
            yield client


@asynccontextmanager
async def running(url: str, folder: Path) -> AsyncIterator[Running]:
    application = Application(
        Settings(http_bind="127.0.0.1:0", ws_bind="127.0.0.1:0", database_url=url, data_dir=folder)
    )
    async with open_supervisor(application.tree()) as root:
        yield Running(application, root)


async def talk(first: Client, second: Client, lat: float) -> None:
    """Each moves and is seen by the other."""
    await first.move(lat)
    assert (await second.until("location_update"))["lat"] == lat
    await second.move(-lat)
    assert (await first.until("location_update"))["lat"] == -lat


@pytest.mark.parametrize(
    "name",
    ["signals", "store", "pacer", "sessions", "keeper", "heartbeat", "listener", "api"],
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
