"""What the actor runtime costs on one core, beside a bare Trio channel and task as the limit.

    python -m bench.runtime

Each figure is the best of several rounds, since the noise of a shared machine only ever adds.
"""

import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from locshare.actors import Actor, Host, ReplyTo, Request, open_host
from locshare.actors.introspect import trace
from locshare.supervisor import ChildSpec, DynamicSpec, Report, SupervisorSpec, open_supervisor

ROUNDS = 5
BATCH = 100


class Echo(Request[int]):
    """Answered at once."""


class Server(Actor):
    """Counts casts, answers calls, crashes on demand."""

    count = 0

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:  # noqa: ARG002
        return 1

    def handle_cast(self, message: Any) -> None:
        if message is None:
            raise RuntimeError
        self.count += 1


def forget(report: Report) -> None:
    """The crashes here are on purpose."""


async def best(work: Callable[[int], Awaitable[None]], count: int) -> float:
    """Microseconds for each of ``count`` operations, in the best round."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await work(count)
        times.append(time.perf_counter() - began)
    return min(times) / count * 1e6


async def bare_channels() -> tuple[float, float, float]:
    """A round trip over two memory channels; a send in batches of BATCH; a send by itself."""
    there, inbox = trio.open_memory_channel[int](1000)
    back, answers = trio.open_memory_channel[int](1000)
    received = 0

    async def echo() -> None:
        async for message in inbox:
            await back.send(message)

    async def round_trips(count: int) -> None:
        for _ in range(count):
            await there.send(1)
            await answers.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(echo)
        call = await best(round_trips, 5_000)
        nursery.cancel_scope.cancel()

    there, inbox = trio.open_memory_channel[int](1000)

    async def sink() -> None:
        nonlocal received
        async for _ in inbox:
            received += 1

    async def sends(count: int, batch: int = BATCH) -> None:
        nonlocal received
        received = 0
        for done in range(batch, count + 1, batch):
            for _ in range(batch):
                there.send_nowait(1)
            while received < done:
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sink)
        cast = await best(sends, 10_000)
        single = await best(partial(sends, batch=1), 5_000)
        nursery.cancel_scope.cancel()
    return call, cast, single


async def messages(host: Host, traced: bool) -> tuple[float, float, float]:
    """The same with an actor."""
    server = Server()
    ref = await host.start(server)
    trace(ref, traced)
    request = Echo()

    async def calls(count: int) -> None:
        for _ in range(count):
            await ref.call(request)

    async def casts(count: int, batch: int = BATCH) -> None:
        server.count = 0
        for done in range(batch, count + 1, batch):
            for _ in range(batch):
                ref.cast(1)
            while server.count < done:
                await trio.lowlevel.checkpoint()

    call = await best(calls, 5_000)
    cast = await best(casts, 10_000)
    return call, cast, await best(partial(casts, batch=1), 5_000)


async def thousand_idle_actors(host: Host) -> float:
    """KiB for each of 1,000 idle actors, by tracemalloc."""
    await host.start(Server())
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    refs = [await host.start(Server()) for _ in range(1000)]
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / len(refs) / 1024


async def life_cycles() -> tuple[float, float, float]:
    """Microseconds to start a dynamic child, to stop one of many, to restart one."""
    fragile = ChildSpec("a", Server)
    spec = SupervisorSpec([DynamicSpec().child("pool"), fragile], max_restarts=10**9, report=forget)
    async with open_supervisor(spec) as sup:
        pool: Any = sup.child("pool")

        async def restarts(count: int) -> None:
            for _ in range(count):
                ref: Any = sup.child("a")
                ref.cast(None)
                while (new := sup.child("a")) is None or new is ref:
                    await trio.lowlevel.checkpoint()

        restart = await best(restarts, 500)
        began = time.perf_counter()
        for _ in range(10_000):
            await pool.start_actor(ChildSpec("x", Server))
        start = (time.perf_counter() - began) / 10_000 * 1e6
        began = time.perf_counter()
        await pool.stop(timeout=60)
        stop = (time.perf_counter() - began) / 10_000 * 1e6
    return start, stop, restart


async def main() -> None:
    channel_call, channel_cast, channel_single = await bare_channels()
    async with open_host() as host:
        call, cast, single = await messages(host, traced=False)
        traced_call, traced_cast, _ = await messages(host, traced=True)
        memory = await thousand_idle_actors(host)
    start, stop, restart = await life_cycles()
    rows = [
        ("call and reply", call, channel_call, "µs"),
        ("cast, in batches of 100", cast, channel_cast, "µs"),
        ("cast to an actor that sleeps", single, channel_single, "µs"),
        ("call, trace on", traced_call, channel_call, "µs"),
        ("cast, trace on", traced_cast, channel_cast, "µs"),
        ("start of a dynamic child (of 10,000)", start, None, "µs"),
        ("stop of a dynamic child (of 10,000)", stop, None, "µs"),
        ("crash to the next incarnation", restart, None, "µs"),
        ("memory of an idle actor", memory, None, "KiB"),
    ]
    print("| | actor | bare channel | ratio |\n|---|---|---|---|")
    for what, ours, bare, unit in rows:
        beside = f"{bare:.1f} {unit} | {ours / bare:.2f}" if bare else "|"
        print(f"| {what} | {ours:.1f} {unit} | {beside} |")


if __name__ == "__main__":
    trio.run(main)
