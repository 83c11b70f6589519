"""Each runbook is in the list, shows its alert's own expression, and its commands work."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.documents.pages import ROOT
from tests.monitoring.rules import alerts
from tests.program import Program, data_directory, running_program
from tests.running import LAST_RESORT_S
from tools.log_page import lines

RUNBOOKS: Final = ROOT / "docs" / "runbooks"
BESIDE: Final = {"index", "drill"}
PAGES: Final = sorted(page for page in RUNBOOKS.glob("*.md") if page.stem not in BESIDE)
FOREIGN: Final = {
    "cat", "date", "df", "du", "free", "journalctl", "ps", "psql", "ss", "systemctl",
}  # fmt: skip
"""Of the system, or of PostgreSQL: what they print is not for a test to say."""
NOT_ZERO: Final = " | grep -v ' 0.0$'"
"""Of counters with many labels, those that count something, which a new server has none of."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """All, each once."""
    found = {line: None for page in PAGES for block in blocks(page, "sh") for line in
             block.splitlines()}  # fmt: skip
    return list(found)


def program_of(command: str) -> str:
    return shlex.split(command)[0]


def test_each_alert_has_a_page_in_the_list_and_no_page_is_left_over() -> None:
    names = {rule["alert"] for rule in alerts()}
    assert {page.stem for page in PAGES} == names
    rows = re.findall(
        r"^\| \[(\w+)\]\(\1\.md\) \|", (RUNBOOKS / "index.md").read_text(), re.MULTILINE
    )
    assert set(rows) == names


@pytest.mark.parametrize("rule", [*alerts()], ids=lambda rule: rule["alert"])
def test_a_page_shows_the_expression_that_counts(rule: dict[str, str]) -> None:
    page = RUNBOOKS / f"{rule['alert']}.md"
    (shown,) = blocks(page, "promql")
    assert shown.strip() == rule["expr"].strip()
    for heading in ("What people notice", "Why", "Look", "Act"):
        assert f"\n## {heading}\n" in page.read_text()


def test_what_is_not_ours_is_of_the_system() -> None:
    assert {program_of(each) for each in commands()} - FOREIGN == {"curl", "locshare"}


def test_lines_that_are_looked_for_in_the_log_are_written_at_the_usual_level() -> None:
    written = {line.event for line in lines() if {*line.levels} != {"debug"}}
    searches = [re.search(r"journalctl -u .*\| grep (?:-E )?(.+)", each) for each in commands()]
    patterns = {each[1].strip("'") for each in searches if each}
    assert "database_away" in patterns
    for pattern in patterns:
        for event in re.sub(r"(\w*)\((.+)\)", _spelled_out, pattern).split("|"):
            assert event in written, f"{pattern}: {event} is not written at level info"


def _spelled_out(found: re.Match[str]) -> str:
    """``a_(b|c)`` as ``a_b|a_c``."""
    return "|".join(found[1] + each for each in found[2].split("|"))


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with (
        data_directory() as folder,
        running_program({"LOCSHARE_DATA_DIR": str(folder)}) as program,
    ):
        created = httpx.post(f"{program.http_url}/api/sessions", json={}).json()
        url = f"{program.http_url}/api/sessions/{created['session_id']}/join"
        assert httpx.post(url, json={"display_name": "Ada"}).status_code == 201
        yield program


@pytest.mark.e2e
def test_our_commands_find_what_they_look_for(program: Program) -> None:
    """A `grep` that finds nothing fails, so the metrics are those that there are."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    address = program.http_url.removeprefix("http://")
    for command in commands():
        if program_of(command) in FOREIGN or "--trace" in command:
            continue  # a trace is tried with the guide's
        done = subprocess.run(
            ["/bin/sh", "-c", command.replace("localhost:8082", address).replace(NOT_ZERO, "")],
            env=program.environment | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=LAST_RESORT_S,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
