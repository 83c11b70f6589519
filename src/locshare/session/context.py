"""What the actors of all sessions of a process share: limits, clocks, hooks."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

import trio
from msgspec import Struct

from locshare.session.counters import SessionCounters
from locshare.session.features.feature_set import FeatureSet
from locshare.session.features.registry import FEATURES
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.table import SessionTable


class SessionContext(Struct, frozen=True):
    """What every session actor of a process gets."""

    limits: SessionLimits
    counters: SessionCounters
    window: Callable[[float, float], float]
    """The least time between two flushes, in seconds; given the time by Trio's clock and the
    session's deliveries per second."""
    now: Callable[[], datetime]
    """The wall clock, in UTC."""
    touch: Callable[[UUID, datetime, Mapping[str, datetime]], None]
    """Notes activity for the store."""
    on_ended: Callable[[SessionTable], None]
    """The session has ended and its connections are closing."""
    on_lapsed: Callable[[UUID, list[str]], None]
    """Members who never connected and whose seats are lost for good."""
    on_idle: Callable[[SessionTable], None]
    """Nobody has been connected for a while."""
    features: FeatureSet = FEATURES

    def moment(self) -> Moment:
        """This instant, on both clocks."""
        return Moment(self.now(), trio.current_time())
