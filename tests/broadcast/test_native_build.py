"""How the compiled module is built and chosen."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from locshare.broadcast import native
from locshare.broadcast.native import build
from tests.running import LAST_RESORT_S

COMPILER = sysconfig.get_config_var


def linker(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(
        sysconfig,
        "get_config_var",
        lambda name: command if name == "LDSHARED" else COMPILER(name),
    )


def test_without_a_compiler_there_is_a_sentence_and_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    linker(monkeypatch, "no-such-compiler -shared")
    assert build.build(tmp_path) == "There is no C compiler (no-such-compiler)."
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_fails_is_quoted_and_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'x.c:1: fatal error: no Python.h' >&2\nexit 1\n")
    compiler.chmod(0o755)
    linker(monkeypatch, str(compiler))
    problem = build.build(tmp_path / "nowhere")
    assert problem == f"{compiler} failed: x.c:1: fatal error: no Python.h."
    compiler.write_text("#!/bin/sh\nexit 3\n")
    assert build.build(tmp_path) == f"{compiler} failed: 3."
    linker(monkeypatch, "true")  # succeeds and makes nothing
    assert "true failed" in (build.build(tmp_path) or "")
    assert list(tmp_path.iterdir()) == [compiler]


def test_the_source_has_no_warning_for_the_compiler_of_this_python(tmp_path: Path) -> None:
    """A deprecated part of the C API would be one."""
    assert build.build(tmp_path, ("-O2", "-Wall", "-Wextra", "-Werror")) is None


def test_another_python_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platform.python_implementation", lambda: "PyPy")
    assert build.build(tmp_path) == "PyPy does not load modules made for CPython."


def test_what_is_newer_than_its_source_is_not_built_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    linker(monkeypatch, "no-such-compiler")
    built = build.built_file(tmp_path)
    built.touch()
    assert build.build(tmp_path) is None
    os.utime(built, (0, 0))
    assert build.build(tmp_path) is not None


def test_make_goes_on_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "build", lambda: "There is no C compiler (cc).")
    assert build.main() == 0
    assert capsys.readouterr().err == (
        "Positions are sent by Python code: There is no C compiler (cc).\n"
    )


@pytest.mark.parametrize("value", ["", "0", "1"])
def test_the_environment_chooses_the_twin(value: str) -> None:
    found = "python" if value == "1" else "compiled"
    if found == "compiled" and not build.built_file().exists():
        found = "python"
    program = "from locshare.broadcast import native; print(native.IMPLEMENTATION)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"LOCSHARE_PURE_PYTHON": value},
        capture_output=True, text=True, check=True, timeout=LAST_RESORT_S,
    )  # fmt: skip
    assert done.stdout.strip() == found


@pytest.mark.skipif(native.IMPLEMENTATION == "python", reason="the whole suite runs on the twin")
def test_the_rooms_that_send_pass_their_tests_on_the_twin() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider"),
            "tests/session/test_crashes.py", "tests/session/test_fan.py",
            "tests/broadcast/test_outbox.py",
        ],
        cwd=Path(__file__).parents[2], env=os.environ | {"LOCSHARE_PURE_PYTHON": "1"},
        capture_output=True, text=True, check=False, timeout=10 * LAST_RESORT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
