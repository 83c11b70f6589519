"""Break a real server in every way that an alert is for; see each alert fire, and resolve again.

Windows are seconds instead of minutes (:func:`tests.monitoring.rules.hastened`); the expressions
and the thresholds are those that operators run.
"""

import argparse
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import trio
from msgspec import Struct

from bench.guardian import entrust
from bench.procfs import descendants
from bench.servers import free_port
from locshare.ops.control import ControlError
from locshare.ops.faults import FaultClient, open_faults
from tests.faults.traffic import control_socket
from tests.monitoring.rules import alerts
from tests.monitoring.stack import HOST, Stack, Told, monitored, wait_ready
from tests.monitoring.world import (
    MAX_CONNECTIONS,
    MAX_HTTP_CONNECTIONS,
    MAX_SESSIONS,
    STEP_S,
    World,
    a_world,
    fill,
    small_disk,
    small_memory,
)
from tests.program import data_directory
from tests.running import LAST_RESORT_S

_MEBIBYTES: Final = 700
"""The limit of memory in the drill."""

Break = Callable[[World, FaultClient], AbstractAsyncContextManager[None]]


class Scenario(Struct, frozen=True):
    """What is broken while ``broken`` is open, and what must fire by then and resolve after."""

    title: str
    alerts: tuple[str, ...]
    broken: Break


@asynccontextmanager
async def store_away(world: World, faults: FaultClient) -> AsyncIterator[None]:
    await faults.cut_store()
    yield
    await faults.restore_store()


@asynccontextmanager
async def store_slow(world: World, faults: FaultClient) -> AsyncIterator[None]:
    await faults.delay_store(0.35)
    yield
    await faults.restore_store()


@asynccontextmanager
async def session_slow(world: World, faults: FaultClient) -> AsyncIterator[None]:
    world.step_s = 2.0  # or messages pile up, and the session writes none of them
    await faults.slow(world.actor, 1.4, messages=1_000)
    yield
    await faults.clear()
    world.step_s = STEP_S


@asynccontextmanager
async def loop_blocked(world: World, faults: FaultClient) -> AsyncIterator[None]:
    with trio.fail_after(LAST_RESORT_S):
        while True:
            try:
                await faults.block(world.others_actor, 1.3)
                break
            except ControlError:  # it crashed a moment ago, in another scenario
                await trio.sleep(0.05)
    await world.other.phones[0].move()
    yield


@asynccontextmanager
async def core_full(world: World, faults: FaultClient) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _hold() -> None:
            while True:
                await faults.block(world.actor, 0.4)
                await trio.sleep(0.45)

        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def session_crash(world: World, faults: FaultClient) -> AsyncIterator[None]:
    await faults.crash_now(world.others_actor)
    yield


@asynccontextmanager
async def session_given_up(world: World, faults: FaultClient) -> AsyncIterator[None]:
    async with world.real.group(2) as group:
        path = f"sessions/{group.session_id[:8]}/session"
        await faults.crash(path, times=10)
        for _ in range(5):
            for phone in group.phones:
                if phone.closed is None:
                    await phone.move()
            await trio.sleep(0.3)
        yield


@asynccontextmanager
async def connection_crash(world: World, faults: FaultClient) -> AsyncIterator[None]:
    async with world.real.group(1) as group:
        (phone,) = group.phones
        await faults.crash_connection(phone.user_id)
        await phone.move()
        await phone.until(lambda: phone.closed is not None)
        yield


@asynccontextmanager
async def crash_loop(world: World, faults: FaultClient) -> AsyncIterator[None]:
    for _ in range(6):
        await faults.kill("heartbeat")
        await trio.sleep(0.1)
    yield


@asynccontextmanager
async def mailbox_full(world: World, faults: FaultClient) -> AsyncIterator[None]:
    async with world.real.group(1) as group, trio.open_nursery() as nursery:
        path = f"sessions/{group.session_id[:8]}/session"
        nursery.start_soon(faults.fill_mailbox, path, 4.0)
        yield


@asynccontextmanager
async def stopped(world: World, faults: FaultClient) -> AsyncIterator[None]:
    os.kill(world.program.pid, signal.SIGSTOP)
    yield
    os.kill(world.program.pid, signal.SIGCONT)


@asynccontextmanager
async def few_files(world: World, faults: FaultClient) -> AsyncIterator[None]:
    pid = world.program.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 3, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@asynccontextmanager
async def crowd(world: World, faults: FaultClient) -> AsyncIterator[None]:
    sessions = MAX_SESSIONS - 3  # two are there already
    async with world.crowd(sessions, MAX_CONNECTIONS * 92 // 100 // sessions + 1):
        yield


@asynccontextmanager
async def strangers(world: World, faults: FaultClient) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.strangers, "/ws?token=nobody.gave.this")
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def idle_connections(world: World, faults: FaultClient) -> AsyncIterator[None]:
    async with world.idle_connections(3 * MAX_HTTP_CONNECTIONS):
        yield


