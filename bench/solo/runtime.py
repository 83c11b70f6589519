"""What the actor runtime costs on one core: beside a bare Trio task and channel as the limit, and
beside pykka.

    python -m bench.solo.runtime          # a minute; the figures of docs/performance.md
    python -m bench.solo.runtime --short  # 20 s

Standard output is the table as it stands in docs/performance.md; progress and circumstances go to
standard error. The process keeps to one core, where the system lets it. Rounds of the three take
turns; a figure is that of the best round, since the noise of a shared machine only ever adds, and
a ratio is that of two such figures.
"""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from math import isnan

import trio

from bench.figures import circumstances, cores, percentile
from bench.solo.rounds import Figures, Round, best, seconds, take_turns
from bench.solo.runtimes import Restarting, System, TooMany
from bench.solo.runtimes.actors import open_actors
from bench.solo.runtimes.channels import open_channels
from bench.solo.runtimes.footprint import measured
from bench.solo.runtimes.threads import open_threads
from bench.solo.tracing import cost_when_off

HEAD = (
    "| | locshare actor | bare Trio | ratio | pykka | ratio |",
    "|---|---|---|---|---|---|",
)
NAMES = ("actors", "channels", "threads")
PROCESSES = {name: name for name in NAMES}
BATCH = 100
DASH = "—"
MICRO = 1e6


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything. ``messages`` is at least BATCH."""

    rounds: int = 15
    messages: int = 3_000
    started: int = 500
    crashed: int = 200
    crowd: int = 10_000
    crowd_rounds: int = 3
    idle: int = 2_000
    idle_rounds: int = 3
    sets: int = 20
    pairs: int = 60
    pair: int = 300


LONG = Plan()
SHORT = Plan(rounds=5, messages=2_000, crowd_rounds=1, idle_rounds=1, sets=5, pairs=60)


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table: what it is, its unit, and whether a rate is of interest."""

    what: str
    unit: str = "µs"
    rate: bool = False

    def line(self, values: Mapping[str, float]) -> str:
        """``values`` may lack a system that cannot do this."""
        ours = values["actors"]
        cells = [self.what, self._cell(ours)]
        for name in NAMES[1:]:
            theirs = values.get(name, float("nan"))
            if isnan(theirs):
                cells += [DASH, DASH]
            else:
                cells += [self._cell(theirs), f"{ours / theirs:.2f}"]
        return f"| {' | '.join(cells)} |"

    def _cell(self, value: float) -> str:
        text = f"{value:.2f} {self.unit}" if value < 1 else f"{value:.1f} {self.unit}"
        # Three digits of a rate, which is as much as the other figure has.
        return f"{text} ({float(f'{MICRO / value:.3g}'):,.0f}/s)" if self.rate else text


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one round of each gives, and how many rounds."""

    figures: tuple[Figure, ...]
    them: Mapping[str, Round]
    rounds: int

    async def lines(self) -> list[str]:
        """Measure; one line for each figure."""
        found = {
            name: best(figures)
            for name, figures in (await take_turns(self.rounds, self.them)).items()
        }
        return [
            figure.line({name: figures[at] for name, figures in found.items()})
            for at, figure in enumerate(self.figures)
        ]


def comparisons(plan: Plan, systems: Mapping[str, System], traced: System) -> list[Comparison]:
    """The whole table. ``traced`` is ours with its trace on."""

    def compare(
        figures: tuple[Figure, ...],
        one_round: Callable[[System], Awaitable[Figures]],
        rounds: int = plan.rounds,
        ours: System = systems["actors"],
    ) -> Comparison:
        them = {name: partial(one_round, system) for name, system in systems.items()}
        return Comparison(figures, them | {"actors": partial(one_round, ours)}, rounds)

    call = partial(call_round, plan.messages)
    batches = partial(cast_round, plan.messages * 3, BATCH)
    restarting = {
        name: partial(crash_round, plan.crashed, system)
        for name, system in systems.items()
        if isinstance(system, Restarting)
    }
    crowd = f"{plan.crowd:,} started and stopped, in all"
    return [
        compare((Figure("call and reply", rate=True),), call),
        compare(
            (Figure("call latency p50"), Figure("call latency p99")),
            partial(latency_round, plan.messages),
        ),
        compare((Figure(f"cast, in batches of {BATCH}", rate=True),), batches),
        compare(
            (Figure("cast to one that sleeps", rate=True),), partial(cast_round, plan.messages, 1)
        ),
        compare((Figure("call and reply, trace on", rate=True),), call, ours=traced),
        compare(
            (Figure(f"cast, in batches of {BATCH}, trace on", rate=True),), batches, ours=traced
        ),
        compare(
            (Figure("start", rate=True), Figure("stop", rate=True)),
            partial(life_round, plan.started),
        ),
        Comparison((Figure("crash to the next incarnation", rate=True),), restarting, plan.rounds),
        compare((Figure(crowd, "s"),), partial(crowd_round, plan.crowd), plan.crowd_rounds),
        idle(plan, "memory of an idle one, tracemalloc", PROCESSES, "--traced"),
        idle(plan, "the same with its supervisor's part", {"actors": "children"}, "--traced"),
        idle(plan, "memory of an idle one, RSS", PROCESSES),
    ]


async def call_round(count: int, system: System) -> Figures:
    """µs of a call."""
    return (await seconds(system.calls(count)) / count * MICRO,)


async def latency_round(count: int, system: System) -> Figures:
    """p50 and p99, µs."""
    ordered = sorted(await system.latencies(count))
    return percentile(ordered, 0.5) * MICRO, percentile(ordered, 0.99) * MICRO


async def cast_round(count: int, batch: int, system: System) -> Figures:
    """µs of a message."""
    return (await seconds(system.casts(count, batch)) / count * MICRO,)


async def life_round(count: int, system: System) -> Figures:
    """µs of a start, and of a stop."""
    start = await seconds(system.start(count))
    stop = await seconds(system.stop())
    return start / count * MICRO, stop / count * MICRO


async def crash_round(count: int, system: Restarting) -> Figures:
    """µs from a crash to the next incarnation."""
    return (await seconds(system.crashes(count)) / count * MICRO,)


async def crowd_round(count: int, system: System) -> Figures:
    """Seconds in all; nan when the machine does not allow so many."""
    try:
        return (await seconds(system.crowd(count)),)
    except TooMany:
        return (float("nan"),)


def idle(plan: Plan, what: str, processes: Mapping[str, str], *options: str) -> Comparison:
    """KiB of an idle one, each time in a process of its own."""

    async def one_round(process: str) -> Figures:
        return (await measured(process, plan.idle, *options),)

    them = {name: partial(one_round, process) for name, process in processes.items()}
    return Comparison((Figure(what, "KiB"),), them, plan.idle_rounds)


async def run(plan: Plan) -> None:
    """Measure and print everything."""
    async with AsyncExitStack() as stack:
        actors = await stack.enter_async_context(open_actors())
        traced = await stack.enter_async_context(open_actors(traced=True))
        systems: dict[str, System] = {
            "actors": actors,
            "channels": await stack.enter_async_context(open_channels()),
            "threads": await stack.enter_async_context(open_threads()),
        }
        print(*HEAD, sep="\n", flush=True)
        for each in comparisons(plan, systems, traced):
            print(each.figures[0].what, file=sys.stderr)
            print(*await each.lines(), sep="\n", flush=True)
    print("", *await cost_when_off(plan.sets, plan.pairs, plan.pair, BATCH), sep="\n", flush=True)


def keep_to_one_core() -> str:
    """What came of it. Threads and children of this process keep to it too."""
    if not hasattr(os, "sched_setaffinity"):
        return "on any core"
    core = cores()[-1]
    os.sched_setaffinity(0, {core})
    return f"on core {core} only"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.runtime", description="what the actor runtime costs on one core"
    )
    parser.add_argument("--short", action="store_true", help="fewer rounds, rougher figures")
    plan = SHORT if parser.parse_args().short else LONG
    print(circumstances(), keep_to_one_core(), sep=", ", file=sys.stderr)
    trio.run(run, plan)


if __name__ == "__main__":
    main()
