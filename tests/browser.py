"""A real Chromium for tests and tools, driven by playwright's sync API.

Where there is none the test is skipped with the reason.
Use it from plain functions: playwright keeps an asyncio loop in its thread while it runs, which
Trio's tests must not meet.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.running import LAST_RESORT_S

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
DEADLINE_MS = LAST_RESORT_S * 1000
"""Of everything that is waited for on a page."""

expect.set_options(timeout=DEADLINE_MS)


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome, or None."""
    for name in NAMES:
        if (found := shutil.which(name)) is not None:
            return found
    return next((path for path in MAC_APPLICATIONS if Path(path).exists()), None)


def driver_runs() -> bool:
    """Whether playwright's driver, a Node.js of its own, can be started."""
    node, _ = compute_driver_executable()
    return subprocess.run([node, "--version"], capture_output=True, check=False).returncode == 0


@contextmanager
def chromium(arguments: Sequence[str] = (), *, has_gpu: bool = False) -> Iterator[Browser]:
    """A headless browser; it is gone when the block ends. ``has_gpu``: the page is put together by
    the process for graphics, as on a device, and not by copying what WebGL has drawn.
    """
    path = find_chromium()
    if path is None:
        raise FileNotFoundError("no Chromium or Chrome is installed")
    options: dict[str, Any] = {}
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options["chromium_sandbox"] = False  # Chromium's sandbox does not start for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[
                "--disable-dev-shm-usage",
                *([] if has_gpu else ["--disable-gpu"]),
                *arguments,
            ],
            **options,
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def chromium_or_skip(arguments: Sequence[str] = ()) -> Iterator[Browser]:
    """:func:`chromium` for a test."""
    reason = None
    if find_chromium() is None:
        reason = "no Chromium or Chrome is installed"
    elif not driver_runs():
        reason = "playwright's driver does not run on this system (libatomic1 may be missing)"
    if reason is not None:
        pytest.skip(reason)
    with chromium(arguments) as browser:
        yield browser


AT_REST = """() => new Promise((done) => {
    const look = () => requestAnimationFrame(() => {
        const now = [...document.querySelectorAll(".map-markers, .mk, .mk-name, .ar")]
            .map((each) => each.className + each.style.cssText).join();
        same = now === before ? same + 1 : 0;
        before = now;
        if (same < 8) setTimeout(look, 40); else done();
    });
    let [before, same] = ["", 0];
    look();
})"""


def until_at_rest(page: Page) -> None:
    """Wait until nothing on the map has moved for some frames. What makes it move has come before:
    wait for that first.
    """
    page.evaluate(AT_REST)


def until_drawn(page: Page) -> None:
    """Wait until the page has drawn what was done to it."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


class Held:
    """Requests that stay unanswered; give its `hold` to `route`."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.routes: list[Route] = []

    def hold(self, route: Route) -> None:
        self.routes.append(route)

    def first(self) -> Route:
        """Wait for the first of them."""
        while not self.routes:
            self._page.wait_for_timeout(20)  # settled: playwright calls `hold` meanwhile
        return self.routes[0]
