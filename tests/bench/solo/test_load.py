"""A whole load run against the real program, as small as one can be."""

import json

import pytest

from bench.solo import dialects
from bench.solo.codecs import CODECS
from bench.solo.load import main
from tests.running import LAST_RESORT_S


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
    assert wave["bytes_per_delivery"] > 100
    assert 0 < wave["latency_ms"]["p50"] <= wave["latency_ms"]["max"] < LAST_RESORT_S * 1000
    assert list(wave["memory"]) == ["start", "joined", "loaded", "left"]


@pytest.mark.e2e
def test_the_dialects_are_compared_in_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--sessions", "1", "--size", "4", "--interval", "0.4", "--duration", "0.8"]
    assert dialects.main([*arguments, "--details"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = {row[0]: row for row in rows if row and row[0] in CODECS}
    assert [row[-1] for row in found.values()] == ["0", "0", "0"], "nothing is lost"
    plain, compact, phoenix = (float(row[1]) for row in found.values())
    assert compact < plain / 4 < plain < phoenix
