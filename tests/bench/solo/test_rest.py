"""People find their places in the sessions, and a small run of each kind ends as it should."""

import json

import pytest

from bench.serving import BenchSession
from bench.solo.rest import main, places

A, B = BenchSession("a", ""), BenchSession("b", "")


def test_sessions_are_joined_one_after_the_other_or_all_at_once() -> None:
    assert list(places([A, B], 2, in_turn=True)) == [A, A, B, B]
    assert list(places([A, B], 2, in_turn=False)) == [A, B, A, B]


@pytest.mark.e2e
def test_a_small_run_joins_and_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--joins=50", "--reads=30", "--seconds=0.5", "--in-turn", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kinds"]["join"]["statuses"] == {"201": 25}
    assert found["kinds"]["read"]["statuses"] == {"200": 15}
    assert found["joined"] == found["counted"] == 75  # of them 50 in the second of warming up
    assert 0 < found["kinds"]["join"]["latency_ms"]["p50"] < 2000
