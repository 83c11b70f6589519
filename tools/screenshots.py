"""Make the pictures of docs/pictures/*.png from a real server's demo.

    .venv/bin/python tools/screenshots.py [URL of a join link]

Without a link it starts `locshare serve --demo` on free ports, with a database of its own, and
stops it afterwards. Its two viewers stand near those who move.
"""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from playwright.sync_api import Browser, Page, ViewportSize  # noqa: E402 - after the path

from tests.browser import chromium  # noqa: E402
from tests.program import data_directory, free_port  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 150 * 1024
START_DEADLINE_S = 90.0
LINK = re.compile(r"https?://\S+/join/[0-9a-f-]{36}")
SETTLE_MS = 8_000.0
"""Until the map has its ground and what was said in passing is gone."""
NEAR = """([north, east]) => {
    const places = [...document.querySelectorAll("#list li[data-lat]")]
        .map((row) => [Number(row.dataset.lat), Number(row.dataset.lng)]);
    const mean = (at) => places.reduce((sum, place) => sum + place[at], 0) / places.length;
    return [mean(0) + north, mean(1) + east];
}"""


def main(arguments: list[str]) -> None:
    """Make both pictures. Raises AssertionError when one is too big, or nobody is on it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    if arguments:
        make_pictures(arguments[0])
    else:
        with demo() as link:
            make_pictures(link)


@contextmanager
def demo() -> Iterator[str]:
    """The join link of a running demo, which is stopped when the block ends."""
    with data_directory() as folder:
        server = subprocess.Popen(
            [sys.executable, "-m", "locshare", "serve", "--demo"],
            env=os.environ
            | {
                "LOCSHARE_DATA_DIR": str(folder),
                "LOCSHARE_HTTP_BIND": f"127.0.0.1:{free_port()}",
                "LOCSHARE_WS_BIND": f"127.0.0.1:{free_port()}",
                "PYTHONPATH": str(ROOT / "src"),
                "PYTHONUNBUFFERED": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        late = threading.Timer(START_DEADLINE_S, server.kill)
        late.start()
        try:
            yield link_in(server)
        finally:
            late.cancel()
            server.terminate()
            server.communicate()


def link_in(server: "subprocess.Popen[str]") -> str:
    """The link that the server prints."""
    for line in server.stdout or ():
        if (found := LINK.search(line)) is not None:
            return found.group()
    raise AssertionError("the server printed no link; try it by hand: locshare serve --demo")


def make_pictures(link: str) -> None:
    """All, at once: it is the waiting that takes the time."""
    with chromium() as browser:
        phone = visitor(browser, link, {"width": 390, "height": 780}, "light")
        dark = visitor(browser, link, {"width": 390, "height": 780}, "dark")
        desktop = visitor(browser, link, {"width": 1200, "height": 720}, "light")
        start = browser.new_page(viewport={"width": 390, "height": 780}, device_scale_factor=1.5)
        start.goto(link.partition("/join/")[0] + "/")
        dark.locator(".grip").click()
        dark.locator("#list li button.row-main").first.click()
        phone.wait_for_timeout(SETTLE_MS)
        for page in (phone, dark, desktop):
            stand(page, 0.0001)  # this browser gives a device that stands still no new position
        phone.wait_for_timeout(1_500)
        pages = {"phone": phone, "person": dark, "desktop": desktop, "create": start}
        for name, page in pages.items():
            path = PICTURES / f"{name}.png"
            page.screenshot(path=path)
            size = path.stat().st_size
            print(f"{path.relative_to(ROOT)}: {size / 1024:.0f} KiB")
            if size > MOST_BYTES:
                raise AssertionError(f"{path.name} is bigger than {MOST_BYTES / 1024:.0f} KiB")


PLACES: dict[Page, tuple[float, float]] = {}


def stand(page: Page, moved: float = 0.0) -> None:
    """Put a visitor near the others, or move them by some degrees."""
    if page not in PLACES:
        small = (page.viewport_size or {"width": 0})["width"] < 600
        PLACES[page] = page.evaluate(NEAR, [-0.0030, -0.0012] if small else [0.0016, 0.0030])
    lat, lng = PLACES[page]
    page.context.set_geolocation({"latitude": lat + moved, "longitude": lng, "accuracy": 12})


def visitor(
    browser: Browser, link: str, viewport: ViewportSize, scheme: Literal["light", "dark"]
) -> Page:
    """The page of somebody who has joined and stands near the others."""
    small = viewport["width"] < 600
    context = browser.new_context(
        viewport=viewport,
        device_scale_factor=1.5 if small else 1.0,
        has_touch=small,
        color_scheme=scheme,
        permissions=["geolocation"],
        locale="en-IE",
    )
    page = context.new_page()
    page.add_init_script(
        "localStorage.setItem('locshare-settings', JSON.stringify({ knowsLock: true }))"
    )
    page.goto(link)
    page.get_by_label("Your name").fill({"light": "Noor", "dark": "Robin"}[scheme])
    page.get_by_role("radio", name="Violet" if small else "Amber").check(force=True)
    page.get_by_role("button", name="Join", exact=True).click()
    page.locator(".mk[data-user] .mk-dot").nth(3).wait_for()
    stand(page)
    page.get_by_text("sharing your position").wait_for()
    return page


if __name__ == "__main__":
    main(sys.argv[1:])
