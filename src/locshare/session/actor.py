"""The session actor: a thin task around :mod:`locshare.session.rules`.

Only this actor writes its table and sends to the receivers. Handlers are plain functions, so every
event is delivered before the next message; only a flush may be delayed, by the flush window.

A crash costs the message that was being handled and nothing else. The table stays in the directory,
the waiting messages stay with the heir, the connections stay open: the next incarnation adopts all
three in :meth:`SessionActor.init`, delivers what was decided and not yet delivered, and goes on.

Exits with reason ``normal`` when the session ends.
"""

import math
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, ClassVar, Final, final

import trio

from locshare.actors import (
    NO_REPLY,
    Continue,
    ExitReason,
    HandlerResult,
    MailboxSpec,
    NoReply,
    ReplyTo,
    StopActor,
    on_call,
    on_cast,
    on_info,
)
from locshare.broadcast.delivery_rate import DeliveryRate
from locshare.broadcast.fanout import encode_frame
from locshare.broadcast.receiver import Receiver
from locshare.model.errors import LocshareError
from locshare.model.reasons import CloseReason, EndReason
from locshare.session.commands import (
    Attach,
    CancelReservation,
    ChangePace,
    CheckDepartures,
    End,
    Join,
    LeaveForGood,
    Report,
    ReserveSeat,
    SessionCast,
    SetRole,
    SetState,
    Update,
)
from locshare.session.context import SessionContext
from locshare.session.delivery import deliver_end, deliver_events, resume, send_positions
from locshare.session.errors import (
    ParticipantNotFound,
    SessionFull,
    SessionOver,
    TooManyJoins,
)
from locshare.session.features.feature import Candidate, FeatureCommand
from locshare.session.limits import MAILBOX_CAPACITY
from locshare.session.pacing import (
    ask_senders,
    begin_pace,
    flush_paced,
    note_distances,
    note_moved,
    paced_due,
    set_pace,
)
from locshare.session.rules import SessionRules
from locshare.session.sender_pace import SETTLE_S
from locshare.session.table import SessionTable
from locshare.session.timers import Tick, TimedActor

_DELIVER_END: Final = object()
_LONGEST_SLEEP: Final = 60.0
"""Seconds. The wall clock may be set while a session waits for a wall time."""
_SMOOTHING: Final = 0.125
"""Of the latency, for each flush: about the last eight of them."""


