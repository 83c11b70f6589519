"""What clients/phone/UPSTREAM.md reports, one test each: the Dart sources come with the wheels. One
that fails means that a new version has mended it: look whether the app still needs its own way.
"""

import re
from pathlib import Path
from typing import Any

import flet as ft
import flet_geolocator as ftg
import flet_map as ftm
import msgpack
from flet.controls.base_control import BaseControl
from flet.messaging.protocol import configure_encode_object_for_msgpack

from phone.position import AndroidTracking
from tests.phone.test_manifest import APP, read_by_the_builder


def dart(package: str, file: str) -> str:
    """A source of one of Flet's extensions."""
    folder = Path(ftm.__file__).resolve().parents[1] / "flutter" / package / "lib" / "src"
    return (folder / file).read_text(encoding="utf-8")


def packed(value: Any) -> Any:
    configure: Any = configure_encode_object_for_msgpack
    return msgpack.unpackb(msgpack.packb(value, default=configure(BaseControl)))


def test_the_notification_is_sent_nested_and_read_flat() -> None:
    sent = packed(
        ftg.GeolocatorAndroidConfiguration(
            foreground_notification_config=ftg.ForegroundNotificationConfiguration("Title", "Text")
        )
    )
    source = dart("flet_geolocator", "utils/geolocator.dart")
    code = "\n".join(line for line in source.splitlines() if not line.strip().startswith("//"))
    read = set(re.findall(r'value\["(foreground_notification_\w+)"\]', code))
    assert sent["foreground_notification_config"]["notification_title"] == "Title"
    assert not read & {*sent}
    assert read == {each for each in AndroidTracking.__annotations__ if "notification" in each}


def test_each_update_of_the_control_begins_the_stream_anew() -> None:
    source = dart("flet_geolocator", "geolocator.dart")
    [update] = re.findall(r"void update\(.*?\n  }\n", source, re.DOTALL)
    [events] = re.findall(r"void _?registerEvents\(.*?\n  }\n", source, re.DOTALL | re.IGNORECASE)
    assert "registerEvents" in update
    assert "if" not in update.replace("super", "")
    assert "cancel" in events
    assert "getPositionStream" in events


def test_a_subclass_that_overrides_a_default_sends_its_own() -> None:
    @ft.value
    class Base:
        x: int = 0

    @ft.value
    class Derived(Base):
        x: int = -1

    assert packed(Derived(x=0)).get("x") != 0


def test_a_live_map_cannot_be_fitted_to_bounds() -> None:
    called = re.findall(r'case "(\w+)"', dart("flet_map", "map.dart"))
    assert "move_to" in called
    assert not [each for each in called if "fit" in each]


def test_the_general_table_of_deep_links_is_for_no_phone(tmp_path: Path) -> None:
    text = (APP / "pyproject.toml").read_text(encoding="utf-8")
    text = text.replace("[tool.flet.android.deep_linking]", "[tool.flet.deep_linking]")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").touch()
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    found = read_by_the_builder("android", tmp_path / "build", tmp_path)
    assert not (found.template_data["options"]["deep_linking"] or {}).get("scheme")


def test_no_setting_claims_an_https_link(tmp_path: Path) -> None:
    for platform in ("android", "ios"):
        options = read_by_the_builder(platform, tmp_path / platform).template_data["options"]
        assert set(options["deep_linking"]) == {"scheme", "host"}
        assert not [each for each in options if "domain" in each or "intent" in each]
        assert [each for each in options if "entitlement" in each] == ["macos_entitlements"]
