"""The run of an actor: init, one message at a time, terminate, exit.

Invariant between any two checkpoints: no message is half handled unless its own handler awaits.
Checkpoints: inside async callbacks; when parking on an empty mailbox; after ``batch_limit``
messages; while waiting for helpers at the end. There is none between two messages of a batch, and
none in the exit path.

Order of service: a pending continue, then the system lane, then the ordinary lane. So a stop
overtakes the backlog, and inspection answers between two messages. OTP leaves this open; a priority
lane stops sooner, and the backlog is dropped or failed either way.

The loop is written for speed: attribute look-ups are hoisted, the common results (None from a
cast, a plain reply from a call) take one test, counters are kept per batch. Statistics and trace
cost one test per message while they are off (statement 68).
"""

from collections.abc import Callable
from math import inf
from time import perf_counter
from types import CoroutineType
from typing import Any, cast

import outcome
import trio
from trio.lowlevel import Abort, Task, checkpoint, reschedule, wait_task_rescheduled

from locshare.actors.actor import Actor, Timer, bad_batch_limit
from locshare.actors.actor_ref import ActorRef
from locshare.actors.checks import bad_type, raise_if
from locshare.actors.clock import CallAt
from locshare.actors.debug import DebugHooks
from locshare.actors.incarnation import DEFAULT_GRACE, Incarnation, Status, next_serial
from locshare.actors.mailbox import CALL, CAST, DOWN, TIMER, Mailbox, MailboxHeir, MailboxSpec
from locshare.actors.reasons import (
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    ActorReused,
    BadReturn,
    Crash,
    Exited,
    ExitReason,
    MailboxFull,
)
from locshare.actors.ref import Down, LinkExit, Monitor, Ref
from locshare.actors.reply import IGNORE, NO_REPLY, Continue, ReplyTo, StopActor

#: Results of ``handle_call`` that are not replies.
_SPECIAL = frozenset({type(NO_REPLY), type(IGNORE), Continue, StopActor})

_SKIPPED = object()


class StopRequest:
    """System request: end with ``reason``; ``terminate`` may take until ``deadline``."""

    __slots__ = ("deadline", "reason")

    def __init__(self, reason: ExitReason, deadline: float) -> None:
        self.reason = reason
        self.deadline = deadline


class Inspect:
    """System request: run ``function(actor)`` between two messages and reply its result."""

    __slots__ = ("function", "reply_to")

    def __init__(self, function: Callable[[Actor], object], reply_to: ReplyTo[Any]) -> None:
        self.function = function
        self.reply_to = reply_to


