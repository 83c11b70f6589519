"""The app in a real browser: its process, and how a person presses what Flutter draws.

Flutter draws on a canvas; its semantics tree, made for screen readers, is what is found here.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Geolocation, Page, expect
from playwright.sync_api import Error as PlaywrightError

from bench.guardian import entrust
from bench.servers import free_port
from tests.running import LAST_RESORT_S

SOURCE: Final = Path(__file__).resolve().parents[2] / "clients" / "phone" / "src"
WAIT_MS: Final = LAST_RESORT_S * 1000
VARIABLE: Final = "LOCSHARE_PHONE_BACKEND"
READY: Final = "Uvicorn running"
BERLIN: Final[Geolocation] = {"latitude": 52.5163, "longitude": 13.3777, "accuracy": 12}

STILL: Final = """element => new Promise(done => {
    let [before, same] = ["", 0];
    const look = () => requestAnimationFrame(() => {
        const { x, y, width, height } = element.getBoundingClientRect();
        const now = [x, y, width, height].join();
        same = now === before ? same + 1 : 0;
        before = now;
        if (same < 6) look(); else done();
    });
    look();
})"""
"""Resolved when what slides in has arrived."""


@contextmanager
def app_process(folder: Path, server: str) -> Iterator[str]:
    """The address at which the app is served as a page."""
    port = free_port()
    environment = os.environ | {
        "FLET_FORCE_WEB_SERVER": "true",
        "FLET_WEB_NO_CDN": "true",
        "FLET_SERVER_IP": "127.0.0.1",
        "FLET_SERVER_PORT": str(port),
        "FLET_LOG_LEVEL": "info",
        "FLET_APP_STORAGE_DATA": str(folder),
        VARIABLE: server,
    }
    process = entrust(
        subprocess.Popen(
            [sys.executable, "main.py"], cwd=SOURCE, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    )  # fmt: skip
    ready: queue.Queue[bool] = queue.Queue()
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                lines.append(line)
                if READY in line:
                    ready.put(True)
        ready.put(False)

    reader = threading.Thread(target=read, name="app-log", daemon=True)
    reader.start()
    try:
        if not ready.get(timeout=LAST_RESORT_S):
            raise AssertionError("the app did not start:\n" + "".join(lines[-40:]))
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(5)


class Screen:
    """One page of the app."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.elsewhere: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.route("**/*", self._only_here)

    def _only_here(self, route: Any) -> None:
        url = route.request.url
        if "127.0.0.1" in url or url.startswith(("blob:", "data:")):
            route.continue_()
        else:
            self.elsewhere.append(url)
            route.abort()

    def open(self, route: str = "") -> None:
        """Load the app anew, at ``route``."""
        self.page.goto(f"{self.url}{route}")
        placeholder = self.page.locator("flt-semantics-placeholder")
        placeholder.wait_for(state="attached")
        placeholder.evaluate("element => element.click()")

    def marked(self, identifier: str) -> Any:
        return self.page.locator(f'[flt-semantics-identifier="{identifier}"]')

    def _wait_for(self, found: Any) -> None:
        """Return when ``found`` is there. If that does not come, the report says what is there."""
        try:
            found.wait_for(state="attached")
        except PlaywrightError as error:
            texts = self.page.locator("flt-semantics-host").all_inner_texts()
            error.add_note(f"the screen says {texts}")
            raise

    def press(self, identifier: str) -> None:
        found = self.marked(identifier)
        self._wait_for(found)
        found.evaluate(STILL)
        box = found.bounding_box()  # settled: it stands still
        assert box is not None
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def close(self) -> None:
        """Close the sheet, and wait until what it covered can be pressed."""
        self.press("close")
        self.marked("close").wait_for(state="detached")

    def type(self, identifier: str, text: str) -> None:
        """Flutter takes text only from the element that it has made its editing element."""
        found = self.marked(identifier).locator("input")
        self._wait_for(found)
        for _ in range(200):
            found.click()
            self.page.wait_for_function(
                "id => document.activeElement?.closest('[flt-semantics-identifier]')"
                "?.getAttribute('flt-semantics-identifier') === id",
                arg=identifier,
            )
            self.page.keyboard.press("Control+A")
            self.page.keyboard.type(text)
            if found.input_value() == text:  # settled: or tried again
                return
            self.page.wait_for_timeout(200)  # settled: tried again
        raise AssertionError(f"{identifier} does not take {text!r}")

    def shows(self, text: str) -> None:
        self._wait_for(self.page.get_by_text(text).first)

    def hides(self, text: str) -> None:
        expect(self.page.get_by_text(text)).to_have_count(0, timeout=WAIT_MS)

    def picture(self, path: Path) -> None:
        self.page.wait_for_timeout(900)  # settled: a picture
        self.page.screenshot(path=path)


@contextmanager
def screen(browser: Browser, url: str, *, opened: bool = True, **options: Any) -> Iterator[Screen]:
    context = browser.new_context(
        viewport={"width": 393, "height": 851}, **{"locale": "en-US", **options}
    )
    try:
        made = Screen(context.new_page(), url)
        if opened:
            made.open()
        yield made
    finally:
        context.close()


def memberships(folder: Path) -> list[str]:
    """The links of the sessions that the app is in, which keeps its settings in ``folder``."""
    kept = json.loads((folder / "locshare.json").read_text())
    return [str(each["join_link"]) for each in kept.get("memberships", [])]
