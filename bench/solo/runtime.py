"""What the actor runtime costs on one core, next to bare Trio tasks and memory channels.

    python -m bench.solo.runtime          # a minute
    python -m bench.solo.runtime --short  # 15 s

A bare task that reads a memory channel is the limit for anything built on Trio. It has nothing that
an actor adds: no reply routed to its caller, no timeout, no bound that may refuse, no name, no
monitor, no crash report. Rounds of both take turns on one core. A figure is that of the best round,
because the noise of a shared machine only ever adds.
"""

import argparse
import gc
import os
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol

import trio

from bench.procfs import circumstances, cores
from bench.stats import percentile
from locshare.actors import Actor, ActorNursery, ActorRef, ReplyTo, Request, open_actor_nursery
from locshare.actors.introspect import trace
from locshare.supervisor import ChildSpec, SupervisorRef, SupervisorSpec, open_supervisor

BATCH = 100
CAPACITY = 1000
HEAD = ("| | locshare actor | bare Trio | ratio |", "|---|---|---|---|")


class Plan(NamedTuple):
    """How much of everything. ``messages`` is at least BATCH."""

    rounds: int = 15
    messages: int = 3_000
    started: int = 500
    crashes: int = 200
    idle: int = 2_000


SHORT = Plan(rounds=5, messages=2_000)


class Runtime(Protocol):
    """The operations that are compared. Each is a loop of its own, so that neither side pays for
    this abstraction.
    """

    async def call(self, count: int) -> list[float]:
        """``count`` requests, one after the other. Returns the seconds of each."""

    async def cast(self, count: int, batch: int) -> None:
        """``count`` messages in batches; a batch is sent when the one before was handled."""

    async def start(self, count: int) -> None:
        """Start ``count``, one after the other, each ready to receive before the next."""

    async def stop(self) -> None:
        """Stop all that :meth:`start` started, one after the other."""

    async def crash(self, count: int) -> None:
        """Crash one ``count`` times, each time as soon as its next incarnation can be sent to."""


# --- actors -----------------------------------------------------------------------------------


class Echo(Request[int]):
    """Answered at once."""


class Server(Actor):
    """Counts casts, answers calls, crashes on None."""

    received = 0

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:  # noqa: ARG002 - a hook
        return 1

    def handle_cast(self, message: Any) -> None:
        if message is None:
            raise RuntimeError
        self.received += 1


class Actors:
    def __init__(self, nursery: ActorNursery, supervisor: SupervisorRef, server: Server) -> None:
        self._nursery = nursery
        self._supervisor = supervisor
        self._server = server
        self._refs: list[ActorRef] = []

    async def call(self, count: int) -> list[float]:
        ref, request, took = self._server.ref, Echo(), []
        for _ in range(count):
            began = time.perf_counter()
            await ref.call(request)
            took.append(time.perf_counter() - began)
        return took

    async def cast(self, count: int, batch: int) -> None:
        server, ref = self._server, self._server.ref
        server.received = 0
        for done in range(batch, count + 1, batch):
            for _ in range(batch):
                ref.cast(1)
            while server.received < done:
                await trio.lowlevel.checkpoint()

    async def start(self, count: int) -> None:
        for _ in range(count):
            self._refs.append(await self._nursery.start(Server()))

    async def stop(self) -> None:
        refs, self._refs = self._refs, []
        for ref in refs:
            await ref.stop()

    async def crash(self, count: int) -> None:
        for _ in range(count):
            ref: Any = self._supervisor.child("fragile")
            ref.cast(None)
            while (new := self._supervisor.child("fragile")) is None or new is ref:
                await trio.lowlevel.checkpoint()


@asynccontextmanager
async def open_actors(traced: bool = False) -> AsyncIterator[Actors]:
    fragile = SupervisorSpec(
        [ChildSpec("fragile", Server)], max_restarts=10**9, report=lambda _report: None
    )
    async with open_supervisor(fragile) as supervisor, open_actor_nursery() as nursery:
        server = Server()
        trace(await nursery.start(server), traced)
        yield Actors(nursery, supervisor, server)


# --- bare tasks -------------------------------------------------------------------------------


class Crashed(Exception):
    """Raised by a bare task that receives None."""


