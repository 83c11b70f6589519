"""What is selected, and what each key asks for."""

import pytest
from msgspec import Struct

from locshare.ops.inspection.views import Kill, Restart, Resume, Suspend, Terminate, TraceLine
from locshare.ops.top.model import SORTS, Quit, ScreenModel, Send, SortBy, StartTrace, StopTrace
from tests.ops.top.kit import session, snapshot


def browsing(*keys: str) -> ScreenModel:
    model = ScreenModel()
    model.show(snapshot(1.0, session("aa", 10), session("bb", 20)))
    for key in keys:
        model.key(key)
    return model


def asked(model: ScreenModel) -> str | None:
    return None if model.question is None else model.question.text


def paths(model: ScreenModel) -> list[str]:
    return [row.view.path for row in model.rows]


def test_rows_are_the_tree_from_top_to_bottom() -> None:
    model = browsing()
    assert paths(model) == [
        ".", "sessions", "sessions/aa", "sessions/aa/session", "sessions/bb",
        "sessions/bb/session", "listener",
    ]  # fmt: skip
    assert [row.depth for row in model.rows] == [0, 1, 2, 3, 2, 3, 1]


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


def test_rates_compare_two_snapshots_of_the_same_incarnation() -> None:
    model = ScreenModel()
    model.show(snapshot(10.0, session("aa", 10, handled=100), session("bb", 20, handled=5)))
    assert {row.rate for row in model.rows} == {None}
    model.show(snapshot(12.0, session("aa", 10, handled=150), session("bb", 21, handled=1)))
    rates = {row.view.path: row.rate for row in model.rows}
    assert rates["sessions/aa/session"] == 25.0
    assert rates["sessions/bb/session"] is None, "a new incarnation begins at 0"
    assert rates["listener"] is None


def test_the_selected_one_stays_selected_wherever_it_goes() -> None:
    model = browsing("down", "down", "down")
    assert model.selected == "sessions/aa/session"
    model.show(snapshot(2.0, session("bb", 20), session("aa", 10)))
    assert model.selected == "sessions/aa/session"
    # Not among those shown any more: its row stays, so that no key meets another one.
    model.show(snapshot(3.0, session("bb", 20), hidden=1))
    assert model.selected == "sessions/aa/session"
    (ghost,) = [row for row in model.rows if row.absent]
    assert ghost.view.path == model.selected
    model.show(snapshot(4.0, session("bb", 20), hidden=1))
    assert [row.absent for row in model.rows].count(True) == 1
    model.show(snapshot(5.0, session("bb", 20), session("aa", 10)))
    assert not any(row.absent for row in model.rows)
    model.show(snapshot(6.0, session("bb", 20)))
    model.key("up")
    model.show(snapshot(7.0, session("bb", 20)))
    assert not any(row.absent for row in model.rows), "left, it is gone"


@pytest.mark.parametrize(("key", "request_"), [("s", Suspend), ("r", Resume), ("a", Restart)])
def test_what_can_be_undone_is_done_at_once(key: str, request_: type[Struct]) -> None:
    action = browsing("end").key(key)
    assert isinstance(action, Send)
    assert action.request == request_("listener")
    assert "listener" in action.about


@pytest.mark.parametrize(("key", "request_"), [("x", Terminate), ("K", Kill)])
def test_what_cannot_be_undone_is_asked_first(key: str, request_: type[Struct]) -> None:
    model = browsing("end")
    assert model.key(key) is None
    assert "listener" in str(asked(model))
    # Meanwhile the tree goes on; the question is about the one that it was asked about.
    model.show(snapshot(2.0))
    action = model.key("y")
    assert isinstance(action, Send)
    assert action.request == request_("listener")
    model.key(key)
    assert model.key("n") is None
    assert asked(model) is None
    assert model.message == "not done"


def test_tracing_is_switched_on_and_off() -> None:
    model = browsing("end")
    assert model.key("t") == StartTrace("listener")
    model.traced(TraceLine(0.1, "cast", "Update", 0.00001))
    assert len(model.trace) == 1
    model.key("home")
    assert model.key("t") == StopTrace()
    assert model.tracing is None
    assert model.key("t") == StartTrace(".")
    assert not model.trace, "a new trace begins empty"
    model.trace_ended("the root is a supervisor")
    assert model.tracing is None
    assert model.failed


def test_the_order_goes_round() -> None:
    model = browsing()
    found = []
    for _ in SORTS:
        action = model.key("o")
        assert isinstance(action, SortBy)
        found.append(action.key)
    assert found == [*SORTS[1:], SORTS[0]]


def test_paused_nothing_changes() -> None:
    model = browsing(" ")
    before = model.rows
    model.show(snapshot(2.0))
    assert model.rows is before
    model.key("p")
    model.show(snapshot(3.0))
    assert paths(model) == [".", "sessions", "listener"]


def test_help_any_key_leaves_it_and_does_nothing_else() -> None:
    model = browsing("?")
    helped = [model.help]
    assert model.key("q") is None
    helped.append(model.help)
    assert helped == [True, False]
    assert model.key("q") == Quit()
    assert model.key("ctrl-c") == Quit()


def test_a_lost_server_is_shown_until_the_next_snapshot() -> None:
    model = browsing()
    model.lost("the server has gone")
    assert model.problem == "the server has gone"
    assert len(model.rows) == 7, "the last snapshot stays"
    model.show(snapshot(2.0))
    assert model.problem == ""


def test_before_the_first_snapshot_keys_have_no_effect() -> None:
    model = ScreenModel()
    for key in ("up", "down", "end", "z", "é"):
        assert model.key(key) is None
