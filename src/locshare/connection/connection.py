"""One WebSocket, one task: from the accepted socket to the recorded close reason.

Handshake, token, session, then a loop: receive, decode, check the rate, hand on. What must reach
the client goes through the outbox, which the session knows as the receiver.

Promises. Whatever happens (a clean close, a lost peer, a crash here, cancellation): the link is
detached, the socket is closed, and exactly one :class:`CloseReason` or refusal is counted. A wrong
message is answered and the connection lives on; abuse closes it. :meth:`Connection.run` raises
nothing but cancellation from outside.

Not promised: that a position that was accepted reaches anyone; that is the session's part.

Awaits: the transport's, ``Sessions.open`` and the link's. Between two of them ``outbox.reason`` is
None exactly while the connection goes on. Once it is set nothing that comes is a message any more:
it is read raw, within bounds of bytes and time, so that the close frame arrives
(:meth:`Transport.discard`).
"""

import math
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog
import trio
from msgspec import Struct

from locshare.broadcast.backlog import Control
from locshare.broadcast.fanout import encode_frame
from locshare.broadcast.outbox import Outbox, OutboxLimits
from locshare.connection.admission import (
    Claims,
    Link,
    Refusal,
    Sessions,
    open_link,
    subprotocol_of,
)
from locshare.connection.counters import ConnectionCounters
from locshare.connection.rate_policy import RateDecision, RateLimits, RatePolicy
from locshare.connection.transport import (
    PING_FRAME,
    Closed,
    NoMessage,
    Received,
    TooLarge,
    Transport,
    TransportLimits,
    Unfinished,
)
from locshare.connection.upgrade import ConnectionLost, NotAnUpgrade, Upgrade
from locshare.model.reasons import CloseReason
from locshare.session.errors import ParticipantNotFound, SessionOver, SessionUnavailable
from locshare.store.port import StoreUnavailable
from locshare.telemetry.logs import stack_of
from locshare.wire.dialects import PLAIN, InvalidMessage
from locshare.wire.messages import (
    ClientMessage,
    Error,
    ErrorCode,
    LocationUpdate,
    Ping,
    Pong,
    Problem,
)

log = structlog.get_logger()

_ROUTINE_ENDS = {
    CloseReason.LEFT,
    CloseReason.GOING_AWAY,
    CloseReason.PEER_CLOSED,
    CloseReason.PEER_GONE,
    CloseReason.RESTART,
    CloseReason.REPLACED,
    CloseReason.SESSION_ENDED,
}
"""Ends that happen to well-behaved clients every day: logged at debug."""

_FLOODING = {CloseReason.RATE_LIMITED, CloseReason.BAD_REQUEST}
"""Ends after which a client has to stay away for a while."""

_TOO_MANY = Error(Problem("RATE_LIMITED", "too many messages; one was dropped"))


class ConnectionLimits(Struct, frozen=True):
    """Everything that bounds one connection. Seconds."""

    transport: TransportLimits = TransportLimits()
    outbox: OutboxLimits = OutboxLimits()
    rates: RateLimits = RateLimits()
    open_timeout: float = 5.0
    """How long the session may take to be found or started."""


class Admitted(Struct, frozen=True):
    """A request that is granted and not yet answered."""

    upgrade: Upgrade
    link: Link
    user_id: str


class Gate(Protocol):
    """Who has a place, and of which kind (:class:`locshare.connection.pool.ConnectionPool`)."""

    def heard_of(self, connection: "Connection") -> None:
        """A part of its request came."""
        ...

    def let_in(self, connection: "Connection", upgrade: Upgrade) -> Claims | Refusal:
        """Its request came: when its token is good it counts as a connection from now on."""
        ...

    def turn_out(self, connection: "Connection") -> None:
        """It is refused, and only stays until its answer has arrived."""
        ...

    def misbehaved(self, participant: tuple[UUID, str]) -> None:
        """A connection of this participant (session and user id) was closed for flooding."""
        ...


