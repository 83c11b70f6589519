"""The cost of a flush is measured in each dialect, on connections that are read."""

import pytest

from bench.solo import flush


def test_every_dialect_has_its_cost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(flush, "PEOPLE", 4)
    monkeypatch.setattr(flush, "MOVED", (1, 4))
    flush.main(["--rounds", "1"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [row[0] for row in rows] == ["1", "4"]
    assert all(float(each) > 0 for row in rows for each in row[1:4])
