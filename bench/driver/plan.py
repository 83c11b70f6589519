"""What people do in a run: who comes when, how often they report, how long it is measured."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from locshare.model.position import Position

DRAIN_S = 10.0


class Phone(Protocol):
    """Where somebody is. No two of its last few hundred reports are of the same place."""

    def position(self, seconds: float, timestamp: datetime) -> Position:
        """The report ``seconds`` after the beginning of the run, dated ``timestamp``."""


class Visit(Protocol):
    """One stretch of being connected; seconds after the beginning of the run."""

    @property
    def arrives_s(self) -> float:
        """When the person connects."""

    @property
    def leaves_s(self) -> float | None:
        """None: stays to the end."""

    @property
    def gracefully(self) -> bool:
        """True: closes the WebSocket properly; False: the connection just breaks."""


class Participant(Struct, frozen=True):
    """One person. The visits are in order and apart from each other. Whoever ends the last of them
    early and gracefully leaves the session for good.
    """

    name: str
    color: str
    phone: Phone
    visits: Sequence[Visit]


class Plan(Struct, frozen=True, kw_only=True):
    """One run."""

    scenario: str
    title: str
    seed: int
    scale: float
    sessions: Sequence[Sequence[Participant]]
    interval_s: float
    measured_from_s: float = 0.0
    """Until then people come and send, and nothing is counted but connections."""
    waits_s: float = 0.0
    """So much longer, at most, when some are still not connected then."""
    duration_s: float
    """Of the measured time. Then nobody sends any more, and what is on its way is waited for."""
    drain_s: float = DRAIN_S
    """How long the last updates are waited for, at most, while somebody still lacks one."""
    disruptions: bool = False
    """Break what the target can."""
    goodbye_s: float = 1.0
    """At last everybody closes their connection, evenly over this time."""

    @property
    def people(self) -> int:
        return sum(map(len, self.sessions))
