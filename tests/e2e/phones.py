"""People with phones: a browser each, and what its page shows. For tests of the web client."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.browser import DEADLINE_MS, chromium_or_skip
from tests.program import Program, data_directory, running_program

BRANDENBURG_GATE = (52.516272, 13.377722)
REICHSTAG = (52.518620, 13.376187)
PLAIN_HOST = "locshare.example"
"""This machine by a name that browsers do not take for a loopback address."""
ALEXANDERPLATZ = (52.521918, 13.413215)
TEMPELHOF = (52.473, 13.403)
PHONE: ViewportSize = {"width": 393, "height": 851}
LOST = ("WebSocket", "ERR_CONNECTION", "ERR_INTERNET", "Failed to load", "fetching the script")


@contextmanager
def client_program(**settings: str) -> Iterator[Program]:
    """A server with few seats in a session."""
    with (
        data_directory() as folder,
        running_program(
            {"LOCSHARE_DATA_DIR": str(folder), "LOCSHARE_MAX_PARTICIPANTS": "4", **settings}
        ) as started,
    ):
        yield started


@contextmanager
def client_browser() -> Iterator[Browser]:
    with chromium_or_skip([f"--host-resolver-rules=MAP {PLAIN_HOST} 127.0.0.1"]) as started:
        yield started


class Phone:
    """One person's browser."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.context = context
        self.origin = origin
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page = self.new_page()

    def new_page(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note)
        page.on("request", lambda request: self.hosts.add(str(httpx.URL(request.url).host)))
        page.set_default_timeout(DEADLINE_MS)
        return page

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def stand(self, place: tuple[float, float]) -> None:
        self.context.set_geolocation({"latitude": place[0], "longitude": place[1], "accuracy": 6.0})

    def open(self, session: str) -> None:
        self.page.goto(f"{self.origin}/join/{session}")

    def join(self, session: str, name: str, *, watches: bool = False) -> None:
        self.open(session)
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_role(
            "button", name="Only watch" if watches else "Join", exact=True
        ).click()
        expect(self.row(f"{name} (you)")).to_be_visible()

    def row(self, name: str) -> Any:
        """The row of the list with this name. By case: "nobody" is not Bo."""
        return self.page.locator("#list li").filter(has_text=re.compile(re.escape(name)))

    def sees(self, name: str, place: tuple[float, float]) -> None:
        """That person's row has this place."""
        row = self.row(name)
        expect(row).to_have_attribute("data-lat", f"{place[0]:.6f}")
        expect(row).to_have_attribute("data-lng", f"{place[1]:.6f}")

    def menu(self, item: str) -> None:
        self.page.locator(".bar-title").click()
        self.page.get_by_role("dialog").get_by_role("button", name=item).click()

    def sure(self, name: str) -> None:
        """Say yes to what is asked back."""
        self.page.get_by_role("dialog").get_by_role("button", name=name).click()

    def says(self, title: str) -> None:
        expect(self.page.get_by_role("heading", name=title)).to_be_visible()

    def keeps(self, *kinds: str) -> None:
        """Wait until of the client's values the browser keeps these kinds only."""
        self.page.wait_for_function(
            """(kinds) => Object.keys(localStorage)
                .filter((key) => key.startsWith("locshare-"))
                .every((key) => kinds.some((kind) => key.startsWith(`locshare-${kind}`)))""",
            arg=kinds,
        )


class Reporter:
    """Somebody whose device reports over HTTP: for a test that needs their page not at all."""

    def __init__(
        self, program: Program, link: str, name: str, place: tuple[float, float] | None = None
    ) -> None:
        url = f"{program.http_url}/api/sessions/{link}"
        joined = httpx.post(f"{url}/join", json={"display_name": name}).json()
        self.url = f"{url}/positions"
        self.headers = {"Authorization": f"Bearer {joined['websocket_token']}"}
        if place is not None:
            self.stand(place)

    def stand(self, place: tuple[float, float]) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        body = {"lat": place[0], "lng": place[1], "timestamp": at}
        answer = httpx.post(self.url, json=body, headers=self.headers)
        assert answer.status_code == 200, answer.text


@contextmanager
def phone(
    browser: Browser,
    program: Program,
    place: tuple[float, float] | None = BRANDENBURG_GATE,
    *,
    complaints: tuple[str, ...] = (),
    size: ViewportSize = PHONE,
    **options: Any,
) -> Iterator[Phone]:
    """A phone at a place; None is one that does not allow its position.

    Nothing may be wrong in its console but what ``complaints`` are part of.
    """
    permissions = [] if place is None else ["geolocation"]
    options = {"locale": "en-IE", **options}
    with browser.new_context(
        viewport=size, has_touch=True, permissions=permissions, **options
    ) as context:
        opened = Phone(context, program.http_url)
        if place is not None:
            opened.stand(place)
        yield opened
        unexpected = [
            each for each in opened.complaints if not any(part in each for part in complaints)
        ]
        assert unexpected == []
        assert opened.hosts - {""} <= {"127.0.0.1", PLAIN_HOST}, (
            "the page needs nobody but its server"
        )


NETWORKS = {"4G": (9_000, 60, 1.0), "3G": (1_600, 150, 4.0)}
"""Kilobits a second, milliseconds of latency, and how many times slower the processor is."""


def on_network(phone: Phone, kind: str) -> None:
    """Slow the page's network and processor down, as Chromium's tools for developers do."""
    kilobits, latency_ms, slower = NETWORKS[kind]
    tools = phone.context.new_cdp_session(phone.page)
    tools.send("Network.enable")
    tools.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": latency_ms,
            "downloadThroughput": kilobits * 125,
            "uploadThroughput": kilobits * 125,
        },
    )
    tools.send("Emulation.setCPUThrottlingRate", {"rate": slower})


@contextmanager
def two(browser: Browser, program: Program, **options: Any) -> Iterator[tuple[Phone, Phone]]:
    with (
        phone(browser, program, BRANDENBURG_GATE, **options) as first,
        phone(browser, program, ALEXANDERPLATZ, **options) as second,
    ):
        yield first, second


def create(program: Program, name: str = "Überlandfahrt") -> dict[str, Any]:
    answer = httpx.post(f"{program.http_url}/api/sessions", json={"name": name})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def session(program: Program, name: str = "Überlandfahrt") -> str:
    return str(create(program, name)["session_id"])


def show(page: Page, *, hidden: bool) -> None:
    """What a phone does when its screen is locked: a headless browser does not."""
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
