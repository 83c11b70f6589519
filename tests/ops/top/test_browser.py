"""What is selected, and what each key asks for."""

import pytest
from msgspec import Struct

from locshare.ops.inspection.views import Kill, Restart, Resume, Suspend, Terminate, TraceLine
from locshare.ops.top.browser import SORTS, Browser, Do, Quit, SortBy, StartTrace, StopTrace
from tests.ops.top.kit import picture, session


def browsing(*keys: str) -> Browser:
    browser = Browser()
    browser.show(picture(1.0, session("aa", 10), session("bb", 20)))
    for key in keys:
        browser.key(key)
    return browser


def asked(browser: Browser) -> str | None:
    return None if browser.question is None else browser.question.text


def paths(browser: Browser) -> list[str]:
    return [row.view.path for row in browser.rows]


def test_rows_are_the_tree_from_top_to_bottom() -> None:
    browser = browsing()
    assert paths(browser) == [
        ".", "sessions", "sessions/aa", "sessions/aa/session", "sessions/bb",
        "sessions/bb/session", "listener",
    ]  # fmt: skip
    assert [row.depth for row in browser.rows] == [0, 1, 2, 3, 2, 3, 1]


@pytest.mark.parametrize(
    ("keys", "selected"),
    [
        ([], "."),
        (["down"], "sessions"),
        (["j", "j", "k"], "sessions"),
        (["up"], "."),
        (["end"], "listener"),
        (["end", "down"], "listener"),
        (["end", "home"], "."),
        (["pagedown"], "listener"),
        (["pagedown", "pageup"], "."),
    ],
)
def test_moving_the_selection(keys: list[str], selected: str) -> None:
    assert browsing(*keys).selected == selected


def test_rates_are_of_the_same_incarnation_between_two_pictures() -> None:
    browser = Browser()
    browser.show(picture(10.0, session("aa", 10, handled=100), session("bb", 20, handled=5)))
    assert {row.rate for row in browser.rows} == {None}
    browser.show(picture(12.0, session("aa", 10, handled=150), session("bb", 21, handled=1)))
    rates = {row.view.path: row.rate for row in browser.rows}
    assert rates["sessions/aa/session"] == 25.0
    assert rates["sessions/bb/session"] is None, "a new incarnation begins at 0"
    assert rates["listener"] is None


def test_the_selected_one_stays_selected_wherever_it_goes() -> None:
    browser = browsing("down", "down", "down")
    assert browser.selected == "sessions/aa/session"
    browser.show(picture(2.0, session("bb", 20), session("aa", 10)))
    assert browser.selected == "sessions/aa/session"
    # Not among those shown any more: its row stays, so that no key meets another one.
    browser.show(picture(3.0, session("bb", 20), hidden=1))
    assert browser.selected == "sessions/aa/session"
    (ghost,) = [row for row in browser.rows if row.absent]
    assert ghost.view.path == browser.selected
    browser.show(picture(4.0, session("bb", 20), hidden=1))
    assert [row.absent for row in browser.rows].count(True) == 1
    browser.show(picture(5.0, session("bb", 20), session("aa", 10)))
    assert not any(row.absent for row in browser.rows)
    browser.show(picture(6.0, session("bb", 20)))
    browser.key("up")
    browser.show(picture(7.0, session("bb", 20)))
    assert not any(row.absent for row in browser.rows), "left, it is gone"


@pytest.mark.parametrize(("key", "request_"), [("s", Suspend), ("r", Resume), ("a", Restart)])
def test_what_can_be_undone_is_done_at_once(key: str, request_: type[Struct]) -> None:
    action = browsing("end").key(key)
    assert isinstance(action, Do)
    assert action.request == request_("listener")
    assert "listener" in action.about


@pytest.mark.parametrize(("key", "request_"), [("x", Terminate), ("K", Kill)])
def test_what_cannot_be_undone_is_asked_first(key: str, request_: type[Struct]) -> None:
    browser = browsing("end")
    assert browser.key(key) is None
    assert "listener" in str(asked(browser))
    # Meanwhile the tree goes on; the question is about the one that it was asked about.
    browser.show(picture(2.0))
    action = browser.key("y")
    assert isinstance(action, Do)
    assert action.request == request_("listener")
    browser.key(key)
    assert browser.key("n") is None
    assert asked(browser) is None
    assert browser.message == "not done"


def test_tracing_is_switched_on_and_off() -> None:
    browser = browsing("end")
    assert browser.key("t") == StartTrace("listener")
    browser.traced(TraceLine(0.1, "cast", "Update", 0.00001))
    assert len(browser.trace) == 1
    browser.key("home")
    assert browser.key("t") == StopTrace()
    assert browser.tracing is None
    assert browser.key("t") == StartTrace(".")
    assert not browser.trace, "a new trace begins empty"
    browser.trace_ended("the root is a supervisor")
    assert browser.tracing is None
    assert browser.failed


def test_the_order_goes_round() -> None:
    browser = browsing()
    found = []
    for _ in SORTS:
        action = browser.key("o")
        assert isinstance(action, SortBy)
        found.append(action.key)
    assert found == [*SORTS[1:], SORTS[0]]


def test_paused_nothing_changes() -> None:
    browser = browsing(" ")
    before = browser.rows
    browser.show(picture(2.0))
    assert browser.rows is before
    browser.key("p")
    browser.show(picture(3.0))
    assert paths(browser) == [".", "sessions", "listener"]


def test_help_any_key_leaves_it_and_does_nothing_else() -> None:
    browser = browsing("?")
    helped = [browser.help]
    assert browser.key("q") is None
    helped.append(browser.help)
    assert helped == [True, False]
    assert browser.key("q") == Quit()
    assert browser.key("ctrl-c") == Quit()


def test_a_lost_server_is_said_until_there_is_a_picture() -> None:
    browser = browsing()
    browser.lost("the server has gone")
    assert browser.problem == "the server has gone"
    assert len(browser.rows) == 7, "the last picture stays"
    browser.show(picture(2.0))
    assert browser.problem == ""


def test_before_the_first_picture_keys_do_no_harm() -> None:
    browser = Browser()
    for key in ("up", "down", "end", "z", "é"):
        assert browser.key(key) is None
