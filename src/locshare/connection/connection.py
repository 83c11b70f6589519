"""One WebSocket, one task: from the accepted socket to the recorded close reason.

Handshake, token, session, then the conversation (:mod:`locshare.connection.conversation`), then the
closing handshake. When and how it closes is decided by :mod:`locshare.connection.lifecycle`; this
file feeds that table with what happens to the socket and carries out its actions
(:meth:`Connection.advance`).

Whatever happens (a clean close, a lost peer, a crash here, cancellation): every link is detached,
the socket is closed, and exactly one :class:`CloseReason` or refusal is counted.
:meth:`Connection.run` raises nothing but cancellation from outside.

Not promised: that a position that was accepted reaches anyone; that is the session's part.

Awaits: the transport's, ``SessionOpener.open`` and the conversation's.
"""

import math
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final, final

import structlog
import trio
from msgspec import Struct

from locshare.broadcast.backlog import Control
from locshare.broadcast.outbox import Outbox
from locshare.connection.admission import Identity, Link, open_link
from locshare.connection.context import ConnectionContext
from locshare.connection.conversation import Conversation
from locshare.connection.counters import DialectLabel
from locshare.connection.dialect import SocketDialect
from locshare.connection.lifecycle import Action, Event, Lifecycle, State
from locshare.connection.negotiation import choose_dialect, choose_subprotocol, read_options
from locshare.connection.parser import PING_FRAME, close_frame
from locshare.connection.refusal import Refusal
from locshare.connection.subscription import Subscription
from locshare.connection.transport import Transport
from locshare.connection.upgrade import ConnectionLost, NotAnUpgrade, Upgrade
from locshare.model.reasons import CloseReason
from locshare.session.commands import AttachOptions
from locshare.telemetry.redaction import stack_of
from locshare.telemetry.traces import Value

log = structlog.get_logger()

_ROUTINE_ENDS: Final = {
    CloseReason.LEFT,
    CloseReason.GOING_AWAY,
    CloseReason.PEER_CLOSED,
    CloseReason.PEER_GONE,
    CloseReason.RESTART,
    CloseReason.REPLACED,
    CloseReason.SESSION_ENDED,
}
"""Ends that happen to well-behaved clients every day: logged at debug."""


class Admitted(Struct, frozen=True):
    """A request that is granted and not yet answered. ``link`` is None where the client subscribes
    by message.
    """

    upgrade: Upgrade
    identity: Identity
    subprotocol: str | None
    dialect: SocketDialect
    link: Link | None
    options: AttachOptions


