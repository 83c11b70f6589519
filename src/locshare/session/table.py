"""The state of a session, kept where a crash of its actor does not reach it.

Like an ETS table with an heir: one incarnation of the session actor writes it, any code may read
it, and the session directory keeps it when the incarnation dies, for the next one to adopt. Entries
are frozen and replaced whole, never edited, so a reader and the next incarnation find each entry as
a command left it. Which entries belong together is decided in :mod:`locshare.session.rules`.

Positions are here and nowhere else, for the retention at most. ``local`` is not part of the state:
it belongs to the process that runs the session.
"""

import math
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple, final
from uuid import UUID, uuid4

from msgspec import Struct, convert, structs

from locshare.broadcast.addressed import Addressed, Audience
from locshare.broadcast.fanout import Flush
from locshare.broadcast.native import Fan
from locshare.broadcast.receiver import Receiver
from locshare.model.events import Event
from locshare.model.pace import Pace
from locshare.model.participant import Member, PresenceState, Role
from locshare.model.position import HeldPosition
from locshare.model.rate import TokenBucket
from locshare.model.reasons import EndReason
from locshare.session.event_log import EventLog
from locshare.session.fixes import SenderClock
from locshare.session.local import LocalState
from locshare.session.rate_limits import ShownPresence
from locshare.session.receiver_pace import PacedReceiver
from locshare.store.port import ParticipantRecord, SessionRecord, StoredSession
from locshare.wire.dialects import Dialect, Shorthand


class Reservation(Struct, frozen=True):
    """A seat reserved until ``until`` for a join that is being written, under this name."""

    until: float
    display_name: str
    role: Role


class Delivery(NamedTuple):
    """An event that is being delivered: its frames, and the receivers it has not reached."""

    frames: Mapping[Dialect, bytes]
    rest: deque[Receiver]


def member_of(record: ParticipantRecord) -> Member:
    """The member in a row of the store."""
    return convert(record, Member, from_attributes=True)


@final
class SessionTable:
    """The table of one session. Times are by Trio's clock unless they are datetimes."""

    __slots__ = (
        "active_at",
        "asked",
        "clocks",
        "departed",
        "dropped",
        "ended",
        "epoch",
        "fans",
        "far",
        "interrupted_event",
        "interrupted_flush",
        "joins",
        "lapsed",
        "last_heard",
        "local",
        "log",
        "moved",
        "never_connected",
        "next_number",
        "noted_at",
        "numbers",
        "paced",
        "parts",
        "pending",
        "positions",
        "presence",
        "presence_pending",
        "receivers",
        "reported",
        "reservations",
        "roster",
        "seq",
        "session",
        "shorthand",
        "states",
    )

    def __init__(self, stored: StoredSession, clock: float) -> None:
        self.session: Final[SessionRecord] = stored.session
        self.roster: dict[str, Member] = {
            record.user_id: member_of(record) for record in stored.participants if record.is_active
        }
        self.numbers: dict[str, int] = {user_id: n for n, user_id in enumerate(self.roster)}
        """A number for each member, kept for a former one while events about it may be pending."""
        self.next_number = len(self.numbers)
        """Higher than any number given before: none is given twice."""
        self.shorthand: Final = Shorthand.since(self.session.created_at, self.numbers)
        """What compact messages are shortened by. Its ``numbers`` are those above, as they are."""
        self.parts: dict[str, Any] = {}
        """The state of each feature, by its name: frozen, and replaced whole."""
        self.reservations: dict[UUID, Reservation] = {}
        """Joins that are being written."""
        self.never_connected: set[str] = {
            user_id
            for user_id, member in self.roster.items()
            if member.last_seen <= member.joined_at
        }
        """Members who have never connected."""
        self.lapsed: dict[str, Member] = {}
        """Former members who never connected in time; they may take a seat again."""
        self.receivers: dict[str, Receiver] = {}
        """The connection of each member who has one."""
        self.fans: dict[Dialect, Fan[Receiver]] | None = None
        """By dialect, the receivers without a pace, as the delivery groups them; None until it
        does. Whatever changes who they are says so first (:meth:`regroup`)."""
        self.paced: dict[str, PacedReceiver] = {}
        """The connected members who chose a pace."""
        self.asked: dict[str, Pace] = {}
        """The connected members who were asked to send slower, and how."""
        self.far: frozenset[str] = frozenset()
        """The connected members who were far from all others, the last time that this was looked
        at and nobody had come since."""
        self.reported: dict[str, float] = {}
        """When each member last reported a position without a connection, while that counts as
        being online."""
        self.dropped: dict[str, float] = {}
        """When the connection of each member ended whom the others go on seeing online."""
        self.states: dict[str, PresenceState] = {}
        """The state of each connected member who is not active."""
        self.presence: dict[str, ShownPresence] = {}
        """The last presence sent to the others, of each member who ever connected."""
        self.presence_pending: set[str] = set()
        """Members whose presence differs from the last one sent: the rate limit delays it."""
        self.joins = TokenBucket(math.inf, clock)
        """The rate limit of joins."""
        self.positions: dict[str, HeldPosition] = {}
        self.moved: dict[str, HeldPosition] = {}
        """The positions of the next flush."""
        self.clocks: dict[str, SenderClock] = {}
        """The error of each sender's clock."""
        self.last_heard: dict[str, float] = {}
        """When each member was last active, in this process."""
        self.active_at = clock
        """When a member last joined, came online, went offline, or left while online."""
        self.noted_at = -math.inf
        """Activity before this has been noted for the store."""
        self.epoch: Final = uuid4().hex[:12]
        """Names the life of this table: events are numbered within it."""
        self.seq = 0
        """Of the newest decided event."""
        self.log: Final = EventLog()
        """The events that were delivered lately."""
        self.pending: deque[Addressed] = deque()
        """Decided events to be delivered; empty between two messages."""
        self.interrupted_event: Delivery | None = None
        self.interrupted_flush: deque[tuple[Receiver, Flush]] | None = None
        """The delivery that a crash interrupted; None between two messages."""
        self.departed: deque[Receiver] = deque()
        """Connections that have ended, added by their tasks: an exit signal that neither a full
        mailbox refuses nor a restart loses."""
        self.ended: EndReason | None = None

        self.local: Final = LocalState()

    def queue_event(self, event: Event, audience: Audience) -> None:
        """Give a decided event its number, and queue it for delivery."""
        self.seq += 1  # first: no crash may give it twice
        self.pending.append(Addressed(structs.replace(event, seq=self.seq), audience))

    def regroup(self) -> None:
        """A receiver is about to come, to go, or to get a pace or lose it."""
        fans, self.fans = self.fans, None
        for fan in (fans or {}).values():
            fan.clear()  # a receiver may hold it for as long as it lives

    @property
    def online(self) -> Collection[str]:
        """The members who are online: by a connection, by reports, or both."""
        if not self.reported:
            return self.receivers.keys()
        return self.receivers.keys() | self.reported.keys()
