"""What the probe of the REST calls makes of a server that stalls, without a server and a clock."""

from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from bench.driver import rest_probe
from bench.driver.rest_probe import PER_SECOND, TIMEOUT_S, Probe, keep_probing
from bench.results import RestCall

CREATED = b'{"session_id": "s", "host_token": "t"}'


class Stalling:
    """A server that answers at once, but the call with this number after so many seconds; and the
    clock of it all.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, seconds: float) -> None:
        self.now = 1_000.0
        self.calls: list[float] = []
        self._stalls = {number: seconds}
        self._until = self.now
        monkeypatch.setattr(Probe, "_exchange", self._exchange)
        monkeypatch.setattr(rest_probe, "time", SimpleNamespace(monotonic=lambda: self.now))

    def probed(self, seconds: float, *, late_s: float = 0.0) -> list[RestCall]:
        """What a probe finds in this time that always wakes up ``late_s`` too late."""
        until = self.now + seconds

        def wait(pause_s: float) -> bool:
            self.now += pause_s + late_s * (pause_s > 0)
            return self.now >= until

        probe = Probe("http://server")
        keep_probing(probe, wait)
        return probe.calls()

    def _exchange(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        self.calls.append(self.now)
        self.now += self._stalls.get(len(self.calls), 0.0)
        return 200, CREATED


def slow(calls: list[RestCall], ms: float) -> int:
    """How many took longer."""
    return sum(
        many for each in calls for upper, many in each.latencies.histogram if upper > 1.2 * ms
    )


def test_calls_that_were_due_while_the_server_stalled_count_from_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Stalling(monkeypatch, number=20, seconds=2.1).probed(60)
    assert sum(each.latencies.count for each in found) == 60 * PER_SECOND
    assert slow(found, ms=50) == 1 + 10  # itself, and those due 0.2, 0.4 … 2.0 s later


def test_what_a_stall_has_held_up_is_made_up_for_with_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Stalling(monkeypatch, number=20, seconds=40 * TIMEOUT_S)
    found = server.probed(41 * TIMEOUT_S)
    assert sum(each.latencies.count for each in found) < 20 + TIMEOUT_S * PER_SECOND * 3


def test_that_the_probe_came_late_is_not_the_servers_doing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Stalling(monkeypatch, number=0, seconds=0).probed(60, late_s=0.15)
    assert slow(found, ms=1) == 0
