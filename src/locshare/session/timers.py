"""The timers of a session: one of each kind at most. Each is a message to the actor when it is due.

They end with the incarnation. The next one sets its own from the table, which says what is due.
"""

import enum

import trio

from locshare.actors import Actor, Timer
from locshare.session.commands import SessionCast


class Tick(enum.IntEnum):
    """The timers of a session, one of each kind at most.

    Integers: every update looks two of them up, and the hash of a plain Enum is Python code.
    """

    FLUSH = enum.auto()
    STALE = enum.auto()
    """A position reaches the retention."""
    TOUCH = enum.auto()
    INACTIVE = enum.auto()
    IDLE = enum.auto()
    UNUSED_SEATS = enum.auto()
    """A member who has not connected since joining loses the seat."""
    EXPIRE = enum.auto()
    FEATURES = enum.auto()
    """A feature has something to do."""
    PRESENCE = enum.auto()
    """Somebody is offline now, or the rate limit allows a delayed presence."""
    PACED = enum.auto()
    """A receiver with a pace is due."""
    SETTLED = enum.auto()
    """Requests to send slower have waited long enough."""


class TimedActor(Actor[SessionCast]):
    """An actor that gets a :class:`Tick` by ``handle_info``, and calls :meth:`_rang` first."""

    def __init__(self) -> None:
        self._timers: dict[Tick, Timer] = {}  # read directly where every update looks
        self._due: dict[Tick, float] = {}  # of those that are set to a time

    def _rang(self, tick: Tick) -> None:
        """The timer of ``tick`` has run out."""
        self._timers.pop(tick, None)
        self._due.pop(tick, None)

    def _arm(self, tick: Tick, seconds: float) -> None:
        """Set the timer of ``tick``, unless it is set already."""
        if tick not in self._timers:
            self._timers[tick] = self.send_after(max(seconds, 0.0), tick)

    def _arm_at(self, tick: Tick, due: float | None) -> None:
        """Set the timer of ``tick`` to ``due``, which may be earlier than before; None stops it."""
        if due == self._due.get(tick):
            return
        self._disarm(tick)
        if due is None:
            del self._due[tick]
        else:
            self._due[tick] = due
            self._arm(tick, due - trio.current_time())

    def _disarm(self, tick: Tick) -> None:
        """Stop the timer of ``tick``. Idempotent."""
        timer = self._timers.pop(tick, None)
        if timer is not None:
            timer.cancel()
