"""What the screen says, as text."""

import io

import pytest
from rich.console import Console

from locshare.ops.inspection.views import LongStep, TraceLine, TreeSnapshot
from locshare.ops.top.model import ScreenModel
from locshare.ops.top.screen import draw, page_of
from tests.ops.top.kit import session, snapshot


def shown(model: ScreenModel, height: int = 30, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as captured:
        console.print(draw(model, height))
    return captured.get()


def browsing(some: TreeSnapshot) -> ScreenModel:
    model = ScreenModel()
    model.show(some)
    return model


def test_the_head_shows_the_process() -> None:
    text = shown(
        browsing(
            snapshot(
                1.0,
                sessions=7,
                online=5,
                participants=6,
                connections=9,
                busy=0.31,
                lag=0.0021,
                window=0.25,
                cpu=0.5,
                longest_step=LongStep("api#3", 0.0123, "Join"),
            )
        )
    )
    for part in (
        "locshare 1.2.3", "pid 42", "up 1 h 1 min", "50.0 MiB", "sessions 7",
        "people 5 online of 6", "connections 9", "31%", "lag 2.1 ms", "flush window 250 ms", "50%",
        "longest step 12.3 ms (api#3 in Join)",
    ):  # fmt: skip
        assert part in text


def test_a_session_line_has_its_figures() -> None:
    view = session(
        "aa", 10, mailbox=17, high_water=90, handled=1234, load=0.125, restarts=2,
        last_reason="crash: ValueError in Join", bytes=3000, traced=True,
    )  # fmt: skip
    (line,) = [
        line
        for line in shown(browsing(snapshot(1.0, view)), width=170).splitlines()
        if "17/1024" in line
    ]
    assert line.split() == [
        "session", "running", "●", "17/1024", "90", "1234", "12.5%", "2/3", "2.9", "KiB", "2",
        "crash:", "ValueError", "in", "Join",
    ]  # fmt: skip


def test_hidden_ones_are_counted() -> None:
    assert "(9988 more)" in shown(browsing(snapshot(1.0, session("aa", 10), hidden=9988)))


@pytest.mark.parametrize("height", [12, 20, 40])
def test_it_fits_whatever_is_in_it_and_the_selected_row_is_in_sight(height: int) -> None:
    model = browsing(snapshot(1.0, *(session(f"s{n:04}", n) for n in range(200))))
    for key in ("home", "end", *["up", "pageup"] * 9):
        model.key(key)
        lines = shown(model, height).splitlines()
        assert len(lines) <= height
        last = model.selected.rpartition("/")[2].replace(".", "root")
        assert any(line.strip().startswith(last) for line in lines)
    assert len(model.rows) > page_of(model, height)


def test_the_trace_the_question_and_what_became_of_it() -> None:
    model = browsing(snapshot(1.0))
    model.key("t")
    model.traced(TraceLine(1.5, "cast", "Update", 0.000012))
    model.traced(TraceLine(2.5, "call", "Join", 0.001, lost=3))
    text = shown(model)
    assert "1.500 s  cast  Update                              12 µs" in text
    assert "… 3 lost …" in text
    assert len(text.splitlines()) <= 30
    model.key("K")
    assert "Kill . as a crash would?  y / n" in shown(model)
    model.key("n")
    model.refused("the root is the server itself")
    assert "the root is the server itself" in shown(model)


def test_notices() -> None:
    assert "waiting for the first snapshot" in shown(ScreenModel())
    model = browsing(snapshot(1.0, faults=True))
    assert "faults can be injected" in shown(model)
    model.key("p")
    assert "paused" in shown(model)
    model.lost("no server runs there; trying again …")
    assert "trying again" in shown(model)
    model.key("?")
    assert "Any key goes back." in shown(model)
