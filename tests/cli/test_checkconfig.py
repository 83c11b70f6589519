"""``locshare checkconfig``."""

import os
from pathlib import Path

import pytest

from locshare.cli import main as cli
from locshare.config import all_settings
from locshare.server.process_info import SENDING


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("LOCSHARE_")]:
        monkeypatch.delenv(name)


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()}


def test_every_setting_is_shown_with_its_value_and_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "locshare.toml"
    file.write_text("missed_pings = 3")
    monkeypatch.setenv("LOCSHARE_WS_BIND", ":9")
    assert cli.main(["checkconfig", "--config", str(file), "--max-sessions", "7"]) == 0
    shown = rows(capsys.readouterr().out)
    assert list(shown) == [setting.name for setting in all_settings()]
    assert shown["missed_pings"] == ["3", str(file)]
    assert shown["ws_bind"] == [":9", "LOCSHARE_WS_BIND"]
    assert shown["max_sessions"] == ["7", "--max-sessions"]
    assert shown["http_bind"] == ["127.0.0.1:8080", "default"]


def test_secrets_are_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCSHARE_JWT_SECRET", "hunter2" * 5)
    monkeypatch.setenv("LOCSHARE_DATABASE_URL", "postgresql://ada:hunter2@db/x")
    assert cli.main(["checkconfig", "--changed"]) == 0
    text = capsys.readouterr().out
    assert "hunter2" not in text
    assert rows(text) == {
        "database_url": ["postgresql://ada:[hidden]@db/x", "LOCSHARE_DATABASE_URL"],
        "jwt_secret": ["[hidden]", "LOCSHARE_JWT_SECRET"],
    }


def test_only_what_is_changed_is_shown_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["checkconfig", "--changed"]) == 0
    assert capsys.readouterr().out == ""


def test_what_sends_positions_is_told_beside_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["checkconfig"]) == 0
    how = {"compiled": "the compiled module", "python": "Python code"}[SENDING]
    assert capsys.readouterr().err == f"Positions are sent by {how}.\n"


def test_the_choice_of_what_sends_is_no_unknown_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCSHARE_PURE_PYTHON", "1")
    assert cli.main(["checkconfig", "--changed"]) == 0
