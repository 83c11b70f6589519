"""The pure decisions: verdicts, plans, and the restart window against a plain model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.actors import KILLED, NORMAL, SHUTDOWN, Crash, ExitReason, Shutdown
from locshare.supervisor.decide import (
    Plan,
    Restart,
    RestartDecision,
    Strategy,
    decide_restart,
    plan,
)
from locshare.supervisor.window import RestartWindow

CRASH = Crash(ValueError())
EXPECTED: list[ExitReason] = [NORMAL, SHUTDOWN, Shutdown("why")]
ABNORMAL: list[ExitReason] = [CRASH, KILLED]


@pytest.mark.parametrize(
    ("restart", "reasons", "expected"),
    [
        ("permanent", [*EXPECTED, *ABNORMAL], RestartDecision.RESTART),
        ("transient", EXPECTED, RestartDecision.KEEP_SPEC),
        ("transient", ABNORMAL, RestartDecision.RESTART),
        ("temporary", [*EXPECTED, *ABNORMAL], RestartDecision.DROP_SPEC),
    ],
)
def test_the_restart_type_and_the_reason_decide(
    restart: Restart, reasons: list[ExitReason], expected: RestartDecision
) -> None:
    assert {decide_restart(restart, reason) for reason in reasons} == {expected}


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_what_must_leave_the_program_leaves(restart: Restart, error: BaseException) -> None:
    assert decide_restart(restart, Crash(error)) is RestartDecision.STOP_TREE
    grouped = BaseExceptionGroup("g", [ValueError(), BaseExceptionGroup("h", [error])])
    assert decide_restart(restart, Crash(grouped)) is RestartDecision.STOP_TREE


CHILDREN: list[tuple[str, Restart]] = [
    ("a", "permanent"),
    ("b", "temporary"),
    ("c", "transient"),
    ("d", "permanent"),
]


@pytest.mark.parametrize(
    ("strategy", "failed", "expected"),
    [
        ("one_for_one", "c", Plan((), (), ("c",))),
        ("one_for_all", "c", Plan(("d", "b", "a"), ("b",), ("a", "c", "d"))),
        ("rest_for_one", "c", Plan(("d",), (), ("c", "d"))),
        ("rest_for_one", "a", Plan(("d", "c", "b"), ("b",), ("a", "c", "d"))),
    ],
)
def test_the_strategy_and_the_order_decide(
    strategy: Strategy, failed: str, expected: Plan[str]
) -> None:
    assert plan(strategy, CHILDREN, failed) == expected


@given(
    steps=st.lists(st.integers(0, 4), max_size=40),
    max_restarts=st.integers(0, 4),
    max_seconds=st.integers(1, 6),
)
def test_the_window_is_that_of_the_definition(
    steps: list[int], max_restarts: int, max_seconds: int
) -> None:
    window = RestartWindow(max_restarts, max_seconds)
    instants: list[int] = []
    now = 0
    for step in steps:
        now += step
        instants.append(now)
        counted = sum(now - instant <= max_seconds for instant in instants)
        assert window.admit(now) is (counted <= max_restarts)
        assert window.counted(now) == counted
