"""What a run says of processors, with the system's answers made up."""

import os
from types import SimpleNamespace

import pytest

from bench.driver import usage
from bench.driver.usage import UsageMeter

SERVER, PROXY, PROBE = 71, 72, 73


class Machine:
    """Seconds that each process has used so far, and all of them together."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.used = {SERVER: 1.0, PROXY: 5.0}
        self.others = 40.0
        self.mine = 2.0
        clock = SimpleNamespace(monotonic=lambda: self.now, process_time=lambda: self.mine)
        monkeypatch.setattr(usage, "time", clock)
        monkeypatch.setattr(usage, "busy_seconds", self.busy)
        monkeypatch.setattr(usage, "cpu_seconds", self.used.get)
        monkeypatch.setattr(usage, "descendants", self.descendants)
        for name in ("context_switches", "resident_bytes", "proportional_bytes"):
            monkeypatch.setattr(usage, name, lambda _: 1)

    def busy(self) -> float:
        return self.others + self.mine + sum(self.used.values())

    def descendants(self, pid: int) -> dict[int, None]:
        assert pid == os.getpid()
        return dict.fromkeys(self.used)


def test_what_others_took_is_without_the_server_the_driver_and_the_drivers_helpers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    meter = UsageMeter(lambda: [SERVER])
    machine.now += 10
    machine.used |= {SERVER: 3.0, PROXY: 8.0, PROBE: 0.5}  # the probe is new
    machine.mine += 1.0
    machine.others += 4.0
    found = meter.usage(delivered=1_000)
    assert found is not None
    assert (found.cpu_share, found.us_per_delivery) == (0.2, 2_000)
    assert (found.generator_share, found.others_share) == (0.1, 0.4)


def test_a_process_id_that_is_used_again_takes_no_time_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    meter = UsageMeter(lambda: [SERVER])
    machine.now += 10
    machine.used[SERVER] = 0.5
    found = meter.usage(delivered=0)
    assert found is not None
    assert found.cpu_share == 0
