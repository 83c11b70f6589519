"""One virtual user: connects, reports positions, reads, reconnects when a connection ends, leaves.

Never blocks: the loop calls it when a socket is ready or a timer is due. After an unexpected end it
reconnects as our own clients do, by the rule of :mod:`locshare.client.backoff`.
"""

import enum
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.driver.connection import Address, Connection, Lost
from bench.driver.dialect import Access, Conversation, Ended, Message, Refusal, Snapshot
from bench.driver.plan import Participant, Visit
from bench.driver.tracker import Member, ReceivedPosition
from locshare.client.backoff import Backoff
from locshare.client.connection import CONNECT_TIMEOUT_S
from locshare.client.errors import ClientError

if TYPE_CHECKING:
    from bench.driver.crowd import Crowd

HEARTBEAT_TIMEOUT_S = 10.0
"""A connection on which nothing arrives for this long after a heartbeat is dead."""
CLOSE_TIMEOUT_S = 5.0
"""The server's time limit to answer a close or a leave."""

_BACKOFF = Backoff()


class State(enum.Enum):
    AWAY = enum.auto()
    CONNECTING = enum.auto()
    HERE = enum.auto()
    BACKING_OFF = enum.auto()
    GAVE_UP = enum.auto()
    LEAVING = enum.auto()


