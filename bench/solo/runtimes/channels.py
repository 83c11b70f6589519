"""A bare Trio task that reads a memory channel: the limit for whatever is built on Trio.

It has nothing that an actor has: no reply that finds its caller, no timeout, no bound that may
refuse, no name, no monitor, no report of a crash.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import final

import trio

CAPACITY = 1000

Inbox = trio.MemoryReceiveChannel[int | None]
Outbox = trio.MemorySendChannel[int | None]


class Crashed(Exception):
    """What the task of :meth:`Channels.crashes` raises."""


@final
class Channels:
    """See :class:`bench.solo.runtimes.System`."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._requests, inbox = trio.open_memory_channel[int](CAPACITY)
        back, self._answers = trio.open_memory_channel[int](CAPACITY)
        nursery.start_soon(self._echo, inbox, back)
        self._messages, messages = trio.open_memory_channel[int | None](CAPACITY)
        nursery.start_soon(self._sink, messages)
        self._received = 0
        self._started: list[tuple[Outbox, trio.Event]] = []
        self._fragile: Outbox | None = None

    async def _echo(
        self, inbox: trio.MemoryReceiveChannel[int], back: trio.MemorySendChannel[int]
    ) -> None:
        async for message in inbox:
            await back.send(message)

    async def _sink(self, inbox: Inbox) -> None:
        async for _ in inbox:
            self._received += 1

    async def calls(self, count: int) -> None:
        for _ in range(count):
            await self._requests.send(1)
            await self._answers.receive()

    async def latencies(self, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            await self._requests.send(1)
            await self._answers.receive()
            took.append(time.perf_counter() - began)
        return took

    async def casts(self, count: int, batch: int) -> None:
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
        for outbox, ended in started:
            outbox.close()
            await ended.wait()

    async def crowd(self, count: int) -> None:
        """The tasks of a nursery, which is left when their channels have been closed."""
        async with trio.open_nursery() as nursery:
            started = [await nursery.start(_serve) for _ in range(count)]
            for outbox, _ in started:
                outbox.close()

    async def crashes(self, count: int) -> None:
        """A task in a nursery of its own; whoever opened it catches the crash and opens the next,
        without a budget, without a report.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._start_again)
            while self._fragile is None:
                await trio.lowlevel.checkpoint()
            for _ in range(count):
                outbox = self._fragile
                outbox.send_nowait(None)
                while self._fragile is outbox:
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        self._fragile = None

    async def _start_again(self) -> None:
        while True:
            try:
                async with trio.open_nursery() as nursery:
                    self._fragile, _ = await nursery.start(_serve)
            except* Crashed:
                pass


async def _serve(task_status: trio.TaskStatus[tuple[Outbox, trio.Event]]) -> None:
    """Read until the channel is closed."""
    outbox, inbox = trio.open_memory_channel[int | None](CAPACITY)
    ended = trio.Event()
    task_status.started((outbox, ended))
    async for message in inbox:
        if message is None:
            raise Crashed
    ended.set()


@asynccontextmanager
async def open_channels() -> AsyncIterator[Channels]:
    """Everything is cancelled at the end."""
    async with trio.open_nursery() as nursery:
        yield Channels(nursery)
        nursery.cancel_scope.cancel()
