"""The messages of one open connection: receive, interpret, check the rate, hand on.

The socket's dialect says what a message means; this counts and limits the messages and carries the
meaning out on the socket's subscriptions. A wrong message is answered and the connection lives on;
abuse closes it.

A session that ends, or refuses its participant, ends its subscription. Whether the socket can live
without it is for the dialect to say: the plain one cannot.

All subscriptions of a socket share its task: while one session's mailbox is full, or a session is
being opened, nothing is read from the socket, and TCP slows the client down for all of them.

:meth:`Conversation.handle` takes each message and never waits, so the reader can call it; what has
to wait goes on in :meth:`Conversation.run`.

Awaits: :meth:`Transport.receive`, ``SessionOpener.open`` and the links'. Any of them may end with
the connection closing. Then :meth:`Transport.receive` returns STOPPED, the outbox drops every
frame, and a subscription that was being opened is given up.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Protocol, final

import trio

from locshare.broadcast.backlog import Control, Topic
from locshare.broadcast.fanout import encode_frame
from locshare.broadcast.outbox import Outbox
from locshare.connection.admission import Identity, Link, open_link
from locshare.connection.context import ConnectionContext
from locshare.connection.dialect import (
    Answer,
    Choose,
    Effect,
    LeaveSession,
    Move,
    Reply,
    SocketDialect,
    Subscribe,
    Unsubscribe,
)
from locshare.connection.lifecycle import Event, Lifecycle, State
from locshare.connection.rate_policy import ACCEPT, RateDecision, RatePolicy
from locshare.connection.received import (
    Deferred,
    NoMessage,
    PeerClosed,
    PeerGone,
    Pinged,
    Received,
    Stopped,
    TooLarge,
    Violation,
)
from locshare.connection.refusal import Refusal
from locshare.connection.subscription import Subscription
from locshare.connection.transport import Transport
from locshare.model.position import Position
from locshare.model.reasons import CloseReason
from locshare.session.commands import NO_OPTIONS, AttachOptions
from locshare.session.errors import ParticipantNotFound, SessionOver, SessionUnavailable
from locshare.store.port import StoreUnavailable
from locshare.wire.dialects import InvalidMessage
from locshare.wire.messages import ErrorCode, Leave, Ping, Pong, Presence, SetPace, Setting

_ENDS: Final[Mapping[type[Exception], CloseReason]] = {
    SessionOver: CloseReason.SESSION_ENDED,
    ParticipantNotFound: CloseReason.FORBIDDEN,
    SessionUnavailable: CloseReason.OVERLOADED,
    StoreUnavailable: CloseReason.OVERLOADED,
}
"""What becomes of a subscription whose session answers so."""
_SESSION_ERRORS: Final = tuple(_ENDS)
_LOOK_AGAIN: Final = Deferred()


class Advance(Protocol):
    """Feeds the connection's lifecycle and carries its actions out
    (:meth:`locshare.connection.connection.Connection.advance`).
    """

    def __call__(
        self, event: Event, reason: CloseReason | None = None, close_frame: bytes | None = None, /
    ) -> None: ...


@final
class Conversation:
    """The messages of one connection, from the upgrade to the first close."""

    __slots__ = (
        "_advance",
        "_binary",
        "_context",
        "_dialect",
        "_dropped",
        "_identity",
        "_identity_used",
        "_interpret",
        "_lifecycle",
        "_only",
        "_outbox",
        "_policy",
        "_several",
        "_transport",
    )  # fmt: skip

    def __init__(
        self,
        advance: Advance,
        lifecycle: Lifecycle,
        transport: Transport,
        outbox: Outbox,
        dialect: SocketDialect,
        context: ConnectionContext,
    ) -> None:
        self._advance = advance
        self._lifecycle = lifecycle
        self._transport = transport
        self._outbox = outbox
        self._dialect = dialect
        self._context = context
        self._identity: Identity | None = None  # the upgrade's, where messages subscribe
        self._identity_used = False
        self._interpret = dialect.receive
        self._binary = dialect.reads_binary
        self._policy = RatePolicy(context.limits.rates, trio.current_time())
        self._only: Subscription | None = None
        self._several: dict[Topic, Subscription] | None = None
        self._dropped: list[Subscription] | None = None  # ended, their links not yet detached

    def subscriptions(self) -> Iterator[Subscription]:
        """Those there are now."""
        if self._only is not None:
            yield self._only
        if self._several is not None:
            yield from self._several.values()

    def stop(self) -> None:
        """The connection is closing: hand on no further message, take no further frame."""
        self._transport.stop()
        for subscription in self.subscriptions():
            subscription.end()

    async def run(
        self, identity: Identity, link: Link | None, options: AttachOptions = NO_OPTIONS
    ) -> None:
        """Serve until the connection closes. ``link`` is the way into the session of ``identity``,
        where the upgrade subscribes, with ``options``.
        """
        try:
            if link is None:
                self._identity = identity
            else:
                self._only = self._make(None, identity, link)
                await self._attach(self._only, options)
            await self._receive_until_closed()
        finally:
            self._transport.detach_reader()
            for subscription in self.subscriptions():
                subscription.end()
                subscription.link.detach()
            self._detach_dropped()
            self._only = self._several = None  # which breaks the reference cycle with each

    async def _attach(self, subscription: Subscription, options: AttachOptions) -> None:
        try:
            await subscription.link.attach(subscription, options)
        except _SESSION_ERRORS as error:
            self.close_subscription(subscription, _ENDS[type(error)])

    # --- receiving ------------------------------------------------------------------------------

    async def _receive_until_closed(self) -> None:
        receive, policy = self._transport.receive, self._policy
        self._transport.attach_reader(self._context.reader, self.handle)
        while True:
            if policy.held is None:
                received = await receive()
            else:
                received = await self._receive_beside_held()
            left = received if type(received) is Deferred else self.handle(received)
            if left is None:
                continue
            if type(left) is Deferred:
                await self._finish(left)
            elif type(left) is Stopped:
                return
            else:
                await self._take_event(left)

    def handle(self, received: Received) -> Received | None:
        """Judge and count a message, and do what it asks for unless that has to wait
        (:data:`locshare.connection.received.Handler`).
        """
        if type(received) is not str and (type(received) is not bytes or not self._binary):
            if type(received) is not NoMessage:
                return received
            # Nearly always the answer to a heartbeat's ping.
            self._check_rate(self._policy.message(trio.current_time()))
            return None
        try:
            effect = self._interpret(received)
        except InvalidMessage as error:
            self._count_bad(error.code, error.text)
            return None
        if type(effect) is Position:
            topic, position, frame = None, effect, b""
            subscription = self._only
        elif type(effect) is Move:
            topic, position, frame = effect.topic, effect.position, effect.frame
            subscription = self._find(topic)
        else:
            return self._take_other(effect)
        if subscription is None:
            self._count_bad("INVALID_MESSAGE", "not subscribed to this")
            return None
        policy = self._policy
        self._context.counters.positions += 1
        received_at = trio.current_time()
        decision = policy.position(received_at)
        if decision is not ACCEPT or policy.held is not None:
            policy.keep_newest(position, decision, topic)
        if decision is not ACCEPT:
            self._check_rate(decision)
            return _LOOK_AGAIN
        if not subscription.link.offer(position, received_at):
            return Deferred(Move(topic, position, frame), received_at)
        if frame:
            self._outbox.send_event(frame)
        return None

    async def _finish(self, deferred: Deferred) -> None:
        """What :meth:`handle` left, which has to wait."""
        effect = deferred.effect
        if isinstance(effect, Move):
            subscription = self._find(effect.topic)
            if subscription is not None:
                await self._move(subscription, effect.position, deferred.received_at)
                if effect.frame and not subscription.closed:
                    self._outbox.send_event(effect.frame)
        elif isinstance(effect, Choose | SetPace | Presence):
            await self._choose(effect)
        elif isinstance(effect, LeaveSession):
            await self._leave(effect.topic)
        elif isinstance(effect, Leave):
            await self._leave(None)
        elif isinstance(effect, Subscribe):
            await self._subscribe(effect)

    def _find(self, topic: Topic) -> Subscription | None:
        if topic is None:
            return self._only
        return None if self._several is None else self._several.get(topic)

    async def _receive_beside_held(self) -> Received:
        """As the transport's, and hand on each held position when it is due."""
        while self._policy.held is not None:
            with trio.move_on_at(self._policy.due):
                return await self._transport.receive(alone=True)
            await self._send_held()
        return await self._transport.receive()

    async def _send_held(self) -> bool:
        now = trio.current_time()
        released = self._policy.release(now)
        if released is None:
            return False
        topic, position = released
        subscription = self._find(topic)
        if subscription is not None:
            await self._move(subscription, position, now)  # not late: its sender was too fast
        return True

    async def _move(
        self, subscription: Subscription, position: Position, received_at: float
    ) -> None:
        try:
            await subscription.link.update(position, received_at)
        except _SESSION_ERRORS as error:
            self.close_subscription(subscription, _ENDS[type(error)])

    def _take_other(self, effect: Effect) -> Deferred | None:
        """Anything but a position."""
        self._policy.good()
        if not self._check_rate(self._policy.message(trio.current_time())):
            return None
        if isinstance(effect, Ping | Answer):
            self._answer_ping(effect)
        elif isinstance(effect, Reply):
            if effect.frame:
                self._outbox.send_event(effect.frame)
        elif isinstance(effect, Unsubscribe):
            subscription = self._find(effect.topic)
            if subscription is not None:
                self._give_up(subscription, CloseReason.PEER_CLOSED, effect.frame)
        else:
            return Deferred(effect)
        return None

    def _answer_ping(self, effect: Ping | Answer) -> None:
        self._context.counters.pings += 1
        if isinstance(effect, Answer):
            self._outbox.send_event(effect.frame)
        else:
            self._outbox.send_event(encode_frame(Pong(), self._dialect.written(None)))

    async def _take_event(self, received: Received) -> None:
        """Anything but a message of acceptable size. Whatever closes is followed by STOPPED."""
        if isinstance(received, Pinged):
            self._outbox.send_control(Control.PONG, received.pong)
        elif isinstance(received, bytes):
            self._count_bad("BINARY_NOT_SUPPORTED", "only text frames are")
        elif isinstance(received, TooLarge):
            limit = self._context.limits.transport.max_message_bytes
            text = f"{received.size} bytes; at most {limit} are allowed"
            self._count_bad("MESSAGE_TOO_LARGE", text)
        elif isinstance(received, PeerClosed | PeerGone):
            # What it sent before counts, also a position that the rate has held back.
            while await self._send_held():
                pass
            if isinstance(received, PeerGone):
                self._advance(Event.PEER_GONE, CloseReason.PEER_GONE)
            elif self._lifecycle.state is State.OPEN:
                self._advance(Event.PEER_CLOSED, CloseReason.PEER_CLOSED, received.reply)
        elif isinstance(received, Violation):
            self._advance(Event.CLOSE, received.reason, received.close_frame)
        else:
            self._advance(Event.CLOSE, CloseReason.SILENT)

    # --- rates ----------------------------------------------------------------------------------

    def _count_bad(self, code: ErrorCode, text: str) -> None:
        self._context.counters.bad[code] += 1
        now = trio.current_time()
        if self._policy.bad(now, unknown_type=code == "UNKNOWN_TYPE"):
            self._close_for_abuse(CloseReason.BAD_REQUEST)
        elif self._check_rate(self._policy.message(now)):
            self._outbox.send_event(self._dialect.error(code, text))

    def _check_rate(self, decision: RateDecision) -> bool:
        """True when the message may be handled; else the client has been answered, or closed."""
        if decision is ACCEPT:
            return True
        self._context.counters.rate_limited += 1
        if decision is RateDecision.CLOSE:
            self._close_for_abuse(CloseReason.RATE_LIMITED)
        elif decision is RateDecision.WARN:
            self._outbox.send_event(
                self._dialect.error("RATE_LIMITED", "too many messages; one was dropped")
            )
        return False

    def _close_for_abuse(self, reason: CloseReason) -> None:
        for subscription in self.subscriptions():
            self._context.gate.penalise((subscription.session_id, subscription.user_id))
        if self._identity is not None:
            self._context.gate.penalise((self._identity.session_id, self._identity.user_id))
        self._advance(Event.CLOSE, reason)

    # --- subscriptions --------------------------------------------------------------------------

    async def _choose(self, effect: Choose | Setting) -> None:
        wish = effect if isinstance(effect, Choose) else Choose(None, effect)
        subscription = self._find(wish.topic)
        if subscription is None:
            self._count_bad("INVALID_MESSAGE", "not subscribed to this")
            return
        link, setting = subscription.link, wish.setting
        try:
            if isinstance(setting, SetPace):
                self._context.counters.paces += 1
                await link.set_pace(setting.interval_s)
            else:
                self._context.counters.presences += 1
                await link.set_state(setting.state)
        except _SESSION_ERRORS as error:
            self.close_subscription(subscription, _ENDS[type(error)])
        if wish.frame and not subscription.closed:
            self._outbox.send_event(wish.frame)

    async def _leave(self, topic: Topic) -> None:
        subscription = self._find(topic)
        if subscription is None:
            self._count_bad("INVALID_MESSAGE", "not subscribed to this")
            return
        self._context.counters.leaves += 1
        try:
            await subscription.link.leave()
        except _SESSION_ERRORS as error:
            self.close_subscription(subscription, _ENDS[type(error)])
        else:
            self.close_subscription(subscription, CloseReason.LEFT)

    def _make(self, topic: Topic, identity: Identity, link: Link) -> Subscription:
        dialect = self._dialect.written(topic)
        return Subscription(
            identity.session_id, identity.user_id, dialect, self._outbox, self, link, topic
        )

    async def _subscribe(self, wish: Subscribe) -> None:
        older = self._find(wish.topic)
        if older is not None:
            self._give_up(older, CloseReason.REPLACED)
        identity = self._admit(wish)
        if isinstance(identity, Refusal):
            self._outbox.send_event(self._dialect.refused(wish.topic, identity))
            return
        context = self._context
        link = await open_link(identity, context.sessions, context.limits.open_timeout)
        if self._lifecycle.state is not State.OPEN:
            if not isinstance(link, Refusal):
                link.detach()
            return
        if isinstance(link, Refusal):
            self._outbox.send_event(self._dialect.refused(wish.topic, link))
            return
        if self._several is None:
            self._several = {}
        subscription = self._several[wish.topic] = self._make(wish.topic, identity, link)
        if confirmation := self._dialect.subscribed(wish.topic):
            self._outbox.send_event(confirmation)
        await self._attach(subscription, wish.options)

    def _admit(self, wish: Subscribe) -> Identity | Refusal:
        if len(self._several or ()) >= self._context.limits.max_subscriptions:
            return Refusal.FULL
        wanted = wish.token or self._identity
        if wanted is None:
            return Refusal.NO_TOKEN
        if wanted is self._identity and not self._identity_used:
            self._identity_used = True  # the upgrade has counted this one
            identity: Identity | Refusal = self._identity
        else:
            identity = self._context.gate.admit_subscription(wanted)
        if isinstance(identity, Refusal) or wish.session_id in (None, identity.session_id):
            return identity
        return Refusal.BAD_TOKEN

    def close_subscription(self, subscription: Subscription, reason: CloseReason) -> None:
        """See :meth:`locshare.connection.subscription.SubscriptionOwner.close_subscription`."""
        if self._find(subscription.topic) is not subscription:
            return  # ended meanwhile
        frame = self._dialect.ended(subscription.topic, reason)
        if frame is None:
            self._advance(Event.CLOSE, reason)
        else:
            self._drop(subscription, frame)
            # Not here: the session's actor may be the caller, and must not be called back.
            self._context.spawn(self._detach_later)

    def _give_up(
        self, subscription: Subscription, reason: CloseReason, confirmation: bytes = b""
    ) -> None:
        """The client ends one of several."""
        frame = self._dialect.ended(subscription.topic, reason) or b""
        self._drop(subscription, confirmation + frame)
        self._detach_dropped()

    def _drop(self, subscription: Subscription, frame: bytes) -> None:
        """End one of several."""
        subscription.end()
        if self._several is not None:
            del self._several[subscription.topic]
        self._policy.forget(subscription.topic)
        if self._dropped is None:
            self._dropped = []
        self._dropped.append(subscription)
        if frame:
            self._outbox.send_event(frame)

    async def _detach_later(self) -> None:
        self._detach_dropped()

    def _detach_dropped(self) -> None:
        dropped, self._dropped = self._dropped, None
        for subscription in dropped or ():
            subscription.link.detach()
