"""How often positions come: what a receiver chooses, and what the server asks of a sender.

The bounds are those of the contract. A decoder checks them; nothing behind it does so again.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct

MAX_INTERVAL_S: Final = 60.0
Interval = Annotated[float, Meta(ge=0, le=MAX_INTERVAL_S)]
"""Seconds between two writes of positions to one receiver, at least; 0: as the session flushes."""


class Pace(Struct, frozen=True):
    """A request to a sender: at most one position per ``interval_s``, none before it has moved by
    ``min_distance_m``, but for a renewal. Zeros withdraw an earlier request.
    """

    interval_s: float
    min_distance_m: float


NORMAL: Final = Pace(0.0, 0.0)
"""As often as the sender likes. Of every new connection."""


def parse_interval(value: object) -> float:
    """The pace in a parameter of a connection, a number or its text; 0 for anything else, because a
    connection is not refused for it.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return 0.0
    try:
        interval_s = float(value)
    except (ValueError, OverflowError):
        return 0.0
    return interval_s if 0.0 <= interval_s <= MAX_INTERVAL_S else 0.0
