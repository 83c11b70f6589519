"""What a feature of a session is. Pure: no I/O, no clock, no task.

Presence and positions are the core of a session. Everything else that a session can do is a
feature: a class in a module of this folder, registered in
:mod:`locshare.session.features.registry`.

A feature owns one part of the session's table, a frozen value. Its methods never change anything:
each gets the part, and returns the next part with the events it decided. The rules apply such an
outcome in one step, after every method that could raise has returned. So a crash leaves the part as
it was or as it is to be, the next incarnation of the session adopts it with the table, and no event
is lost.

A part is bounded (:meth:`Feature.size`): a command that would make it larger is refused. It ends
with the session. While the session sleeps, this process keeps what :meth:`Feature.keep` returns;
nothing of it is ever written to the store.

To add a feature:

1. a module here: the part, the commands (:class:`FeatureCommand`), a subclass of :class:`Feature`;
2. its events in :mod:`locshare.model.events`, and their messages in :mod:`locshare.wire.messages`;
3. a line in the registry;
4. a test module that drives the class, as a table, and a session with it.

The API and the connections send its commands with ``SessionManager.command`` and
``SessionLink.command``. A feature whose state must survive the process takes a write to the store
besides, as the lock does: in the façade, before the command.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from msgspec import Struct

from locshare.actors import Request
from locshare.broadcast.addressed import Addressed
from locshare.model.errors import LocshareError
from locshare.model.participant import Member, Role
from locshare.model.position import HeldPosition
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.origin import NOWHERE, Origin
from locshare.session.table import Reservation
from locshare.store.port import SessionRecord

P = TypeVar("P")
R = TypeVar("R")


class FeatureCommand(Struct, Request[R], Generic[R], frozen=True):
    """Base of every command to a feature. Idempotent: it is handled twice if the session crashes
    before the reply.

    A command that has a sender carries their user_id, which the API or the connection has
    authenticated; the feature checks the roster. The types of its fields bound their lengths.
    """


class FeatureFull(LocshareError):
    """The command would make the feature's part larger than its bound."""


class Core(NamedTuple):
    """What a feature may read of the core. Live collections: to be read now, not to be kept."""

    roster: Mapping[str, Member]
    lapsed: Mapping[str, Member]
    """Former members who did not connect in time, and may take a seat again."""
    reservations: Collection[Reservation]
    online: Collection[str]
    positions: Mapping[str, HeldPosition]
    limits: SessionLimits


class Candidate(NamedTuple):
    """A participant-to-be that asks for a seat."""

    role: Role
    origin: Origin = NOWHERE
    link_key: str | None = None
    """What is in the link that they come by; None for one who has a token of the session."""


class Outcome(Struct, Generic[P], frozen=True):
    """What a feature decided. ``reply`` answers a command, and is ignored otherwise."""

    part: P
    events: tuple[Addressed, ...] = ()
    reply: Any = None
    removed: tuple[str, ...] = ()
    """Participants to remove for good, lapsed ones included. Of commands and of time only."""


class Feature(ABC, Generic[P]):
    """A feature, without state: every method is a function of its arguments. Override the hooks
    that it needs; the others are never called.

    A method that raises changes nothing. ``handle`` raises a LocshareError to refuse a command;
    anything else that is raised crashes the session actor.
    """

    name: ClassVar[str]
    """Of its part in the table, and of its section in the snapshot."""
    commands: ClassVar[tuple[type[FeatureCommand[Any]], ...]]

    @abstractmethod
    def begin(self, session: SessionRecord, kept: P | None) -> P:
        """The part of a session that is read from the store; ``kept`` as it fell asleep."""

    @abstractmethod
    def size(self, part: P) -> int:
        """How many entries ``part`` has, in the unit of :meth:`max_size`."""

    @abstractmethod
    def max_size(self, limits: SessionLimits) -> int:
        """The bound of :meth:`size`."""

    @abstractmethod
    def handle(self, part: P, command: Any, core: Core, moment: Moment) -> Outcome[P]:
        """Decide a command, which is of a type in ``commands``."""

    def refusal(
        self,
        part: P,  # noqa: ARG002 - for subclasses
        candidate: Candidate,  # noqa: ARG002
        core: Core,  # noqa: ARG002
        clock: float,  # noqa: ARG002
    ) -> LocshareError | None:
        """Why ``candidate`` may not have a seat now; None if it may."""
        return None

    def member_joined(self, part: P, user_id: str, origin: Origin) -> Outcome[P]:  # noqa: ARG002
        """A participant came in, or took a lost seat again (then ``origin`` is NOWHERE)."""
        return Outcome(part)

    def member_left(self, part: P, user_id: str) -> Outcome[P]:  # noqa: ARG002
        """A participant is no longer in the roster: forget whatever is theirs."""
        return Outcome(part)

    def positions_moved(
        self,
        part: P,
        moved: Collection[str],  # noqa: ARG002
        core: Core,  # noqa: ARG002
        clock: float,  # noqa: ARG002
    ) -> Outcome[P]:
        """The positions of ``moved`` are about to be sent to the others. Called in each flush."""
        return Outcome(part)

    def due(self, part: P) -> float | None:  # noqa: ARG002
        """When :meth:`time_passed` has something to do, by Trio's clock; None while it has not."""
        return None

    def time_passed(self, part: P, core: Core, moment: Moment) -> Outcome[P]:  # noqa: ARG002
        """``due`` has come."""
        return Outcome(part)

    def snapshot(self, part: P, user_id: str, core: Core) -> object | None:  # noqa: ARG002
        """The section in the snapshot of ``user_id``, a JSON value; None for no section."""
        return None

    def keep(self, part: P) -> P | None:  # noqa: ARG002
        """What this process keeps while the session sleeps; None for nothing."""
        return None


Parts = Mapping[str, Any]
"""Parts by the name of their feature."""
