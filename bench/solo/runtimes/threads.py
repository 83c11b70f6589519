"""An actor of pykka: a thread with a queue. Nobody restarts one that crashed."""

import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, final

import pykka

from bench.solo.runtimes import TooMany


class Tally:
    """How many messages have been received, of how many to wait for."""

    def __init__(self) -> None:
        self.received = 0
        self.target = 0
        self.reached = threading.Semaphore(0)


class Server(pykka.ThreadingActor):
    """Counts the messages that carry a tally, answers every one."""

    use_daemon_thread = True  # a benchmark that is interrupted should end

    def on_receive(self, message: Tally | None) -> Any:
        if message is not None:
            message.received += 1
            if message.received == message.target:
                message.reached.release()
        return 1


Ref = pykka.ActorRef[Server]


@final
class Threads:
    """See :class:`bench.solo.runtimes.System`. Nothing here awaits: the asker's thread blocks."""

    def __init__(self) -> None:
        self._ref: Ref = Server.start()
        self._started: list[Ref] = []

    async def calls(self, count: int) -> None:
        ref = self._ref
        for _ in range(count):
            ref.ask(None)

    async def latencies(self, count: int) -> list[float]:
        ref = self._ref
        took = []
        for _ in range(count):
            began = time.perf_counter()
            ref.ask(None)
            took.append(time.perf_counter() - began)
        return took

    async def casts(self, count: int, batch: int) -> None:
        ref, tally = self._ref, Tally()
        for tally.target in range(batch, count + 1, batch):
            for _ in range(batch):
                ref.tell(tally)
            tally.reached.acquire()

    async def start(self, count: int) -> None:
        for _ in range(count):
            self._started.append(Server.start())

    async def stop(self) -> None:
        started, self._started = self._started, []
        for ref in started:
            ref.stop()

    async def crowd(self, count: int) -> None:
        started: list[Ref] = []
        try:
            for _ in range(count):
                started.append(Server.start())  # noqa: PERF401 - those that started must be stopped
        except RuntimeError as error:  # no more threads
            raise TooMany from error
        finally:
            for ref in started:
                ref.stop(block=False)
            for ref in started:
                ref.actor_stopped.wait()

    def close(self) -> None:
        self._ref.stop()


@asynccontextmanager
async def open_threads() -> AsyncIterator[Threads]:
    """Its actor is stopped at the end."""
    threads = Threads()
    try:
        yield threads
    finally:
        threads.close()
