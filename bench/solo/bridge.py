"""Which asyncio loop disturbs the Trio loop less: inside it (trio-asyncio) or in a thread?

    python -m bench.solo.bridge

Each variant runs the store's own insert (a pooled connection, one row, one commit) against an
embedded PostgreSQL, 200 times a second. Beside it a Trio task ticks every millisecond; how late it
ticks is the disturbance. *busy* has the main loop work for 3 of every 5 ms, as a broadcast does.
The variants alternate, twice each; the rounds are pooled. Ratios of one run are the result, not the
figures.

Two shared cores, CPython 3.11, trio 0.35, trio-asyncio 0.16, asyncpg 0.32::

    200 inserts/s, 2 cores; milliseconds
                     lag p50      p99     max     call     p99     CPU    main  calls/s
    inside              0.42     1.16    2.47     1.50    2.66     26%     26%     2682
    no database         0.54     1.15    2.86     0.00    0.00      8%      8%        0
    thread              0.49     1.19    5.31     1.21    2.12     22%     13%     2957
    inside, busy        0.40     1.31    2.27     2.80    4.85     70%     70%        0
    no database, busy   0.41     1.46    2.14     0.00    0.00     62%     62%        0
    thread, busy        0.41     1.44    3.55     2.66    5.99     74%     62%        0

Neither can be told from no database at all by the lag: p99 inside/thread is 0.97 idle and 0.91
busy. The thread takes half of the work off the main thread's account, but not off the GIL: both
threads together need as much CPU, and when the main loop is busy a call's p99 is 1.2 times that of
inside. So nothing speaks for a second thread, and the loop runs inside Trio.
"""

import asyncio
import contextlib
import gc
import os
import statistics
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import uuid4

import outcome
import trio
import trio_asyncio

from locshare.store import statements as sql
from locshare.store.bridge import Bridge
from locshare.store.database import Database, open_database
from locshare.store.embedded import embedded_postgres
from locshare.store.migrate import migrate
from locshare.store.port import SessionRecord

T = TypeVar("T")

RATE = 200
TICK_S = 0.001
ROUND_S = 1.3
FLOOD_S = 0.5
CALLERS = 8
WORK_S = 0.003
REST_S = 0.002


