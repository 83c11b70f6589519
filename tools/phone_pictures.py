"""Pictures of the phone app's screens, from the app in Chromium against a real server:
``python -m tools.phone_pictures FOLDER``. Made-up people walk through Berlin. All of one appearance
are then put on one sheet, ``phone-light.jpg`` and ``phone-dark.jpg``, which docs/pictures has.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.phone.browser_kit import BERLIN, Screen, app_process, memberships, screen
from tests.phone.others import Others
from tests.program import data_directory, running_program

IN_A_ROW: Final = 5
WIDTH: Final = 300
HEIGHT: Final = 650
GAP: Final = 12
BETWEEN: Final = "#9AA5A1"


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with (
        data_directory() as data,
        running_program({"LOCSHARE_DATA_DIR": str(data)}) as program,
        chromium() as browser,
    ):
        for scheme, locale in (("light", "en-US"), ("dark", "de-DE")):
            with (
                tempfile.TemporaryDirectory() as kept,
                app_process(Path(kept), program.http_url) as url,
            ):
                take(browser, url, Path(kept), folder, scheme, locale)
        with (
            tempfile.TemporaryDirectory() as kept,
            app_process(Path(kept), program.http_url) as url,
        ):
            denied(browser, url, folder)
    for scheme in ("light", "dark"):
        sheet(folder, scheme)
    sys.stdout.write(f"{len([*folder.glob('*.png')])} pictures in {folder}\n")


def take(browser: Browser, url: str, kept: Path, folder: Path, scheme: str, locale: str) -> None:
    """The way through all screens, in one appearance and language."""
    german = locale.startswith("de")

    def picture(app: Screen, name: str) -> None:
        app.page.wait_for_timeout(1_000)  # on a busy machine Flutter draws late
        app.picture(folder / f"{name}-{scheme}.png")

    with screen(
        browser, url, geolocation=BERLIN, permissions=["geolocation"], locale=locale,
        color_scheme=scheme,
    ) as app:  # fmt: skip
        app.shows("Seht einander" if german else "See each other")
        picture(app, "1-home")
        app.press("new")
        app.type("name", "Ada")
        app.type("session_name", "Sonntagstour" if german else "Sunday ride")
        picture(app, "2-create")
        app.press("create")
        app.shows("1 Person" if german else "1 person")
        picture(app, "3-alone")
        with Others(memberships(kept)[-1]):
            app.shows("4 Personen" if german else "4 people")
            app.shows("live")
            app.page.wait_for_timeout(2_500)  # the last notice goes
            picture(app, "4-map")
            app.press("grip")
            picture(app, "5-list")
            app.press("grip")
            row = app.page.locator('[flt-semantics-identifier^="row-"]').nth(1)
            app.press(str(row.get_attribute("flt-semantics-identifier")))
            app.marked("follow").wait_for(state="attached")
            picture(app, "6-person")
            app.close()
            app.press("invite")
            app.marked("qr").wait_for(state="attached")
            picture(app, "7-invite")
            app.close()
            # Who stands still is asked where they are, and a browser has one place to say.
            app.page.context.set_geolocation({**BERLIN, "latitude": 52.5164})
            app.press("menu")
            app.marked("leave").wait_for(state="attached")
            picture(app, "8-menu")
            app.press("end")
            picture(app, "9-asked-back")
            app.close()
        app.press("menu")
        app.press("settings")
        app.marked("blurred").wait_for(state="attached")
        picture(app, "10-settings")
        app.page.mouse.move(200, 600)
        app.page.mouse.wheel(0, 3_000)
        app.page.wait_for_timeout(500)
        for _ in range(7):
            app.press("version")
        app.shows("Dialekt" if german else "Dialect")
        picture(app, "11-server")
        app.press("back")
        app.marked("blurred").wait_for(state="attached")
        app.press("back")
        app.shows("Ada (")
        app.press("menu")
        app.press("leave")
        app.press("yes")
        app.shows("Du hast die Sitzung verlassen" if german else "You have left")
        picture(app, "12-end")
        app.press("again")
        app.shows("Teilnehmen" if german else "Join")
        picture(app, "13-join")


def sheet(folder: Path, scheme: str) -> None:
    """All pictures of one appearance, in their order."""
    paths = sorted(folder.glob(f"*-{scheme}.png"), key=lambda path: int(path.name.split("-")[0]))
    rows = -(-len(paths) // IN_A_ROW)
    page = Image.new("RGB", (IN_A_ROW * (WIDTH + GAP) - GAP, rows * (HEIGHT + GAP) - GAP), BETWEEN)
    for number, path in enumerate(paths):
        with Image.open(path) as found:
            small = found.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        row, column = divmod(number, IN_A_ROW)
        page.paste(small, (column * (WIDTH + GAP), row * (HEIGHT + GAP)))
    page.save(folder / f"phone-{scheme}.jpg", quality=80, optimize=True)


def denied(browser: Browser, url: str, folder: Path) -> None:
    """The reason, and what is said after a refusal."""
    with screen(browser, url) as app:
        app.press("new")
        app.type("name", "Ada")
        app.press("create")
        app.shows("Share where you are")
        app.page.wait_for_timeout(2_000)  # as above
        app.picture(folder / "14-reason-light.png")
        app.press("allow")
        app.shows("they do not see you")
        app.page.wait_for_timeout(2_000)
        app.picture(folder / "15-denied-light.png")


if __name__ == "__main__":
    main()
