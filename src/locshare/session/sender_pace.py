"""How often senders are asked to send: the decision. Pure.

A position that nobody sees costs a phone its battery for nothing, and in a crowd each one costs
everybody a message. So the server asks each sender, by who sees it:

==================================================  =============================  ==============
the others who are connected                        interval_s                     min_distance_m
==================================================  =============================  ==============
nobody                                              15                             0
only receivers with a pace                          half the shortest, 15 at most  0
1 to 20 without a pace                              0                              0
the same, and everyone connected is far from it     5                              10
more than 20 without a pace, ``n``                  n / 20 rounded up, 15 at most  5
==================================================  =============================  ==============

15 s is half the retention, and with a shorter one nothing above half of it is asked for: a client
that connects finds everyone in its snapshot. Half a pace is enough for every write to have a new
position, wherever between two writes it is sent.

Once somebody looks, those who are seen are asked at once to send as they like, and so is a sender
whom somebody comes near. Every other request waits for :data:`SETTLE_S`, in which the reason for it
may pass, as when a page is reloaded. So a sender gets two requests in that time at most, whatever
the others do. A crowd that grows or shrinks by a tenth is the same crowd.
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
FAR: Final = Pace(5.0, 10.0)
"""For a sender who is far from everyone else (:mod:`locshare.session.far_apart`)."""


class Requests(NamedTuple):
    """What to send now, by user_id; and whether a request to send slower waits."""

    now: Mapping[str, Pace]
    waiting: bool


NO_REQUESTS: Final = Requests({}, False)


def pace_for(
    watching: int, shortest_pace_s: float, *, far: bool = False, longest_s: float = UNSEEN_S
) -> Pace:
    """What one sender is asked for: ``watching`` others have no pace, ``shortest_pace_s`` is the
    shortest of the others', infinite if there is none; all of them are ``far`` away. Nothing
    longer than ``longest_s``.
    """
    if watching == 0:
        return Pace(min(shortest_pace_s / 2, longest_s), 0.0)
    if watching <= MAX_UNASKED:
        return Pace(min(FAR.interval_s, longest_s), FAR.min_distance_m) if far else NORMAL
    return Pace(min(float(math.ceil(watching / MAX_UNASKED)), longest_s), CROWD_DISTANCE_M)


def decide(
    connected: Collection[str],
    paces: Mapping[str, float],
    asked: Mapping[str, Pace],
    far: Collection[str] = (),
    *,
    settled: bool,
    longest_s: float = UNSEEN_S,
) -> Requests:
    """The requests for the members who are ``connected``. ``paces`` has the intervals of those of
    them who have one, ``asked`` the last request to each where that was not :data:`NORMAL`; ``far``
    are far from all others. ``settled``: those that can wait have waited long enough. No interval
    is longer than ``longest_s``.
    """
    watching = len(connected) - len(paces)
    if not asked and not far and 2 <= watching <= MAX_UNASKED:
        return NO_REQUESTS  # nearly always: everyone is seen by one who has no pace
    if not settled and watching > MAX_UNASKED + 1:
        # In a crowd nobody was unseen or far a step ago, so nothing is urgent. That spares each of
        # a hundred who connect a look at all the others.
        return Requests({}, True)
    shortest = heapq.nsmallest(2, paces.values())
    now, waiting = {}, False
    for user_id in connected:
        own = paces.get(user_id)
        others = shortest[1:] if shortest and own == shortest[0] else shortest
        seen_by = watching if own is not None else watching - 1
        wanted = pace_for(
            seen_by, others[0] if others else math.inf, far=user_id in far, longest_s=longest_s
        )
        before = asked.get(user_id, NORMAL)
        if wanted == before or _is_same_crowd(before, seen_by):
            continue
        if settled or (wanted.interval_s < before.interval_s and not _for_a_crowd(before)):
            now[user_id] = wanted
        else:
            waiting = True
    return Requests(now, waiting)


def _is_same_crowd(before: Pace, watching: int) -> bool:
    """Whether what was asked for suits a crowd that is a tenth smaller or larger: then it stays."""
    if watching * 1.1 <= MAX_UNASKED or not (before == NORMAL or _for_a_crowd(before)):
        return False
    smaller, larger = (pace_for(round(watching * part), math.inf) for part in (0.9, 1.1))
    return smaller.interval_s <= before.interval_s <= larger.interval_s


def _for_a_crowd(pace: Pace) -> bool:
    return pace.min_distance_m == CROWD_DISTANCE_M
