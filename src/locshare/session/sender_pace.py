"""How often senders are asked to send: the decision. Pure.

A position that nobody sees costs a phone its battery for nothing, and in a crowd each one costs
everybody a message. So the server asks each sender, by who sees it:

========================================  ==========  ==============
the others who are connected              interval_s  min_distance_m
========================================  ==========  ==============
nobody                                    15          0
only receivers with a pace                the shortest of their paces, 15 at most; 0
1 to 20 without a pace                    0           0
more, ``n``                               n / 20 rounded up, 15 at most; 5
========================================  ==========  ==============

15 s is half the retention: whoever opens the map then finds everyone on it.

Once somebody looks, those who are seen are asked at once to send as they like. Every other request
waits for :data:`SETTLE_S`, in which the reason for it may pass, as when a page is reloaded or a
crowd of 40 becomes one of 41. So a sender gets two requests in that time at most, whatever the
others do.
"""

import heapq
import math
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from locshare.model.pace import NORMAL, Pace

UNSEEN_S: Final = 15.0
SETTLE_S: Final = 20.0
"""Longer than the grace period of presence: a short loss of one connection is no news to senders
either."""
MAX_UNASKED: Final = 20
"""Watching receivers up to which senders are left alone."""
CROWD_DISTANCE_M: Final = 5.0


class Requests(NamedTuple):
    """What to send now, by user_id; and whether a request to send slower waits."""

    now: Mapping[str, Pace]
    waiting: bool


NO_REQUESTS: Final = Requests({}, False)


def pace_for(watching: int, shortest_pace_s: float) -> Pace:
    """What one sender is asked for: ``watching`` others have no pace, ``shortest_pace_s`` is the
    shortest of the others', infinite if there is none.
    """
    if watching == 0:
        return Pace(min(shortest_pace_s, UNSEEN_S), 0.0)
    if watching <= MAX_UNASKED:
        return NORMAL
    return Pace(float(min(math.ceil(watching / MAX_UNASKED), UNSEEN_S)), CROWD_DISTANCE_M)


def decide(
    connected: Collection[str],
    paces: Mapping[str, float],
    asked: Mapping[str, Pace],
    *,
    settled: bool,
) -> Requests:
    """The requests for the members who are ``connected``. ``paces`` has the intervals of those of
    them who have one, ``asked`` the last request to each where that was not :data:`NORMAL`.
    ``settled``: those that can wait have waited long enough.
    """
    watching = len(connected) - len(paces)
    if not asked and 2 <= watching <= MAX_UNASKED:
        return NO_REQUESTS  # nearly always: everyone is seen by one who has no pace
    if not settled and watching > MAX_UNASKED + 1:
        # In a crowd nobody was unseen a step ago, so nothing is urgent. That spares each of a
        # hundred who connect a look at all the others.
        return Requests({}, True)
    unpaced = _pace_of_unpaced(watching, paces)
    if not asked and not settled and not paces:
        return Requests({}, bool(connected) and unpaced != NORMAL)
    shortest = heapq.nsmallest(2, paces.values())
    now, waiting = {}, False
    for user_id in connected:
        own = paces.get(user_id)
        if own is None:
            wanted = unpaced
        else:
            others = shortest[1:] if own == shortest[0] else shortest
            wanted = pace_for(watching, min(others, default=math.inf))
        before = asked.get(user_id, NORMAL)
        if wanted == before:
            continue
        if settled or (wanted.interval_s < before.interval_s and not _for_a_crowd(before)):
            now[user_id] = wanted
        else:
            waiting = True
    return Requests(now, waiting)


def _for_a_crowd(pace: Pace) -> bool:
    return pace.min_distance_m > 0


def _pace_of_unpaced(watching: int, paces: Mapping[str, float]) -> Pace:
    return pace_for(max(watching - 1, 0), min(paces.values(), default=math.inf))