@final
class Connection:
    """One client. ``peer`` is the address that the socket is connected to."""

    __slots__ = (
        "__weakref__", "_context", "_conversation", "_entering", "_outbox", "_refusal", "_scope",
        "_since", "_unsent", "dialect", "lifecycle", "missed_pings", "number", "peer", "transport",
    )  # fmt: skip

    def __init__(
        self, sock: socket.socket, number: int, peer: str, context: ConnectionContext
    ) -> None:
        self.number = number
        self.peer = peer
        self.lifecycle = Lifecycle()
        self.transport = Transport(sock, context.limits.transport)
        self.missed_pings = 0
        self.dialect: DialectLabel = "none"
        self._context = context
        self._since = trio.current_time()  # of the socket, then of the upgrade
        self._scope = trio.CancelScope()
        # Until it is admitted. Ten thousand connections of a quiet hour need none.
        self._entering: trio.CancelScope | None = trio.CancelScope()
        self._refusal = Refusal.LATE  # what is answered when that is cancelled
        self._outbox: Outbox | None = None
        self._conversation: Conversation | None = None  # from the admission on
        self._unsent = False  # something was dropped that the socket had not taken

    # --- for the pool ---------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """True between the upgrade and the first close."""
        return self.lifecycle.state is State.OPEN

    @property
    def backlog_bytes(self) -> int:
        """What it has not yet been able to write."""
        return 0 if self._outbox is None else self._outbox.backlog_bytes

    def subscriptions(self) -> Iterator[Subscription]:
        """Those there are now."""
        return iter(()) if self._conversation is None else self._conversation.subscriptions()

    def close(self, reason: CloseReason) -> None:
        """Begin to close; :meth:`run` returns soon after. Before the upgrade is answered this is a
        refusal. The first close wins.
        """
        self.advance(Event.CLOSE, reason)

    def refuse(self, refusal: Refusal) -> None:
        """Wait no longer for its request or its session, and answer ``refusal``. Ignored once it
        has been admitted.
        """
        if self._entering is not None:
            self._refusal = refusal
            self._entering.cancel()

    def kill(self) -> None:
        """Cancel :meth:`run`: no close frame, no wait."""
        self._scope.cancel()

    def ping(self) -> None:
        """Send a protocol ping, while open."""
        if self._outbox is not None and self.is_open:
            self._outbox.send_control(Control.PING, PING_FRAME)

    # --- the task -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the connection until it has ended. Cancellation ends it without a close frame."""
        try:
            with self._scope:
                try:
                    await self._serve()
                except Exception as error:  # noqa: BLE001 - a crash ends this connection only
                    self._report_crash(error)
                    self.advance(Event.CRASHED, CloseReason.INTERNAL_ERROR)
                await self._finish_closing()
        finally:
            self._end()

    async def _serve(self) -> None:
        gate, refused = self._context.gate, self._context.counters.refused
        try:
            admitted = await self._handshake()
        except NotAnUpgrade:
            gate.refused(self)
            refused["not_an_upgrade"] += 1
            self.advance(Event.REJECTED)
        except ConnectionLost:
            refused["lost_in_handshake"] += 1
            self.advance(Event.PEER_GONE)
        else:
            if admitted is not None:
                conversation, identity, link, options = admitted
                counters, now = self._context.counters, trio.current_time()
                counters.opened += 1
                counters.upgrades.observe(now - self._since)
                self._since = now
                await conversation.run(identity, link, options)

    async def _handshake(
        self,
    ) -> tuple[Conversation, Identity, Link | None, AttachOptions] | None:
        """Request, admission and answer; None when the request was refused. In a function of its
        own, so that the request is forgotten when the conversation begins.
        """
        upgrade, admitted = await self._admit_in_time()
        self.advance(Event.ANSWERED)
        if not isinstance(admitted, Admitted):
            try:
                await self._refuse(upgrade, admitted)
            except ConnectionLost:  # it is counted as refused already
                self.advance(Event.PEER_GONE)
            return None
        try:
            outbox = await self._upgrade(
                admitted.upgrade, admitted.subprotocol, admitted.dialect.label
            )
        except BaseException:
            if admitted.link is not None:
                admitted.link.detach()
            raise
        conversation = self._conversation = Conversation(
            self.advance, self.lifecycle, self.transport, outbox, admitted.dialect, self._context
        )
        return conversation, admitted.identity, admitted.link, admitted.options

    async def _admit_in_time(self) -> tuple[Upgrade | None, Admitted | Refusal]:
        entering, upgrade = self._entering, None
        admitted: Admitted | Refusal | None = None
        if entering is None:
            raise RuntimeError("a connection is served once")
        limits = self._context.limits
        entering.deadline = trio.current_time() + limits.transport.handshake_deadline
        try:
            with entering:
                progress = partial(self._context.gate.progressed, self)
                upgrade = await self.transport.accept_handshake(progress)
                entering.deadline = math.inf
                admitted = await self._admit(upgrade)
        finally:
            self._entering = None
        return upgrade, admitted or self._refusal

    async def _admit(self, upgrade: Upgrade) -> Admitted | Refusal:
        context = self._context
        identity = context.gate.admit(self, upgrade)
        if isinstance(identity, Refusal):
            return identity
        dialect = choose_dialect(upgrade, context.dialects)
        if isinstance(dialect, Refusal):
            return dialect
        link = None
        if dialect.subscribes_at_once:
            opened = await open_link(identity, context.sessions, context.limits.open_timeout)
            if isinstance(opened, Refusal):
                return opened
            link = opened
        subprotocol = choose_subprotocol(upgrade, context.dialects)
        return Admitted(upgrade, identity, subprotocol, dialect, link, read_options(upgrade.query))

    async def _refuse(self, upgrade: Upgrade | None, refusal: Refusal) -> None:
        """Refuse a request, also one that has not come whole. Raises ConnectionLost."""
        self._context.gate.refused(self)
        self._context.counters.refused[refusal.label] += 1
        log.debug("connection_refused", connection=self.number, reason=refusal.label)
        if upgrade is None or upgrade.origin is None:
            await self.transport.reject(refusal.response())
            await trio.lowlevel.checkpoint_if_cancelled()
            self.advance(Event.REJECTED)
            return
        # A browser's script sees no status, only a close code.
        await self._upgrade(upgrade, choose_subprotocol(upgrade, self._context.dialects))
        self.close(refusal.reason)

    async def _upgrade(
        self, upgrade: Upgrade, subprotocol: str | None, dialect: DialectLabel = "none"
    ) -> Outbox:
        """Answer 101. Raises ConnectionLost."""
        await upgrade.accept(subprotocol)
        await trio.lowlevel.checkpoint_if_cancelled()  # closed meanwhile: there is no going back
        self.advance(Event.UPGRADED)
        context = self._context
        self.dialect = dialect
        outbox = self._outbox = Outbox(
            self.transport,
            self,
            spawn=self._spawn_drain,
            counters=context.counters.written[dialect],
            limits=context.limits.outbox,
        )
        return outbox

    def _spawn_drain(self, drain: Callable[[], Awaitable[None]]) -> None:
        self._context.spawn(partial(self._drain_guarded, drain))

    async def _drain_guarded(self, drain: Callable[[], Awaitable[None]]) -> None:
        """The outbox's drain runs beside this task, in the pool's nursery, which must not crash."""
        try:
            await drain()
        except Exception as error:  # noqa: BLE001 - a crash ends this connection only
            self._report_crash(error)
            self.advance(Event.ABORT, CloseReason.INTERNAL_ERROR)

    # --- for the outbox (broadcast.outbox.OutboxOwner) ------------------------------------------

    def drained(self) -> None:
        """See :meth:`locshare.broadcast.outbox.OutboxOwner.drained`."""
        self.advance(Event.DRAINED)

    def write_failed(self) -> None:
        """See :meth:`locshare.broadcast.outbox.OutboxOwner.write_failed`."""
        self.advance(Event.WRITE_FAILED, CloseReason.PEER_GONE)

    def too_slow(self) -> None:
        """The client reads too slowly: close, and drop what waits for it. See
        :meth:`locshare.broadcast.outbox.OutboxOwner.too_slow`.
        """
        self.advance(Event.CLOSE_SLOW, CloseReason.TOO_SLOW)

    # --- the end --------------------------------------------------------------------------------

    def advance(
        self, event: Event, reason: CloseReason | None = None, frame: bytes | None = None
    ) -> None:
        """Feed the lifecycle and carry its actions out. ``frame`` is the close frame, where the
        protocol object has written one. No checkpoint; may be called from any task of the loop.
        """
        for action in self.lifecycle.feed(event, reason):
            match action:
                case Action.REFUSE:
                    self.refuse(Refusal.DRAINING)
                case Action.STOP:
                    if self._conversation is not None:
                        self._conversation.stop()
                case Action.START_LINGER:
                    self._scope.deadline = trio.current_time() + self._context.limits.outbox.linger
                case Action.QUEUE_CLOSE | Action.QUEUE_CLOSE_ALONE:
                    if self._outbox is not None and reason is not None:
                        self._outbox.queue_close(
                            frame or close_frame(reason), alone=action is Action.QUEUE_CLOSE_ALONE
                        )
                case Action.SHUT_WRITING:
                    self.transport.shut_writing()
                case Action.END:
                    if self._outbox is not None and self._outbox.abandon():
                        self._unsent = True
                    self._scope.cancel()

    async def _finish_closing(self) -> None:
        """Read what the peer still sends, until the lifecycle is CLOSED or its deadline passes."""
        while self.lifecycle.state is not State.CLOSED:
            if self.lifecycle.state is State.CLOSE_RECEIVED:
                await trio.sleep_forever()  # until all is written
            if await self.transport.discard():
                self.advance(Event.PEER_CLOSED, CloseReason.PEER_CLOSED)
            else:
                self.advance(Event.PEER_GONE, CloseReason.PEER_GONE)

    def _report_crash(self, error: Exception) -> None:
        # The text of an exception may quote a message, and so a position: only its type is logged.
        self._context.counters.crashes += 1
        log.error(
            "connection_crashed",
            connection=self.number,
            error=type(error).__name__,
            stack=stack_of(error),
        )

    def _end(self) -> None:
        """No checkpoint in here: it must happen in full even under cancellation."""
        self.advance(Event.ABORT, CloseReason.GOING_AWAY)
        if self._outbox is not None:
            self._outbox.abandon()  # before the descriptor can be another connection's
        self.transport.close(abort=self._unsent)
        counters = self._context.counters
        counters.bytes_in[self.dialect] += self.transport.bytes_in
        # Breaks the reference cycles: what an ended connection held is given back at once, and not
        # when the garbage collector, made rare under load, comes round.
        self._outbox = None
        conversation, self._conversation = self._conversation, None
        reason = self.lifecycle.reason
        if conversation is None or reason is None:
            return  # refused, and counted as that
        counters.closed[reason] += 1
        counters.lifetimes.observe(trio.current_time() - self._since)
        if (tracer := self._context.tracer).on:
            about: dict[str, Value] = {"dialect": self.dialect, "reason": reason.label}
            tracer.record("connection", self._since, about)
        note = log.debug if reason in _ROUTINE_ENDS else log.info
        note("connection_closed", connection=self.number, reason=reason.label, code=reason.code)
