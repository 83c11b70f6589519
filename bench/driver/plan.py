"""The plan of a run: who connects when, how often they report, how long it is measured."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from locshare.model.position import Position

DRAIN_S = 10.0


class Phone(Protocol):
    """Reports positions. No two of its last few hundred are the same place."""

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
    """One person. The visits are in order and do not touch. Ending the last of them early and
    gracefully means leaving the session for good.
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
    """Before that, people connect and send, and only connections are counted."""
    waits_s: float = 0.0
    """How long to wait, at most, for those who are not connected then."""
    duration_s: float
    """Of the measured time. Then sending stops."""
    drain_s: float = DRAIN_S
    """How long to wait, at most, for updates in flight."""
    probes_rest: bool = False
    """Make every call of the REST interface again and again, beside the load."""
    disruptions: bool = False
    """Inject every disruption that the target supports."""
    goodbye_s: float = 1.0
    """At the end all close their connections, evenly over this time."""

    @property
    def people(self) -> int:
        return sum(map(len, self.sessions))
