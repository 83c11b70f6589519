"""The real program and the bare servers beside it, as few people as can be."""

import pytest

from bench.solo.crowd import Load
from bench.solo.floor import REAL, report, run


@pytest.mark.e2e
def test_everything_arrives_from_all_three_and_each_has_its_row() -> None:
    load = Load(2, 3, interval_s=0.5, duration_s=1.0)
    found = run(load, 1, lambda _: None)
    assert list(found) == [REAL, "channel", "direct"]
    for [figures] in found.values():
        assert figures.lost == 0
        assert figures.us_per_delivery is not None
        assert 0 < figures.latency_ms["p50"] < 500
    lines = report(load, found).splitlines()
    assert [line.split()[0] for line in lines[4:7]] == list(found)
