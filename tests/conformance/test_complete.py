"""Every numbered statement has a test that carries its number, and no number is made up."""

from tests.conformance.report import STATEMENTS, tests_by_statement


def test_all_statements_are_tested() -> None:
    assert sorted(tests_by_statement()) == list(STATEMENTS)
