"""A small run of joins and reads against the real server."""

import json

import pytest

from bench.solo.rest import main
from tests.running import LAST_RESORT_S


@pytest.mark.e2e
def test_a_small_run_joins_and_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--joins=50", "--reads=30", "--seconds=0.5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kinds"]["join"]["statuses"] == {"201": 25}
    assert found["kinds"]["read"]["statuses"] == {"200": 15}
    assert found["joined"] == found["counted"] == 75  # of them 50 in the second of warming up
    assert 0 < found["kinds"]["join"]["latency_ms"]["p50"] < LAST_RESORT_S * 1000
