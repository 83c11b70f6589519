"""A release: its notes are the changelog's, and its checksums are sha256sum's."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tools.release import CannotRelease, checksums, notes_of
from tools.test_all import MINORS, ROOT, candidates, newest

CHANGELOG = """\
# Changelog

## [Unreleased]

## [0.2.0] - 2026-12-01

### Added

- A map.

## [0.1.0] - 2026-11-01

- All.

## [0.0.1]

- Nothing.

## [0.0.0] - 2026-10-01
"""


def test_the_notes_are_the_section_of_the_version() -> None:
    assert notes_of(CHANGELOG, "0.2.0") == "# locshare 0.2.0\n\n### Added\n\n- A map.\n"
    assert notes_of(CHANGELOG, "0.1.0") == "# locshare 0.1.0\n\n- All.\n"


@pytest.mark.parametrize(
    ("version", "missing"), [("0.3.0", "no section"), ("0.0.1", "no date"), ("0.0.0", "is empty")]
)
def test_a_version_without_notes_is_not_released(version: str, missing: str) -> None:
    with pytest.raises(CannotRelease, match=missing):
        notes_of(CHANGELOG, version)


def test_the_checksums_are_as_sha256sum_reads_them(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"2")
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "SHA256SUMS").write_text("old")
    first, second = checksums(tmp_path).splitlines()
    assert first == f"{hashlib.sha256(b'1').hexdigest()}  a"
    assert second.endswith("  b")
    (tmp_path / "SHA256SUMS").write_text(checksums(tmp_path))
    subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, check=True)


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
    assert newest(ours, 11) == (ours[0].parents[2] / "3.11.10" / "bin" / "python3.11", "3.11.10")
    here = sys.version_info[1]
    assert newest([Path(sys.executable)], here) is not None
    assert newest([], 11) is None
