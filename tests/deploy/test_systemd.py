"""The units of deploy/systemd, read by systemd's own programs."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from locshare.cli import EXIT_USAGE
from locshare.cli.serve import _BEYOND_DRAIN_S
from locshare.config import Settings, load, parse_bind
from tests.running import LAST_RESORT_S

UNITS: Final = Path(__file__).parents[2] / "deploy" / "systemd"
MOST_EXPOSED: Final = 1.5
"""Of systemd's measure from 0 to 10, at which it says OK. What is left is the network itself."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/usr/local/bin/locshare", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def analyze(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=LAST_RESORT_S,
    )


def read(name: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.read(UNITS / name)
    return parser


def environment() -> dict[str, str]:
    text = (UNITS / "locshare.service").read_text()
    lines = re.findall(r"^Environment=(.*)$", text, re.MULTILINE)
    return dict(each.split("=", 1) for line in lines for each in line.split())


def test_systemd_finds_no_fault_in_them(units: Path) -> None:
    done = analyze("verify", units / "locshare.service", units / "locshare.socket")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_is_exposed_to_little(units: Path) -> None:
    done = analyze("security", "--offline=true", units / "locshare.service")
    (level,) = re.findall(r"Overall exposure level for locshare.service: ([\d.]+)", done.stdout)
    assert float(level) <= MOST_EXPOSED, done.stdout


def test_its_settings_are_settings_and_the_socket_is_at_their_address() -> None:
    settings: Settings = load(environment()).settings
    assert settings.bind == read("locshare.socket")["Socket"]["ListenStream"]
    host, _ = parse_bind(settings.internal_bind or "")
    assert host == "127.0.0.1"
    assert f"/var/lib/{read('locshare.service')['Service']['StateDirectory']}" == str(
        settings.data_dir
    )


def test_a_start_that_fails_is_tried_for_ever_and_a_loop_of_starts_ends() -> None:
    """systemd.unit(5): a unit started more often than that is not started any more."""
    unit, service = read("locshare.service")["Unit"], read("locshare.service")["Service"]
    interval_s, burst = int(unit["StartLimitIntervalSec"]), int(unit["StartLimitBurst"])
    assert service["Restart"] == "always"
    assert interval_s / int(service["RestartSec"]) < burst
    assert interval_s / burst > 0.5, "what the socket starts again at once comes to its end"


def test_it_waits_for_the_stop_and_not_for_wrong_settings() -> None:
    service = read("locshare.service")["Service"]
    patience = Settings().connections.drain_deadline + _BEYOND_DRAIN_S
    assert int(service["TimeoutStopSec"]) > patience
    assert service["RestartPreventExitStatus"] == str(EXIT_USAGE)
