"""What nobody expected is logged by type and place, since its text may quote what a client sent."""

import ast
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

import locshare
from locshare.telemetry.unexpected import log_unexpected

SOURCE = Path(locshare.__file__).parent
SECRET = "Ada eyJhbGciOi 52.516272"


def logged_for(error: BaseException, **known: object) -> dict[str, Any]:
    with structlog.testing.capture_logs() as logged:
        log_unexpected("failed", error, **known)
    (entry,) = logged
    return dict(entry)


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:  # noqa: BLE001
        return caught


def test_an_error_is_logged_by_its_type_and_where_it_was_raised() -> None:
    entry = logged_for(raised(ValueError(SECRET)), request_id="1")
    assert (entry["event"], entry["log_level"]) == ("failed", "error")
    assert (entry["error"], entry["request_id"]) == ("ValueError", "1")
    assert "in raised" in entry["stack"]
    assert SECRET not in str(entry)


def test_those_in_a_group_and_the_causes_are_named() -> None:
    cause = raised(KeyError(SECRET))
    error = raised(ValueError(SECRET))
    error.__cause__ = cause
    group = ExceptionGroup(SECRET, [ExceptionGroup("", [error]), TypeError(SECRET)])
    entry = logged_for(group)
    assert entry["error"] == "ValueError from KeyError, TypeError"
    assert "in raised" in entry["stack"]
    assert SECRET not in str(entry)


def test_a_group_of_many_and_a_cause_without_end_are_short() -> None:
    entry = logged_for(ExceptionGroup("", [ValueError(number) for number in range(1000)]))
    assert entry["error"].count("ValueError") == 5
    error = ValueError()
    error.__cause__ = error
    assert len(logged_for(error)["error"]) < 200


MAY_QUOTE = {
    "telemetry/logs.py",  # the processors themselves
    "telemetry/redaction.py",
    "cli/serve.py",  # what an operator's settings led to, before and after anybody is served
    "supervisor/report.py",  # without a report hook; the server has one (crashes.py)
}


OF_THE_OPERATOR = {
    "server/tree.py",  # their control socket
    "simulate/demo.py",  # our own people, as a client
    "store/postgres.py",  # their database
    "web/tiles.py",  # their file of map tiles
}
"""Log as text what no client has written."""


def lines_that_quote(source: str, *, text_too: bool = True) -> list[int]:
    """The lines of log calls that show an exception: its traceback, or its text."""
    tree = ast.parse(source)
    caught = {each.name for each in ast.walk(tree) if isinstance(each, ast.ExceptHandler)}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        of_a_log = isinstance(node.func.value, ast.Name) and node.func.value.id == "log"
        values = {keyword.arg: keyword.value for keyword in node.keywords}
        shown = [_shown(each) for each in values.values()] if of_a_log and text_too else []
        if (
            (of_a_log and node.func.attr == "exception")
            or "exc_info" in values
            or any(isinstance(each, ast.Name) and each.id in caught for each in shown)
        ):
            found.append(node.lineno)
    return found


def _shown(value: ast.expr) -> ast.expr:
    """What ``value`` is the text of."""
    if isinstance(value, ast.JoinedStr):
        parts = [each.value for each in value.values if isinstance(each, ast.FormattedValue)]
        return parts[0] if parts else value
    if isinstance(value, ast.Call) and ast.unparse(value.func) in ("str", "repr") and value.args:
        return value.args[0]
    return value


@pytest.mark.parametrize(
    "call",
    ['log.exception("x")', 'log.warning("x", exc_info=error)', 'log.info("x", error=str(error))',
     'log.info("x", why=repr(error))', 'log.info("x", why=error)', 'log.info("x", y=f"a {error}")'],
)  # fmt: skip
def test_a_log_call_that_quotes_an_exception_is_found(call: str) -> None:
    assert lines_that_quote(f"try: f()\nexcept E as error:\n  {call}") == [3]
    named = "type(error).__name__"
    assert lines_that_quote(f"try: f()\nexcept E as error: log.info('x', error={named})") == []


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_nothing_that_serves_clients_logs_the_text_of_an_exception(path: Path) -> None:
    name = path.relative_to(SOURCE).as_posix()
    if name not in MAY_QUOTE:
        assert lines_that_quote(path.read_text(), text_too=name not in OF_THE_OPERATOR) == []
