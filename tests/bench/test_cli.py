"""``python -m bench``: what can be typed, what it leaves behind, and how it ends."""

import io
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.cli import main
from bench.driver.measure import measure
from bench.driver.progress import RunStatus
from bench.guardian import entrust
from bench.observers.live import Display
from bench.observers.prometheus import Exporter
from bench.observers.text import figures
from bench.results import Moment, Run, load, save
from bench.runner import RESULTS
from tests.bench.misbehaving_server import (
    MisbehavingServer,
    Misbehaviour,
    NullObserver,
    misbehaving_server,
    plan,
)
from tests.running import LAST_RESORT_S

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with misbehaving_server() as made:
        yield made


def typed(server: MisbehavingServer, out: Path, *more: str) -> list[str]:
    target = f"one={server.http_url},dialect=plain"
    return [
        "run",
        "flood",
        "--short",
        "--scale",
        "0.03",
        "--duration",
        "1",
        "--target",
        target,
        "--out",
        str(out),
        *more,
    ]


def test_a_scenario_is_run_and_kept_and_reported(
    server: MisbehavingServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(typed(server, tmp_path)) == 0
    results = load(tmp_path / RESULTS)
    (run,) = results.runs
    assert (run.scenario, run.target, run.people, run.lost) == ("flood", "one", 3, 0)
    assert run.delivered == 2 * run.sent > 0
    assert [each.name for each in results.targets] == ["one"]
    assert results.machine.command.startswith("python -m bench run flood")
    assert results.machine.cores >= 1
    out, err = capfd.readouterr()
    for path in out.split():
        assert Path(path).stat().st_size > 0
    assert out
    assert "=== flood against one" in err
    assert "(0.000% lost)" in err


def test_a_target_that_is_not_there_fails_and_the_others_are_measured(
    server: MisbehavingServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = typed(server, tmp_path, "--target", "two=http://127.0.0.1:9,dialect=plain")
    assert main(arguments) == 1
    assert [run.target for run in load(tmp_path / RESULTS).runs] == ["one"]
    assert "flood against two: " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "nothing to measure"),
        (["run", "nope", "--start", "locshare"], "'nope'"),
        (["run", "--start", "nginx"], "nginx"),
        (["run", "--start", "redis", "--dialect", "compact"], "redis speaks plain only"),
        (["run", "--target", "x"], "x"),
        (["run", "--long", "--short"], "choose one"),
        (["capacity", "--steps", "1"], "from 2 to 15,000"),
        (["capacity", "--steps", "100,many"], "from 2 to 15,000"),
        (["capacity", "--p95", "0"], "from 1 to 3600"),
        (["run", "--start", "locshare", "--scale", "0"], "scale 0"),
        (["run", "--start", "locshare", "--duration", "0"], "duration 0"),
        (["run", "--start", "locshare", "--start", "locshare"], "twice"),
        (["run", "--start", "locshare", "--gpx", "/nowhere.gpx"], "/nowhere.gpx"),
        (["solo", "nope"], "'nope'"),
        (["report", "/nowhere.json"], "/nowhere.json"),
        ([], "COMMAND"),
    ],
)
def test_bad_usage_is_reported_and_nothing_is_done(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as end:
        status = int(str(end.code))
    assert status == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_list_names_every_scenario_and_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in (
        "baseline",
        "storm",
        "flood",
        "stress",
        "town",
        "ladder",
        "faults",
        "lossy",
        "locshare",
    ):
        assert f"\n  {name} " in out


def test_reports_of_several_files_are_made_again(
    server: MisbehavingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed(server, tmp_path / "a")) == 0
    found = load(tmp_path / "a" / RESULTS)
    other = tmp_path / "other.json"
    save(found, other)
    capsys.readouterr()
    assert (
        main(["report", str(tmp_path / "a" / RESULTS), str(other), "--out", str(tmp_path / "b")])
        == 0
    )
    assert list((tmp_path / "b").iterdir())
    strange = json.loads(other.read_bytes())
    strange["machine"]["processor"] = "an abacus"
    other.write_text(json.dumps(strange))
    assert main(["report", str(tmp_path / "a" / RESULTS), str(other)]) == 2
    assert "different machines" in capsys.readouterr().err
    strange["targets"] = []
    other.write_text(json.dumps(strange))
    for arguments in ([str(other)], [str(tmp_path / "a" / RESULTS), "--out", str(other)]):
        assert main(["report", *arguments]) == 2
        assert "no report could be written: " in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_was_measured_and_leaves_nobody(
    number: signal.Signals, tmp_path: Path
) -> None:
    with misbehaving_server() as server, misbehaving_server(Misbehaviour()) as slow:
        arguments = typed(server, tmp_path, "--target", f"two={slow.http_url},dialect=plain")
        arguments[arguments.index("1")] = "1.5"
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        process = entrust(subprocess.Popen(
            [sys.executable, "-m", "bench", *arguments],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ))  # fmt: skip
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "=== flood against two" in line:
                    break
            assert slow.has_seen(lambda: any(slow.sessions.values()))
            process.send_signal(number)
            _, err = process.communicate(timeout=LAST_RESORT_S)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130, err
        assert "interrupted" in err
        assert "Traceback" not in err
        assert [run.target for run in load(tmp_path / RESULTS).runs] == ["one"]
        assert slow.has_seen(lambda: not any(slow.sessions.values()))


# --- those who watch ------------------------------------------------------------------------------


MOMENT = Moment(
    at_s=1,
    connected=3,
    sent=5,
    delivered=10,
    disconnects=1,
    p50_ms=1.5,
    p95_ms=2.5,
    p99_ms=5,
    max_ms=9,
)
STANDING = RunStatus(
    target="one", scenario="flood", title="t", people=4, left_s=8, sent=50, expected=110,
    delivered=100, lost=10, refused=2, disconnects=1, reconnects=1, generator_share=0.25,
)  # fmt: skip


def test_the_figures_can_be_scraped_while_it_runs() -> None:
    with Exporter(0) as served:
        served.moment(MOMENT, STANDING)
        with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/metrics") as answer:
            text = answer.read().decode()
    labels = 'scenario="flood",target="one"'
    assert f"locshare_bench_connected{{{labels}}} 3.0\n" in text
    assert f"locshare_bench_delivered_total{{{labels}}} 100.0\n" in text
    assert f'locshare_bench_latency_seconds{{quantile="0.99",{labels}}} 0.005\n' in text
    assert f'locshare_bench_latency_seconds{{quantile="0.95",{labels}}} 0.0025\n' in text
    assert "locshare_bench_server_cpu_share{" not in text  # not measured is not shown


def test_a_port_that_is_taken_is_bad_usage(
    server: MisbehavingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Exporter(0) as served, pytest.raises(SystemExit, match="2"):
        main(typed(server, tmp_path, "--metrics", str(served.port)))
    assert "--metrics" in capsys.readouterr().err


def test_what_is_shown_while_it_runs() -> None:
    shown = dict(figures(MOMENT, STANDING))
    assert shown["connected"] == "3 of 4"
    assert shown["p95"] == "2.5 ms"
    assert shown["lost"] == "10"
    assert shown["server CPU"] == shown["RSS"] == "?"
    assert shown["left"] == "8 s"


def test_the_display_of_a_terminal_leaves_what_was_found_behind(server: MisbehavingServer) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=160)
    with Display(console) as display:
        display.begins("one", "flood", "[4 people]")
        display.phase("measuring")
        display.moment(MOMENT, STANDING)
        display.ended(measure(server, plan((2,)), NullObserver()))
    shown = out.getvalue()
    for text in ("[4 people]", "measuring", "3 of 4", "2.5 ms", "(0.000% lost)"):
        assert text in shown


def long(*targets: MisbehavingServer, out: Path) -> list[str]:
    """One scenario of the long forms, as small as it gets."""
    arguments = ["run", "flood", "--long", "--scale", "0.03", "--duration", "1", "--out", str(out)]
    for number, target in enumerate(targets, 1):
        arguments += ["--target", f"server{number}={target.http_url},dialect=plain"]
    return arguments


def test_a_long_run_goes_on_with_what_is_missing(
    server: MisbehavingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with misbehaving_server(Misbehaviour(fail_joins=3)) as second:
        arguments = long(server, second, out=tmp_path)
        assert main(arguments) == 1
        err = capsys.readouterr().err
        assert err.startswith("2 runs, ")
        assert "flood against server2: none of 3 people could join" in err
        assert "tries these again, and nothing else" in err
        (first,) = load(tmp_path / RESULTS).runs
        (failure,) = load(tmp_path / RESULTS).failures
        assert (failure.scenario, failure.target) == ("flood", "server2")
        assert "flood against server2 could not" in (tmp_path / "report.md").read_text()

        assert main(arguments) == 0  # the second server has recovered
        err = capsys.readouterr().err
        assert err.startswith("1 run, ")
        assert "server1 gets ready" not in err
        assert load(tmp_path / RESULTS).failures == ()
        kept, found = load(tmp_path / RESULTS).runs
        assert first.began
        assert first.began <= found.began
        assert kept == first
        assert (found.target, found.people) == ("server2", 3)

        assert main(arguments) == 0
        assert load(tmp_path / RESULTS).runs == (kept, found)


def test_a_long_run_of_another_machine_or_a_broken_file_is_not_added_to(
    server: MisbehavingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = long(server, out=tmp_path)
    assert main(arguments) == 0
    strange = json.loads((tmp_path / RESULTS).read_bytes())
    strange["machine"]["processor"] = "an abacus"
    for content in (json.dumps(strange), "{"):
        (tmp_path / RESULTS).write_text(content)
        assert main(arguments) == 2
        assert "give another --out" in capsys.readouterr().err
        assert (tmp_path / RESULTS).read_text() == content


def test_an_interrupted_long_run_has_a_report_and_says_how_to_go_on(
    server: MisbehavingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    measured = measure
    times = iter(range(9))

    def interrupted(*arguments: Any, **more: Any) -> Run:
        if next(times):
            raise KeyboardInterrupt
        return measured(*arguments, **more)

    monkeypatch.setattr("bench.runner.measure", interrupted)
    with misbehaving_server() as second:
        assert main(long(server, second, out=tmp_path)) == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert [run.target for run in load(tmp_path / RESULTS).runs] == ["server1"]
    assert (tmp_path / "report.html").stat().st_size > 0


@pytest.mark.e2e
def test_the_capacity_of_a_server_is_searched_with_the_generator_in_c(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["capacity", "--start", "inprocess", "--steps", "50", "--duration", "1"]
    assert main([*arguments, "--p95", "3600", "--out", str(tmp_path)]) == 0
    runs = load(tmp_path / RESULTS).runs
    assert [(run.scenario, run.people) for run in runs] == [("capacity", 50)]
    assert all(run.delivered == run.expected > 0 for run in runs)
    assert all(run.network and run.network.to_people_bytes > 0 for run in runs)
    assert "50 or more" in (tmp_path / "report.md").read_text()


def test_every_run_times_the_rest_calls_that_a_server_has(
    server: MisbehavingServer, tmp_path: Path
) -> None:
    arguments = typed(server, tmp_path)
    arguments[arguments.index("1")] = "3"
    assert main(arguments) == 0
    (run,) = load(tmp_path / RESULTS).runs
    calls = {each.call: each.latencies.count for each in run.rest}
    assert calls["POST /api/sessions"] >= 1
    assert "GET /api/sessions/{id}" not in calls  # answered with 501
    assert run.network is not None
    assert run.network.to_people_bytes > 0
    assert run.network.to_server_bytes
    assert run.uptime_share == 1
