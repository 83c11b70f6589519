"""What runs while coverage is measured, and what does not (tests/measuring.py)."""

from typing import ClassVar

import coverage
import pytest

from tests.measuring import Measuring, is_measured
from tools.coverage_gates import GATES


class Recorder:
    """A measurement among others, of which the last that was started counts."""

    running: ClassVar[list["Recorder"]] = []
    calls: ClassVar[list[str]] = []

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def current(cls) -> "Recorder | None":
        return cls.running[-1] if cls.running else None

    def start(self) -> None:
        self.running.append(self)
        self.calls.append(f"start {self.name}")

    def stop(self) -> None:
        assert self.running.pop() is self
        self.calls.append(f"stop {self.name}")


BENCH, WIRE = "tests/bench/test_cli.py::test_x[a/b]", "tests/wire/test_plain_dialect.py::test_x"


def test_it_pauses_for_a_folder_and_goes_on_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them: the end of an inner one is where the outer one goes on."""
    monkeypatch.setattr(coverage.Coverage, "current", Recorder.current)
    monkeypatch.setattr(Recorder, "running", [Recorder("outer"), Recorder("inner")])
    monkeypatch.setattr(Recorder, "calls", [])
    measuring = Measuring()
    for nodeid in (WIRE, BENCH, BENCH, WIRE, WIRE):
        measuring.before(nodeid)
    assert Recorder.calls == ["stop inner", "stop outer", "start outer", "start inner"]


def test_without_a_measurement_nothing_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage.Coverage, "current", lambda: None)
    measuring = Measuring()
    for nodeid in (BENCH, WIRE, BENCH):
        measuring.before(nodeid)


@pytest.mark.parametrize("room", GATES)
def test_the_tests_of_a_room_that_has_a_gate_are_measured(room: str) -> None:
    assert is_measured(f"tests/{room}/test_x.py::test_y")
