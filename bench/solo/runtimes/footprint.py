"""The memory of idle ones, measured in a process of its own.

    python -m bench.solo.runtimes.footprint channels 2000 [--traced]

Prints KiB for each: resident (RSS), or with ``--traced`` what tracemalloc saw. A thread's stack is
not in the latter.
"""

import argparse
import contextlib
import gc
import os
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import trio

from bench.figures import resident_bytes
from bench.solo.runtimes import Startable
from bench.solo.runtimes.actors import open_actors, open_children
from bench.solo.runtimes.channels import open_channels
from bench.solo.runtimes.threads import open_threads

OPENERS: dict[str, Callable[[], AbstractAsyncContextManager[Startable]]] = {
    "actors": open_actors,
    "children": open_children,
    "channels": open_channels,
    "threads": open_threads,
}
SETTLE_S = 0.1
"""Threads that have been started still have to come to their queues."""


async def footprint(name: str, count: int, traced: bool) -> float:
    """KiB for each of ``count`` that have been started and had nothing to do since; nan where the
    system does not tell.
    """
    async with OPENERS[name]() as system:
        await system.start(10)  # what is needed once
        before = await _memory(traced)
        await system.start(count)
        after = await _memory(traced)
        await system.stop()
    return (after - before) / count / 1024


async def _memory(traced: bool) -> float:
    await trio.sleep(SETTLE_S)
    gc.collect()
    if traced:
        return tracemalloc.get_traced_memory()[0]
    resident = resident_bytes(os.getpid())
    return float("nan") if resident is None else resident


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.solo.runtimes.footprint")
    parser.add_argument("system", choices=list(OPENERS))
    parser.add_argument("count", type=int)
    parser.add_argument("--traced", action="store_true")
    arguments = parser.parse_args()
    if arguments.traced:
        tracemalloc.start()
    print(trio.run(footprint, arguments.system, arguments.count, arguments.traced))


async def measured(name: str, count: int, *options: str) -> float:
    """The same from another process."""
    command = [sys.executable, "-m", "bench.solo.runtimes.footprint", name, str(count), *options]
    done = await trio.run_process(command, capture_stdout=True)
    return float(done.stdout)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