class Channels:
    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._requests, requests = trio.open_memory_channel[int](CAPACITY)
        answers, self._answers = trio.open_memory_channel[int](CAPACITY)
        nursery.start_soon(_echo, requests, answers)
        self._messages, messages = trio.open_memory_channel[int](CAPACITY)
        nursery.start_soon(self._count, messages)
        self._received = 0
        self._started: list[tuple[trio.MemorySendChannel[int | None], trio.Event]] = []

    async def _count(self, messages: trio.MemoryReceiveChannel[int]) -> None:
        async for _ in messages:
            self._received += 1

    async def call(self, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            await self._requests.send(1)
            await self._answers.receive()
            took.append(time.perf_counter() - began)
        return took

    async def cast(self, count: int, batch: int) -> None:
        self._received = 0
        for done in range(batch, count + 1, batch):
            for _ in range(batch):
                self._messages.send_nowait(1)
            while self._received < done:
                await trio.lowlevel.checkpoint()

    async def start(self, count: int) -> None:
        for _ in range(count):
            self._started.append(await self._nursery.start(_serve))

    async def stop(self) -> None:
        started, self._started = self._started, []
        for channel, ended in started:
            channel.close()
            await ended.wait()

    async def crash(self, count: int) -> None:
        """Opens the next nursery after each crash: without a budget, without a report."""
        for _ in range(count):
            try:
                async with trio.open_nursery() as nursery:
                    channel, _ = await nursery.start(_serve)
                    channel.send_nowait(None)
            except* Crashed:
                pass


async def _echo(
    requests: trio.MemoryReceiveChannel[int], answers: trio.MemorySendChannel[int]
) -> None:
    async for request in requests:
        await answers.send(request)


async def _serve(
    task_status: trio.TaskStatus[tuple[trio.MemorySendChannel[int | None], trio.Event]],
) -> None:
    send, receive = trio.open_memory_channel[int | None](CAPACITY)
    ended = trio.Event()
    task_status.started((send, ended))
    async for message in receive:
        if message is None:
            raise Crashed
    ended.set()


@asynccontextmanager
async def open_channels() -> AsyncIterator[Channels]:
    async with trio.open_nursery() as nursery:
        yield Channels(nursery)
        nursery.cancel_scope.cancel()


# --- measuring --------------------------------------------------------------------------------

Figures = tuple[float, ...]
Round = Callable[[Runtime], Awaitable[Figures]]


async def take_turns(
    rounds: int, them: Mapping[str, Callable[[], Awaitable[Figures]]]
) -> list[Figures]:
    """The least of each figure, in the order of ``them``. Who begins alternates; garbage is
    collected before each round, so that none pays for another's.
    """
    keys = list(them)
    found: dict[str, list[Figures]] = {key: [] for key in keys}
    for number in range(rounds):
        for key in keys[number % len(keys) :] + keys[: number % len(keys)]:
            gc.collect()
            found[key].append(await them[key]())
    return [tuple(map(min, zip(*found[key], strict=True))) for key in keys]


async def _microseconds(work: Awaitable[object], count: int) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) / count * 1e6


async def call_round(count: int, runtime: Runtime) -> Figures:
    took = sorted(await runtime.call(count))
    mean = sum(took) / count
    return mean * 1e6, percentile(took, 0.5) * 1e6, percentile(took, 0.99) * 1e6


async def cast_round(count: int, batch: int, runtime: Runtime) -> Figures:
    return (await _microseconds(runtime.cast(count, batch), count),)


async def life_round(count: int, runtime: Runtime) -> Figures:
    start = await _microseconds(runtime.start(count), count)
    return start, await _microseconds(runtime.stop(), count)


async def crash_round(count: int, runtime: Runtime) -> Figures:
    return (await _microseconds(runtime.crash(count), count),)


async def memory_round(count: int, runtime: Runtime) -> Figures:
    """KiB of an idle one, as tracemalloc sees it."""
    tracemalloc.start()
    try:
        await runtime.start(10)  # what is needed once
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        await runtime.start(count)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        await runtime.stop()
    finally:
        tracemalloc.stop()
    return ((after - before) / count / 1024,)


def line(what: str, unit: str, ours: float, theirs: float) -> str:
    cells = (
        f"{value:.2f} {unit}" if value < 1 else f"{value:.1f} {unit}" for value in (ours, theirs)
    )
    ratio = f"{ours / theirs:.2f}" if theirs else "—"
    return f"| {' | '.join((what, *cells, ratio))} |"


async def run(plan: Plan) -> None:
    """Measure; print a line for each figure."""
    openers: dict[str, Callable[[], AbstractAsyncContextManager[Runtime]]] = {
        "actors": open_actors,
        "traced": partial(open_actors, traced=True),
        "channels": open_channels,
    }
    batches = partial(cast_round, plan.messages * 3, BATCH)
    calls = partial(call_round, plan.messages)
    table: list[tuple[tuple[str, ...], str, str, Round]] = [
        (("call and reply", "call latency p50", "call latency p99"), "µs", "actors", calls),
        ((f"cast, in batches of {BATCH}",), "µs", "actors", batches),
        (("cast to one that sleeps",), "µs", "actors", partial(cast_round, plan.messages, 1)),
        (("call and reply, trace on",), "µs", "traced", calls),
        ((f"cast, in batches of {BATCH}, trace on",), "µs", "traced", batches),
        (("start", "stop"), "µs", "actors", partial(life_round, plan.started)),
        (("crash to the next incarnation",), "µs", "actors", partial(crash_round, plan.crashes)),
        (("memory of an idle one",), "KiB", "actors", partial(memory_round, plan.idle)),
    ]
    async with AsyncExitStack() as stack:
        runtimes = {
            name: await stack.enter_async_context(opener()) for name, opener in openers.items()
        }
        print(*HEAD, sep="\n", flush=True)
        for titles, unit, ours, one_round in table:
            print(titles[0], file=sys.stderr)
            them = {name: partial(one_round, runtimes[name]) for name in (ours, "channels")}
            figures = await take_turns(plan.rounds, them)
            for title, mine, theirs in zip(titles, *figures, strict=False):
                print(line(title, unit, mine, theirs), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.runtime", description="what the actor runtime costs on one core"
    )
    parser.add_argument("--short", action="store_true", help="fewer rounds, rougher figures")
    plan = SHORT if parser.parse_args().short else Plan()
    print(circumstances(), file=sys.stderr)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cores()[-1]})
    trio.run(run, plan)


if __name__ == "__main__":
    main()
