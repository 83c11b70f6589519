"""``locshare simulate``: flags, what is shown, exit statuses, and Ctrl-C."""

import json
import re
import signal
import subprocess
import sys
from argparse import ArgumentParser
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
import trio
from rich.console import Console

from locshare.cli import main as cli
from locshare.cli import simulate
from locshare.client import Unreachable
from locshare.simulate.cities import CITIES
from locshare.simulate.crowd import Crowd, Summary
from locshare.simulate.display import Meter, line_of, show, summary_of, table_of
from locshare.simulate.ledger import Latency, Ledger
from locshare.simulate.simulation import Plan
from tests.running import LAST_RESORT_S, given_time
from tests.simulate.kit import Server, serving, until

SESSION = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"


def plan(*arguments: str) -> Plan:
    parser = ArgumentParser()
    simulate.add_arguments(parser)
    return simulate.plan_of(parser.parse_args(arguments))


# --- flags ------------------------------------------------------------------------------------


def test_without_flags_eight_people_are_simulated_until_told_to_stop() -> None:
    usual = plan()
    assert (usual.url, usual.people, usual.interval) == ("http://127.0.0.1:8080", 8, 2.0)
    assert usual.duration is None
    assert usual.session_id is None


def test_every_flag_has_its_effect() -> None:
    made = plan(
        *("--url", "https://map.example/", "--ws-url", "wss://map.example"),
        *("--sessions", "3", "--size", "5", "--city", "tokyo", "--movement", "driving"),
        *("--interval", "0.5", "--duration", "60", "--seed", "7", "--speed-up", "10"),
    )
    assert made == Plan(
        "https://map.example", CITIES["tokyo"], 3, 5, 0.5, 60.0, "driving",
        speed_up=10.0, ws_url="wss://map.example", seed=7,
    )  # fmt: skip


def test_a_link_names_the_server_and_the_session() -> None:
    made = plan("--link", f"http://192.168.1.5:8080/join/{SESSION}", "--size", "3")
    assert (made.url, made.session_id) == ("http://192.168.1.5:8080", SESSION)
    assert made.people == 3
    assert plan("--session", SESSION.upper()).session_id == SESSION


def test_a_link_that_has_replaced_another_one_has_a_key() -> None:
    made = plan("--link", f"https://map.example/join/{SESSION}-{'a' * 24}.")
    assert (made.session_id, made.link_key) == (SESSION, "a" * 24)
    assert plan("--link", f"https://map.example/join/{SESSION}").link_key is None


@pytest.mark.parametrize("more", ["/", ".", ")", "%2E", "?a=b", "/?a=b#c", "#host=KEY"])
def test_a_link_may_have_a_query_a_fragment_or_what_a_messenger_left_on_it(more: str) -> None:
    made = plan("--link", f"https://map.example/rides/join/{SESSION}{more}")
    assert (made.url, made.session_id) == ("https://map.example/rides", SESSION)


