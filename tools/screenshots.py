"""Make the pictures of docs/pictures/*.png from a real server's demo, or look at every screen.

    .venv/bin/python tools/screenshots.py [URL of a join link]
    .venv/bin/python tools/screenshots.py --all FOLDER [URL of a join link]

Without a link it starts `locshare serve --demo` on free ports, with a database of its own, and
stops it afterwards. Its visitors stand near those who move. ``--all`` takes each screen in five
sizes and both schemes.
"""

import argparse
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from PIL import Image  # noqa: E402 - after the path
from playwright.sync_api import Browser, Page, ViewportSize, expect  # noqa: E402

from tests.browser import chromium  # noqa: E402
from tests.program import data_directory, free_port  # noqa: E402
from tools.web_map import SOFTWARE_GL  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 80 * 1024
START_DEADLINE_S = 90.0
LINK = re.compile(r"https?://\S+/join/[0-9a-f-]{36}")
PHONE: Final[ViewportSize] = {"width": 390, "height": 780}
DESKTOP: Final[ViewportSize] = {"width": 1200, "height": 720}
SIZES: Final[tuple[ViewportSize, ...]] = (
    {"width": 320, "height": 568},
    {"width": 568, "height": 320},
    {"width": 393, "height": 851},
    {"width": 768, "height": 1024},
    {"width": 1280, "height": 800},
)
SETTLE_MS = 2_500.0
"""Until names have come in, and what was said in passing is gone."""
DEADLINE_MS = 60_000.0
NEAR = """([north, east]) => {
    const places = [...document.querySelectorAll("#list li[data-lat]")]
        .map((row) => [Number(row.dataset.lat), Number(row.dataset.lng)]);
    const mean = (at) => places.reduce((sum, place) => sum + place[at], 0) / places.length;
    return [mean(0) + north, mean(1) + east];
}"""

Scheme = Literal["light", "dark"]
Screen = Literal["create", "join", "map", "list", "person", "menu", "invite", "settings", "end"]
SCREENS: Final[tuple[Screen, ...]] = (
    "create", "join", "map", "list", "person", "menu", "invite", "settings", "end",
)  # fmt: skip


class Wish(NamedTuple):
    """A visitor of whom pictures are wanted: file names by screen."""

    size: ViewportSize
    scheme: Scheme
    names: dict[Screen, str]


DOCS: Final = (
    Wish(PHONE, "light", {"create": "create", "map": "phone", "list": "list", "end": "end"}),
    Wish(PHONE, "dark", {"join": "join", "person": "person"}),
    Wish(DESKTOP, "light", {"map": "desktop"}),
)


def main(arguments: list[str]) -> None:
    """Raises AssertionError when a picture is too big."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="each screen, into a folder")
    parser.add_argument("link", nargs="?", help="the join link of a running server")
    given = parser.parse_args(arguments)
    folder = given.all or PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        link = given.link or stack.enter_context(demo())
        browser = stack.enter_context(chromium(SOFTWARE_GL))
        for wish in everything() if given.all else DOCS:
            for path in visit(browser, link, wish, folder):
                if not given.all:
                    shrink(path)
                size = path.stat().st_size
                print(f"{path}: {size / 1024:.0f} KiB", flush=True)
                if not given.all and size > MOST_BYTES:
                    raise AssertionError(f"{path.name} is bigger than {MOST_BYTES // 1024} KiB")


def shrink(path: Path) -> None:
    """Keep the 256 colours that say it: nobody sees the others, and they take half of the bytes."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def everything() -> Iterator[Wish]:
    for size in SIZES:
        for scheme in ("light", "dark"):
            named = f"{size['width']}x{size['height']}-{scheme}"
            yield Wish(size, scheme, {screen: f"{screen}-{named}" for screen in SCREENS})


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
            link = link_in(server)
            late.cancel()
            yield link
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


def visit(browser: Browser, link: str, wish: Wish, folder: Path) -> Iterator[Path]:
    """Go through the screens as somebody who joins, looks about and leaves; the pictures' files."""
    small = wish.size["width"] < 600
    context = browser.new_context(
        viewport=wish.size,
        device_scale_factor=1.5 if folder == PICTURES and small else 1.0,
        has_touch=small,
        color_scheme=wish.scheme,
        reduced_motion="reduce",
        permissions=["geolocation"],
        locale="en-IE",
    )
    page = context.new_page()
    page.set_default_timeout(DEADLINE_MS)
    page.add_init_script(
        "localStorage.setItem('locshare-settings', JSON.stringify({ knowsLock: true }))"
    )
    for screen in SCREENS:
        show(page, screen, link, wish.scheme)
        if (name := wish.names.get(screen)) is not None:
            page.wait_for_function(
                "() => document.getAnimations().every((each) => each.playState !== 'running')"
            )
            path = folder / f"{name}.png"
            page.screenshot(path=path)
            yield path
    context.close()


def show(page: Page, screen: Screen, link: str, scheme: Scheme) -> None:
    """Go on to a screen from the one before it."""
    menu = page.locator(".bar-title")
    in_dialog = page.get_by_role("dialog").get_by_role("button")
    if screen == "create":
        page.goto(link.partition("/join/")[0] + "/")
        page.get_by_label("Your name").wait_for()
    elif screen == "join":
        page.goto(link)
        page.get_by_label("Your name").fill({"light": "Noor", "dark": "Robin"}[scheme])
        page.get_by_role("radio", name="Violet").check(force=True)
    elif screen == "map":
        page.get_by_role("button", name="Join", exact=True).click()
        page.locator(".mk[data-user] .mk-dot").nth(3).wait_for()
        page.locator(".map > .map-canvas").wait_for(state="detached")
        stand(page)
        page.get_by_text("sharing your position").wait_for()
        page.wait_for_timeout(SETTLE_MS)
        # This browser gives a device that stands still no new position.
        stand(page, 0.0001)
        page.wait_for_timeout(1_500)
    elif screen == "list":
        if page.locator(".grip").is_visible():
            page.locator(".grip").click()
    elif screen == "person":
        page.locator("#list li button.row-main").first.click()
        page.get_by_text("Distance").wait_for()
    elif screen == "menu":
        page.get_by_role("button", name="Back to the list").click()
        menu.click()
    elif screen in ("invite", "settings"):
        page.keyboard.press("Escape")
        menu.click()
        in_dialog.filter(has_text=screen.capitalize()).click()
        if screen == "invite":
            page.wait_for_function("() => document.querySelector('.qr > img')?.complete")
    else:
        page.keyboard.press("Escape")
        menu.click()
        in_dialog.filter(has_text="Leave").click()
        in_dialog.filter(has_text="Leave").click()
        expect(page.get_by_role("heading", name="You have left")).to_be_visible()


PLACES: dict[Page, tuple[float, float]] = {}


def stand(page: Page, moved: float = 0.0) -> None:
    """Put a visitor near the others, or move them by some degrees."""
    if page not in PLACES:
        small = (page.viewport_size or {"width": 0})["width"] < 600
        PLACES[page] = page.evaluate(NEAR, [-0.0030, -0.0012] if small else [0.0016, 0.0030])
    lat, lng = PLACES[page]
    page.context.set_geolocation({"latitude": lat + moved, "longitude": lng, "accuracy": 12})


if __name__ == "__main__":
    main(sys.argv[1:])
