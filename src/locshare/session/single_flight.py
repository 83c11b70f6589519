"""Single flight: concurrent calls for the same key share one run."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, final
from uuid import UUID

import trio

V = TypeVar("V")


class _Flight(Generic[V]):
    __slots__ = ("done", "error", "landed")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.error: Exception | None = None
        self.landed: tuple[V] | None = None


@final
class SingleFlight(Generic[V]):
    """Every caller gets an error of a type in ``shared``; other errors only the caller that ran."""

    def __init__(self, *shared: type[Exception]) -> None:
        self._shared = shared
        self._flights: dict[UUID, _Flight[V]] = {}

    def __len__(self) -> int:
        """How many keys have a run under way."""
        return len(self._flights)

    async def run(self, key: UUID, call: Callable[[], Awaitable[V]]) -> V:
        """The result of ``call()``, or of the run for ``key`` that is under way.

        When the caller that runs is cancelled, or fails with an error that is not shared, another
        caller runs its own ``call``. No checkpoint between the end of ``call`` and the return.
        """
        while (flight := self._flights.get(key)) is not None:
            await flight.done.wait()
            if flight.error is not None:
                raise flight.error
            if flight.landed is not None:
                return flight.landed[0]
        flight = self._flights[key] = _Flight()
        try:
            result = await call()
            flight.landed = (result,)
        except self._shared as error:
            flight.error = error
            raise
        finally:
            del self._flights[key]
            flight.done.set()
        return result
