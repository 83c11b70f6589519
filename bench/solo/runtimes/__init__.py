"""The same few operations with an actor of locshare, a bare Trio task, and an actor of pykka: what
:mod:`bench.solo.runtime` compares.
"""

from typing import Protocol, runtime_checkable


class TooMany(Exception):
    """The machine does not allow so many at a time."""


class Startable(Protocol):
    """Some can be started, are then idle, and can be stopped."""

    async def start(self, count: int) -> None:
        """Start ``count``, one after the other, each ready to receive before the next."""

    async def stop(self) -> None:
        """Stop all that :meth:`start` started."""


class System(Startable, Protocol):
    """What all have in common. Every operation is a loop of its own, so that no system pays for
    this class. :meth:`stop` is one after the other, each waited for.
    """

    async def calls(self, count: int) -> None:
        """``count`` requests one after the other, each answered before the next."""

    async def latencies(self, count: int) -> list[float]:
        """The same; the seconds that each took."""

    async def casts(self, count: int, batch: int) -> None:
        """``count`` messages, in batches; the next batch when all of one have been handled."""

    async def crowd(self, count: int) -> None:
        """Start ``count``, then stop all at once, as one that owns so many would. May raise
        TooMany.
        """


@runtime_checkable
class Restarting(Protocol):
    """A system in which somebody restarts what crashed."""

    async def crashes(self, count: int) -> None:
        """Crash one ``count`` times, each time when the next incarnation can be sent to."""
