"""A release: its notes are the changelog's, and its checksums are sha256sum's."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tools.release import CannotRelease, checksums, notes_of

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
