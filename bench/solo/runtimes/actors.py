"""An actor of locshare, in an actor nursery; under a supervisor where something is restarted."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, final

import trio

from locshare.actors import Actor, ActorNursery, ActorRef, ReplyTo, Request, open_actor_nursery
from locshare.actors.introspect import trace
from locshare.supervisor import (
    ChildSpec,
    DynamicSpec,
    DynamicSupervisorRef,
    Report,
    SupervisorRef,
    SupervisorSpec,
    open_supervisor,
)


class Echo(Request[int]):
    """Answered at once."""


ECHO = Echo()


class Server(Actor):
    """Counts casts, answers calls, crashes when told to."""

    received = 0

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:  # noqa: ARG002 - a hook
        return 1

    def handle_cast(self, message: Any) -> None:
        if message is None:
            raise RuntimeError
        self.received += 1


async def calls(ref: ActorRef, count: int) -> None:
    """The call benchmark."""
    for _ in range(count):
        await ref.call(ECHO)


async def casts(ref: ActorRef, server: Server, count: int, batch: int) -> None:
    """The cast benchmark. The sender's loop looks whether all have arrived, as it must for all
    systems that share its thread.
    """
    server.received = 0
    for done in range(batch, count + 1, batch):
        for _ in range(batch):
            ref.cast(1)
        while server.received < done:
            await trio.lowlevel.checkpoint()


@final
class Actors:
    """See :class:`bench.solo.runtimes.System`. Who is called and cast to may be traced."""

    def __init__(self, nursery: ActorNursery, supervisor: SupervisorRef, server: Server) -> None:
        self._nursery = nursery
        self._supervisor = supervisor
        self._server = server
        self._refs: list[ActorRef] = []

    async def calls(self, count: int) -> None:
        await calls(self._server.ref, count)

    async def latencies(self, count: int) -> list[float]:
        ref = self._server.ref
        took = []
        for _ in range(count):
            began = time.perf_counter()
            await ref.call(ECHO)
            took.append(time.perf_counter() - began)
        return took

    async def casts(self, count: int, batch: int) -> None:
        await casts(self._server.ref, self._server, count, batch)

    async def start(self, count: int) -> None:
        for _ in range(count):
            self._refs.append(await self._nursery.start(Server()))

    async def stop(self) -> None:
        refs, self._refs = self._refs, []
        for ref in refs:
            await ref.stop()

    async def crowd(self, count: int) -> None:
        async with open_children() as children:
            await children.start(count)
            await children.stop()

    async def crashes(self, count: int) -> None:
        for _ in range(count):
            ref: Any = self._supervisor.child("fragile")
            ref.cast(None)
            while (new := self._supervisor.child("fragile")) is None or new is ref:
                await trio.lowlevel.checkpoint()


@final
class Children:
    """The children of a dynamic supervisor; :meth:`stop` stops the supervisor."""

    def __init__(self, pool: DynamicSupervisorRef) -> None:
        self._pool = pool

    async def start(self, count: int) -> None:
        spec = ChildSpec("one of many", Server)
        for _ in range(count):
            await self._pool.start_actor(spec)

    async def stop(self) -> None:
        await self._pool.stop(timeout=60)


@asynccontextmanager
async def open_children() -> AsyncIterator[Children]:
    """Everything is stopped at the end."""
    async with open_supervisor(SupervisorSpec([DynamicSpec().child("pool")])) as supervisor:
        pool = supervisor.child("pool")
        assert isinstance(pool, DynamicSupervisorRef)
        yield Children(pool)


def _forget(report: Report) -> None:
    """The crashes here are on purpose."""


@asynccontextmanager
async def open_actors(traced: bool = False) -> AsyncIterator[Actors]:
    """Everything is stopped at the end."""
    fragile = SupervisorSpec([ChildSpec("fragile", Server)], max_restarts=10**9, report=_forget)
    async with open_supervisor(fragile) as supervisor, open_actor_nursery() as nursery:
        server = Server()
        trace(await nursery.start(server), traced)
        yield Actors(nursery, supervisor, server)
