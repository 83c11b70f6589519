"""A tool that is asked for help gives it, and does not begin its work."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAMS: Final = sorted(
    str(path.relative_to(ROOT))
    for folder in ("tools", "bench/solo")
    for path in (ROOT / folder).rglob("*.py")
    if 'if __name__ == "__main__":' in path.read_text()
)


def test_the_programs_are_found() -> None:
    assert {"tools/lock.py", "bench/solo/load.py"} <= {*PROGRAMS}


@pytest.mark.parametrize("name", PROGRAMS)
def test_arguments_are_parsed_before_anything_is_done(name: str) -> None:
    """By argparse, which knows --help and refuses what it does not know."""
    assert "parse_" in (ROOT / name).read_text()


def test_make_lists_every_target_that_has_a_description() -> None:
    described = re.findall(r"^(\S+):.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split()[1] for line in said.stdout.splitlines()] == described
