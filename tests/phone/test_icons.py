"""The app's icon and splash: drawn from the web client's mark, and what ``flet build`` makes of
them.

The builder's own code runs here, for both systems; it needs no Flutter for pictures.
"""

import io
from pathlib import Path
from typing import Any, Final

import pytest
from flet_cli.commands import build_base
from PIL import Image, ImageChops

from tests.browser import chromium_or_skip
from tests.phone.test_manifest import APP, FLET, read_by_the_builder
from tools.phone_icons import ASSETS, ICON_PIXELS, MARK, MARK_COPY, draw, drawings

GREEN: Final = (11, 110, 95)
RES: Final = "android/app/src/main/res"
IOS: Final = "ios/Runner/Assets.xcassets"


def built(platform: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """The folder of the Flutter project with the pictures in it, and what the builder warned of."""
    said: list[str] = []
    console = vars(build_base)["console"]
    monkeypatch.setattr(console, "log", lambda text, **_: said.append(str(text)))
    command: Any = read_by_the_builder(platform, folder)
    command.package_app_path = APP / "src"
    command.template_digest = ""
    command.emojis = {"checkmark": ""}
    command.update_status = lambda _: None
    for target in vars(build_base)["DEFAULT_SPECS"][
        "ios"
    ].targets:  # those that a project declares are replaced
        declared = command.flutter_dir / target.relative_path
        declared.parent.mkdir(parents=True, exist_ok=True)
        declared.touch()
    command.customize_icons()
    command.customize_splash_images()
    return command.flutter_dir, [each for each in said if "Warning" in each]


def opened(path: Path) -> Image.Image:
    """A picture, read as a whole."""
    with Image.open(path) as found:
        found.load()
        return found


def test_the_mark_of_the_app_is_the_one_of_the_page() -> None:
    assert (ASSETS / MARK_COPY).read_bytes() == MARK.read_bytes()
    assert FLET["icon_background"].lower() in MARK.read_text().lower()


def test_nothing_is_drawn_but_the_mark() -> None:
    """A line of the style sheet was, in grey, at the top left of both."""
    icon, splash = opened(ASSETS / "icon.png"), opened(ASSETS / "splash.png")
    beside_the_pin = icon.crop((0, 0, ICON_PIXELS // 4, ICON_PIXELS // 20))
    assert beside_the_pin.getchannel("A").getextrema() == (0, 0)
    at_the_top = splash.crop((splash.width // 4, 4, splash.width // 4 * 3, 40))
    assert at_the_top.getcolors() == [(at_the_top.width * at_the_top.height, (*GREEN, 255))]


@pytest.mark.browser
@pytest.mark.e2e
def test_the_committed_pictures_are_those_that_the_mark_draws() -> None:
    with chromium_or_skip() as browser:
        for name, (svg, pixels) in drawings().items():
            drawn = Image.open(io.BytesIO(draw(browser, svg, pixels)))
            kept = opened(ASSETS / name)
            assert kept.size == drawn.size == (pixels, pixels)
            assert kept.mode == drawn.mode == "RGBA"
            # Another Chromium may shade an edge a little differently.
            off = ImageChops.difference(kept, drawn).convert("L").point(lambda at: 255 * (at > 40))
            assert sum(off.histogram()[255:]) < pixels, name


def test_android_has_the_pin_within_what_every_launcher_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, warned = built("android", tmp_path, monkeypatch)
    assert warned == []
    front = opened(made / RES / "drawable-xxxhdpi" / "ic_launcher_foreground.png")
    assert front.size == (432, 432)
    box = front.getbbox()
    assert box is not None
    assert min(box[0], box[1], 432 - box[2], 432 - box[3]) > 432 / 6
    assert front.getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert opened(made / RES / "drawable-xxxhdpi" / "splash.png").size == (512, 512)
    assert (made / RES / "drawable-mdpi" / "android12splash.png").is_file()


def test_ios_has_an_opaque_icon_in_the_colour_of_the_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, warned = built("ios", tmp_path, monkeypatch)
    assert warned == []
    icon = opened(made / IOS / "AppIcon.appiconset" / "Icon-App-1024x1024@1x.png")
    assert icon.size == (ICON_PIXELS, ICON_PIXELS)
    assert icon.mode == "RGB"
    assert icon.getpixel((0, 0)) == GREEN
    assert icon.getpixel((512, 400)) not in (GREEN, (255, 255, 255))  # the dot in the pin
    launch = [*(made / IOS / "LaunchImage.imageset").glob("*.png")]
    assert len(launch) >= 3


def test_android_puts_the_same_colour_behind_the_pin(tmp_path: Path) -> None:
    data = read_by_the_builder("android", tmp_path).template_data
    assert data["adaptive_icon_background"] == FLET["icon_background"]
    assert data["splash"]["color"] == "#F3F1EB"
    assert data["splash"]["dark_color"] == "#0E1417"