def test_a_gpx_file_gives_the_ways(tmp_path: Path) -> None:
    file = tmp_path / "hike.gpx"
    points = '<trkpt lat="46" lon="8"/><trkpt lat="46.01" lon="8"/>'
    file.write_text(f'<gpx version="1.1"><trk><trkseg>{points}</trkseg></trk></gpx>')
    walked, driven = plan("--gpx", str(file)), plan("--gpx", str(file), "--movement", "driving")
    assert walked.tracks[0][-1].seconds == pytest.approx(1112 / 1.4, rel=0.01)
    assert driven.tracks[0][-1].seconds == pytest.approx(111.2, rel=0.01)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--url", "127.0.0.1:8080"], "'127.0.0.1:8080' is not like http://host:port"),
        (["--ws-url", "http://x"], "is not like ws://host:port"),
        (["--session", "abc"], "not the id of a session"),
        (["--link", "http://x/abc"], "not a join link"),
        (["--size", "0"], "'0' is not a number from 1 to 10000"),
        (["--size", "1.5"], "'1.5' is not a whole number"),
        (["--interval", "nan"], "'nan' is not a number from 0.05 to 86400"),
        (["--city", "atlantis"], "invalid choice"),
        (["--session", SESSION, "--link", f"http://x/join/{SESSION}"], "not allowed with"),
        (["--gpx", "/no/such/file.gpx"], "/no/such/file.gpx: No such file or directory"),
    ],
)
def test_wrong_usage_is_reported_with_status_2(
    flags: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["simulate", *flags]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""


# --- a run ------------------------------------------------------------------------------------


async def locshare_simulate(
    server: Server, *flags: str, interrupt: bool = False
) -> "subprocess.CompletedProcess[bytes]":
    """As a process; with ``interrupt`` Ctrl-C as soon as everyone is connected."""
    command = [sys.executable, "-W", "error", "-m", "locshare", "simulate"]
    command += ["--url", server.addresses.http_url, "--ws-url", server.addresses.ws_url]
    with trio.fail_after(LAST_RESORT_S):
        async with trio.open_nursery() as nursery:
            run = partial(
                trio.run_process,
                [*command, *flags],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
            )
            process: trio.Process = await nursery.start(run)
            assert process.stdout is not None
            assert process.stderr is not None
            if interrupt:
                await until(lambda: server.connections().messages_in["location_update"] >= 4)
                process.send_signal(signal.SIGINT)
            out = b"".join([part async for part in process.stdout])
            err = b"".join([part async for part in process.stderr])
    assert process.returncode is not None
    return subprocess.CompletedProcess(command, process.returncode, out, err)


async def test_a_run_ends_with_a_summary_and_status_0() -> None:
    """A busy machine may need all of its time for joining, and gets more."""
    async with serving() as server:
        for duration in (4, 20, 100):
            done = await locshare_simulate(
                server, "--size", "4", "--interval", "0.2", "--duration", f"{duration}"
            )
            if b"could not connect" not in done.stderr:
                break
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    found = re.match(r"4 people in 1 session for (\d+) s\n", text)
    assert found is not None
    assert int(found[1]) <= duration, "joining is part of it"
    assert "nothing lost" in text


async def test_the_summary_as_json_is_all_there_is() -> None:
    async with serving() as server:
        done = await locshare_simulate(
            server, "--size", "4", "--interval", "0.2", "--json", interrupt=True
        )
    summary = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert summary["received"] + summary["skipped"] == summary["expected"] == summary["sent"] * 3
    assert summary["lost"] == 0
    assert set(summary["latency_ms"]) == {"p50", "p95", "p99", "worst"}


async def test_ctrl_c_ends_it_in_order() -> None:
    async with serving() as server:
        done = await locshare_simulate(server, "--size", "4", interrupt=True)
        (record,) = server.store.sessions.values()
        about = await server.manager.describe(record.id)
        assert (about.participant_count, about.is_active) == (0, False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"4 people")


async def test_a_second_ctrl_c_ends_it_at_once() -> None:
    stop = trio.Event()

    async def interrupt_twice() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(simulate._stop_on_signal, stop)
            signal.raise_signal(signal.SIGINT)
            await stop.wait()
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(BaseExceptionGroup) as caught:
        await interrupt_twice()
    assert caught.group_contains(KeyboardInterrupt)


async def test_a_refusal_is_one_line_and_status_1() -> None:
    async with serving() as server:
        done = await locshare_simulate(server, "--session", SESSION)
    assert (done.returncode, done.stdout) == (1, b"")
    url = server.addresses.http_url
    assert done.stderr.decode() == f"locshare: 404 SESSION_NOT_FOUND: no such session ({url})\n"


def test_a_dead_server_is_one_line_and_status_1() -> None:
    def simulated(longer: float) -> "subprocess.CompletedProcess[bytes]":
        command = [sys.executable, "-W", "error", "-m", "locshare", "simulate"]
        options = ["--duration", str(0.5 * longer), "--url", "http://127.0.0.1:1"]
        return subprocess.run([*command, *options], capture_output=True, check=False)

    done = given_time(simulated, lambda done: b"ConnectError" in done.stderr)
    assert (done.returncode, done.stdout) == (1, b"")
    assert re.fullmatch(
        r"locshare: could not connect to http://127.0.0.1:1 within [\d.]+ s: "
        r"no answer: ConnectError\. Start a server .* --url and --ws-url\n",
        done.stderr.decode(),
    )


@pytest.mark.parametrize(
    ("sent", "lost", "failed", "status"),
    [(1, 0, 0, 0), (1, 1, 0, 1), (1, 0, 1, 1), (0, 0, 0, 1)],
    ids=["all", "lost", "failed", "nothing-sent"],
)
def test_status_1_is_for_what_was_lost_or_failed_and_for_nothing_at_all(
    sent: int, lost: int, failed: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def outcome(_plan: Plan, crowd: Crowd, _visible: bool) -> None:
        await trio.lowlevel.checkpoint()
        crowd.ledgers.append(Ledger())
        crowd.ledgers[0].sent, crowd.ledgers[0].lost, crowd.failed = sent, lost, failed

    monkeypatch.setattr(simulate, "_simulate", outcome)
    assert cli.main(["simulate"]) == status


# --- what is shown ----------------------------------------------------------------------------


def a_crowd() -> Crowd:
    crowd = Crowd()
    crowd.ledgers.append(Ledger(crowd.latencies))
    crowd.ledgers[0].sent, crowd.ledgers[0].received = 10, 70
    crowd.latencies.extend([0.001, 0.002])
    return crowd


def test_rates_are_of_the_last_seconds() -> None:
    crowd = a_crowd()
    meter = Meter(crowd)
    assert meter.read(100.0).sent_rate == 0
    for second in range(1, 11):
        crowd.ledgers[0].sent += 4
        crowd.ledgers[0].received += 28
        reading = meter.read(100.0 + second)
    assert (reading.sent, reading.received) == (50, 350)
    assert (reading.sent_rate, reading.received_rate) == (4.0, 28.0)
    for second in range(11, 21):
        reading = meter.read(100.0 + second)
    assert reading.sent_rate == 0


def test_the_line_and_the_table_hold_the_figures() -> None:
    reading = Meter(a_crowd()).read(1.0)
    assert "latency 1.0 / 2.0 / 2.0 ms" in line_of(reading)
    console = Console(file=StringIO(), width=80)
    console.print(table_of(reading))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "updates received" in text
    assert "1.0 / 2.0 / 2.0 ms" in text


def test_the_reason_for_having_no_connection_is_shown_instead_of_zeros() -> None:
    crowd = a_crowd()
    crowd.last_error = Unreachable("no answer from http://[::1]:1: ConnectError")
    reading = Meter(crowd).read(1.0)
    told = "nobody is connected, trying again: no answer from http://[::1]:1: ConnectError"
    assert line_of(reading) == told
    console = Console(file=StringIO(), width=100)
    console.print(table_of(reading))
    assert isinstance(console.file, StringIO)
    assert " ".join(told.split()) in " ".join(console.file.getvalue().split())


@pytest.mark.parametrize(
    ("sent", "expected", "told"),
    [(0, 0, "nothing was sent"), (5, 0, "nobody else was there"), (5, 5, "nothing lost")],
)
def test_nothing_is_called_lost_or_not_lost_where_nothing_was_expected(
    sent: int, expected: int, told: str
) -> None:
    crowd = a_crowd()
    crowd.ledgers[0].sent, crowd.ledgers[0].received = sent, expected
    assert told in summary_of(crowd.summary())
    assert ("nothing lost" in summary_of(crowd.summary())) is (expected > 0)


async def test_a_terminal_gets_a_table_and_a_file_gets_lines(
    autojump_clock: trio.abc.Clock,
) -> None:
    for is_terminal, expected in ((True, "people connected"), (False, "connected 0/0  sent 0.0/s")):
        console = Console(file=StringIO(), width=100, force_terminal=is_terminal)
        with trio.move_on_after(6):
            await show(a_crowd(), console)
        assert isinstance(console.file, StringIO)
        assert expected in console.file.getvalue()


def test_the_summary_tells_what_went_wrong() -> None:
    text = summary_of(
        Summary(
            sessions=2, people=8, seconds=10.4, sent=40, expected=120, received=117, skipped=1,
            waived=5, lost=2, foreign=3, latency_ms=Latency(1.0, 2.0, None, None), reconnects=4,
            failed=1, errors={"closed restart": 4},
        )
    )  # fmt: skip
    for part in (
        "8 people in 2 sessions for 10 s", "117 of 120 expected: 2 lost", "1.0 / 2.0 / - ms",
        "waived     5", "skipped    1", "others'    3", "reconnects 4", "failed     1",
        "closed restart: 4",
    ):  # fmt: skip
        assert part in text
