"""Which Pythons `make test-all` takes, and how it runs those of another Debian."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tools import test_all
from tools.test_all import DEBIANS, MINORS, ROOT, Interpreter, candidates, newest


def test_the_pythons_to_test_with_are_those_that_we_promise() -> None:
    promised = (ROOT / "pyproject.toml").read_text()
    for minor in MINORS:
        assert f"Python :: 3.{minor}" in promised
    assert f"Python :: 3.{MINORS[-1] + 1}" not in promised


def test_of_each_python_the_newest_that_runs_is_taken(tmp_path: Path) -> None:
    def install(version: str, script: str) -> None:
        program = tmp_path / ".pyenv" / "versions" / version / "bin" / "python3.11"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    install("3.11.2", "echo 3.11.2")
    install("3.11.10", "echo 3.11.10")
    install("3.11.11", "exit 1")
    install("3.11.12", "echo 3.12.0")
    found = candidates(11, str(tmp_path / "nowhere"), tmp_path)
    assert {each.parents[1].name for each in found} >= {"3.11.2", "3.11.10", "3.11.11"}
    ours = [each for each in found if each.is_relative_to(tmp_path)]
    taken = newest(ours, 11)
    assert taken is not None
    assert taken.version == "3.11.10"
    assert taken.program.parents[1].name == "3.11.10"
    here = sys.version_info[1]
    assert newest([Path(sys.executable)], here) is not None
    assert newest([], 11) is None


def test_pythons_can_be_named_and_others_are_refused_in_a_sentence() -> None:
    assert test_all.wanted("") == [*MINORS]
    assert test_all.wanted("3.14,3.12") == [14, 12]
    with pytest.raises(SystemExit, match=r"may name 3\.11, .*3\.14, and not 3\.10, all"):
        test_all.wanted("3.12,3.10,all")


def stand_in(place: Path, script: str) -> Path:
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    return place


@pytest.mark.parametrize(
    ("script", "version"),
    [("echo 3.14.8", "3.14.8"), ("echo 3.13.2", None), ("echo 3.14.8; exit 1", None)],
    ids=["has it", "has another", "cannot be installed"],
)
def test_a_python_that_is_not_here_is_the_one_of_the_debian_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, version: str | None
) -> None:
    enter = stand_in(tmp_path / "enter", f'test "$1" = {DEBIANS[14]} || exit 9; {script}')
    monkeypatch.setattr(test_all, "ENTER", enter)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/sbin/debootstrap")
    found = test_all.in_debian(14)
    assert (found and found.version) == version
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert test_all.in_debian(14) is None


def test_all_that_is_run_for_a_python_of_another_debian_is_run_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And an environment that could not be made is not taken for one the next time."""
    log = tmp_path / "log"
    enter = stand_in(
        tmp_path / "enter",
        f'echo "$@" >>{log}; case "$*" in *venv*) mkdir -p "$5/bin" && : >"$5/bin/python" ;; '
        f"*fail*) exit 1 ;; esac",
    )
    monkeypatch.setattr(test_all, "ENVIRONMENTS", tmp_path)
    there = Interpreter("3.14.8", Path("/usr/bin/python3"), (str(enter), "forky"))
    assert test_all.run(there, ["tests/actors"])
    python = tmp_path / "3.14.8" / "bin" / "python"
    made, installed, compiled, packages, tests = log.read_text().splitlines()
    assert made == f"forky /usr/bin/python3 -m venv {python.parents[1]}"
    assert installed.startswith(f"forky {python} -m pip ")
    assert compiled == f"forky {python} {ROOT}/src/locshare/broadcast/native/build.py"
    assert packages == f"forky sh {ROOT}/tools/ensure_packages.sh"
    assert tests == f"forky {python} -m pytest -p no:cacheprovider tests/actors"

    assert not test_all.run(there, ["fail"]), "the tests failed"
    assert python.exists()
    stand_in(enter, "exit 1")
    assert not test_all.run(there, [])
    assert not python.exists()


@pytest.mark.parametrize(("passes", "status"), [(True, 0), (False, 1), (None, 1)])
def test_where_no_python_passed_that_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, passes: bool | None, status: int
) -> None:
    """None: no version was to be had."""
    found = None if passes is None else Interpreter("3.14.8", Path("/usr/bin/python3"))
    monkeypatch.setenv("PYTHONS", "3.14")
    monkeypatch.setattr(test_all, "here", lambda _: found)
    monkeypatch.setattr(test_all, "in_debian", lambda _: None)
    monkeypatch.setattr(test_all, "run", lambda *_: passes)
    assert test_all.main([]) == status
    assert test_all.main(["--list"]) == 0
