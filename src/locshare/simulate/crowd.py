"""The participants of a simulation, and its figures.

:class:`Crowd` holds the figures, which may be read at any time. Each :class:`SimulatedParticipant`
fills them in while it is connected, moves and reports.
"""

from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import Final, final

import trio
from msgspec import Struct

from locshare.client import (
    ApiProblem,
    Client,
    ClientError,
    Live,
    NotConnected,
    SessionJoined,
    Watcher,
)
from locshare.model.position import ParticipantPosition, Position
from locshare.model.session import Snapshot
from locshare.simulate.ledger import LATENCIES_KEPT, Latency, Ledger, latency
from locshare.simulate.movement import Phone
from locshare.wire.messages import Error, ServerMessage

SEND_TIMEOUT_S: Final = 5.0
RECENT_DELIVERIES: Final = 2_000
"""The current latency is that of the newest deliveries, as many as this."""


class Summary(Struct, frozen=True):
    """The result. ``lost`` and ``failed`` should be 0."""

    sessions: int
    people: int
    seconds: float
    sent: int
    expected: int
    received: int
    skipped: int
    waived: int
    lost: int
    foreign: int
    latency_ms: Latency
    reconnects: int
    failed: int
    errors: dict[str, int]


@final
class Crowd:
    """The figures of a simulation."""

    def __init__(self) -> None:
        self.latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self.ledgers: list[Ledger] = []
        self.people: list[SimulatedParticipant] = []
        self.reconnects = 0
        self.failed = 0
        """Participants that were not connected when sending ended, or whose connection ended for
        good before. No deliveries are due to them, so the ledger alone would not show them.
        """
        self.errors: Counter[str] = Counter()
        """By a short label."""
        self.last_error: ClientError | None = None
        """The last reason why a participant could not join or connect."""
        self.sending_s = 0.0
        """How long positions were sent; 0 until sending has ended."""

    @property
    def connected(self) -> int:
        """Participants that are connected now."""
        return sum(each.live.connected for each in self.people)

    @property
    def has_connected(self) -> bool:
        """Whether any participant was ever connected."""
        return any(each.live.has_connected.is_set() for each in self.people)

    @property
    def sent(self) -> int:
        """Updates."""
        return sum(each.sent for each in self.ledgers)

    @property
    def received(self) -> int:
        """Deliveries."""
        return sum(each.received for each in self.ledgers)

    @property
    def outstanding(self) -> int:
        """Deliveries on their way."""
        return sum(each.outstanding for each in self.ledgers)

    def recent_latency(self) -> Latency:
        """Of the newest deliveries."""
        return latency(list(islice(reversed(self.latencies), RECENT_DELIVERIES)))

    def summary(self) -> Summary:
        """All figures."""
        return Summary(
            sessions=len(self.ledgers),
            people=len(self.people),
            seconds=round(self.sending_s, 1),
            sent=self.sent,
            expected=sum(each.expected for each in self.ledgers),
            received=self.received,
            skipped=sum(each.skipped for each in self.ledgers),
            waived=sum(each.waived for each in self.ledgers),
            lost=sum(each.lost for each in self.ledgers),
            foreign=sum(each.foreign for each in self.ledgers),
            latency_ms=latency(list(self.latencies)),
            reconnects=self.reconnects,
            failed=self.failed,
            errors=dict(self.errors.most_common()),
        )


@final
class SimulatedParticipant(Watcher):
    """One person: joined, with a phone, and a connection that comes back."""

    def __init__(
        self,
        crowd: Crowd,
        ledger: Ledger,
        session_id: str,
        ticket: SessionJoined,
        url: str,
        phone: Phone,
        seed: int,
    ) -> None:
        self.session_id = session_id
        self.ticket = ticket
        jitter = Random(seed)  # noqa: S311 - back-off, not a secret
        self.live = Live(url, ticket.websocket_token, watcher=self, random=jitter)
        self.gone = trio.Event()
        """Set when there is no connection and will be none."""
        self._crowd = crowd
        self._ledger = ledger
        self._phone = phone
        self._was_connected = False
        self._leaving = False
        self._failed = False
        self._newest = self._sent = datetime.min.replace(tzinfo=UTC)
        ledger.add(ticket.user_id)

    # --- the watcher ----------------------------------------------------------------------------

    def connected(self, snapshot: Snapshot) -> None:
        """See :meth:`Watcher.connected`."""
        self._ledger.connected(snapshot.you.user_id)
        self._crowd.reconnects += self._was_connected
        self._was_connected = True

    def received(self, message: ServerMessage) -> None:
        """See :meth:`Watcher.received`."""
        if isinstance(message, ParticipantPosition):
            sender, dated = message.user_id, message.timestamp
            self._ledger.receiving(self.ticket.user_id, sender, dated, trio.current_time())
        elif isinstance(message, Error):
            self._crowd.errors[message.code] += 1

    def sending(self, position: Position) -> None:
        """See :meth:`Watcher.sending`. What is sent again after a reconnect was due before."""
        if position.timestamp > self._sent:
            self._sent = position.timestamp
            self._ledger.sending(self.ticket.user_id, self._sent, trio.current_time())

    def disconnected(self, cause: ClientError, retry_in: float | None) -> None:
        """See :meth:`Watcher.disconnected`."""
        self._ledger.disconnected(self.ticket.user_id)
        self._crowd.last_error = cause
        if not self._leaving:
            self._crowd.errors[error_label(cause)] += 1
            if retry_in is None:
                self.fail()

    def fail(self) -> None:
        """Count this participant as failed, once."""
        self._crowd.failed += not self._failed
        self._failed = True

    # --- tasks ----------------------------------------------------------------------------------

    async def stay(self) -> None:
        """Stay connected until reconnecting cannot succeed."""
        try:
            await self.live.run()
        finally:
            self.gone.set()

    async def move(self, began: float, offset: float, interval: float) -> None:
        """Report every ``interval``, first at ``began + offset``, until cancelled."""
        due = began + offset
        while True:
            await trio.sleep_until(due)
            now = trio.current_time()
            if self.live.connected:
                # The ledger identifies updates by their timestamps, which a dialect may shorten.
                wall = datetime.now(UTC)
                wall = wall.replace(microsecond=wall.microsecond // 1000 * 1000)
                self._newest = max(wall, self._newest + timedelta(milliseconds=1))
                position = self._phone.position(now - began, self._newest)
                # Once it is in the ledger it must be sent, even if sending ends now.
                with trio.CancelScope(shield=True, deadline=now + SEND_TIMEOUT_S):
                    await self.live.send_position(position)
            # Missed reports are dropped, not sent in a burst.
            while due <= now:
                due += interval

    async def leave(self, client: Client) -> None:
        """Leave for good, over the connection or else over REST."""
        self._leaving = True
        if await self.live.leave():
            await self.gone.wait()
        elif not self.gone.is_set():
            try:
                token = self.ticket.websocket_token
                await client.remove(self.session_id, self.ticket.user_id, token)
            except ClientError as error:
                self._crowd.errors[error_label(error)] += 1


def error_label(cause: ClientError) -> str:
    """A few words, for counting."""
    if isinstance(cause, NotConnected):
        reason = cause.end.reason
        return f"closed {cause.end.code}" if reason is None else f"closed {reason.label}"
    if isinstance(cause, ApiProblem):
        return f"refused {cause.status} {cause.code}".rstrip()
    return type(cause).__name__.lower()
