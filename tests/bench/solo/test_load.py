"""A whole load run against the real program, as small as one can be."""

import json

import pytest

from bench.solo.load import main


@pytest.mark.e2e
def test_a_small_load_run_loses_nothing_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--sessions",
        "2",
        "--size",
        "3",
        "--interval",
        "0.5",
        "--duration",
        "1.5",
        "--json",
    ]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    [wave] = result["waves"]
    assert wave["sent"] == 2 * 3 * 4  # an interval to warm up, three that count
    assert wave["delivered"] == wave["expected"] == wave["sent"] * 2
    assert [wave[each] for each in ("lost", "repeated", "foreign", "unreadable", "errors")] == [
        0
    ] * 5
    assert 0 < wave["latency_ms"]["p50"] <= wave["latency_ms"]["max"] < 500
    assert list(wave["memory"]) == ["start", "joined", "loaded", "left"]
