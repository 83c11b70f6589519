"""Browser tests wait for what a page becomes: they ask it nothing once, and set no limits.

A page gets to its state some time after what brought it there. `expect`, `wait_for` and
`wait_for_function` wait for it; a value that is read at once is what a quiet machine shows. What
can no longer change, or is waited for before, says so: ``# settled: why``.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
BROWSER_TESTS: Final = [
    path
    for path in sorted(HERE.rglob("*.py"))
    if re.search(r"^from (playwright|tests.browser) ", path.read_text(), re.MULTILINE)
]
READS: Final = {
    "all_inner_texts", "all_text_contents", "bounding_box", "get_attribute", "inner_html",
    "inner_text", "input_value", "is_checked", "is_disabled", "is_editable", "is_enabled",
    "is_hidden", "is_visible", "text_content", "wait_for_timeout",
}  # fmt: skip
ASSERTED: Final = {"evaluate", "evaluate_all"}
"""As something to do they are fine."""
SETTLED: Final = re.compile(r"# settled: \w")


def asked_once(node: ast.AST, *, is_asserted: bool) -> bool:
    """Whether ``node`` reads a page's state, waits for a time, or sets a limit of time."""
    if isinstance(node, ast.Attribute) and node.attr == "url":
        return is_asserted and ast.unparse(node.value).endswith("page")
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    name = node.func.attr
    return (
        name in READS
        or (name in ASSERTED and is_asserted)
        or (name == "count" and not node.args)
        or (
            name.startswith(("to_", "not_to_", "wait_for"))
            and any(
                each.arg == "timeout" and isinstance(each.value, ast.Constant)
                for each in node.keywords
            )
        )
    )


def hasty(text: str) -> Iterator[int]:
    """The lines of statements that ask once, and do not say why they may."""
    lines = text.splitlines()
    for statement in ast.walk(ast.parse(text)):
        if not isinstance(statement, ast.stmt) or hasattr(statement, "body"):
            continue
        is_asserted = isinstance(statement, ast.Assert)
        if any(asked_once(each, is_asserted=is_asserted) for each in ast.walk(statement)):
            assert statement.end_lineno is not None
            its = lines[statement.lineno - 1 : statement.end_lineno]
            if not SETTLED.search("\n".join(its)):
                yield statement.lineno


@pytest.mark.parametrize("path", BROWSER_TESTS, ids=lambda path: path.relative_to(HERE).as_posix())
def test_a_browser_test_waits_for_what_a_page_becomes(path: Path) -> None:
    where = [f"{path.relative_to(HERE.parent)}:{line}" for line in hasty(path.read_text())]
    assert where == [], "wait with `expect`, or say why it can change no more: `# settled: why`"


@pytest.mark.parametrize(
    "line",
    [
        'assert page.locator("html").get_attribute("lang") == "de"',
        'assert page.locator(".mk").count() == 2',
        'assert page.evaluate("copied") == []',
        "assert ada.page.url == link",
        "link = field.input_value()",
        "page.wait_for_timeout(200)",
        'expect(page.locator("a")).to_be_hidden(timeout=5_000)',
    ],
)
def test_a_state_that_is_read_once_is_found(line: str) -> None:
    assert [*hasty(line)] == [1]
    assert [*hasty(f"{line}  # settled: it was waited for")] == []


@pytest.mark.parametrize(
    "line",
    [
        'expect(page.locator("html")).to_have_attribute("lang", "de")',
        'page.evaluate("bench.step()")',
        'assert "ab".count("a") == 1',
        "page.set_default_timeout(DEADLINE_MS)",
    ],
)
def test_what_waits_or_acts_is_let_be(line: str) -> None:
    assert [*hasty(line)] == []
