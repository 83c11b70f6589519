"""Who is far from everyone else. Pure.

On a map that shows two people who are kilometres apart, a few metres are less than a pixel. So a
sender whom everyone else would have to look at from afar may send more rarely
(:mod:`locshare.session.sender_pace`).
"""

from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Final

from locshare.model.distance import metres
from locshare.model.position import HeldPosition

FAR_M: Final = 5_000.0
NEAR_M: Final = 3_000.0
"""Who was far ceases to be at this distance, so that a walk along the border changes nothing."""


def far_from_all(
    positions: Mapping[str, HeldPosition], connected: Collection[str], before: Collection[str]
) -> frozenset[str]:
    """Those of ``connected`` who are far from every other one; ``before`` were so the last time.

    Nobody, if the place of any of them is unknown: they may be looking at anyone. The work grows
    with the square of ``connected``.
    """
    if len(connected) < 2 or not all(user_id in positions for user_id in connected):
        return frozenset()
    far = set(connected)
    for one, other in combinations(connected, 2):
        if one not in far and other not in far:
            continue
        apart = metres(positions[one].position, positions[other].position)
        far.difference_update(
            user_id for user_id in (one, other) if apart < (NEAR_M if user_id in before else FAR_M)
        )
    return frozenset(far)
