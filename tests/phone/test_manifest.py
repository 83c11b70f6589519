"""What ``flet build`` makes of the app's pyproject.toml: permissions, keys, links.

The builder cannot run without Flutter. The part of it that reads this file, and decides what goes
into the manifest and the property list, runs here.
"""

import argparse
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import flet.version
import pytest
import yaml  # type: ignore[import-untyped]
from flet_cli.commands.build import Command
from flet_cli.utils.pyproject_toml import load_pyproject_toml
from packaging.requirements import Requirement

from phone.deep_link import SCHEME
from phone.screens.map_pane import PACKAGE
from phone.screens.settings import VERSION

APP: Final = Path(__file__).resolve().parents[2] / "clients" / "phone"
PROJECT: Final[dict[str, Any]] = tomllib.loads((APP / "pyproject.toml").read_text())
FLET: Final[dict[str, Any]] = PROJECT["tool"]["flet"]
NEEDED: Final = {
    "INTERNET", "ACCESS_FINE_LOCATION", "ACCESS_COARSE_LOCATION", "FOREGROUND_SERVICE",
    "FOREGROUND_SERVICE_LOCATION", "POST_NOTIFICATIONS", "WAKE_LOCK",
}  # fmt: skip
PLATFORMS: Final = {"android": "apk", "ios": "ipa"}


def read_by_the_builder(platform: str, folder: Path, app: Path = APP) -> Any:
    """The builder, once it knows what it gives to its templates of the Android or iOS project:
    ``template_data``.
    """
    parser = argparse.ArgumentParser()
    command: Any = Command(parser)
    target = PLATFORMS[platform]
    command.options = parser.parse_args([target, str(app)])
    command.target_platform = target
    command.package_platform = command.platforms[target]["package_platform"]
    command.config_platform = command.platforms[target]["config_platform"]
    command.python_app_path = app
    command.get_pyproject = load_pyproject_toml(app)
    command.build_dir, command.out_dir = folder, folder
    command.flutter_dir = folder / "flutter"
    # The builder downloads the list of its Python builds.
    command.python_release = SimpleNamespace(
        short="3.13", standalone="3.13", pyodide="", android_abis=["arm64-v8a", "x86_64"]
    )
    command.validate_entry_point()
    command.setup_template_data()
    return command


def test_android_asks_for_what_a_foreground_service_needs_and_not_for_the_background(
    tmp_path: Path,
) -> None:
    options = read_by_the_builder("android", tmp_path).template_data["options"]
    asked = {name for name, wanted in options["android_permissions"].items() if wanted}
    assert asked == {f"android.permission.{name}" for name in NEEDED}
    assert options["android_features"]["android.hardware.location.gps"] is False
    # The template reads this one itself.
    assert FLET["android"]["min_sdk_version"] == 26


def test_ios_may_go_on_in_the_background_and_says_why_it_asks(tmp_path: Path) -> None:
    plist = read_by_the_builder("ios", tmp_path).template_data["options"]["info_plist"]
    assert plist["UIBackgroundModes"] == ["location"]
    assert "also with the screen off" in plist["NSLocationWhenInUseUsageDescription"]
    assert not [key for key in plist if "Always" in key]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_links_open_the_app_on_each_system(platform: str, tmp_path: Path) -> None:
    """The builder reads a table of each system, and the general one for none of the two."""
    found = read_by_the_builder(platform, tmp_path).template_data
    assert found["options"]["deep_linking"] == {"scheme": SCHEME, "host": "join"}
    assert found["product_name"] == "locshare"
    assert FLET["bundle_id"] == PACKAGE


def test_the_app_depends_on_the_client_and_pins_what_it_was_tried_with() -> None:
    needs = {
        each.name: str(each.specifier)
        for each in map(Requirement, PROJECT["project"]["dependencies"])
    }
    flets = {name for name in needs if name.startswith("flet")}
    assert flets == {"flet", "flet-geolocator", "flet-map", "flet-permission-handler"}
    assert {needs[name] for name in flets} == {f"=={flet.version.flet_version}"}
    assert needs["locshare-client"] == f"=={PROJECT['project']['version']}"
    assert (APP / FLET["dev_packages"]["locshare-client"] / "pyproject.toml").exists()
    assert PROJECT["project"]["version"] == VERSION
    assert not {"locshare", "hypercorn", "asyncpg", "quart"} & {*needs}


def test_the_workflow_builds_for_both_stores_with_the_pinned_builder() -> None:
    path = APP.parents[1] / ".github" / "workflows" / "phone.yml"
    jobs = yaml.safe_load(path.read_text())["jobs"]
    steps = {
        name: "\n".join(step.get("run", "") for step in job["steps"]) for name, job in jobs.items()
    }
    assert "flet build apk" in steps["android"]
    assert "flet build aab" in steps["android"]
    assert "flet build ipa" in steps["ios"]
    for text in steps.values():
        assert f"flet-cli=={flet.version.flet_version}" in text
