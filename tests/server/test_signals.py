"""What signals do, each tried in a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest

from bench.guardian import entrust
from locshare.server.signals import EXIT_TOO_LATE
from tests.running import LAST_RESORT_S

SET_UP = """
import os, signal, sys, time
import trio
from locshare.telemetry import logs
from locshare.telemetry import output
from locshare.server.signals import StopSignals
output.write_in_background()
logs.configure("info", "json")
signals = StopSignals({deadline})
signals.install()
def say(text): print(text, flush=True)
async def serve():
    with trio.CancelScope() as scope, signals.stopping(scope.cancel):
        say("up")
        await trio.sleep_forever()
"""


@pytest.fixture(autouse=True)
def programs_are_not_under_nohup() -> Iterator[None]:
    """Under nohup this process ignores a hangup, and so would what it starts. What it handles is
    the default there.
    """
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    signal.signal(signal.SIGHUP, before)


def run(
    code: str,
    numbers: Sequence[signal.Signals] = (),
    deadline: float = 60.0,
    options: Sequence[str] = (),
) -> tuple[int, str]:
    """Run ``code``; send ``numbers`` when it says "up", each when its effect on the one before is
    in the log. Returns the status and what it wrote.
    """
    with entrust(subprocess.Popen(
        [*options, sys.executable, "-c", SET_UP.replace("{deadline}", str(deadline)) + code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            heard = process.stdout.readline() if numbers else ""
            for place, number in enumerate(numbers, 1):
                process.send_signal(number)
                if number in (signal.SIGTERM, signal.SIGUSR1) and place < len(numbers):
                    heard += process.stdout.readline()
            rest = process.communicate(timeout=LAST_RESORT_S)[0]
        finally:
            process.kill()
    return process.returncode, heard + rest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_in_order(number: signal.Signals) -> None:
    status, out = run("trio.run(serve); say('ended')", [number])
    assert status == 0, out
    assert "ended\n" in out


DEAF = """
async def deaf():
    with trio.CancelScope(shield=True):
        await serve()
        await trio.sleep_forever()
trio.run(deaf)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_it_at_once(number: signal.Signals) -> None:
    status, out = run(DEAF, [signal.SIGTERM, number])
    assert status == 128 + number
    assert "stopping_at_once" in out


SLOW = """
async def slow():
    with trio.CancelScope(shield=True):
        await serve()
        await trio.to_thread.run_sync(sys.stdin.readline)
trio.run(slow); say("ended")
"""


def test_a_hangup_is_never_the_second_signal() -> None:
    status, out = run(SLOW, [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
    assert status == 0, out
    assert "ended\n" in out


def test_quit_ends_it_at_once() -> None:
    status, out = run("trio.run(serve)", [signal.SIGQUIT])
    assert status == 128 + signal.SIGQUIT
    assert "stopping_at_once" in out


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_user_signals_are_a_log_line(number: signal.Signals) -> None:
    status, out = run("trio.run(serve); say('ended')", [number, signal.SIGTERM])
    assert status == 0, out
    assert "signal_ignored" in out


def test_under_nohup_a_hangup_stays_ignored() -> None:
    code = "say(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    assert run(code, options=["nohup"])[1] == "True\n"
    assert run(code)[1] == "False\n"


def test_a_signal_before_the_loop_runs_is_not_forgotten() -> None:
    code = "os.kill(os.getpid(), signal.SIGTERM); time.sleep(0.1)\ntrio.run(serve); say('ended')"
    status, out = run(code)
    assert status == 0, out
    assert "ended\n" in out


@pytest.mark.parametrize(
    "hang",
    [
        "while True: pass",
        "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
        "os.read(os.pipe()[0], 1)",
        "trio.run(trio.sleep_forever)",
        "import threading; threading.Thread(target=time.sleep, args=(600,)).start()",
    ],
)
def test_from_the_first_signal_on_the_deadline_runs_whatever_hangs(hang: str) -> None:
    code = f"os.kill(os.getpid(), signal.SIGTERM)\n{hang}"
    status, out = run(code, deadline=0.2)
    assert status == EXIT_TOO_LATE, out
    assert "not_stopped_in_time" in out


def test_an_end_that_no_signal_began_has_the_same_deadline() -> None:
    assert run("signals.arm()\nwhile True: pass", deadline=0.1)[0] == EXIT_TOO_LATE


def test_an_orderly_end_in_time_is_not_cut_off() -> None:
    assert run("signals.arm(); say('ended')", deadline=60) == (0, "ended\n")
