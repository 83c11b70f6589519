"""The benchmark of events runs, and finds that numbers cost bytes and the log costs memory."""

import pytest

from bench.solo import events


def test_it_reports_bytes_time_and_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["events", "--rounds", "20"])
    events.main()
    out = capsys.readouterr().out
    for name in ("plain", "phoenix", "compact", "one kept event", "256 missed events"):
        assert name in out
