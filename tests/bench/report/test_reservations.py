"""What makes results as a whole less certain."""

from pathlib import Path

from msgspec.structs import replace

from bench.report import write_report
from bench.report.reservations import changed, reservations, unmeasured
from bench.results import Failure
from tests.bench.report.synthetic import USAGE, results, run

BUSY = replace(USAGE, others_share=0.6)
NO_JOIN = Failure(scenario="storm", target="two", why="none of 9 people\ncould join " + "x" * 999)


def test_quiet_runs_of_one_program_leave_no_doubt() -> None:
    assert reservations(results((run(code="a"), run("storm", code="a"), run("town")))) == []


def test_what_could_not_be_measured_is_named_with_its_reason_in_one_line() -> None:
    (line,) = unmeasured(replace(results((run(),)), failures=(NO_JOIN,)))
    assert line.startswith("storm against two could not be measured: none of 9 people could join x")
    assert len(line) < 300


def test_runs_of_different_programs_under_one_name_are_named() -> None:
    runs = [run(code="a"), run("storm", code="a"), run("town", code="b")]
    others = [run(target="two", code="c"), run("town", "two")]
    (line,) = changed(results((*runs, *others)))
    assert line == "one was measured in 2 states of the code (a: baseline, storm; b: town)"


def test_a_run_beside_other_programs_is_named_where_latency_is_judged_by_it() -> None:
    quiet, busy = run(), run("storm", "two", usage=BUSY)
    assert reservations(results((quiet, run("faults", usage=BUSY)))) == []
    (line,) = reservations(results((quiet, busy)))
    assert line.endswith("disturbed: two, storm")


def test_the_report_says_what_could_not_be_measured(tmp_path: Path) -> None:
    found = replace(results((run(),)), failures=(NO_JOIN,))
    for path in write_report(found, tmp_path)[:2]:
        assert path.read_text().count("storm against two could not be measured") == 2
