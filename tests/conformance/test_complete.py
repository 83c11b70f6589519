"""Every numbered statement has a test that carries its number, and no number is made up."""

from tests.conformance.report import STATEMENTS, statements_tested


def test_all_statements_are_tested() -> None:
    assert sorted(statements_tested()) == list(STATEMENTS)