@asynccontextmanager
async def deaf_clients(world: World, faults: FaultClient) -> AsyncIterator[None]:
    async with world.deaf_clients(12):
        yield


@asynccontextmanager
async def disk_full(world: World, faults: FaultClient) -> AsyncIterator[None]:
    file = Path(world.program.environment["LOCSHARE_DATA_DIR"], "filler")
    fill(file, 0.96)
    yield
    file.unlink()


@asynccontextmanager
async def memory_full(world: World, faults: FaultClient) -> AsyncIterator[None]:
    pids = [world.program.pid, *descendants(world.program.pid)]
    with small_memory(pids, _MEBIBYTES) as free:
        wanted = free // 1024 // 1024 - _MEBIBYTES * 5 // 100
        async with trio.open_nursery() as nursery:
            nursery.start_soon(faults.press_memory, wanted, 300.0)
            yield
            nursery.cancel_scope.cancel()


QUICK: Final = (
    Scenario(
        "the database is cut off",
        (
            "LocshareStoreAway", "LocshareErrorsHigh", "LocshareErrorsCritical",
            "LocshareErrorBudgetFast", "LocshareErrorBudgetSlow", "LocshareErrorBudgetTrickle",
        ),
        store_away,
    ),
    Scenario(
        "a session's actor is slow",
        ("LocshareLatencyHigh", "LocshareLatencyCritical", "LocshareLatencyBudget"),
        session_slow,
    ),
    Scenario("a session's actor crashes", ("LocshareSessionCrashed",), session_crash),
    Scenario("the heartbeat crashes six times", ("LocshareCrashLoop",), crash_loop),
    Scenario("the loop is held", ("LocshareLoopBlocked",), loop_blocked),
)  # fmt: skip
"""They do not disturb each other much, and are over soon."""

LONG: Final = (
    Scenario("the database is slow", ("LocshareStoreSlow",), store_slow),
    Scenario("the loop is held again and again", ("LocshareCoreFull",), core_full),
    Scenario("a session crashes until it is given up", ("LocshareGaveUp",), session_given_up),
    Scenario("the task of a connection crashes", ("LocshareConnectionCrashed",), connection_crash),
    Scenario("a mailbox is full", ("LocshareMailboxFull",), mailbox_full),
    Scenario("file descriptors run out", ("LocshareFilesLow",), few_files),
    Scenario(
        "a crowd comes",
        ("LocshareConnectionsFull", "LocshareSessionsFull", "LocshareMilestone"),
        crowd,
    ),
    Scenario("strangers try tokens", ("LocshareTokensRefused",), strangers),
    Scenario("idle connections fill HTTP", ("LocshareConnectionsEvicted",), idle_connections),
    Scenario("clients do not read", ("LocshareReceiversTooSlow",), deaf_clients),
    Scenario("the disk is full", ("LocshareDiskHigh", "LocshareDiskFull"), disk_full),
    Scenario("memory is full", ("LocshareMemoryHigh", "LocshareMemoryCritical"), memory_full),
    Scenario("the process is stopped", ("LocshareDown",), stopped),
)  # fmt: skip

NOT_PROVOKED: Final = {
    "LocshareStoreQueue": "five hundred writes wait only under a load that a drill does not make",
    "LocshareStoreDropped": "fifty thousand writes have to wait",
    "LocshareMetricsBroken": "a fault of the program, which nothing injects",
    "LocshareWatchdog": "fires always: that it came is checked",
}
"""`promtool test rules` fires these (tests/monitoring/test_rules.py)."""

OWN_SERVER: Final = ("LocshareLogDropped", "LocshareRestarts")
"""See :func:`own_server`."""

Say = Callable[[str], None]


async def play(world: World, scenarios: Sequence[Scenario], say: Say) -> None:
    """All ``scenarios`` at once: wait until every alert fires, heal, wait until every one has been
    resolved. Raises AssertionError when one does not.
    """
    operator = world.stack.operator
    names = [name for scenario in scenarios for name in scenario.alerts]
    for scenario in scenarios:
        say(f"{operator.elapsed_s:6.1f}  BREAK     {scenario.title}")
    began = operator.elapsed_s
    healed = trio.Event()
    async with trio.open_nursery() as broken:
        for scenario in scenarios:
            broken.start_soon(_hold, scenario.broken, world, healed)
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(_see, world, name, True, began, say)
        healed.set()
    say(f"{operator.elapsed_s:6.1f}  HEAL")
    since = operator.elapsed_s
    async with trio.open_nursery() as nursery:
        for name in names:
            if name in operator.firing():
                nursery.start_soon(_see, world, name, False, since, say)


