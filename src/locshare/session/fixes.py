"""The age of a fix, and which of two fixes is newer. Pure: both clocks are given.

A message says when its fix was taken by the sender's clock (``timestamp``), which may be wrong; and
the message may have waited in a tunnel, or come from a device that repeats itself. So the age of a
fix is, in this order: what the sender says (``age_ms``, by a monotonic clock), or the distance
between its ``timestamp`` and our wall clock, less the known error of the sender's clock.

There are two kinds of evidence of that error. Some ages are impossible: a fix is not from the
future, and not older than a session can be. And some distances stay: a queue that is sent late
arrives faster than it was taken, and a dead device repeats one timestamp, but a clock that is wrong
keeps step with ours. A distance that stays for :data:`STEADY_S` is the error of the clock.
"""

from datetime import datetime
from typing import Final

from msgspec import Struct

from locshare.model.position import Position

MAX_AGE_S: Final = 86_400.0
"""No session lasts longer, so a fix that seems older comes from a clock that is wrong."""
STEADY_S: Final = 5.0
"""Longer than a phone needs to send what waited in it."""
JITTER_S: Final = 2.0
"""How much longer than another a mobile network ordinarily delays a message."""
CORRECTED_WITHIN_S: Final = 30.0
"""The apparent age of a live fix after its sender's clock was corrected, at most."""


class SenderClock(Struct, frozen=True, gc=False):
    """The observed error of one sender's clock. A distance is how far a timestamp lies behind our
    wall clock, in seconds; instants are by Trio's clock.
    """

    offset: float
    """The distance of a fix that is taken now: the error of the sender's clock."""
    distance: float
    """The distance of the last messages, within the jitter."""
    since: float
    """Since when it has been within the jitter."""


def judge(
    position: Position, known: SenderClock | None, wall: datetime, clock: float
) -> tuple[float, SenderClock]:
    """``position`` arrives at ``wall`` and ``clock`` (Trio's). Returns when its fix was taken, by
    Trio's clock, and the sender's clock as observed now. On the path of every update.
    """
    distance = (wall - position.timestamp).total_seconds()
    said = position.age_ms
    if said is None:
        sender = _observe(known, distance, clock)
        age = distance - sender.offset
        return (clock - age if age > 0.0 else clock), sender
    age = said / 1000.0
    return clock - age, _as_said(known, distance, age, clock)


def _as_said(known: SenderClock | None, distance: float, age: float, clock: float) -> SenderClock:
    """The sender states the age, and thereby the error of its clock."""
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
    """Whether ``new``, which arrived at ``wall`` and was ``taken`` then, is newer than ``held``
    although its timestamp is older.
    """
    if new.age_ms is not None and taken > held_taken:
        return True  # measured
    if held.timestamp <= wall:
        return False
    distance = (wall - new.timestamp).total_seconds()
    return 0.0 <= distance + JITTER_S <= CORRECTED_WITHIN_S
