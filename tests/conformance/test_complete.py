"""Every numbered statement has a test that carries its number, and no number is made up; and the
report counts a statement only when all its tests ran and passed.
"""

from types import SimpleNamespace
from typing import Any

from tests.conformance.report import STATEMENTS, Results, describe, statements_tested


def test_all_statements_are_tested() -> None:
    assert sorted(statements_tested()) == list(STATEMENTS)


def ran(test: str, when: str = "call", outcome: str = "passed") -> Any:
    return SimpleNamespace(
        nodeid=f"tests/conformance/test_x.py::{test}[0]", when=when, passed=outcome == "passed"
    )


def test_a_statement_counts_when_all_its_tests_ran_and_none_failed() -> None:
    found = {
        1: ["test_s01_good"],
        2: ["test_s02_good", "test_s02_bad"],
        3: ["test_s03_never_run"],
        4: ["test_s04_skipped"],
        5: ["test_s05_breaks_its_fixture"],
        6: ["test_s06_once_in_two"],
    }
    results = Results()
    for report in (
        ran("test_s01_good"),
        ran("test_s01_good"),
        ran("test_s02_good"),
        ran("test_s02_bad", outcome="failed"),
        ran("test_s04_skipped", when="setup", outcome="skipped"),
        ran("test_s05_breaks_its_fixture"),
        ran("test_s05_breaks_its_fixture", when="teardown", outcome="failed"),
        ran("test_s06_once_in_two"),
        ran("test_s06_once_in_two", outcome="failed"),
    ):
        results.pytest_runtest_logreport(report)
    lines, holding = describe(found, results)
    assert holding == 1
    assert lines[:8] == [
        "  1  passed 2x     good",
        "  2  passed 1x     good",
        "  2  FAILED 1x     bad",
        "  3  not run       never run",
        "  4  FAILED 1x     skipped",
        "  5  FAILED 1x     breaks its fixture",
        "  6  FAILED 1x     once in two",
        "  7  no test     ",
    ]
