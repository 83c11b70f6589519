"""When a receiver that chose a pace gets the positions that it has not got yet. Pure.

Such a receiver needs no store of positions: the session's table has the newest of each participant.
What it lacks are those that arrived since it was last written to, so it costs one small entry,
however long its interval and however many people move.

It is written to at instants ``phase + k * interval``, and only when there is something to write.
Then no position waits longer than the interval, no two writes are closer, and all receivers of one
interval are written to at one instant, with the same bytes. The phase is the session's, so that not
all sessions of a process write at one instant.

An interval is rounded up to :data:`STEP_S`: a member may choose any number, and a session whose
members chose a thousand of them would encode everything a thousand times.
"""

import math
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from locshare.model.pace import MAX_INTERVAL_S
from locshare.model.position import HeldPosition

STEP_S: Final = 0.25
"""Intervals are whole multiples of it. Receivers of one interval share the encoded frames, so this
bounds what a session encodes, whatever its members choose."""


class PacedReceiver(Struct, frozen=True, gc=False):
    """Instants are on Trio's clock."""

    interval_s: float
    written_at: float
    """All that arrived before this has been written to it."""
    due: float | None = None
    """When it is written to next; None while it lacks nothing."""


def whole_steps(interval_s: float) -> float:
    """The interval that a receiver gets for the one it chose; 0, for none, stays 0."""
    return math.ceil(interval_s / STEP_S) * STEP_S


def phase_of(session_id: UUID) -> float:
    """Seconds, below the longest interval: intervals that divide each other meet."""
    return float(session_id.int % 60_000) / 60_000 * MAX_INTERVAL_S


def next_instant(after: float, interval_s: float, phase: float) -> float:
    """The first instant of writing after ``after``."""
    due = phase + (math.floor((after - phase) / interval_s) + 1) * interval_s
    return due if due > after else due + interval_s  # the sum was rounded down to `after`


class Arrivals(NamedTuple):
    """Positions of one flush: who moved, and when the first and the last of them arrived."""

    movers: Collection[str]
    first: float
    last: float

    @classmethod
    def of(cls, moved: Mapping[str, HeldPosition]) -> "Arrivals | None":
        """None where nobody moved."""
        if not moved:
            return None
        times = [held.arrived for held in moved.values()]
        return cls(moved.keys(), min(times), max(times))


def note_arrivals(
    paced: PacedReceiver, arrivals: Arrivals, own: str, phase: float
) -> PacedReceiver:
    """``paced`` once ``arrivals`` are there for it: due, unless it has them, or only its ``own`` is
    among them.
    """
    if paced.due is not None or arrivals.last < paced.written_at:
        return paced
    if len(arrivals.movers) == 1 and own in arrivals.movers:
        return paced
    first = max(arrivals.first, paced.written_at)
    due = next_instant(first, paced.interval_s, phase)
    return PacedReceiver(paced.interval_s, paced.written_at, due)


def lacking(
    positions: Mapping[str, HeldPosition], written_at: float, clock: float, retention: float
) -> dict[str, HeldPosition]:
    """Those of ``positions`` that arrived since ``written_at`` and may still be sent.

    One that arrived at that very instant is among them: it may have come after the write.
    """
    return {
        user_id: held
        for user_id, held in positions.items()
        if held.arrived >= written_at and held.arrived + retention > clock
    }