class Connection:
    """One client. ``spawn`` starts a task beside this one (the outbox's drain). ``peer`` is the
    address that the socket is connected to.
    """

    __slots__ = (
        "_counters",
        "_entering",
        "_gate",
        "_limits",
        "_participant",
        "_policy",
        "_refusal",
        "_scope",
        "_sessions",
        "_spawn",
        "missed_pings",
        "number",
        "outbox",
        "peer",
        "transport",
    )  # fmt: skip

    def __init__(
        self,
        sock: socket.socket,
        number: int,
        *,
        peer: str,
        sessions: Sessions,
        limits: ConnectionLimits,
        counters: ConnectionCounters,
        gate: Gate,
        spawn: Callable[[Callable[[], Awaitable[None]]], None],
    ) -> None:
        self.number = number
        self.peer = peer
        self.transport = Transport(sock, limits.transport)
        self.outbox: Outbox | None = None
        self.missed_pings = 0
        self._sessions = sessions
        self._limits = limits
        self._counters = counters
        self._gate = gate
        self._spawn = spawn
        self._scope = trio.CancelScope()
        # Until it is admitted. Ten thousand connections of a quiet hour need none.
        self._entering: trio.CancelScope | None = trio.CancelScope()
        self._refusal = Refusal.LATE  # what is answered when that is cancelled
        self._participant: tuple[UUID, str] | None = None  # once it counts as a connection
        self._policy: RatePolicy | None = None

    # --- what the pool may do -------------------------------------------------------------------

    def close(self, reason: CloseReason) -> None:
        """Begin to end the connection; :meth:`run` returns soon after."""
        if self.outbox is not None:
            self.outbox.close(reason)
        elif self._entering is not None:
            self.turn_away(Refusal.DRAINING)
        else:
            self._scope.cancel()

    def turn_away(self, refusal: Refusal) -> None:
        """Wait no longer for its request or its session, and answer ``refusal``. Nothing happens
        once it has been admitted.
        """
        if self._entering is not None:
            self._refusal = refusal
            self._entering.cancel()

    def kill(self) -> None:
        """Cancel :meth:`run`: no close frame, no farewell."""
        self._scope.cancel()

    def ping(self) -> None:
        """Send a protocol ping."""
        if self.outbox is not None:
            self.outbox.send_control(Control.PING, PING_FRAME)

    # --- the task -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the connection until it has ended. Cancellation ends it without a close frame."""
        try:
            with self._scope:
                try:
                    await self._serve()
                except Exception as error:  # noqa: BLE001 - a crash ends this connection only
                    self._report_crash(error)
                    self.close(CloseReason.INTERNAL_ERROR)
                await self._await_peer()
        finally:
            self._end()

    async def _serve(self) -> None:
        try:
            admitted = await self._let_in()
        except NotAnUpgrade:
            self._gate.turn_out(self)
            self._counters.refused["not_an_upgrade"] += 1
            await self._await_answer()
        except ConnectionLost:
            self._counters.refused["lost_in_handshake"] += 1
        else:
            if admitted is not None:
                await self._converse(*admitted)

    async def _let_in(self) -> tuple[Link, Outbox] | None:
        """Handshake and admission; None when the request was refused. In a function of its own, so
        that the request is forgotten when the conversation begins.
        """
        entering, upgrade, admitted = self._entering, None, None
        if entering is None:
            raise RuntimeError("a connection is let in once")
        entering.deadline = trio.current_time() + self._limits.transport.handshake_deadline
        try:
            with entering:
                upgrade = await self.transport.accept_handshake(partial(self._gate.heard_of, self))
                entering.deadline = math.inf
                admitted = await self._admit(upgrade)
        finally:
            self._entering = None
        if not isinstance(admitted, Admitted):
            await self._refuse(upgrade, admitted or self._refusal)
            return None
        try:
            await admitted.upgrade.accept(subprotocol_of(admitted.upgrade))
        except BaseException:
            admitted.link.detach()
            raise
        return admitted.link, self._open_outbox(admitted.user_id)

    async def _admit(self, upgrade: Upgrade) -> "Admitted | Refusal":
        claims = self._gate.let_in(self, upgrade)
        if isinstance(claims, Refusal):
            return claims
        self._participant = claims.session_id, claims.user_id
        link = await open_link(claims, self._sessions, self._limits.open_timeout)
        return link if isinstance(link, Refusal) else Admitted(upgrade, link, claims.user_id)

    async def _refuse(self, upgrade: Upgrade | None, refusal: Refusal) -> None:
        """Say no, also to a request that has not come whole."""
        self._gate.turn_out(self)
        self._counters.refused[refusal.label] += 1
        log.debug("connection_refused", connection=self.number, reason=refusal.label)
        if upgrade is None or upgrade.origin is None or refusal is Refusal.NO_SUCH_PATH:
            await self.transport.reject(refusal.status, refusal.problem(), refusal.retry_after)
            await self._await_answer()
            return
        # A browser's script sees no status, only a close code.
        await upgrade.accept(subprotocol_of(upgrade))
        self._open_outbox("").close(refusal.reason)

    async def _await_answer(self) -> None:
        """Let a refusal reach a peer that may still be sending."""
        with trio.move_on_after(self._limits.outbox.linger):
            await self.transport.discard()

    def _open_outbox(self, user_id: str) -> Outbox:
        outbox = self.outbox = Outbox(
            user_id,
            PLAIN,
            self.transport,
            spawn=lambda drain: self._spawn(partial(self._drain_guarded, drain)),
            on_closing=self._set_last_deadline,
            written=self._counters.written,
            limits=self._limits.outbox,
        )
        self.transport.bind(outbox)
        return outbox

    async def _drain_guarded(self, drain: Callable[[], Awaitable[None]]) -> None:
        """The outbox's drain runs beside this task, in the pool's nursery, which must not crash."""
        try:
            await drain()
        except Exception as error:  # noqa: BLE001 - a crash ends this connection only
            self._report_crash(error)
            if self.outbox is not None:
                self.outbox.lost(CloseReason.INTERNAL_ERROR)

    def _set_last_deadline(self, seconds: float) -> None:
        """The outbox is closing: whatever this task waits for, it ends by then."""
        self._scope.deadline = trio.current_time() + seconds
        outbox = self.outbox
        if outbox is not None and outbox.reason in _FLOODING and self._participant is not None:
            self._gate.misbehaved(self._participant)

    async def _converse(self, link: Link, outbox: Outbox) -> None:
        self._counters.opened += 1
        self._policy = RatePolicy(self._limits.rates, trio.current_time())
        try:
            await link.attach(outbox)
            await self._receive_until_closed(link, outbox)
        except SessionOver:
            outbox.close(CloseReason.SESSION_ENDED)
        except ParticipantNotFound:
            outbox.close(CloseReason.FORBIDDEN)
        except (SessionUnavailable, StoreUnavailable):
            outbox.close(CloseReason.OVERLOADED)
        finally:
            link.detach()

    async def _receive_until_closed(self, link: Link, outbox: Outbox) -> None:
        """Returns when the peer has closed or is gone, or when this side has closed."""
        receive = self.transport.receive
        decode = outbox.dialect.decode
        policy = self._policy
        if policy is None:
            return
        while True:
            if policy.held is None:
                received = await receive()
            else:
                received = await self._receive_beside_held(link, policy)
            # What the peer sent before its own close still counts; what it sent before it
            # heard of ours does not.
            if outbox.reason is not None and outbox.reason is not CloseReason.PEER_CLOSED:
                return
            if type(received) is str:
                try:
                    message = decode(received)
                except InvalidMessage as error:
                    self._count_bad(policy, outbox, error.code, error.text)
                    continue
                if type(message) is LocationUpdate:
                    self._counters.positions += 1
                    decision = policy.position(trio.current_time())
                    if decision is not RateDecision.ACCEPT or policy.held is not None:
                        policy.keep_newest(message.data, decision)
                    if decision is RateDecision.ACCEPT:
                        await link.update(message.data)
                    else:
                        self._check_rate(decision, outbox)
                else:
                    await self._take_other(message, link, outbox, policy)
            elif type(received) is Closed:
                await self._send_held(link, policy)
                if outbox.reason is None:
                    outbox.lost(received.reason)
                return
            else:
                self._take_odd(received, outbox, policy)

    async def _receive_beside_held(self, link: Link, policy: RatePolicy) -> Received:
        """As the transport's, and hand on the held position when it is due."""
        with trio.move_on_at(policy.due):
            return await self.transport.receive()
        await self._send_held(link, policy)
        return await self.transport.receive()

    async def _send_held(self, link: Link, policy: RatePolicy) -> None:
        position = policy.release(trio.current_time())
        if position is not None:
            await link.update(position)

    async def _take_other(
        self, message: ClientMessage, link: Link, outbox: Outbox, policy: RatePolicy
    ) -> None:
        policy.good()
        if not self._check_rate(policy.message(trio.current_time()), outbox):
            return
        if isinstance(message, Ping):
            self._counters.pings += 1
            outbox.send_event(encode_frame(Pong(), outbox.dialect))
        else:
            self._counters.leaves += 1
            await link.leave()
            outbox.close(CloseReason.LEFT)

    def _take_odd(self, received: Received, outbox: Outbox, policy: RatePolicy) -> None:
        """Something other than a text message of acceptable size."""
        if isinstance(received, NoMessage):
            self._check_rate(policy.message(trio.current_time()), outbox)
        elif isinstance(received, TooLarge):
            limit = self._limits.transport.max_message_bytes
            text = f"{received.size} bytes; at most {limit} are allowed"
            self._count_bad(policy, outbox, "MESSAGE_TOO_LARGE", text)
        elif isinstance(received, Unfinished):
            outbox.close(CloseReason.SILENT)
        else:
            self._count_bad(policy, outbox, "BINARY_NOT_SUPPORTED", "only text frames are")

    def _count_bad(self, policy: RatePolicy, outbox: Outbox, code: ErrorCode, text: str) -> None:
        self._counters.bad += 1
        now = trio.current_time()
        if policy.bad(now):
            outbox.close(CloseReason.BAD_REQUEST)
        elif self._check_rate(policy.message(now), outbox):
            outbox.send_event(encode_frame(Error(Problem(code, text)), outbox.dialect))

    def _check_rate(self, decision: RateDecision, outbox: Outbox) -> bool:
        """True when the message may be handled; else the client has been dealt with."""
        if decision is RateDecision.ACCEPT:
            return True
        self._counters.rate_limited += 1
        if decision is RateDecision.CLOSE:
            outbox.close(CloseReason.RATE_LIMITED)
        elif decision is RateDecision.WARN:
            outbox.send_event(encode_frame(_TOO_MANY, outbox.dialect))
        return False

    # --- the end --------------------------------------------------------------------------------

    async def _await_peer(self) -> None:
        """After a close frame, ours or the peer's: until all is written and the peer has closed, or
        the last deadline passes.
        """
        outbox = self.outbox
        if outbox is None or outbox.reason is None:
            return
        if outbox.reason is CloseReason.PEER_CLOSED and not outbox.backlog_bytes:
            return  # the echo is written, and it is for the server to close first
        await self.transport.discard()

    def _report_crash(self, error: Exception) -> None:
        # The text of an exception may quote a message, and so a position: only its type is logged.
        self._counters.crashes += 1
        log.error(
            "connection_crashed",
            connection=self.number,
            error=type(error).__name__,
            stack=stack_of(error),
        )

    def _end(self) -> None:
        """No checkpoint in here: it must happen in full even under cancellation."""
        # Taken off, which breaks the reference cycle: what an ended connection held is given back
        # at once and not when the garbage collector, made rare under load, comes round.
        outbox, self.outbox = self.outbox, None
        if outbox is None:
            self.transport.close()
            return
        unsent = outbox.backlog_bytes > 0
        outbox.lost(CloseReason.GOING_AWAY)  # a reason only when there is none: cancelled
        self.transport.close(abort=unsent)
        reason = outbox.reason or CloseReason.GOING_AWAY
        self._counters.bytes_in += self.transport.bytes_in
        if self._policy is None:
            return  # refused, and counted as that
        self._counters.closed[reason] += 1
        note = log.debug if reason in _ROUTINE_ENDS else log.info
        note("connection_closed", connection=self.number, reason=reason.label, code=reason.code)
