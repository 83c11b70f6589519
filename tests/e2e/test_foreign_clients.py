"""Clients that others wrote, as they come: each joins, sends, hears, and pings in its own way."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import trio

from tests.browser import chromium_or_skip
from tests.contract.group import Group, Person, create, phone
from tests.line_process import END, LineProcess
from tests.node import NODE
from tests.npm import CLIENTS, installed
from tests.phones import BERLIN
from tests.program import Program, data_directory, running_program
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e

SCRIPT = Path(__file__).parent.parent / "foreign_client"
PYTHON = "websockets-sync", "websockets-asyncio", "websocket-client", "aiohttp"
NPM_CLIENTS = "ws", "websocket", "w3c", "node"
SET_HEADERS = *PYTHON, "ws", "websocket"


@pytest.fixture(scope="module")
def modules() -> Path:
    return installed(CLIENTS)


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with data_directory() as folder, running_program({"LOCSHARE_DATA_DIR": str(folder)}) as started:
        yield started


@pytest.fixture
async def group(program: Program) -> AsyncIterator[Group]:
    async with httpx.AsyncClient(base_url=program.http_url, timeout=LAST_RESORT_S) as http:
        yield await create(http)


class Client:
    """A foreign client in its process; :func:`foreign` ends it."""

    def __init__(self, library: str, modules: Path, **wish: Any) -> None:
        script = [sys.executable, f"{SCRIPT}.py"]
        if library in NPM_CLIENTS:
            script = [NODE, f"{SCRIPT}.mjs"]
        self._process = LineProcess([*script, library, json.dumps(wish)], modules)

    def _line(self) -> str:
        try:
            line = self._process.line()
        except Empty:
            pytest.fail("the client says nothing")
        assert not line.startswith((END, "FAILED")), line
        return line

    async def line(self) -> str:
        return await trio.to_thread.run_sync(self._line)

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The data of the next message of this kind with these fields."""
        while True:
            message = json.loads(await self.line())
            found: dict[str, Any] = message["data"]
            if message["type"] == kind and fields.items() <= found.items():
                return found

    def send(self, line: str) -> None:
        self._process.send(line)

    def close(self) -> None:
        self._process.close()


@asynccontextmanager
async def foreign(library: str, modules: Path, **wish: Any) -> AsyncIterator[Client]:
    client = Client(library, modules, **wish)
    try:
        yield client
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(client.close)


def ways(person: Person, group: Group, library: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The ways in which clients hand over their token, and the subprotocol that is answered."""
    bearer = f"locshare.bearer.{person.token}"
    query = {"token": person.token, "session_id": group.id, "user_id": person.user_id}
    yield {"url": f"{person.url}?{urlencode(query)}"}, ""
    yield {"url": person.url, "protocols": [bearer]}, bearer
    yield {"url": person.url, "protocols": ["locshare.v1", bearer]}, "locshare.v1"
    if library in SET_HEADERS:
        yield {"url": person.url, "headers": person.headers}, ""


@pytest.mark.parametrize("library", [*PYTHON, *NPM_CLIENTS])
async def test_a_client_of_others_joins_sends_and_hears(
    modules: Path, group: Group, library: str
) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo")
    async with phone(bo) as other:
        for lat, (wish, subprotocol) in enumerate(ways(ada, group, library)):
            async with foreign(library, modules, **wish) as client:
                # websocket-client reports it in lower case.
                assert (await client.line()).lower() == f"OPEN {subprotocol}".lower()
                snapshot = await client.until("session_state")
                assert snapshot["you"]["user_id"] == ada.user_id
                data = BERLIN | {"lat": lat, "provider": "gps", "activity": None}
                client.send(json.dumps({"type": "location_update", "id": 7, "data": data}))
                assert (await other.until("location_update", lat=lat))["user_id"] == ada.user_id
                await other.move(-1 - lat)
                await client.until("location_update", lat=-1 - lat, user_id=bo.user_id)
                client.send('{"type": "ping", "data": {"at": 1764000000}, "ref": null}')
                await client.until("pong")
                client.send('{"type": "subscribe", "data": {"channel": "x"}}')
                await client.until("error", code="UNKNOWN_TYPE")
                client.send("PING")
                while await client.line() != "PONG":
                    pass


async def test_the_authorization_header_admits_to_the_phoenix_path_too(
    modules: Path, group: Group
) -> None:
    ada = await group.join("Ada")
    url = ada.url.removesuffix("/ws") + "/socket/websocket?vsn=2.0.0"
    async with foreign("ws", modules, url=url, headers=ada.headers) as client:
        assert (await client.line()).strip() == "OPEN"
        client.send(json.dumps(["1", "1", f"location:{group.id}", "phx_join", {}]))
        reply = json.loads(await client.line())
        assert reply[3] == "phx_reply"
        assert reply[4]["status"] == "ok"


IN_A_BROWSER = """
([url, protocols]) => new Promise((done) => {
    setTimeout(() => done(["nothing", 0]), 100_000);
    const socket = protocols ? new WebSocket(url, protocols) : new WebSocket(url);
    socket.onmessage = ({data}) => {
        done([socket.protocol, JSON.parse(data).type]);
        socket.close();
    };
    socket.onclose = ({code}) => done(["closed", code]);
})
"""


@pytest.mark.browser
def test_a_browser_accepts_the_answer_however_it_hands_over_its_token(program: Program) -> None:
    with httpx.Client(base_url=program.http_url, timeout=LAST_RESORT_S) as http:
        created = http.post("/api/sessions", json={}).json()
        joined = http.post(
            f"/api/sessions/{created['session_id']}/join", json={"display_name": "Ada"}
        ).json()
    url, token = joined["websocket_url"], joined["websocket_token"]
    bearer = f"locshare.bearer.{token}"
    state = "session_state"
    with chromium_or_skip() as browser:
        page = browser.new_page()
        for address, protocols, expected in (
            (url, [bearer], [bearer, state]),
            (url, ["locshare.v1", bearer], ["locshare.v1", state]),
            (f"{url}?token={token}&session_id=x&user_id=y", None, ["", state]),
            (url, ["locshare.bearer.nonsense"], ["closed", 4401]),
            # It asks for what is not served: a browser refuses an answer without it.
            (url, ["locshare.v9", bearer], ["closed", 1006]),
        ):
            heard = page.evaluate(IN_A_BROWSER, [address, protocols])  # which waits
            assert heard == expected
