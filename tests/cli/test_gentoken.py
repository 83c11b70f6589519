"""``locshare gentoken``."""

import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from locshare.auth.secret_file import load_or_create_secret
from locshare.auth.tokens import TokenKeys
from locshare.cli import main as cli
from locshare.config import MIN_SECRET_BYTES

SECRET = "k" * MIN_SECRET_BYTES
SESSION = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("LOCSHARE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOCSHARE_JWT_SECRET", SECRET)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["gentoken", *arguments]) == 0
    return capsys.readouterr().out.strip()


def claims_of(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(token + "\n"))
    claims: dict[str, str] = json.loads(printed(capsys, "--show-claims"))
    return claims


def test_a_token_says_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    token = printed(
        capsys, "--session", SESSION, "--user", "ada", "--role", "host", "--expires", "2h"
    )
    claims = TokenKeys(SECRET).verify(token)
    assert (claims.session_id, claims.user_id, claims.role) == (UUID(SESSION), "ada", "host")
    left = claims.expires_at - datetime.now(UTC)
    assert timedelta(hours=1, minutes=55) < left <= timedelta(hours=2, seconds=1)


def test_a_token_may_end_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    token = printed(capsys, "--session", SESSION, "--expires", end.isoformat())
    assert TokenKeys(SECRET).verify(token).expires_at == end


def test_a_token_is_signed_with_the_secret_that_a_server_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LOCSHARE_JWT_SECRET")
    monkeypatch.setenv("LOCSHARE_DATA_DIR", str(tmp_path))
    made = load_or_create_secret(tmp_path / "jwt_secret")
    assert TokenKeys(made).verify(printed(capsys, "--session", SESSION)).role == "participant"


def test_no_secret_is_made_for_a_token_that_would_open_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LOCSHARE_JWT_SECRET")
    monkeypatch.setenv("LOCSHARE_DATA_DIR", str(tmp_path))
    assert cli.main(["gentoken", "--session", SESSION]) == 1
    assert "there is no secret" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_claims_of_a_token_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = printed(capsys, "--session", SESSION, "--user", "ada")
    shown = claims_of(token, monkeypatch, capsys)
    assert (shown["session"], shown["user"], shown["role"]) == (SESSION, "ada", "participant")


def test_a_token_of_the_previous_key_is_still_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = printed(capsys, "--session", SESSION)
    monkeypatch.setenv("LOCSHARE_JWT_SECRET", "n" * MIN_SECRET_BYTES)
    monkeypatch.setenv("LOCSHARE_JWT_PREVIOUS_SECRET", SECRET)
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    monkeypatch.setenv("LOCSHARE_JWT_PREVIOUS_UNTIL", until)
    assert claims_of(token, monkeypatch, capsys)["session"] == SESSION


@pytest.mark.parametrize(
    ("token", "why"),
    [("no token", "not a token that this server accepts"), ("", "not a token"), (None, "expired")],
)
def test_a_token_that_is_not_accepted_is_not_shown(
    token: str | None,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if token is None:
        past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        token = printed(capsys, "--session", SESSION, "--expires", past)
    monkeypatch.setattr("sys.stdin", io.StringIO(token))
    assert cli.main(["gentoken", "--show-claims"]) == 1
    captured = capsys.readouterr()
    assert why in captured.err
    assert captured.out == ""


def test_a_new_secret_is_long_enough_fresh_and_needs_no_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCSHARE_MAX_SESSIONS", "wrong")
    first, second = printed(capsys, "--secret-new"), printed(capsys, "--secret-new")
    assert first != second
    assert len(first.encode()) >= MIN_SECRET_BYTES


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "one of the arguments"),
        (["--session", "5"], "'5' is not a UUID"),
        (["--session", SESSION, "--secret-new"], "not allowed with"),
        (["--session", SESSION, "--expires", "25h"], "not within 24h"),
        (["--session", SESSION, "--expires", "0s"], "not within 24h"),
        (["--session", SESSION, "--expires", "soon"], "neither like 90s"),
        (["--session", SESSION, "--expires", "2026-05-01T12:00:00"], "has no time zone"),
        (["--session", SESSION, "--role", "king"], "invalid choice"),
    ],
)
def test_wrong_usage_is_reported(
    arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["gentoken", *arguments]) == 2
    assert fault in capsys.readouterr().err
