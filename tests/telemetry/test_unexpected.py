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


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_nothing_that_serves_clients_logs_the_text_of_an_exception(path: Path) -> None:
    if path.relative_to(SOURCE).as_posix() in MAY_QUOTE:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            names = {keyword.arg for keyword in node.keywords}
            of_a_log = isinstance(node.func.value, ast.Name) and node.func.value.id == "log"
            assert not (of_a_log and node.func.attr == "exception"), f"line {node.lineno}"
            assert "exc_info" not in names, f"line {node.lineno}"
