"""Run the conformance suite and say statement by statement what it found.

`python -m tests.conformance.report [pytest's arguments]`, or `make conformance`. A statement counts
when it has tests, all of them ran, and none failed in any repetition.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STATEMENTS = range(1, 80)
RULE = re.compile(r"test_s(\d\d)_(\w+)")


def statements_tested() -> dict[int, list[str]]:
    """The names of the tests that carry a statement's number."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                match = RULE.fullmatch(node.name)
                if match:
                    found[int(match[1])].append(node.name)
    return found


class Results:
    """A pytest plugin that notes how often each test was run, and how often it did not pass."""

    def __init__(self) -> None:
        self.runs: dict[str, int] = defaultdict(int)
        self.failures: dict[str, int] = defaultdict(int)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid.rpartition("::")[2].partition("[")[0]
        self.runs[test] += report.when == "call"
        self.failures[test] += not report.passed

    def outcome(self, test: str) -> str:
        """One word or two for the report."""
        if self.failures[test]:
            return f"FAILED {self.failures[test]}x"
        return f"passed {self.runs[test]}x" if self.runs[test] else "not run"

    def passed(self, test: str) -> bool:
        return self.runs[test] > 0 and not self.failures[test]


def describe(found: Mapping[int, list[str]], results: Results) -> tuple[list[str], int]:
    """The lines of the report, and how many statements hold."""
    lines = []
    holding = 0
    for number in STATEMENTS:
        tests = found.get(number, [])
        for test in tests:
            rule = test.removeprefix(f"test_s{number:02}_").replace("_", " ")
            lines.append(f"{number:3}  {results.outcome(test):12}  {rule}")
        if not tests:
            lines.append(f"{number:3}  {'no test':12}")
        holding += bool(tests) and all(map(results.passed, tests))
    return lines, holding


def main(arguments: Iterable[str]) -> int:
    results = Results()
    status = pytest.main([str(HERE), "-q", "--no-header", *arguments], plugins=[results])
    lines, holding = describe(statements_tested(), results)
    sys.stdout.write("\n".join(["", *lines, "", f"{holding} of {len(STATEMENTS)}", ""]))
    return 0 if status == 0 and holding == len(STATEMENTS) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
