"""What a session knows, kept where a crash of its actor does not reach it.

As an ETS table with an heir: one incarnation of the session actor writes, anybody may read, and
the session manager keeps the table when the incarnation dies, for the next one to adopt. Entries
are frozen and replaced whole, never edited, so a reader and an heir find each of them as some
command left it. Which entries go together is the business of :mod:`locshare.session.rules`.

Positions live here and nowhere else, for the retention at most.
"""

import math
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, final
from uuid import UUID

import trio
from msgspec import Struct

from locshare.actors import MailboxHeir, Ref
from locshare.broadcast.addressed import Addressed
from locshare.broadcast.fanout import Flush
from locshare.broadcast.receiver import Receiver
from locshare.model.rate import TokenBucket
from locshare.session.fixes import SenderClock
from locshare.session.rate_limits import ShownPresence
from locshare.store.port import ParticipantRecord, SessionRecord, StoredSession
from locshare.wire.dialects import Dialect
from locshare.wire.messages import EndReason, Position, Role


class Member(Struct, frozen=True):
    """Someone who joined and has not left. ``last_seen`` is as of joining or loading; what was
    heard since is in ``SessionTable.heard``.
    """

    user_id: str
    display_name: str
    avatar_color: str
    joined_at: datetime
    last_seen: datetime
    role: Role = "participant"

    @classmethod
    def of(cls, record: ParticipantRecord) -> "Member":
        """The member that a row describes."""
        return cls(
            record.user_id,
            record.display_name,
            record.avatar_color,
            record.joined_at,
            record.last_seen,
            record.role,
        )


class Seat(Struct, frozen=True):
    """Kept until then for a join that is being written, with the name that is promised to it."""

    until: float
    display_name: str
    role: Role


class HeldPosition(Struct, frozen=True, gc=False):
    """A participant's newest position, when it arrived and when its fix was taken, by Trio's clock.
    The retention counts from the arrival.
    """

    position: Position
    arrived: float
    taken: float


class Delivery(NamedTuple):
    """An event that is being delivered: its frames, and the receivers it has not reached."""

    frames: Mapping[Dialect, bytes]
    rest: deque[Receiver]


@final
class SessionTable:
    """The table of one session. All times are Trio's clock unless they are datetimes."""

    __slots__ = (
        "active_at",
        "asleep",
        "clocks",
        "departed",
        "ended",
        "gave_up",
        "heir",
        "incarnations",
        "interrupted_event",
        "interrupted_flush",
        "joins",
        "lapsed",
        "last_heard",
        "moved",
        "never_connected",
        "noted_at",
        "parts",
        "pending",
        "positions",
        "presence",
        "presence_pending",
        "receivers",
        "roster",
        "seats",
        "session",
        "starting",
        "supervisor",
        "use_count",
        "waiters",
    )

    def __init__(self, stored: StoredSession, clock: float) -> None:
        self.session: Final[SessionRecord] = stored.session
        self.roster: dict[str, Member] = {
            record.user_id: Member.of(record) for record in stored.participants if record.is_active
        }
        self.parts: dict[str, Any] = {}
        """What each feature keeps, by its name: frozen, and replaced whole."""
        self.seats: dict[UUID, Seat] = {}
        """Joins that are being written."""
        self.never_connected: set[str] = {
            user_id
            for user_id, member in self.roster.items()
            if member.last_seen <= member.joined_at
        }
        """Those in the roster who have never connected."""
        self.lapsed: dict[str, Member] = {}
        """Those who lost their seats because they never connected, and may take one again."""
        self.receivers: dict[str, Receiver] = {}
        """Who is online, and the connection of each."""
        self.presence: dict[str, ShownPresence] = {}
        """What the others were told of each who ever connected."""
        self.presence_pending: set[str] = set()
        """Those of whom something else is true, which may not be told yet."""
        self.joins = TokenBucket(math.inf, clock)
        """How many more may join now."""
        self.positions: dict[str, HeldPosition] = {}
        self.moved: dict[str, Position] = {}
        """What the next flush will carry."""
        self.clocks: dict[str, SenderClock] = {}
        """How far the clock of who sent positions is off."""
        self.last_heard: dict[str, float] = {}
        """When each participant was last heard of, in this process."""
        self.active_at = clock
        """When somebody last joined, connected or disconnected."""
        self.noted_at = -math.inf
        """What was heard before this has been noted for the store."""
        self.pending: deque[Addressed] = deque()
        """Events that were decided and are still to be delivered: empty between two messages."""
        self.interrupted_event: Delivery | None = None
        self.interrupted_flush: Mapping[Dialect, Flush] | None = None
        """What a crash interrupted in the middle of telling; None between two messages."""
        self.departed: deque[Receiver] = deque()
        """Connections that have ended, put here by their tasks: an exit signal that cannot be
        refused by a full mailbox or lost between two incarnations."""
        self.ended: EndReason | None = None

        # For the manager.
        self.heir: Final = MailboxHeir()
        self.incarnations = 0
        self.supervisor: Ref | None = None
        self.starting = False
        self.use_count = 0
        """Calls and connections that have this table in hand: it is not put to sleep under them."""
        self.asleep = False
        """It was put to sleep, and is in nobody's hands."""
        self.gave_up = False
        self.waiters: Final = trio.lowlevel.ParkingLot()
        """Parked here: who waits for the next incarnation, or for the end."""
