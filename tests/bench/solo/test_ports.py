"""What connecting costs on one port and on two, measured on the real program."""

import json

import pytest

from bench.solo.ports import KINDS, main


@pytest.mark.e2e
def test_both_are_measured_in_every_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds=1", "--count=50", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == list(KINDS)
    assert all(set(each) == {"one", "two"} for each in figures.values())
