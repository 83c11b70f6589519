"""The whole application with a real database, in this process, and phones on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from locshare.actors import Ref
from locshare.actors.introspect import kill
from locshare.config import Settings
from locshare.server.tree import Application
from locshare.supervisor import SupervisorRef
from locshare.supervisor.testing import wait_restarted
from tests.contract.group import patiently
from tests.phones import Phone, connected
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S


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
        """End a child as a crash would, and wait for its next incarnation."""
        before = self.child(name)
        kill(before)
        await wait_restarted(self.root, before, DEADLINE_S)

    async def create(self) -> str:
        async with httpx.AsyncClient(base_url=self.application.addresses.http_url) as http:
            created = await http.post("/api/sessions", json={})
            assert created.status_code == 201, created.text
            session_id: str = created.json()["session_id"]
        return session_id

    @asynccontextmanager
    async def phone(self, session_id: str, name: str) -> AsyncIterator[Phone]:
        async with httpx.AsyncClient(base_url=self.application.addresses.http_url) as http:
            answer = await patiently(
                lambda: http.post(f"/api/sessions/{session_id}/join", json={"display_name": name})
            )
        assert answer.status_code == 201, answer.text
        joined = answer.json()
        url, token = joined["websocket_url"], joined["websocket_token"]
        async with connected(url, token, joined["user_id"]) as phone:
            yield phone


@asynccontextmanager
async def running(url: str | None, folder: Path, **others: Any) -> AsyncIterator[Running]:
    """``others``: settings that are not the defaults."""
    application = Application(
        Settings(
            http_bind="127.0.0.1:0",
            ws_bind="127.0.0.1:0",
            database_url=url,
            data_dir=folder,
            **others,
        )
    )
    async with application.running() as root:
        yield Running(application, root)


async def talk(first: Phone, second: Phone, lat: float) -> None:
    """Each moves and is seen by the other."""
    await first.move(lat)
    assert (await second.until("location_update"))["lat"] == lat
    await second.move(-lat)
    assert (await first.until("location_update"))["lat"] == -lat