class VirtualUser:
    """See the module. ``now`` is always of the monotonic clock."""

    def __init__(
        self,
        crowd: "Crowd",
        participant: Participant,
        access: Access,
        member: Member,
        url: str,
        address: Address,
    ) -> None:
        self._crowd = crowd
        self._phone = participant.phone
        self._visits = deque(participant.visits)
        self.access = access
        self.member = member
        self.url = url
        self.address = address
        self.state = State.AWAY
        self._life = 0
        """Counts the connections, so that a timer set for an earlier one does nothing."""
        self._attempts = 0
        self._asked_at = self._here_at = self._heard_at = self._beat_at = self._closing_since = 0.0
        self._lost_at: float | None = None
        self._opened = False
        self._connection: Connection | None = None
        self._conversation: Conversation

    @property
    def wanted(self) -> bool:
        """True during a visit, connected or not."""
        return self.state is not State.AWAY and self.state is not State.LEAVING

    @property
    def sent_bytes(self) -> int:
        """On the present connection."""
        return 0 if self._connection is None else self._connection.sent_bytes

    # --- what it does -------------------------------------------------------------------------

    def come(self) -> None:
        """Plan the next visit, and the others after it."""
        if self._visits:
            visit = self._visits.popleft()
            crowd = self._crowd
            crowd.loop.at(crowd.began + visit.arrives_s, lambda: self._visit(visit))

    def _visit(self, visit: Visit) -> None:
        crowd = self._crowd
        if not crowd.sending:
            return
        if visit.leaves_s is not None:
            crowd.loop.at(crowd.began + visit.leaves_s, lambda: self._end_visit(visit))
        if self.state is State.LEAVING:
            self._gone()
        if self.state is State.AWAY:
            self._lost_at = None
            self._attempts = 0
            self._connect()

    def _end_visit(self, visit: Visit) -> None:
        if visit.gracefully:
            self.disconnect(for_good=not self._visits)
        elif self.state is not State.LEAVING:
            self._crowd.tracker.ended(self.member, time.monotonic())
            self._gone()
        self.come()

    def disconnect(self, *, for_good: bool = False) -> None:
        """Close the connection properly, if there is one; or leave the session."""
        if self.state is State.LEAVING:
            return
        if self.state is not State.HERE:
            self._gone()
            return
        assert self._connection is not None
        now = self._closing_since = time.monotonic()
        self.state = State.LEAVING
        self._crowd.tracker.ended(self.member, now)
        try:
            if for_good:
                self._connection.send(self._conversation.leave())
            if not for_good or not self._crowd.adapter.closes:
                self._connection.send_close()
        except Lost:
            self._gone()
        else:
            self._writes()

    def cut(self) -> None:
        """Drop the connection without a close frame."""
        if self.state is State.HERE:
            self._over(Lost("cut on purpose"), time.monotonic())

    def check(self, now: float) -> None:
        """Once a second: check timeouts, send a heartbeat if one is due."""
        if self.state is State.HERE:
            self._check_alive(now)
        elif self.state is State.CONNECTING and now - self._asked_at > CONNECT_TIMEOUT_S:
            self._over(Lost(f"no answer within {CONNECT_TIMEOUT_S:g} s"), now)
        elif self.state is State.LEAVING and now - self._closing_since > CLOSE_TIMEOUT_S:
            self._crowd.stats.unanswered += 1
            self._gone()

    def close(self) -> None:
        """Close the socket."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._crowd.stats.sent_bytes += connection.sent_bytes
            self._crowd.loop.remove(connection.fileno)
            connection.close()

    # --- what the loop tells it ---------------------------------------------------------------

    def write(self) -> None:
        """The socket can be written."""
        if self._connection is None:
            return
        try:
            self._connection.write()
        except Lost as cause:
            self._over(cause, time.monotonic())
        else:
            self._writes()

    def read(self) -> bytes | None:
        """Read what is there."""
        if self._connection is None:
            return None
        try:
            data = self._connection.read()
        except Lost as cause:
            self._over(cause, time.monotonic())
            return None
        if not self._opened:
            self._writes()  # in a TLS handshake the data read decides whose turn it is
        return data

    def take(self, data: bytes, now: float) -> None:
        """Process what was read at ``now``."""
        connection = self._connection
        if connection is None:
            return
        self._heard_at = now
        self._crowd.stats.received_bytes += len(data)
        try:
            texts = connection.receive(data)
            if not self._opened and connection.open:
                self._opened = True
                if (hello := self._conversation.hello()) is not None:
                    connection.send(hello)
                self._writes()
            if texts:
                self._process(texts, now)
        except Lost as cause:
            self._over(cause, time.monotonic())

    # --- inside -------------------------------------------------------------------------------

    def _connect(self) -> None:
        self.state = State.CONNECTING
        self._life += 1
        self._opened = False
        self._asked_at = time.monotonic()
        self._conversation = self._crowd.adapter.converse(self.access)
        try:
            self._connection = Connection(self.url, self.address, self._crowd.adapter.subprotocols)
        except Lost as cause:
            self._over(cause, time.monotonic())
        else:
            self._crowd.loop.add(self._connection.fileno, self)

    def _process(self, texts: list[bytes], now: float) -> None:
        read = self._conversation.read
        received: list[ReceivedPosition] = []
        for text in texts:
            message = read(text)
            if type(message) is ReceivedPosition:
                received.append(message)
            elif isinstance(message, list):
                received += message
            elif message is not None:
                self._count(received, now)
                received = []
                self._handle(message, now)
        self._count(received, now)

    def _count(self, received: list[ReceivedPosition], now: float) -> None:
        if received and (fresh := self._crowd.tracker.receives(self.member, received, now)):
            self._crowd.deliveries(self, fresh, now)

    def _handle(self, message: Message, now: float) -> None:
        if isinstance(message, Snapshot):
            if self.state is State.CONNECTING:
                self._arrive(now)
            if self.state is State.HERE:
                self._crowd.tracker.snapshot(self.member, message.positions)
        elif isinstance(message, Refusal):
            self._crowd.stats.complaints[message.reason] += 1
        elif isinstance(message, Ended):
            raise Lost(message.reason, _Final(message.reason) if not message.reconnect else None)

    def _arrive(self, now: float) -> None:
        crowd = self._crowd
        self.state = State.HERE
        self._here_at = self._beat_at = now
        crowd.tracker.connected(self.member)
        again = self._lost_at is not None
        since = self._asked_at if self._lost_at is None else self._lost_at
        crowd.arrived(again=again, seconds=now - since)
        self._lost_at = None
        crowd.loop.at(now, self._report_for(self._life, first=True))

    def _report_for(self, life: int, *, first: bool) -> Callable[[], None]:
        return lambda: self._report(life, first=first)

    def _report(self, life: int, *, first: bool) -> None:
        crowd = self._crowd
        connection = self._connection
        if life != self._life or self.state is not State.HERE or not crowd.sending:
            return
        assert connection is not None
        if connection.wants_to_write:
            crowd.stats.blocked += 1
        else:
            since = time.monotonic() - crowd.began
            position = self._phone.position(since, datetime.now(UTC))
            text = self._conversation.position(position)
            at = time.monotonic()
            try:
                connection.send(text)
            except Lost as cause:
                self._over(cause, time.monotonic())
                return
            crowd.tracker.sends(self.member, position.lat, position.lng, at)
            self._writes()
        # A random first gap, so that users who connect together do not send together.
        spread = 0.5 if first else 0.05
        gap = crowd.interval_s * crowd.random.uniform(1 - spread, 1 + spread)
        crowd.loop.at(time.monotonic() + gap, self._report_for(life, first=False))

    def _check_alive(self, now: float) -> None:
        assert self._connection is not None
        adapter = self._crowd.adapter
        unanswered = self._beat_at > self._heard_at
        since_beat = now - self._beat_at
        if unanswered and since_beat > HEARTBEAT_TIMEOUT_S:
            self._over(Lost(f"nothing received for {now - self._heard_at:.0f} s"), now)
        elif not unanswered and (
            now - self._heard_at > adapter.heartbeat_s
            or (adapter.always_beats and since_beat > adapter.heartbeat_s)
        ):
            self._beat_at = now
            try:
                self._connection.send(self._conversation.heartbeat())
            except Lost as cause:
                self._over(cause, now)
            else:
                self._writes()

    def _writes(self) -> None:
        connection = self._connection
        if connection is not None:
            self._crowd.loop.want_writes(connection.fileno, self, connection.wants_to_write)

    def _over(self, cause: Lost, now: float) -> None:
        self.close()
        if self.state is State.LEAVING:
            self._gone()
            return
        if self.state is State.HERE:
            self._crowd.tracker.ended(self.member, now)
            self._lost_at = now
            if now - self._here_at >= _BACKOFF.reset_after_s:
                self._attempts = 0
            self._crowd.lost(self, cause, now)
        else:
            self._crowd.refused(cause, now)
        if not cause.cause.reconnect:
            self.state = State.GAVE_UP
            self._crowd.stats.gave_up += 1
            return
        self.state = State.BACKING_OFF
        delay = _BACKOFF.delay(self._attempts, cause.cause, self._crowd.random)
        self._attempts += 1
        life = self._life
        self._crowd.loop.at(now + delay, lambda: self._come_back(life))

    def _come_back(self, life: int) -> None:
        if self.state is State.BACKING_OFF and life == self._life:
            self._connect()

    def _gone(self) -> None:
        self.close()
        self.state = State.AWAY
        self._life += 1


class _Final(ClientError):
    """Reconnecting is pointless."""
