"""Each promise of docs/reference/web.md names tests, and there are such tests."""

import re

import pytest

from tests.documents.pages import ROOT

PAGE = ROOT / "docs" / "reference" / "web.md"
NAMED: list[tuple[str, str]] = [
    *re.findall(r"\[`(test_[^`.]+)`\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8")),
    *re.findall(r"`([^`]+)` in \[`[^`]+`\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8")),
]
TABLES = re.findall(
    r"^## What (?:people can do|was wrong).*?(?=^## |\Z)",
    PAGE.read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
ROWS = [row for table in TABLES for row in re.findall(r"^\| (?!\|)(.+) \|$", table, re.MULTILINE)]


@pytest.mark.parametrize(("name", "path"), sorted({*NAMED}), ids=lambda value: value[:60])
def test_what_the_page_says_that_a_test_holds_is_held_by_one(name: str, path: str) -> None:
    source = (PAGE.parent / path).resolve().read_text(encoding="utf-8")
    there = f"def {name}(" in source if name.startswith("test_") else f'"{name}' in source
    assert there, f"{name} in {path}"


def test_every_promise_and_every_former_fault_has_a_test() -> None:
    assert len(TABLES) == 2
    assert len(ROWS) > 25
    assert [row for row in ROWS if "](../../tests/" not in row and "](../../web/" not in row] == []
