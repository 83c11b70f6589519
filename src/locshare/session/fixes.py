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

from typing import Final

from msgspec import Struct, UnsetType

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


class Fix(Struct, frozen=True, gc=False):
    """A position that arrived, and what is known of its age and of its sender's clock."""

    taken: float
    """When the fix was taken, by Trio's clock."""
    clock: SenderClock


def judge(position: Position, known: SenderClock | None, wall: float, clock: float) -> Fix:
    """``position`` arrives at ``wall`` (seconds since 1970) and ``clock`` (Trio's)."""
    distance = wall - position.timestamp.timestamp()
    said = position.age_ms
    if said is not None and not isinstance(said, UnsetType):
        age = said / 1000.0
        return Fix(clock - age, _as_said(known, distance, age, clock))
    sender = _observe(known, distance, clock)
    return Fix(clock - max(distance - sender.offset, 0.0), sender)


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


def is_newer(new: Position, fix: Fix, held: Position, held_taken: float, wall: float) -> bool:
    """Whether ``new``, which arrives at ``wall`` and was judged as ``fix``, replaces ``held``."""
    if new.timestamp >= held.timestamp:
        return True
    if isinstance(new.age_ms, int | float) and fix.taken > held_taken:
        return True  # measured: its sender's clock was set back meanwhile
    ahead = held.timestamp.timestamp() - wall
    return ahead > 0.0 and 0.0 <= wall - new.timestamp.timestamp() + JITTER_S <= CORRECTED_WITHIN_S
