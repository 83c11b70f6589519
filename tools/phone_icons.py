"""The phone app's icon and splash, drawn from the web client's mark (web/public/icon.svg):
``python -m tools.phone_icons [FOLDER]``, by default into clients/phone/src/assets.

``mark.svg`` is what the app itself shows. ``flet build`` makes every size and shape of both stores
of the other two (tests/phone/test_icons.py):

- ``icon.png``: the pin alone, transparent around it. The builder frames it for each system's mask,
  on the colour ``icon_background`` of the app's pyproject.toml.
- ``splash.png``: the whole mark, with its round corners, on the splash's two grounds.
"""

import argparse
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from playwright.sync_api import Browser

from tests.browser import chromium

ROOT: Final = Path(__file__).resolve().parents[1]
MARK: Final = ROOT / "web" / "public" / "icon.svg"
ASSETS: Final = ROOT / "clients" / "phone" / "src" / "assets"
MARK_COPY: Final = "mark.svg"
SVG: Final = "http://www.w3.org/2000/svg"
ICON_PIXELS: Final = 1024
"""The largest that is made of it: the App Store's."""
SPLASH_PIXELS: Final = 512
"""The builder shows a splash at a quarter of its pixels."""
PIN_SIDE: Final = 44
"""Of the mark's 64 units: the height of the pin, so that it fills the icon's canvas."""


def drawings() -> dict[str, tuple[str, int]]:
    """By the file's name: an SVG, and how many pixels wide and high it is drawn."""
    ET.register_namespace("", SVG)
    mark = ET.parse(MARK).getroot()  # noqa: S314 - a file of this repository
    whole = ET.tostring(mark, encoding="unicode")
    ground = mark.find(f"{{{SVG}}}rect")
    if ground is None:
        raise SystemExit(f"{MARK.name}: it has no rect, which is the ground to leave out")
    mark.remove(ground)
    inset = (64 - PIN_SIDE) / 2
    mark.set("viewBox", f"{inset:g} {inset:g} {PIN_SIDE} {PIN_SIDE}")
    pin = ET.tostring(mark, encoding="unicode")
    return {"icon.png": (pin, ICON_PIXELS), "splash.png": (whole, SPLASH_PIXELS)}


def draw(browser: Browser, svg: str, pixels: int) -> bytes:
    """``svg`` as a PNG, transparent where it draws nothing."""
    page = browser.new_page(viewport={"width": pixels, "height": pixels})
    try:
        # No rule for every element: the style would be shown as text.
        page.set_content(f"<style>body{{margin:0}} svg{{display:block}}</style>{svg}")
        return page.screenshot(omit_background=True)
    finally:
        page.close()


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ASSETS)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK_COPY).write_bytes(MARK.read_bytes())
    with chromium() as browser:
        for name, (svg, pixels) in drawings().items():
            (folder / name).write_bytes(draw(browser, svg, pixels))
            sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main()
