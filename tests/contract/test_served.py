"""The documents as the server serves them: ``/openapi.json``, ``/asyncapi.json`` and ``/docs``."""

import re
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect
from quart_trio import QuartTrio

from locshare.contract.asyncapi import asyncapi
from locshare.contract.openapi import openapi
from locshare.contract.operations import OPERATIONS
from locshare.contract.page import page
from locshare.contract.serving import contract_blueprint
from locshare.model.reasons import CloseReason
from tests.browser import DEADLINE_MS, chromium_or_skip
from tests.clusters import give_cluster
from tests.program import Program, data_directory

PATHS = {
    "/openapi.json": "application/json",
    "/asyncapi.json": "application/json",
    "/docs": "text/html; charset=utf-8",
    "/docs/style.css": "text/css; charset=utf-8",
}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app: Any = QuartTrio("test", static_folder=None)
    app.register_blueprint(contract_blueprint(lambda: "wss://live.example/folder"))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("path", [*PATHS])
async def test_a_document_is_revalidated_with_an_etag(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == PATHS[path]
    assert answer.headers["cache-control"] == "no-cache"
    again = await http.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == answer.headers["etag"]
    assert (await http.post(path)).status_code == 405


async def test_the_page_may_load_nothing_but_its_style(http: httpx.AsyncClient) -> None:
    policy = (await http.get("/docs")).headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'; ")
    assert "script" not in policy


async def test_the_websocket_of_the_document_is_that_of_this_server(
    http: httpx.AsyncClient,
) -> None:
    server = (await http.get("/asyncapi.json")).json()["servers"]["this"]
    assert (server["protocol"], server["host"]) == ("wss", "live.example")
    assert server["pathname"] == "/folder"


# --- the page ---------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page has."""

    void = frozenset({"meta", "link", "wbr", "br", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert not [name for name in given if name == "style" or name.startswith("on")]
        assert tag != "script"
        if tag not in self.void:
            self.open.append(tag)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given["href"])
        if tag in ("link", "img"):
            self.loaded.append(given.get("href") or given.get("src") or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def shown() -> Page:
    return Page(page(openapi(), asyncapi()))


def test_the_page_is_well_formed_and_each_link_leads_somewhere(shown: Page) -> None:
    assert len(set(shown.ids)) == len(shown.ids)
    places = {f"#{each}" for each in shown.ids} | {"openapi.json", "asyncapi.json"}
    assert set(shown.links) - places == set()
    assert shown.loaded == ["docs/style.css"]


def test_the_page_shows_each_call_each_message_each_type_and_each_close_code(shown: Page) -> None:
    assert {each.id for each in OPERATIONS} <= set(shown.ids)
    document = asyncapi()
    text = " ".join(shown.words)
    for message in document["components"]["messages"].values():
        assert message["name"] in text
    types = {*document["components"]["schemas"], *openapi()["components"]["schemas"]}
    assert {f"type-{name}" for name in types} <= set(shown.ids)
    for each in CloseReason:
        assert re.search(rf"\b{each.code}\b", text)


def test_nothing_in_a_document_can_break_out_of_the_page() -> None:
    rest = openapi()
    rest["info"]["description"] = "`<script>alert(1)</script>` & <b>"
    assert "<script" not in page(rest, asyncapi())


# --- the real server --------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["one port, in a folder", "two ports"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a real server."""
    with data_directory() as data:
        give_cluster(data)
        program = Program({"LOCSHARE_DATA_DIR": str(data)})
        found = program.http_url
        if request.param != "two ports":
            found = f"{found}/folder"
            bind = program.environment.pop("LOCSHARE_HTTP_BIND")
            del program.environment["LOCSHARE_WS_BIND"]
            program.environment |= {"LOCSHARE_BIND": bind, "LOCSHARE_PUBLIC_URL": found}
        program.start()
        try:
            yield found
        finally:
            program.stop()


@pytest.mark.e2e
def test_the_real_server_serves_all_of_them(url: str) -> None:
    for path, media in PATHS.items():
        answer = httpx.get(f"{url}{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, media)
        assert answer.headers["x-content-type-options"] == "nosniff"
    server = httpx.get(f"{url}/asyncapi.json").json()["servers"]["this"]
    joined = httpx.post(f"{url}/api/sessions", json={}).json()
    person = httpx.post(
        f"{url}/api/sessions/{joined['session_id']}/join", json={"display_name": "Ada"}
    ).json()
    socket = f"{server['protocol']}://{server['host']}{server.get('pathname', '')}"
    assert person["websocket_url"] == f"{socket}/ws"


@pytest.mark.e2e
@pytest.mark.browser
def test_the_page_works_offline_in_a_browser_and_fits_a_phone(url: str) -> None:
    with chromium_or_skip() as browser:
        opened = browser.new_page(viewport={"width": 360, "height": 740})
        opened.set_default_timeout(DEADLINE_MS)
        asked: list[str] = []
        said: list[Any] = []
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("console", lambda message: said.append(message.text))
        opened.goto(f"{url}/docs", wait_until="networkidle")
        assert all(each.startswith(url) for each in asked), asked
        width = opened.evaluate("document.documentElement.scrollWidth")
        assert width <= 360
        opened.click("nav >> text=Join a session")
        expect(opened).to_have_url(f"{url}/docs#joinSession")
        expect(opened.locator("#joinSession >> text=display_name").first).to_be_visible()
        expect(opened.locator("body")).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")
    assert said == []
