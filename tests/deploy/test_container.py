"""The Dockerfile: no fault that hadolint knows, and the settings of the image."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from locshare.cli.main import COMMANDS
from locshare.config import load

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "Dockerfile").read_text()


def test_hadolint_finds_no_fault() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_it_copies_is_in_the_context() -> None:
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.*)$", TEXT, re.MULTILINE)
        for word in line.split()[:-1]
    ]
    context = (ROOT / ".dockerignore").read_text().splitlines()
    assert context == ["*", *(f"!{each}" for each in copied)]


def test_its_settings_are_settings_with_the_data_on_the_volume() -> None:
    variables = dict(re.findall(r"\b((?:LOCSHARE_)\w+|PORT)=(\S+)", TEXT))
    settings = load({name: value for name, value in variables.items() if value}).settings
    (volume,) = re.findall(r"^VOLUME (\S+)$", TEXT, re.MULTILINE)
    (port,) = re.findall(r"^EXPOSE (\d+)$", TEXT, re.MULTILINE)
    assert (str(settings.data_dir), settings.bind) == (volume, f":{port}")
    assert settings.environment == "production"


def test_it_runs_as_nobody_special_and_asks_the_server_itself_for_its_health() -> None:
    assert re.findall(r"^USER (\d+):", TEXT, re.MULTILINE) == ["10001"]
    (health,) = re.findall(r'CMD \["locshare", "(\w+)"\]', TEXT)
    assert health in COMMANDS