async def _hold(broken: Break, world: World, healed: trio.Event) -> None:
    # A connection of its own: some faults answer only when they are over.
    async with open_faults(control_socket(world.program)) as faults, broken(world, faults):
        await healed.wait()


async def _see(world: World, name: str, firing: bool, since: float, say: Say) -> None:
    wait = partial(world.stack.operator.wait, name, firing=firing, since=since)
    _tell(await trio.to_thread.run_sync(wait, abandon_on_cancel=True), say)


def _tell(told: Told, say: Say) -> None:
    word = "FIRING  " if told.firing else "RESOLVED"
    say(f"{told.at:6.1f}  {word}  {told.alert} ({told.labels['severity']}): {told.summary}")


def own_server(say: Say) -> None:
    """What needs a server without people. Its log cannot be written, and it is restarted."""
    with data_directory() as folder, Path("/dev/full").open("wb") as full:
        address = f"{HOST}:{free_port()}"
        command = [sys.executable, "-m", "locshare", "serve"]
        environment = os.environ | {
            "LOCSHARE_BIND": address,
            "LOCSHARE_DATA_DIR": str(folder),
        }

        def serve() -> "subprocess.Popen[bytes]":
            started = entrust(subprocess.Popen(command, env=environment, stderr=full))
            wait_ready(f"http://{address}/health/ready", started, folder)
            return started

        server = serve()
        try:
            with monitored({"locshare": address}, window_s=12.0) as stack:
                operator = stack.operator
                say(f"{operator.elapsed_s:6.1f}  BREAK     the log cannot be written")
                httpx.get(f"http://{address}/")
                _tell(operator.wait("LocshareLogDropped", firing=True), say)
                say(f"{operator.elapsed_s:6.1f}  BREAK     the process is killed three times")
                for _ in range(3):
                    server.kill()
                    server.wait()
                    server = serve()
                    _await_scrape(stack, server.pid)
                _tell(operator.wait("LocshareRestarts", firing=True), say)
                since = operator.elapsed_s
                say(f"{since:6.1f}  HEAL")
                fired = [name for name in OWN_SERVER if name in operator.firing()]
                ends = [operator.wait(name, firing=False, since=since) for name in fired]
                for told in sorted(ends, key=lambda told: told.at):
                    _tell(told, say)
        finally:
            server.terminate()
            server.wait(LAST_RESORT_S)


def _await_scrape(stack: Stack, pid: int) -> None:
    """Until Prometheus has seen this incarnation, which is not seen if it is killed before."""
    seen = "last_over_time(process_start_time_seconds[1s])"
    stat = Path(f"/proc/{pid}/stat").read_text()
    ticks = int(stat.rpartition(")")[2].split()[19])
    boot = int(re.findall(r"btime (\d+)", Path("/proc/stat").read_text())[0])
    started = boot + ticks / os.sysconf("SC_CLK_TCK")
    while not any(abs(float(each["value"][1]) - started) < 0.1 for each in stack.query(seen)):
        time.sleep(0.1)


def check_covered() -> None:
    """Every alert is provoked or said not to be."""
    provoked = {name for scenario in (*QUICK, *LONG) for name in scenario.alerts} | {*OWN_SERVER}
    there = {rule["alert"] for rule in alerts()}
    assert provoked | NOT_PROVOKED.keys() == there, provoked ^ there
    assert not provoked & NOT_PROVOKED.keys()


def main(arguments: Sequence[str] | None = None) -> int:
    """The full drill, one scenario after the other. Needs root, for a small disk and a cgroup."""
    parser = argparse.ArgumentParser(prog="python -m tests.monitoring", description=__doc__)
    parser.add_argument("words", nargs="*", help="only scenarios with one of these in their title")
    words = parser.parse_args(arguments).words
    scenarios = [
        scenario
        for scenario in (*QUICK, *LONG)
        if not words or any(word in scenario.title for word in words)
    ]
    if not scenarios and "restarts" not in words:
        titles = "; ".join(scenario.title for scenario in (*QUICK, *LONG))
        parser.error(f"no scenario has {' or '.join(words)} in its title; there are: {titles}")
    check_covered()

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    async def drill() -> None:
        with small_disk(600) as folder:
            async with a_world(folder) as world:
                for scenario in scenarios:
                    await play(world, [scenario], say)

    version = subprocess.run(
        ["prometheus", "--version"], capture_output=True, text=True, check=True
    )
    say(f"{version.stdout.partition(' (')[0]}; seconds since it was started")
    if scenarios:
        trio.run(drill)
    if not words or "restarts" in words:
        own_server(say)
    for name, reason in NOT_PROVOKED.items():
        say(f"        NOT TRIED  {name}: {reason}")
    say("every alert that was provoked fired and was resolved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
