"""What runs while coverage is measured, and what does not (tests/measuring.py)."""

import coverage
import pytest

from tests.measuring import Measuring, is_measured
from tools.coverage_gates import GATES


class Recorder:
    """A measurement that is on at the beginning."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


BENCH, WIRE = "tests/bench/test_cli.py::test_x[a/b]", "tests/wire/test_plain_dialect.py::test_x"


def test_it_pauses_for_a_folder_and_goes_on_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(coverage.Coverage, "current", lambda: recorder)
    measuring = Measuring()
    for nodeid in (WIRE, BENCH, BENCH, WIRE, WIRE, BENCH):
        measuring.before(nodeid)
    assert recorder.calls == ["stop", "start", "stop"]


def test_without_a_measurement_nothing_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage.Coverage, "current", lambda: None)
    measuring = Measuring()
    for nodeid in (BENCH, WIRE, BENCH):
        measuring.before(nodeid)


@pytest.mark.parametrize("room", GATES)
def test_the_tests_of_a_room_that_has_a_gate_are_measured(room: str) -> None:
    assert is_measured(f"tests/{room}/test_x.py::test_y")