class ActorIncarnation(Incarnation):
    """One incarnation of one :class:`Actor`."""

    __slots__ = (
        "_interrupted",
        "_limits",
        "_links",
        "_out_of_time",
        "_stop",
        "_stop_asked",
        "_watching",
        "actor",
        "current",
        "debug",
        "handled",
        "heir",
        "high_water",
        "mailbox",
        "recent",
        "ref",
        "skipped",
        "suspended",
        "timers",
        "unanswered",
    )

    ref: ActorRef

    def __init__(
        self,
        actor: Actor,
        *,
        name: str = "",
        heir: MailboxHeir | None = None,
        grace: float = DEFAULT_GRACE,
    ) -> None:
        _check(actor)
        super().__init__(grace=grace)
        self.actor = actor
        self.mailbox = Mailbox(actor.mailbox, self._overflowed, self._call_dropped)
        self.heir = heir
        if heir is not None and heir.entries:
            self.mailbox.inherit(heir)
        self.ref = actor.ref_type(self, name or type(actor).__name__, next_serial(), self.mailbox)
        #: What is being handled: a message, or the ReplyTo of a call, or a Continue.
        self.current: object = None
        #: The type of the last message of the last batch.
        self.recent: type = type(None)
        self.suspended = False
        self.debug: DebugHooks | None = None
        self.handled = 0
        self.skipped = 0
        self.high_water = 0
        self.timers: dict[Timer, None] = {}  # dicts as ordered sets: an empty set is 216 bytes
        self.unanswered: dict[ReplyTo[Any], None] = {}
        self._watching: set[Monitor] | None = None
        self._links: dict[ActorIncarnation, None] | None = None
        self._stop: StopRequest | None = None
        self._stop_asked = False
        self._interrupted = False  # by a helper's crash, in the middle of a handler
        self._out_of_time: CallAt | None = None
        self._limits: list[CallAt] | None = None
        actor._incarnation = self

    # -- incarnation ------------------------------------------------------------------------------

    async def _live(self) -> ExitReason:
        if not self.actor.hosts_children:
            return await self._live_alone()
        async with trio.open_nursery() as nursery:
            self.nursery = nursery
            return await self._live_alone()
        raise AssertionError("a nursery swallows nothing")  # pragma: no cover

    async def _live_alone(self) -> ExitReason:
        reason: ExitReason = KILLED
        try:
            try:
                reason = await self._init_and_loop()
            except trio.Cancelled:
                if not self._interrupted:
                    raise
                reason = self.suppressed_crash or KILLED
            except BaseExceptionGroup as group:
                cancelled, rest = group.split(trio.Cancelled)
                if rest is not None:
                    reason = self.crashed(rest)
                if cancelled is not None:
                    if isinstance(reason, Crash):
                        self.suppressed_crash = self.suppressed_crash or reason
                    if not self._interrupted:
                        raise cancelled from None
                    reason = self.suppressed_crash or KILLED
            except BaseException as error:  # noqa: BLE001 - carried to the root if fatal (75)
                reason = self.crashed(error)
            if self.started and not self.killed:
                reason = await self._terminate(reason)
                if reason is KILLED and self.actor.hosts_children:
                    self.kill()  # out of time: the children too, for whom the nursery waits
        finally:
            await self._end_helpers()
        return reason

    async def _init_and_loop(self) -> ExitReason:
        result: object = self.actor.init()
        if type(result) is CoroutineType:
            result = await result
        if result is IGNORE:
            self.ignored = not self.killed
            return SHUTDOWN
        if result is not None and type(result) is not Continue:
            raise BadReturn(
                f"{type(self.actor).__name__}.init returned {type(result).__qualname__}; "
                "it must return None, Continue or IGNORE"
            )
        self.announce_started()
        if not self.started:
            return KILLED
        if result is not None:
            await self._follow(result, "init")
        return await self._loop()

    async def _loop(self) -> ExitReason:  # noqa: C901 - one hot loop, unrolled on purpose
        mailbox = self.mailbox
        queue = mailbox.queue
        take = queue.popleft
        actor = self.actor
        handle_cast = actor.handle_cast
        handle_call = actor.handle_call
        handle_info = actor.handle_info
        after_batch = actor.after_batch
        has_after_batch = type(actor).after_batch is not Actor.after_batch
        limit = actor.batch_limit
        result: object
        began = 0.0
        while True:
            taken = 0
            if len(queue) > self.high_water:  # it only shrinks from here on: the highest point
                self.high_water = len(queue)
            while taken < limit:
                if mailbox.system and not self._serve_system():
                    break
                if self._stop is not None or not queue or self.suspended:
                    break
                kind, message = take()
                if mailbox.senders:
                    mailbox.admit()
                taken += 1
                self.current = message
                debug = self.debug
                if debug is not None:
                    began = perf_counter()
                    held = debug.before(kind, message)
                    if held is not None:
                        await held
                if kind == CAST:
                    result = handle_cast(message)
                elif kind == CALL:
                    call = message
                    if call._task is None:  # the caller has gone
                        self.skipped += 1
                        continue
                    result = handle_call(call.request, call)
                    if type(result) is CoroutineType:
                        result = await result
                    if type(result) not in _SPECIAL:
                        call.reply(result)
                        result = None
                    else:
                        result = self._special_reply(call, result)
                else:
                    message = self._unwrap(kind, message)
                    if message is _SKIPPED:
                        continue
                    result = handle_info(message)
                if result is not None:
                    await self._follow(result, "a handler")
                if debug is not None:
                    debug.after(kind, message, perf_counter() - began)
            if taken:
                self.handled += taken
                last = self.current
                self.recent = type(last.request if type(last) is ReplyTo else last)
                self.current = None  # a parked actor holds on to no message
            if self._stop is not None:
                return self._stop.reason
            if taken:
                if has_after_batch:
                    result = after_batch()
                    if result is not None:
                        raise self._bad_batch(result)
                if mailbox.system or (queue and not self.suspended):
                    await checkpoint()
                    continue
            if not mailbox.system and (self.suspended or not queue):
                mailbox.parked = self.task
                await wait_task_rescheduled(self._unpark)

    def _bad_batch(self, result: object) -> BadReturn:
        if type(result) is CoroutineType:
            result.close()
        return BadReturn(
            f"{type(self.actor).__name__}.after_batch returned {type(result).__qualname__}; "
            "it is a plain function and must return None"
        )

    def _unpark(self, _raise_cancel: object) -> Abort:
        self.mailbox.parked = None
        return Abort.SUCCEEDED

    def _unwrap(self, kind: int, message: Any) -> object:
        """The message for ``handle_info``, or _SKIPPED for a timer or DOWN that was cancelled
        after it had been queued (statement 61).
        """
        if kind == TIMER:
            return _SKIPPED if message.cancelled else message.message
        if kind == DOWN and isinstance(message, Down) and message.monitor.cancelled:
            return _SKIPPED
        return message

    def _special_reply(self, call: ReplyTo[Any], result: Any) -> Continue | StopActor | None:
        if result is NO_REPLY:
            call.deferred(self.unanswered)
            return None
        if result is IGNORE:
            raise BadReturn(f"{type(self.actor).__name__}.handle_call returned IGNORE")
        later: Continue | StopActor = result
        if later.reply is NO_REPLY:
            call.deferred(self.unanswered)
        else:
            call.reply(later.reply)
        return later

    async def _follow(self, result: object, source: str) -> None:
        """Act on a result that is not None: a coroutine, a continue, a stop, a mistake."""
        while result is not None:
            if type(result) is CoroutineType:
                result = await result
            elif type(result) is Continue:
                self.current = result
                result = self.actor.handle_continue(result.value)
            elif type(result) is StopActor:
                if self._stop is None:
                    self._stop = StopRequest(result.reason, trio.current_time() + self.grace)
                return
            else:
                raise BadReturn(
                    f"{type(self.actor).__name__}: {source} returned {type(result).__qualname__}; "
                    "it must return None, Continue or StopActor"
                )

    def _serve_system(self) -> bool:
        """Serve the system lane. False if a stop was among it."""
        system = self.mailbox.system
        while system:
            request = system.pop(0)
            if type(request) is StopRequest:
                if self._stop is None:
                    self._stop = request
                return False
            if type(request) is Inspect and request.reply_to.waiting:
                try:
                    request.reply_to.reply(request.function(self.actor))
                except Exception as error:  # noqa: BLE001 - raised in the caller
                    request.reply_to.fail(error)
                except BaseException as error:
                    request.reply_to.server_died(Crash(error))
                    raise
        return True

    def recent_type(self) -> str | None:
        """The type of the message being handled, or else of the last one handled."""
        current = self.current
        if current is not None:
            return type(current.request if isinstance(current, ReplyTo) else current).__qualname__
        return None if self.recent is type(None) else self.recent.__qualname__

    # -- end -------------------------------------------------------------------------------

    async def _terminate(self, reason: ExitReason) -> ExitReason:
        self.status = Status.STOPPING
        actor = self.actor
        interceptor = None if self.debug is None else self.debug.interceptor
        if type(actor).terminate is Actor.terminate and interceptor is None:
            return reason
        deadline = trio.current_time() + self.grace if self._stop is None else self._stop.deadline
        try:
            if interceptor is not None:
                interceptor.before_terminate(reason)
            result = actor.terminate(reason)
            if result is not None:
                with trio.CancelScope(shield=True, deadline=deadline) as self._stopping_scope:
                    if self.killed:  # before the shield was up
                        self._stopping_scope.cancel()
                    await result
                if self._stopping_scope.cancelled_caught:
                    return KILLED
        except trio.Cancelled:
            raise
        except BaseExceptionGroup as group:
            cancelled, rest = group.split(trio.Cancelled)
            if rest is None:
                raise
            crash = self.crashed(rest, reason)
            if cancelled is not None:
                self.suppressed_crash = crash
                raise cancelled from None
            return crash
        except BaseException as error:  # noqa: BLE001 - becomes the exit reason (69, 75)
            if isinstance(reason, Crash) and error.__context__ is None:
                error.__context__ = reason.exception
            return self.crashed(error, reason)
        finally:
            self._stopping_scope = None
        return reason

    def request_stop(self, reason: ExitReason, deadline: float = inf) -> None:
        self.clock.check_thread()
        if self.reason is not None:
            return
        if self.actor.hosts_children:
            # Cutting `terminate` short would leave children running that our nursery waits for. So
            # when the (shortest) time has passed, they are killed.
            known = self._out_of_time
            if known is None or deadline < known.deadline:
                if known is not None:
                    known.disarm()
                self._out_of_time = CallAt(self.clock, deadline, self.kill)
        if not self._stop_asked:  # the first one counts; the lane must not grow
            self._stop_asked = True
            self.mailbox.put_system(StopRequest(reason, deadline))
            self.actor.on_stop_requested()

    def limit(self, deadline: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` at ``deadline`` (absolute) unless this incarnation is over by then."""
        if self._limits is None:
            self._limits = []
        self._limits.append(CallAt(self.clock, deadline, callback))

    def kill(self) -> None:
        self._interrupted = False
        if self.reason is None:
            self.actor.on_kill()
        super().kill()

    def _close(self, reason: ExitReason) -> None:
        heir = None if reason.expected or self.ignored else self.heir
        calls, system, senders = self.mailbox.close(heir)
        if isinstance(self.current, ReplyTo):
            self.current.server_died(reason)
        for call in calls:
            call.server_died(reason)
        for call in list(self.unanswered):
            call.server_died(reason)
        for request in system:
            if isinstance(request, Inspect):
                request.reply_to.server_died(reason)
        for task in senders:
            _fail(task, Exited(reason, self.ref.name))
        for timer in list(self.timers):
            timer.cancel()
        for limit in self._limits or ():
            limit.disarm()
        if self._out_of_time is not None:
            self._out_of_time.disarm()
        for monitor in list(self._watching or ()):
            monitor.cancel()
        self._exit_links(reason)
        self._sum_up(reason)
        self.current = None
        self.actor = _GONE  # refs hold us; they must not hold the actor and its state

    def _sum_up(self, reason: ExitReason) -> None:
        """Collect what a crash report may contain: types, and what ``redact`` allows (15)."""
        if reason.expected:
            return
        current = self.current
        message = current.request if isinstance(current, ReplyTo) else current
        if message is not None:
            self.last_message = self.recent_type()
        if self.debug is not None and self.debug.tracer is not None:
            self.last_events = tuple(self.debug.tracer.events)
        try:
            self.details = dict(self.actor.redact(message))
        except BaseException as error:  # noqa: BLE001 - it must not stop the exit path
            self.crashed(error)

    def helper_crashed(self, error: BaseException) -> None:
        crash = self.crashed(error)
        self.suppressed_crash = self.suppressed_crash or crash
        self.request_stop(crash, trio.current_time() + self.grace)
        if self.mailbox.parked is None and self.status is not Status.STOPPING:
            # Cancel a handler (or init) that awaits, as the body of a nursery is cancelled when a
            # task in it crashes: it may be waiting for this helper. Never cancel `terminate`.
            self._interrupted = True
            self._scope.cancel()

    def _overflowed(self) -> None:
        self.request_stop(
            Crash(MailboxFull(f"the mailbox of {self.ref.name} is full")),
            trio.current_time() + self.grace,
        )

    def _call_dropped(self, call: ReplyTo[Any]) -> None:
        call.fail(MailboxFull(f"the call was pushed out of the mailbox of {self.ref.name}"))

    # -- monitors and links ----------------------------------------------------------------

    @property
    def watching(self) -> set[Monitor]:
        """The monitors this actor holds on others."""
        if self._watching is None:
            self._watching = set()
        return self._watching

    def monitor(self, ref: Ref | None) -> Monitor:
        self.clock.check_thread()
        if ref is None:
            return Monitor(self.ref, None, self, None)
        target = getattr(ref, "_incarnation", None)
        if not isinstance(target, Incarnation):
            raise TypeError(f"ref must be a Ref or None, not {type(ref).__qualname__}")
        return Monitor(ref, target, self, None)

    def link(self, ref: ActorRef) -> None:
        partner = self._partner(ref)
        if partner is self:
            return
        if partner.reason is not None:
            self.partner_exited(partner, NOPROC)  # as for a monitor, and as in OTP
            return
        for one, other in ((self, partner), (partner, self)):
            if one._links is None:
                one._links = {}
            one._links[other] = None

    def unlink(self, ref: ActorRef) -> None:
        partner = self._partner(ref)
        for one, other in ((self, partner), (partner, self)):
            if one._links is not None:
                one._links.pop(other, None)

    def _partner(self, ref: ActorRef) -> "ActorIncarnation":
        self.clock.check_thread()
        partner = getattr(ref, "_incarnation", None)
        if not isinstance(partner, ActorIncarnation):
            raise TypeError(f"ref must be an ActorRef, not {type(ref).__qualname__}")
        return partner

    def _exit_links(self, reason: ExitReason) -> None:
        links, self._links = self._links, None
        for partner in links or ():
            if partner._links is not None:
                partner._links.pop(self, None)
            partner.partner_exited(self, reason)

    def partner_exited(self, partner: "ActorIncarnation", reason: ExitReason) -> None:
        """Handle the end of a linked actor."""
        if self.actor.trap_exits:
            self.mailbox.put_exempt(DOWN, LinkExit(partner.ref, reason))
        elif reason != NORMAL:  # so a partner's shutdown is ours, as in OTP
            self.request_stop(reason, trio.current_time() + self.grace)


def actor_incarnation_of(ref: ActorRef) -> ActorIncarnation:
    """The incarnation that ``ref`` names."""
    return cast("ActorIncarnation", ref._incarnation)


def incarnation_in(task: Task) -> ActorIncarnation | None:
    """The incarnation whose main task is ``task``, or None. Read from the task's own frame, so that
    a running actor pays nothing for it.
    """
    frame = getattr(task.coro, "cr_frame", None)
    incarnation = frame.f_locals.get("self") if frame is not None else None
    if isinstance(incarnation, ActorIncarnation) and incarnation.task is task:
        return incarnation
    return None


def _check(actor: Actor) -> None:
    """Raise TypeError, ValueError or ActorReused for what cannot be started."""
    if not isinstance(actor, Actor) or type(actor.mailbox) is not MailboxSpec:
        raise_if(bad_type("actor", actor, Actor))
        raise_if(bad_type("mailbox", actor.mailbox, MailboxSpec))
    raise_if(bad_batch_limit(actor.batch_limit))
    if "_incarnation" in actor.__dict__:
        raise ActorReused(f"this {type(actor).__name__} has lived before; make a new one")


def _fail(task: Task, error: Exception) -> None:
    reschedule(task, outcome.Error(error))


#: Stands in for the actor of a dead incarnation.
_GONE = Actor()
