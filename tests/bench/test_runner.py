"""What a command has to run, and with which results it may go on."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.results import BadResults, Dialect, Results, save
from bench.runner import RESULTS, Order, kept, missing
from bench.scenarios import SCENARIOS, Options
from bench.targets import STARTABLE
from bench.targets.counting import code_of
from tests.bench.report.synthetic import results, run, target

NAMES = ("locshare", "redis", "inprocess")


def order(out: Path, *names: str, resume: bool = True, dialect: Dialect = "plain") -> Order:
    return Order(
        scenarios=list(SCENARIOS.values()),
        targets=(),
        start=names or NAMES,
        dialect=dialect,
        options=Options(),
        out=out,
        exporter=None,
        command="python -m bench run --long",
        resume=resume,
    )


def left_behind(out: Path, command: str = "python -m bench run --long") -> Results:
    """One run of this machine, of an earlier command."""
    there = results((run(target="locshare"),), target("locshare", title=STARTABLE["locshare"]))
    here = kept(order(out / "nothing there")).machine
    there = replace(there, machine=replace(here, command=command))
    save(there, out / RESULTS)
    return there


def test_each_target_goes_first_in_some_scenarios(tmp_path: Path) -> None:
    parts = missing(order(tmp_path), ())
    first: dict[str, str] = {}
    for part in parts:
        first.setdefault(part.scenario, part.target)
    assert list(first.values())[:4] == ["locshare", "redis", "inprocess", "locshare"]
    assert len(parts) == 11 * len(NAMES)


def test_what_is_there_is_not_missing(tmp_path: Path) -> None:
    parts = missing(order(tmp_path), ())
    done = [run(each.scenario, each.target, title=each.title, seed=each.seed) for each in parts[:5]]
    assert missing(order(tmp_path), done) == parts[5:]


def test_it_goes_on_with_what_an_earlier_command_left(tmp_path: Path) -> None:
    there = left_behind(tmp_path)
    assert kept(order(tmp_path)).runs == there.runs


def test_it_does_not_go_on_with_another_target_under_the_same_name(tmp_path: Path) -> None:
    left_behind(tmp_path)
    with pytest.raises(BadResults, match=r"'locshare' is locshare \(plain\) there"):
        kept(order(tmp_path, "locshare", dialect="compact"))
    assert kept(order(tmp_path, "redis", dialect="compact")).runs


def test_hours_of_measuring_are_not_written_over_by_a_command_that_starts_anew(
    tmp_path: Path,
) -> None:
    left_behind(tmp_path)
    with pytest.raises(BadResults, match="1 run of --long, which this command would replace"):
        kept(order(tmp_path, resume=False))
    left_behind(tmp_path, command="python -m bench run --short")
    assert kept(order(tmp_path, resume=False)).runs == ()


def test_each_program_has_a_digest_that_stays_while_its_sources_and_python_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digests = {name: code_of(name) for name in STARTABLE}
    assert len(set(digests.values())) == len(STARTABLE)
    assert code_of("inprocess") == digests["inprocess"]
    monkeypatch.setattr("platform.python_version", lambda: "3.11.0")
    assert code_of("inprocess") != digests["inprocess"]
