"""The command line itself: finding a command, help, and exit statuses."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from locshare import __version__
from locshare.cli import checkconfig
from locshare.cli import main as cli
from locshare.config import all_settings
from tests.running import LAST_RESORT_S

EXISTING = [name for name in cli.COMMANDS if (Path(cli.__file__).parent / f"{name}.py").exists()]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("LOCSHARE_")]:
        monkeypatch.delenv(name)


def raising(error: BaseException) -> Callable[[object], int]:
    def run(_arguments: object) -> int:
        raise error

    return run


def test_help_names_every_command_and_the_exit_statuses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, summary in cli.COMMANDS.items():
        assert f"  {name}" in text
        assert summary in text
    assert "Exit status" in text


def test_without_a_command_the_help_goes_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "commands:" in captured.err


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"locshare {__version__}\n"


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["checkconfg"]) == 2
    assert "'checkconfg' is not a command; did you mean checkconfig?" in capsys.readouterr().err


def test_a_command_unlike_any_other_gets_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["zzz"]) == 2
    assert f"there are {', '.join(cli.COMMANDS)}." in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--nope"], ["checkconfig", "--nope"], ["checkconfig", "x"]])
def test_an_unknown_flag_is_wrong_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def test_a_flag_is_not_guessed_from_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["checkconfig", "--max-part", "5"]) == 2
    assert "unrecognized arguments: --max-part" in capsys.readouterr().err


def test_a_flag_with_a_typing_error_names_the_nearest_in_two_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["checkconfig", "--max-particpants", "5"]) == 2
    said = capsys.readouterr().err
    assert "unrecognized arguments: --max-particpants 5; did you mean --max-participants?" in said
    assert said.splitlines()[1:] == ["    `locshare checkconfig --help` says what there is."]


@pytest.mark.parametrize("name", EXISTING)
def test_a_commands_help_has_a_description_and_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    module = import_module(f"locshare.cli.{name}")
    assert module.DESCRIPTION.splitlines()[0] in text
    assert f"examples:\n{module.EXAMPLES.rstrip()}" in text
    assert f"locshare {name}" in module.EXAMPLES


@pytest.mark.parametrize("name", ["serve", "checkconfig"])
def test_every_setting_is_a_flag(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([name, "--help"])
    text = capsys.readouterr().out
    for setting in all_settings():
        assert f"  {setting.flag} " in text


def test_each_fault_of_the_settings_is_reported_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["checkconfig", "--max-sessions", "0", "--http-bind", "x"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "locshare: --max-sessions = '0' is too low." in captured.err
    assert "locshare: --http-bind = 'x' has no port." in captured.err


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), BaseExceptionGroup("nursery", [KeyboardInterrupt()])],
    ids=["bare", "in a group"],
)
def test_an_interrupt_is_status_130_without_a_word(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkconfig, "run", raising(error))
    assert cli.main(["checkconfig"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("password=hush"),
        BaseExceptionGroup("nursery", [KeyboardInterrupt(), ValueError("password=hush")]),
    ],
    ids=["bare", "in a group with an interrupt"],
)
def test_a_fault_of_the_program_is_shown_redacted_and_is_status_1(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkconfig, "run", raising(error))
    assert cli.main(["checkconfig"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("locshare: internal error")
    assert "ValueError: password=[redacted]" in text
    assert "hush" not in text


# --- as a process -----------------------------------------------------------------------------


def locshare(*arguments: str, **options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "locshare", *arguments],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT_S,
        check=False,
        env=os.environ | options,
    )


def test_the_module_is_the_program() -> None:
    done = locshare("checkconfig", "--changed", LOCSHARE_MAX_SESSIONS="7")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["max_sessions", "7", "LOCSHARE_MAX_SESSIONS"]


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "locshare", "defaultconfig"],
            stdout=gone,
            stderr=subprocess.PIPE,
            timeout=LAST_RESORT_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")


HEAVY = ("trio", "quart", "structlog", "asyncpg", "locshare.server.tree", "jwt", "rich")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from locshare.cli.main import main; main(['--help']); "
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT_S,
        check=True,
    )
    assert done.stderr == "[]\n"
