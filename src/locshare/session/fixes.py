"""How old a fix is, and which of two is the newer. Pure: both clocks are given.

A message says when its fix was taken by the sender's clock (``timestamp``), which may be wrong, and
it may have waited in a tunnel or in a device that repeats itself. So what counts as its age is, in
this order: what the sender says it is (``age_ms``, measured by a clock that nobody sets), or the
distance between its ``timestamp`` and our clock, less what is known of the error of the sender's.

Of that error there are two kinds of evidence. Some ages cannot be: a fix is neither from the future
nor older than a session can be. And a queue that is sent late comes faster than it was taken, a
dead device repeats one timestamp, but a clock that is off keeps step with ours: a distance that
stays for :data:`STEADY_S` is its error.
"""

from datetime import datetime
from typing import Final

from msgspec import UNSET, Struct

from locshare.wire.messages import Position

MAX_AGE_S: Final = 86_400.0
"""No session lasts longer, so a fix that seems older is one of a clock that is wrong."""
STEADY_S: Final = 5.0
"""Longer than a phone needs to send what waited in it."""
JITTER_S: Final = 2.0
"""How much a mobile network delays one message more than another, in ordinary times."""
CORRECTED_WITHIN_S: Final = 30.0
"""How old a fix may seem after its sender's clock was corrected: as old as one that is live."""


class SenderClock(Struct, frozen=True, gc=False):
    """What is known of one sender's clock. A distance is how far a timestamp lies behind our wall
    clock, in seconds; instants are of Trio's clock.
    """

    offset: float
    """The distance of a fix that was taken just now: the error of the sender's clock."""
    distance: float
    """That of the last messages, which keep it within the jitter…"""
    since: float
    """…since this instant."""


def judge(
    position: Position, known: SenderClock | None, wall: datetime, clock: float
) -> tuple[float, SenderClock]:
    """``position`` arrives at ``wall`` and ``clock`` (Trio's). When its fix was taken, by Trio's
    clock, and what is known of the sender's clock now. Every update passes here.
    """
    distance = (wall - position.timestamp).total_seconds()
    said = position.age_ms
    if said is UNSET or said is None:
        sender = _observe(known, distance, clock)
        age = distance - sender.offset
        return (clock - age if age > 0.0 else clock), sender
    age = said / 1000.0
    return clock - age, _as_said(known, distance, age, clock)


def _as_said(known: SenderClock | None, distance: float, age: float, clock: float) -> SenderClock:
    """Who says the age says how far its clock is off."""
    offset = distance - age
    if known is not None and abs(known.offset - offset) <= JITTER_S:
        return known
    return SenderClock(offset, distance, clock)


def _observe(known: SenderClock | None, distance: float, clock: float) -> SenderClock:
    if known is None:
        known = SenderClock(0.0, distance, clock)
    elif abs(distance - known.distance) > JITTER_S:
        known = SenderClock(known.offset, distance, clock)
    elif clock - known.since >= STEADY_S and known.offset != known.distance:
        known = SenderClock(known.distance, known.distance, known.since)
    if not 0.0 <= distance - known.offset <= MAX_AGE_S:
        return SenderClock(distance, distance, known.since)
    return known


def clock_was_set_back(
    new: Position, taken: float, held: Position, held_taken: float, wall: datetime
) -> bool:
    """Whether ``new`` (arrived at ``wall``, judged to be ``taken`` then) is newer than ``held``
    although its timestamp is older.
    """
    if isinstance(new.age_ms, int | float) and taken > held_taken:
        return True  # measured
    if held.timestamp <= wall:
        return False
    distance = (wall - new.timestamp).total_seconds()
    return 0.0 <= distance + JITTER_S <= CORRECTED_WITHIN_S
