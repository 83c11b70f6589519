"""What a query costs across the bridge between Trio and asyncio, in CPU time.

    python -m bench.solo.bridge

Each variant runs in a process of its own (what one imports must not slow another), against an
embedded PostgreSQL: ``SELECT $1::int`` by the store's :class:`Database`, one after the other and
by 32 callers at once. Counted are the CPU time of the whole process and that of the main thread,
which is Trio's. *floor* is asyncpg without a bridge, in a plain asyncio program with the same pool.

With ``PYTHONPATH`` set to another checkout's ``src`` the variant *as it is* measures that one. The
variants alternate; each figure is the median of the rounds. Ratios of one run are the result, not
the figures.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import asyncpg
import trio

from locshare.store import bridge
from locshare.store.bridge import open_bridge
from locshare.store.database import Database, open_database
from locshare.store.embedded import embedded_postgres

VARIANTS: Final = ("as it is", "asyncio's loop", "floor")
CALLERS: Final = 32
CONNECTIONS: Final = 8
ROUNDS: Final = 3
Figures = dict[str, float]


async def query(connection: Any, number: int) -> int:
    """One round trip."""
    value: int = await connection.fetchval("SELECT $1::int", number)
    return value


class Cost:
    """CPU time of a block, per query, in µs."""

    def __init__(self, figures: Figures, name: str, queries: int) -> None:
        self._figures = figures
        self._name = name
        self._queries = queries

    def __enter__(self) -> None:
        self._whole, self._main = time.process_time(), time.thread_time()

    def __exit__(self, *_: object) -> None:
        for name, used in (
            ("whole", time.process_time() - self._whole),
            ("main", time.thread_time() - self._main),
        ):
            self._figures[f"{self._name}, {name}"] = used / self._queries * 1e6


async def across(url: str, queries: int) -> Figures:
    """Over the store's bridge and pool."""
    figures: Figures = {}

    async def caller(database: Database, count: int) -> None:
        for number in range(count):
            await database.run(query, number)

    async def crowd(database: Database) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(CALLERS):
                nursery.start_soon(caller, database, queries // CALLERS)

    async with (
        open_bridge() as between,
        open_database(between, url, connections=CONNECTIONS, timeout_s=5) as database,
    ):
        await database.open(partial(query, number=0))
        await crowd(database)  # connects, prepares, warms up
        with Cost(figures, "one", queries):
            await caller(database, queries)
        with Cost(figures, f"{CALLERS} at once", queries):
            await crowd(database)
    return figures


async def floor(url: str, queries: int) -> Figures:
    """asyncpg alone."""
    figures: Figures = {}
    pool = await asyncpg.create_pool(
        url, min_size=0, max_size=CONNECTIONS, max_inactive_connection_lifetime=0.0
    )

    async def caller(count: int) -> None:
        for number in range(count):
            async with asyncio.timeout(5), pool.acquire() as connection:
                await query(connection, number)

    async def crowd() -> None:
        await asyncio.gather(*(caller(queries // CALLERS) for _ in range(CALLERS)))

    await crowd()
    with Cost(figures, "one", queries):
        await caller(queries)
    with Cost(figures, f"{CALLERS} at once", queries):
        await crowd()
    await pool.close()
    return figures


def measure(variant: str, url: str, queries: int) -> Figures:
    """In this process."""
    if variant == "floor":
        with asyncio.Runner(loop_factory=getattr(bridge, "new_event_loop", None)) as runner:
            return runner.run(floor(url, queries))
    if variant == "asyncio's loop":
        bridge.new_event_loop = asyncio.new_event_loop
    return trio.run(across, url, queries)


def in_its_own_process(variant: str, url: str, queries: int) -> Figures:
    """Of ``measure``."""
    command = [sys.executable, "-m", "bench.solo.bridge", "--variant", variant]
    command += ["--url", url, "--queries", str(queries)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


async def compare(queries: int) -> None:
    """Print a table."""
    rounds: dict[str, list[Figures]] = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory(prefix="locshare-bench-") as folder:
        async with embedded_postgres(Path(folder)) as url:
            for _ in range(ROUNDS):
                for variant in VARIANTS:
                    rounds[variant].append(
                        await trio.to_thread.run_sync(in_its_own_process, variant, url, queries)
                    )
    names = list(rounds[VARIANTS[0]][0])
    print(f"µs of CPU for a query, {queries} queries, median of {ROUNDS} rounds")
    print(" " * 16 + "".join(f"{name:>22}" for name in names))
    for variant, found in rounds.items():
        medians = (statistics.median(each[name] for each in found) for name in names)
        print(f"{variant:<16}" + "".join(f"{value:22.0f}" for value in medians))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--queries", type=int, default=4000)
    parser.add_argument("--variant", choices=VARIANTS, help="measure this one here, as JSON")
    parser.add_argument("--url", help="with --variant: of the database")
    arguments = parser.parse_args()
    if arguments.variant:
        print(json.dumps(measure(arguments.variant, arguments.url, arguments.queries)))
    else:
        trio.run(compare, arguments.queries)


if __name__ == "__main__":
    main()
