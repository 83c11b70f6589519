"""What trace and statistics cost while they are switched off (statement 68).

The actor's loop as it is against the same loop without the statements that serve them
(:mod:`bench.solo.runtimes.stripped`), in pairs of short rounds. Where a function's code happens to
lie in memory makes as much of a difference as what is to be measured, so each of several sets is
compiled anew; and the loop is measured against itself too, which shows the noise.
"""

import sys
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from bench.solo.rounds import Figures, seconds, surplus, take_turns
from bench.solo.runtimes.actors import Server, calls, casts
from bench.solo.runtimes.stripped import SERVANTS, start_as, variant
from locshare.actors import ActorRef

WITHOUT = {"real": frozenset[str](), "again": frozenset[str](), "stripped": SERVANTS}
HEAD = (
    "| trace and statistics, switched off | cost | the loop against itself |",
    "|---|---|---|",
)

Work = Callable[[ActorRef, Server], Awaitable[None]]


async def cost_when_off(sets: int, pairs: int, size: int, batch: int) -> list[str]:
    """The table: of ``sets * pairs`` pairs, medians and quartiles. A round is ``size`` calls, or
    ten times as many casts.
    """
    benchmarks: dict[str, Work] = {
        "of a call": lambda ref, _: calls(ref, size),
        f"of a cast, in batches of {batch}": lambda ref, server: casts(
            ref, server, size * 10, batch
        ),
    }
    found: dict[str, dict[str, list[float]]] = {
        what: {kind: [] for kind in WITHOUT} for what in benchmarks
    }
    for number in range(1, sets + 1):
        print(f"trace switched off, {number} of {sets}", file=sys.stderr)
        async with trio.open_nursery() as nursery:
            started = {
                kind: await start_as(variant(without), nursery) for kind, without in WITHOUT.items()
            }
            for what, work in benchmarks.items():
                rounds = {kind: partial(_round, work, *each) for kind, each in started.items()}
                for kind, times in (await take_turns(pairs, rounds, collect=False)).items():
                    found[what][kind] += [each for (each,) in times]
            nursery.cancel_scope.cancel()
    return [
        *HEAD,
        *(
            f"| {what} | {surplus(times['real'], times['stripped'])} "
            f"| {surplus(times['real'], times['again'])} |"
            for what, times in found.items()
        ),
    ]


async def _round(work: Work, ref: ActorRef, server: Server) -> Figures:
    return (await seconds(work(ref, server)),)
