"""Each attack of docs/security.md names tests, and there are such tests."""

import re

import pytest

from tests.documents.pages import ROOT

PAGE = ROOT / "docs" / "security.md"
ATTACKS = PAGE.read_text(encoding="utf-8").partition("\n## Attacks\n")[2]
ROWS: list[str] = re.findall(r"^\| (?!---|attack)(.+) \|$", ATTACKS, re.MULTILINE)
_TEST = re.compile(r"\[`(test_\w+)`\]\((\.\./tests/[\w/]+\.py)\)")


def test_there_are_attacks() -> None:
    assert len(ROWS) > 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.partition(" | ")[0])
def test_each_attack_has_a_defence_and_tests_that_exist(row: str) -> None:
    attack, defence, tests = row.split(" | ")
    assert attack
    assert defence
    named = _TEST.findall(tests)
    assert len(named) == tests.count("test_") - tests.count("/test_") > 0
    for name, path in named:
        source = (PAGE.parent / path).resolve().read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{name} in {path}"