@final
class SessionActor(TimedActor):
    """One incarnation of one session."""

    mailbox: ClassVar[MailboxSpec] = MailboxSpec(capacity=MAILBOX_CAPACITY)

    def __init__(self, table: SessionTable, context: SessionContext) -> None:
        super().__init__()
        self._table = table
        self._context = context
        self._rules = SessionRules(table, context.limits, context.features)
        self._flushed_at = -math.inf
        self._batch_time = 0.0  # when the newest position of the batch came
        self._received = 0.0  # when the first position of the next flush was read from its socket
        self._handled = 0.0  # and when it came here
        self._latency = 0.0  # smoothed, from the receipt of a position to its flush
        self._rate = DeliveryRate()

    def init(self) -> Continue | None:
        """Adopt the table of the last incarnation, or a new one."""
        table = self._table
        table.local.incarnations += 1
        table.local.waiters.unpark_all()
        resume(table)
        self._deliver()
        if table.ended is not None:
            return Continue(_DELIVER_END)  # the last incarnation crashed while it ended
        self._note_departures()
        self._release_unused_seats()
        self._arm_expiry()
        self._arm_inactivity()
        self._arm_presence()
        self._arm(Tick.TOUCH, self._context.limits.touch_interval)
        if table.positions:
            self._forget_stale()
        note_moved(table, table.positions)
        self._arm_paced()
        self._ask_senders()
        if table.moved:
            self._arm(Tick.FLUSH, 0.0)  # what the last incarnation has not sent
        return None

    def handle_continue(self, value: Any) -> HandlerResult:  # noqa: ARG002 - one thing to go on with
        """Finish the end that the last incarnation began."""
        return self._deliver_end()

    # --- messages ---------------------------------------------------------------------------------

    def handle_cast(self, message: SessionCast) -> HandlerResult | Awaitable[HandlerResult]:
        """Positions first: one comparison, because nearly all messages are positions."""
        if type(message) is Update:
            moment = self._context.moment()
            self._batch_time = moment.clock
            if not self._received:
                self._received, self._handled = message.received, moment.clock
            self._rules.move(message.user_id, message.position, moment)
            return None
        return super().handle_cast(message)

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        """No call changes a session that has ended."""
        if self._table.ended is not None:
            reply_to.fail(SessionOver(self._table.ended))
            return NO_REPLY
        return super().handle_call(request, reply_to)

    @on_cast(CheckDepartures)
    def check_departures(self, message: CheckDepartures) -> None:  # noqa: ARG002
        """Connections have ended."""
        self._note_departures()

    @on_cast(CancelReservation)
    def cancel_reservation(self, message: CancelReservation) -> None:
        """A join was not written."""
        self._rules.cancel(message.reservation)

    @on_call(ReserveSeat)
    def reserve_seat(self, request: ReserveSeat, reply_to: ReplyTo[str]) -> str | NoReply:
        """Reserve a seat for a join that is about to be written."""
        now = trio.current_time()
        candidate = Candidate(request.role, request.origin, request.link_key)
        name = self._rules.reserve(request.reservation, now, request.display_name, candidate)
        if name is None:
            return self._refuse(reply_to, candidate)
        wait = self._rules.join_wait(now)
        if wait:
            self._rules.cancel(request.reservation)
            reply_to.fail(TooManyJoins(wait))
            return NO_REPLY
        return name

    @on_call(Join)
    def join(self, request: Join, reply_to: ReplyTo[None]) -> NoReply | None:
        """A join is written."""
        candidate = Candidate(request.member.role, request.origin, request.link_key)
        now = trio.current_time()
        if not self._rules.join(request.member, request.reservation, now, candidate):
            return self._refuse(reply_to, candidate)
        self._deliver()
        self._arm_unused_seats()
        self._context.counters.joined += 1
        return None

    def _refuse(self, reply_to: ReplyTo[Any], candidate: Candidate) -> NoReply:
        refusal = self._rules.refusal(candidate, trio.current_time())
        reply_to.fail(refusal or SessionFull(self._context.limits.max_participants))
        return NO_REPLY

    @on_call(LeaveForGood)
    def leave_for_good(self, request: LeaveForGood, reply_to: ReplyTo[None]) -> NoReply | None:
        """A participant leaves."""
        try:
            receiver = self._rules.take_out(request.user_id, "left", trio.current_time())
        except ParticipantNotFound as error:
            reply_to.fail(error)
            return NO_REPLY
        if receiver is not None:
            receiver.close(CloseReason.LEFT)
        self._deliver()
        self._ask_senders()
        self._arm_inactivity()
        return None

    @on_call(SetRole)
    def set_role(self, request: SetRole, reply_to: ReplyTo[None]) -> NoReply | None:
        """A host passes the role on, or steps down."""
        try:
            self._rules.set_role(request.user_id, request.role, self._context.moment())
        except (ParticipantNotFound, SessionFull) as error:
            reply_to.fail(error)
            return NO_REPLY
        self._deliver()
        return None

    @on_call(End)
    def end(self, request: End, reply_to: ReplyTo[None]) -> StopActor:  # noqa: ARG002
        """The host ends the session."""
        reply_to.reply(None)
        return self._end("ended_by_host")

    @on_call(FeatureCommand)
    def command(self, request: FeatureCommand[Any], reply_to: ReplyTo[Any]) -> Any:
        """A feature decides."""
        try:
            reply, removed = self._rules.handle(request, self._context.moment())
        except LocshareError as error:
            reply_to.fail(error)
            return NO_REPLY
        self._after_features(removed)
        return reply

    @on_info(Tick)
    def tick(self, message: Tick) -> HandlerResult:
        """A timer."""
        self._rang(message)
        match message:
            case Tick.FLUSH:
                self._flush(trio.current_time())
            case Tick.STALE:
                self._forget_stale()
            case Tick.TOUCH:
                self._touch()
            case Tick.INACTIVE:
                return self._check_inactivity()
            case Tick.IDLE:
                self._check_idle()
            case Tick.UNUSED_SEATS:
                self._release_unused_seats()
            case Tick.EXPIRE:
                return self._check_expiry()
            case Tick.PRESENCE:
                self._update_presence()
            case Tick.PACED:
                self._flush_paced()
            case Tick.SETTLED:
                self._ask_senders(settled=True)
            case Tick.FEATURES:
                self._after_features(self._rules.run_features(self._context.moment()))
        return None

    def after_batch(self) -> None:
        """Flush: the mailbox is empty, or many messages were handled since the last flush."""
        table = self._table
        if table.departed:
            self._note_departures()
        arrived, self._batch_time = self._batch_time, 0.0
        if not table.moved:
            self._received = 0.0  # what came was ignored
            return
        if Tick.FLUSH in self._timers:
            return
        now = arrived or trio.current_time()
        wait = self._flushed_at + self._context.window(now, self._rate.per_second) - now
        if wait > 0:
            self._arm(Tick.FLUSH, wait)
        else:
            self._flush(now)

    def terminate(self, reason: ExitReason) -> None:  # noqa: ARG002 - in any case
        """Note the last activity. The receivers are left to the next incarnation."""
        self._note_activity()

    def _release_unused_seats(self) -> None:
        forgotten = self._rules.release_unused_seats(self._context.moment())
        if forgotten:
            self._context.on_lapsed(self._table.session.id, forgotten)
        self._deliver()
        self._arm_unused_seats()

    def _arm_unused_seats(self) -> None:
        due = self._rules.seat_expiry()
        if due is not None:
            left = (due - self._context.now()).total_seconds()
            self._arm(Tick.UNUSED_SEATS, min(left, _LONGEST_SLEEP))

    # --- connections ------------------------------------------------------------------------------

    @on_call(Attach)
    def attach(self, request: Attach, reply_to: ReplyTo[None]) -> NoReply | None:
        """A participant connects."""
        table, receiver, options = self._table, request.receiver, request.options
        user_id = receiver.user_id
        if receiver.closed or table.receivers.get(user_id) is receiver:
            return None  # too late, or a repetition after a crash
        now = trio.current_time()
        if user_id not in table.roster and not self._rules.restore_seat(user_id, now):
            reply_to.fail(ParticipantNotFound())
            return NO_REPLY
        moment = self._context.moment()
        # Encoded before anything is changed: a crash here leaves no receiver without a snapshot.
        view = self._rules.views.snapshot(
            user_id, table.roster[user_id].role, moment, options.resume, options.state
        )
        snapshot = encode_frame(view, receiver.dialect.in_session(self._table.shorthand))
        counters, comes_back = self._context.counters, user_id not in table.never_connected
        older = self._rules.connect(receiver, moment, options.state)
        begin_pace(table, receiver, options.interval_s, now)
        receiver.send_event(snapshot)
        if older is not None:
            older.close(CloseReason.REPLACED)
        self._deliver()
        self._ask_senders()
        self._arm_presence()
        self._arm(Tick.TOUCH, self._context.limits.touch_interval)
        counters.attached += 1
        counters.reconnected += comes_back
        if view.resumed is not None:
            counters.resumes["complete" if view.resumed else "too_late"] += 1
        return None

    def _note_departures(self) -> None:
        departed = self._table.departed
        if not departed:
            return  # many end at once, and the first message is about them all
        while departed:
            self._rules.disconnect(departed.popleft(), self._context.moment())
            self._deliver()
        self._ask_senders()
        self._arm_inactivity()
        self._arm_presence()

    @on_cast(SetState)
    def set_state(self, message: SetState) -> None:
        """A client says what its person does with it."""
        self._rules.set_state(message.receiver, message.state, self._context.moment())
        self._deliver()
        self._arm_presence()

    def _update_presence(self) -> None:
        self._rules.update_presence(self._context.moment())
        self._deliver()
        self._arm_inactivity()
        self._arm_presence()

    def _arm_presence(self) -> None:
        self._arm_at(Tick.PRESENCE, self._rules.presence_due())

    # --- reports without a connection -------------------------------------------------------------

    @on_call(Report)
    def report(self, request: Report, reply_to: ReplyTo[None]) -> NoReply | None:
        """A position arrived without a connection."""
        user_id, position = request.update.user_id, request.update.position
        moment = self._context.moment()
        if user_id not in self._table.roster and not self._rules.restore_seat(
            user_id, moment.clock
        ):
            reply_to.fail(ParticipantNotFound())
            return NO_REPLY
        if not self._received:
            self._received, self._handled = request.update.received, moment.clock
        self._rules.report(user_id, position, moment)
        self._deliver()
        self._arm_presence()
        self._arm(Tick.TOUCH, self._context.limits.touch_interval)
        return None

    # --- features ---------------------------------------------------------------------------------

    def _after_features(self, removed: Iterable[Receiver]) -> None:
        """Features have decided, and removed the participants of these connections."""
        for receiver in removed:
            receiver.close(CloseReason.FORBIDDEN)
        self._deliver()
        self._ask_senders()
        self._arm_inactivity()

    # --- delivery ---------------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Send the decided events. The decision may have changed when a feature is due."""
        limits, counters = self._context.limits, self._context.counters
        deliver_events(self._table, counters, trio.current_time(), limits.kept_events)
        self._arm_at(Tick.FEATURES, self._rules.features_due())

    def _flush(self, now: float) -> None:
        """Broadcast the positions that changed since the last flush."""
        # Taken before it is encoded: a position that cannot be encoded crashes one flush, not all.
        moved = self._rules.take_moved(now)
        if not moved:
            return
        self._flushed_at = now
        others = max(len(self._table.receivers) - len(self._table.paced) - 1, 0)
        self._rate.note(len(moved) * others, now)
        send_positions(self._table, moved, now)
        if self._table.paced:
            note_moved(self._table, moved)
            self._arm_paced()
        if self._context.features.watching:
            self._deliver()
        if Tick.STALE not in self._timers:
            self._arm(Tick.STALE, self._context.limits.retention)
        counters = self._context.counters
        counters.updates += len(moved)
        counters.flushes += 1
        received, self._received = self._received, 0.0
        if received:  # 0 after a crash
            self._latency += (now - received - self._latency) * _SMOOTHING
            times = counters.times
            if now >= times.due:
                times.note(received, self._handled, now)

    # --- pace -------------------------------------------------------------------------------------

    @on_cast(ChangePace)
    def change_pace(self, message: ChangePace) -> None:
        """A receiver chooses how often positions come."""
        retention = self._context.limits.retention
        set_pace(self._table, message.receiver, message.interval_s, trio.current_time(), retention)
        self._arm_paced()
        self._ask_senders()

    def _flush_paced(self) -> None:
        flush_paced(self._table, trio.current_time(), self._context.limits.retention)
        self._arm_paced()

    def _arm_paced(self) -> None:
        """Set the timer of the receivers with a pace, which may now be due earlier than before."""
        self._arm_at(Tick.PACED, paced_due(self._table))

    def _ask_senders(self, *, settled: bool = False) -> None:
        """Somebody came, went or chose a pace: what is wanted of the senders may have changed."""
        requests = ask_senders(self._table, self._context.limits.retention, settled=settled)
        self._context.counters.pace_requests += requests.sent
        if requests.waiting:
            self._arm(Tick.SETTLED, SETTLE_S)
        else:
            self._disarm(Tick.SETTLED)

    # --- time -------------------------------------------------------------------------------------

    def _forget_stale(self) -> None:
        now = trio.current_time()
        deadline = self._rules.forget_stale(now)
        if deadline is not None:
            self._arm(Tick.STALE, deadline - now)

    def _touch(self) -> None:
        self._note_activity()
        self._rules.forget_events(trio.current_time())
        note_distances(self._table)
        self._ask_senders()
        if self._table.online:
            self._arm(Tick.TOUCH, self._context.limits.touch_interval)

    def _note_activity(self) -> None:
        if not self._rules.has_unsaved_activity:
            return
        active, seen = self._rules.take_activity(self._context.moment())
        self._context.touch(self._table.session.id, active, seen)

    def _arm_inactivity(self) -> None:
        deadline = self._rules.inactive_at()
        if deadline is not None:
            self._arm(Tick.INACTIVE, deadline - trio.current_time())
            self._arm(Tick.IDLE, self._context.limits.sleep_after)

    def _check_idle(self) -> None:
        table = self._table
        if table.online:
            return
        left = table.active_at + self._context.limits.sleep_after - trio.current_time()
        if left > 0:
            self._arm(Tick.IDLE, left)
            return
        self._context.on_idle(table)
        self._arm(Tick.IDLE, self._context.limits.sleep_after)  # if it cannot sleep now

    def _check_inactivity(self) -> HandlerResult:
        deadline = self._rules.inactive_at()
        if deadline is not None and deadline <= trio.current_time():
            return self._end("inactive")
        self._arm_inactivity()  # a participant came and went meanwhile
        return None

    def _arm_expiry(self) -> None:
        left = self._table.session.expires_at - self._context.now()
        self._arm(Tick.EXPIRE, min(left.total_seconds(), _LONGEST_SLEEP))

    def _check_expiry(self) -> HandlerResult:
        if self._table.session.expires_at <= self._context.now():
            return self._end("expired")
        self._arm_expiry()
        return None

    # --- the end ----------------------------------------------------------------------------------

    def _end(self, reason: EndReason) -> StopActor:
        self._rules.end(reason)
        return self._deliver_end()

    def _deliver_end(self) -> StopActor:
        """Send everyone the end, and close their connections."""
        deliver_end(self._table, self._context.counters)
        self._context.on_ended(self._table)
        return StopActor()

    def gauges(self) -> Mapping[str, int]:
        """Participants, those online, the latency of their positions, and the bytes that wait to be
        written to them.
        """
        receivers = self._table.receivers
        return {
            "participants": len(self._table.roster),
            "online": len(self._table.online),
            "latency_us": int(self._latency * 1e6),
            "bytes": sum(receiver.backlog_bytes for receiver in receivers.values()),
        }

    def get_state(self) -> object:
        """For inspection: counts, never positions."""
        table = self._table
        return {
            "participants": len(table.roster),
            "online": len(table.online),
            "positions": len(table.positions),
            "paced": len(table.paced),
            "ended": table.ended,
            "incarnations": table.local.incarnations,
            "epoch": table.epoch,
        }

    def replace_state(self, state: Any) -> None:  # noqa: ARG002 - refused whatever it is
        """Refused: the table is the state, and only commands change it."""
        raise TypeError("the state of a session cannot be replaced")
