"""Which statement is tested by what: `python -m tests.conformance.report`."""

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
STATEMENTS = range(1, 80)


def statements_tested() -> dict[int, list[str]]:
    """The names of the tests that carry a statement's number."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                match = re.match(r"test_s(\d\d)_(.+)", node.name)
                if match:
                    found[int(match[1])].append(match[2].replace("_", " "))
    return found


def main() -> int:
    found = statements_tested()
    for number in STATEMENTS:
        for rule in found.get(number) or ["-- no test --"]:
            sys.stdout.write(f"{number:3}  {rule}\n")
    covered = sum(number in found for number in STATEMENTS)
    sys.stdout.write(f"\n{covered} of {len(STATEMENTS)}\n")
    return 0 if covered == len(STATEMENTS) else 1


if __name__ == "__main__":
    sys.exit(main())
