"""What can be asked of a session actor. The casts are small, for they are many."""

from typing import Final
from uuid import UUID

from msgspec import Struct

from locshare.actors import Request
from locshare.broadcast.receiver import Receiver
from locshare.session.bans import NOWHERE, Origin
from locshare.session.table import Member
from locshare.wire.messages import LeaveReason, Position, Role


class Update(Struct, frozen=True, gc=False):
    """Cast: a position arrived."""

    user_id: str
    position: Position


class CheckDepartures(Struct, frozen=True):
    """Cast: somebody put a connection that has ended into ``SessionTable.departed``."""


class ReleaseSeat(Struct, frozen=True):
    """Cast: a join did not happen."""

    seat: UUID


class ReserveSeat(Struct, Request[str], frozen=True):
    """Call: a join is about to be written. Answers with the name that is free.
    Fails with SessionFull, SessionLocked.
    """

    seat: UUID
    display_name: str
    role: Role


class Join(Struct, Request[None], frozen=True):
    """Call: the join is written. Fails with SessionFull if that took longer than seats are kept."""

    member: Member
    seat: UUID
    origin: Origin = NOWHERE


class Attach(Struct, Request[None], frozen=True):
    """Call: on reply the snapshot is the first thing in the receiver. Fails with
    ParticipantNotFound.
    """

    receiver: Receiver
    role: Role


class RemoveMember(Struct, Request[None], frozen=True):
    """Call: a participant leaves for good. Fails with ParticipantNotFound."""

    user_id: str
    reason: LeaveReason


class Lock(Struct, Request[None], frozen=True):
    """Call: whether others than the host may join from now on; it is written."""

    locked: bool


class End(Struct, Request[None], frozen=True):
    """Call: the host ends the session."""


SessionCast = Update | CheckDepartures | ReleaseSeat
"""What may be cast to a session."""

SessionRequest = ReserveSeat | Join | Attach | RemoveMember | Lock | End
"""For :func:`typing.assert_never`-style matches."""

CHECK_DEPARTURES: Final = CheckDepartures()