class InsideBridge(Bridge):
    """trio-asyncio: asyncio's callbacks are run by a Trio task."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    async def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return cast("T", await self._loop.run_aio_coroutine(coroutine))


class ThreadBridge(Bridge):
    """An asyncio loop in a thread of its own; two wake-ups across for each call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._token = trio.lowlevel.current_trio_token()

    async def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        caller = trio.lowlevel.current_task()
        running: list[asyncio.Task[T]] = []
        cancel: Callable[[], Any] | None = None

        def start() -> None:
            task = self._loop.create_task(coroutine)
            running.append(task)
            task.add_done_callback(lambda done: self._token.run_sync_soon(finish, done))

        def finish(done: "asyncio.Task[T]") -> None:
            trio.lowlevel.reschedule(caller, outcome.capture(done.result))

        def abort(raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
            nonlocal cancel
            cancel = raise_cancel
            # Not the bound method: the task may not be there yet.
            self._loop.call_soon_threadsafe(lambda: running[0].cancel())  # noqa: PLW0108
            return trio.lowlevel.Abort.FAILED

        self._loop.call_soon_threadsafe(start)
        try:
            return cast("T", await trio.lowlevel.wait_task_rescheduled(abort))
        except asyncio.CancelledError:
            if cancel is not None:
                cancel()
            raise


@asynccontextmanager
async def inside() -> AsyncIterator[Bridge]:
    async with trio_asyncio.open_loop() as loop:
        yield InsideBridge(loop)


@asynccontextmanager
async def thread() -> AsyncIterator[Bridge]:
    loop = asyncio.SelectorEventLoop()
    runner = threading.Thread(target=loop.run_forever, name="asyncio", daemon=True)
    runner.start()
    try:
        yield ThreadBridge(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        await trio.to_thread.run_sync(runner.join)
        loop.close()


VARIANTS: dict[str, Callable[[], AbstractAsyncContextManager[Bridge]]] = {
    "inside": inside,
    "thread": thread,
}


@dataclass
class Figures:
    """Seconds; ``cpu`` is CPU time of this process, ``main`` of its main thread."""

    lags: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    cpu: float = 0.0
    main: float = 0.0
    wall: float = 0.0
    flood: int = 0


def session() -> SessionRecord:
    now = datetime.now(UTC)
    return SessionRecord(uuid4(), "bench", now, now + timedelta(hours=1), uuid4(), True, now)


async def tick(lags: list[float]) -> None:
    """How much later than asked this task runs."""
    due = time.perf_counter()
    while True:
        due = max(due + TICK_S, time.perf_counter())
        await trio.sleep(max(due - time.perf_counter(), 0))
        lags.append(time.perf_counter() - due)


async def work() -> None:
    """The main loop's own work, in pieces of 0.3 ms with a checkpoint between."""
    while True:
        end = time.perf_counter() + WORK_S
        while time.perf_counter() < end:
            piece = time.perf_counter() + 0.0003
            while time.perf_counter() < piece:
                pass
            await trio.lowlevel.checkpoint()
        await trio.sleep(REST_S)


async def insert(database: Database, waits: list[float]) -> None:
    began = time.perf_counter()
    await database.run(sql.insert_sessions, [session()])
    waits.append(time.perf_counter() - began)


async def steady(database: Database | None, figures: Figures, *, busy: bool) -> None:
    """RATE inserts a second (none without a database) for ROUND_S."""
    gc.collect()
    cpu, main_cpu, began = time.process_time(), time.thread_time(), time.perf_counter()
    with trio.move_on_after(ROUND_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick, figures.lags)
            if busy:
                nursery.start_soon(work)
            due = trio.current_time()
            while True:
                if database is not None:
                    nursery.start_soon(insert, database, figures.waits)
                due += 1 / RATE
                await trio.sleep_until(due)
    figures.cpu += time.process_time() - cpu
    figures.main += time.thread_time() - main_cpu
    figures.wall += time.perf_counter() - began


async def flood(database: Database, figures: Figures) -> None:
    """As many inserts as CALLERS callers get done in FLOOD_S."""
    done: list[float] = []

    async def caller() -> None:
        while True:
            await insert(database, done)

    with trio.move_on_after(FLOOD_S):
        async with trio.open_nursery() as nursery:
            for _ in range(CALLERS):
                nursery.start_soon(caller)
    figures.flood += len(done)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] * 1e3 if values else 0.0


def row(name: str, figures: Figures, rounds: int) -> str:
    calls = len(figures.waits)
    return (
        f"{name:<17}"
        f"{percentile(figures.lags, 0.5):8.2f} {percentile(figures.lags, 0.99):8.2f}"
        f"{max(figures.lags) * 1e3:8.2f} "
        f"{(statistics.mean(figures.waits) if calls else 0) * 1e3:8.2f}"
        f"{percentile(figures.waits, 0.99):8.2f}"
        f"{figures.cpu / figures.wall * 100:7.0f}%{figures.main / figures.wall * 100:7.0f}%"
        f"{figures.flood / FLOOD_S / rounds:9.0f}"
    )


async def main() -> None:
    rounds = 2
    results: dict[tuple[str, bool], Figures] = {}
    with tempfile.TemporaryDirectory(prefix="locshare-bench-") as folder:
        async with embedded_postgres(Path(folder)) as url:
            for number in range(rounds):
                for name, make in VARIANTS.items():
                    async with (
                        make() as bridge,
                        open_database(bridge, url, connections=CALLERS, timeout_s=5) as database,
                    ):
                        if not results:
                            await database.run_alone(migrate)
                        await flood(database, Figures())  # connects, prepares, warms up
                        for busy in (False, True):
                            figures = results.setdefault((name, busy), Figures())
                            await steady(database, figures, busy=busy)
                        await flood(database, results[name, False])
                for busy in (False, True):
                    if number == 0:
                        figures = results.setdefault(("no database", busy), Figures())
                        await steady(None, figures, busy=busy)
    print(f"{RATE} inserts/s, {os.cpu_count()} cores; milliseconds")
    print(" " * 17 + " lag p50      p99     max     call     p99     CPU    main  calls/s")
    for (name, busy), figures in sorted(results.items(), key=lambda item: (item[0][1], item[0][0])):
        print(row(name + (", busy" if busy else ""), figures, rounds))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        trio.run(main)
