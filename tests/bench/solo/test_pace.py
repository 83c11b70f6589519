"""The benchmark of pace runs, and finds that a longer pace costs a phone less."""

import pytest

from bench.solo import pace
from locshare.wire.plain import PLAIN


def test_it_reports_writes_frames_and_bytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["pace", "--minutes", "1", "--people", "4"])
    pace.main()
    out = capsys.readouterr().out
    for name in ("a group of 4", "before", "hidden, pace 30", "all hidden", "alone"):
        assert name in out


def test_a_longer_pace_costs_less_and_the_server_asks_for_less_where_nobody_looks() -> None:
    before = pace.an_hour(PLAIN, [0.0] * 4, 2, asks=False)
    hidden = pace.an_hour(PLAIN, [30.0, 0.0, 0.0, 0.0], 2)
    unseen = pace.an_hour(PLAIN, [30.0] * 4, 2)
    assert before.writes == before.frames == pytest.approx(3 * 1800, rel=0.02)
    assert hidden.writes == pytest.approx(120, rel=0.3)
    assert max(unseen.size, hidden.size) < before.size / 10
    assert unseen.sent == pytest.approx(240, rel=0.2)
    assert before.longest_wait_s == 0.0
    for found in (hidden, unseen):
        assert 20.0 < found.longest_wait_s <= 30.0, "never staler than promised"
