"""The last events of a session, for clients that come back: what they missed. Pure.

A client names the last event it knows as ``EPOCH.SEQ``. Its snapshot is the state in any case; the
missed events only say how it came about. So the log may be short, it dies with the table, and
whatever it cannot answer for sure counts as not resumed.

Positions are never in it.
"""

from collections import deque
from typing import Final, NamedTuple, final

from msgspec import Struct

from locshare.broadcast.addressed import Addressed, is_addressed_to
from locshare.model.events import Event, ParticipantJoined

_MAX_DIGITS: Final = 16
"""Of a seq: more than any session reaches. Bounds the work of parsing what a client chose."""


class ResumePoint(Struct, frozen=True):
    """The last event that a client knows."""

    epoch: str
    seq: int


def parse_resume(text: str) -> ResumePoint | None:
    """The point in ``EPOCH.SEQ``; None if it is malformed."""
    epoch, dot, digits = text.rpartition(".")
    if not dot or not digits.isascii() or not digits.isdigit() or len(digits) > _MAX_DIGITS:
        return None
    return ResumePoint(epoch, int(digits))


class LoggedEvent(NamedTuple):
    """An event that was delivered at ``at``, by Trio's clock."""

    addressed: Addressed
    at: float


@final
class EventLog:
    """The newest events. :meth:`append` bounds their number, :meth:`forget` their age."""

    __slots__ = ("_events", "forgotten_seq")

    def __init__(self) -> None:
        self._events: deque[LoggedEvent] = deque()
        self.forgotten_seq = 0
        """The seq of the newest event that is no longer here."""

    def __len__(self) -> int:
        return len(self._events)

    def append(self, addressed: Addressed, now: float, max_events: int) -> None:
        """Keep an event, which is newer than all others."""
        self._events.append(LoggedEvent(addressed, now))
        while len(self._events) > max_events:
            self._forget_oldest()

    def forget(self, before: float) -> None:
        """Drop the events that were delivered at ``before`` or earlier."""
        while self._events and self._events[0].at <= before:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        # The number first: a crash between the two may keep an event too long, and hides none.
        self.forgotten_seq = self._events[0].addressed.event.seq
        self._events.popleft()

    def since(self, seq: int, user_id: str) -> tuple[Event, ...] | None:
        """The events for ``user_id`` after ``seq``, in order.

        None if one of them may be forgotten, or if ``user_id`` came into the session after ``seq``:
        what was before is not for them.
        """
        if seq < self.forgotten_seq:
            return None
        missed: list[Event] = []
        for (event, audience), _ in reversed(self._events):
            if event.seq <= seq:
                break
            if isinstance(event, ParticipantJoined) and event.user_id == user_id:
                return None
            if is_addressed_to(audience, user_id):
                missed.append(event)
        return tuple(reversed(missed))

    def joined(self) -> set[str]:
        """Everyone whose joining is in the log."""
        return {
            event.user_id for (event, _), _ in self._events if isinstance(event, ParticipantJoined)
        }
