"""This server beside others: what can be asked for, what is reported, and one real run."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.cli import main as bench
from bench.errors import NotServing
from bench.solo.beside import Case, Run, case_of, main, remarks, report
from bench.wsload import build

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler is installed"
)
CASE = Case(2, 3)


def a_run(us: float, **other: object) -> Run:
    figures = {"cpu": 0.5, "p50": 1, "p95": 2, "p99": 3, "mib": 80, "others": 0, "generator": 0.2}
    return Run(us=us, **(figures | {"wrong": {}} | other))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "8", "x8", "0x8", "3x1", "3x", "-1x8", "1.5x8"])
def test_a_case_that_is_none_is_refused_with_an_example(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([f"--cases={text}"])
    assert "such as 1000x8" in capsys.readouterr().err


def test_an_unknown_server_is_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--servers=nginx"])
    assert "no server 'nginx'; there are c, locshare" in capsys.readouterr().err


def test_a_window_for_a_server_that_has_none_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--servers=c,inprocess", "--window=250"])
    assert "inprocess writes each update at once" in capsys.readouterr().err


def test_flags_after_several_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench(["solo", "rest", "beside", "--rounds=1"])
    assert "--rounds=1" in capsys.readouterr().err


def test_flags_after_one_name_are_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    assert bench(["solo", "beside", "--cases=8"]) == 2
    assert "such as 1000x8" in capfd.readouterr().err


def test_costs_are_compared_with_the_cheapest_shape_and_the_fastest_peer() -> None:
    lines = report(
        {CASE: {"c": [a_run(8), a_run(12)], "picows": [a_run(14)], "locshare": [a_run(20)]}}
    ).splitlines()
    assert lines[2].startswith("| case | server | µs per delivery | against c | against picows |")
    assert lines[4].startswith("| 2 x 3 | c | 10.00 | 1.00 | 0.71 |"), "the mean of two rounds"
    assert lines[6].startswith("| 2 x 3 | locshare | 20.00 | 2.00 | 1.43 |")


def test_a_run_that_lost_or_was_disturbed_is_named() -> None:
    found = {
        CASE: {
            "c": [a_run(8), a_run(8, others=0.9)],
            "locshare": [a_run(8, wrong={"lost": 3}), a_run(8, generator=0.95)],
        }
    }
    assert remarks(found) == [
        "disturbed: 2 x 3, c, round 2: others took 90% of a core",
        "WRONG: 2 x 3, locshare, round 1: 3 lost",
        "limited: 2 x 3, locshare, round 2: the generator took 95% of its core",
    ]


def test_without_a_compiler_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotServing, match=r"no C compiler .* apt install gcc"):
        build(tmp_path)


@needs_compiler
def test_the_generator_knows_its_arithmetic(tmp_path: Path) -> None:
    told = subprocess.run(
        [build(tmp_path).generator, "--unit"], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (0, "unit: ok\n")


@needs_compiler
@pytest.mark.e2e
def test_every_server_takes_its_turn_and_delivers_all(capsys: pytest.CaptureFixture[str]) -> None:
    servers = ["c", "locshare"]
    command = ["--cases=2x3", f"--servers={','.join(servers)}", "--rounds=1", "--duration=1"]
    status = main([*command, "--json"])
    told = capsys.readouterr()
    assert status == 0, told.err
    found = json.loads(told.out)
    assert list(found) == [str(case_of("2x3"))]
    assert list(found["2 x 3"]) == servers
    assert all(run["p50"] > 0 for runs in found["2 x 3"].values() for run in runs)
    assert len(told.err.splitlines()) == len(servers), "a line of progress for each"


@needs_compiler
@pytest.mark.e2e
def test_with_a_window_the_comparators_join_and_deliver_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["--cases=2x3", "--servers=c,picows", "--rounds=1", "--duration=2", "--window=400"]
    assert main([*command, "--json"]) == 0
    told = capsys.readouterr()
    for name, (run,) in json.loads(told.out)["2 x 3"].items():
        assert run["p99"] > 300, f"{name}: some wait for most of the window"
