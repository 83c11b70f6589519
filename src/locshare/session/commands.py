"""The messages of a session actor, but for the commands of features, which are in their modules.

Casts are small structs that the garbage collector does not track: nearly all are positions.
"""

from typing import Final
from uuid import UUID

from msgspec import Struct

from locshare.actors import Request
from locshare.broadcast.receiver import Receiver
from locshare.model.participant import Member, PresenceState, Role
from locshare.model.position import Position
from locshare.session.origin import NOWHERE, Origin


class Update(Struct, frozen=True, gc=False):
    """Cast: a position arrived. ``received``: when it was read from its socket, by Trio's
    clock; 0 is not measured.
    """

    user_id: str
    position: Position
    received: float = 0.0


class SetState(Struct, frozen=True):
    """Cast: the client of ``receiver`` says what it is doing."""

    receiver: Receiver
    state: PresenceState


class ChangePace(Struct, frozen=True):
    """Cast: a receiver chooses how often positions come."""

    receiver: Receiver
    interval_s: float


class CheckDepartures(Struct, frozen=True):
    """Cast: a connection that has ended is in ``SessionTable.departed``."""


class CancelReservation(Struct, frozen=True):
    """Cast: a join did not happen."""

    reservation: UUID


class ReserveSeat(Struct, Request[str], frozen=True):
    """Call: a join is about to be written. Replies with the name that is free.
    Fails with SessionFull, SessionLocked, LinkReplaced, Banned, TooManyJoins.
    """

    reservation: UUID
    display_name: str
    role: Role
    origin: Origin = NOWHERE
    link_key: str | None = None
    """As in a Candidate."""


class Join(Struct, Request[None], frozen=True):
    """Call: the join is written. Fails as ReserveSeat once the reservation has expired."""

    member: Member
    reservation: UUID
    origin: Origin = NOWHERE
    link_key: str | None = None


class AttachOptions(Struct, frozen=True):
    """What a client asks for when it connects. Nothing in it is a reason to refuse it."""

    resume: str | None = None
    """The last event that it knows, in its own words."""
    interval_s: float = 0.0
    """Its pace (:data:`locshare.model.pace.Interval`)."""
    state: PresenceState = "active"


NO_OPTIONS: Final = AttachOptions()


class Attach(Struct, Request[None], frozen=True):
    """Call: on reply the snapshot is the first thing in the receiver. Fails with
    ParticipantNotFound.
    """

    receiver: Receiver
    options: AttachOptions = NO_OPTIONS


class Report(Struct, Request[None], frozen=True):
    """Call: a position arrived without a connection; its sender is online for a while. Fails with
    ParticipantNotFound.
    """

    update: Update


class LeaveForGood(Struct, Request[None], frozen=True):
    """Call: a participant leaves, by their own wish. Fails with ParticipantNotFound."""

    user_id: str


class SetRole(Struct, Request[None], frozen=True):
    """Call: a participant becomes a host, or is one no longer; it is written. Fails with
    ParticipantNotFound, SessionFull.
    """

    user_id: str
    role: Role


class End(Struct, Request[None], frozen=True):
    """Call: the host ends the session."""


SessionCast = Update | SetState | ChangePace | CheckDepartures | CancelReservation
"""What may be cast to a session."""

CHECK_DEPARTURES: Final = CheckDepartures()
