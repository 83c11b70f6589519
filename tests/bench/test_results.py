"""What is computed from results."""

import gzip
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.results import BadResults, Failure, Moment, load, save
from tests.bench.report.synthetic import results, run


def second(connected: int, wanted: int | None = 10, due: int = 9, delivered: int = 9) -> Moment:
    return Moment(
        at_s=1,
        connected=connected,
        sent=1,
        delivered=delivered,
        disconnects=0,
        wanted=wanted,
        due=due,
    )


def test_uptime_is_the_share_of_the_time_that_people_were_due_to_be_connected() -> None:
    assert run(moments=(second(10), second(10))).uptime_share == 1
    assert run(moments=(second(10), second(5))).uptime_share == 0.75
    assert run(moments=(second(0, wanted=0), second(2, wanted=2))).uptime_share == 1


def test_a_second_in_which_nothing_came_of_what_was_due_is_down_for_everybody() -> None:
    paused = second(10, delivered=0)
    assert run(moments=(second(10), paused)).uptime_share == 0.5
    assert run(moments=(second(10), replace(paused, due=0))).uptime_share == 1


def test_those_who_are_connected_and_not_due_make_up_for_nobody() -> None:
    """Somebody who is leaving is still connected for a moment."""
    assert run(moments=(second(12), second(8))).uptime_share == 0.9


def test_what_comes_after_the_measured_time_is_not_in_the_uptime() -> None:
    late = replace(second(10), at_s=61.0)
    assert run(duration_s=60, moments=(second(5), replace(late, at_s=60.2))).uptime_share == 0.75
    assert run(duration_s=60, moments=(second(5), late)).uptime_share == 0.5


def test_a_file_from_before_there_were_failures_times_and_digests_is_read(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    failure = Failure(scenario="storm", target="one", why="it did not start")
    new = replace(results((run(began="2026-01-01T00:00:00", code="abc"),)), failures=(failure,))
    save(new, path)
    assert load(path) == new
    old = json.loads(path.read_bytes())
    del old["failures"], old["runs"][0]["began"], old["runs"][0]["code"]
    path.write_text(json.dumps(old))
    assert load(path) == results((run(),))


def test_without_moments_there_is_no_uptime() -> None:
    assert run().uptime_share is None
    assert run(moments=(second(9, wanted=None),)).uptime_share is None


def test_results_are_read_gzipped_too_and_a_cut_file_is_refused(tmp_path: Path) -> None:
    save(results((run(),)), tmp_path / "results.json")
    packed = gzip.compress((tmp_path / "results.json").read_bytes())
    (tmp_path / "results.json.gz").write_bytes(packed)
    assert load(tmp_path / "results.json.gz") == load(tmp_path / "results.json")
    for broken in (packed[:-20], packed[:3], b"\x1f\x8b" + b"x" * 50, packed[:20] + b"\xff" * 50):
        (tmp_path / "broken").write_bytes(broken)
        with pytest.raises(BadResults, match="broken: "):
            load(tmp_path / "broken")
