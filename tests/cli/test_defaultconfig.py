"""``locshare defaultconfig`` and the page made by it."""

import re
import tomllib
from pathlib import Path

import pytest

from locshare.cli import main as cli
from locshare.cli.defaultconfig import markdown, toml
from locshare.config import Settings, all_settings, load

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "configuration.md"


def test_what_is_printed_is_a_settings_file_with_the_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["defaultconfig"]) == 0
    file = tmp_path / "locshare.toml"
    file.write_text(capsys.readouterr().out)
    assert load({}, file=file).settings == Settings()


def test_every_setting_is_in_it_and_all_lines_may_be_taken_in(tmp_path: Path) -> None:
    uncommented = re.sub(r"(?m)^#(\w+ = )", r"\1", toml())
    assert list(tomllib.loads(uncommented)) == [setting.name for setting in all_settings()]
    file = tmp_path / "locshare.toml"
    file.write_text(uncommented)
    assert load({}, file=file).settings == Settings()


def test_every_setting_is_explained_with_what_is_allowed() -> None:
    words = " ".join(toml().replace("#", " ").split())
    for setting in all_settings():
        assert setting.about.meaning in words
        assert f"Allowed: {setting.allowed}." in words


def test_lines_fit_a_screen() -> None:
    assert max(len(line) for line in toml().splitlines()) <= 100


def test_the_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["defaultconfig", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8"), (
        "run: python -m locshare defaultconfig --markdown > docs/reference/configuration.md"
    )


def test_the_page_has_a_row_for_every_setting() -> None:
    for setting in all_settings():
        (row,) = [
            line for line in markdown().splitlines() if line.startswith(f"| `{setting.name}`")
        ]
        assert len(re.findall(r"(?<!\\)\|", row)) == 6
