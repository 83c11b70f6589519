"""What both kinds of supervisor have in common: launch, exit, restart, report and stop of a child.

The table of children changes at two places only: in the supervisor's own task, and in the exit
path of a child (:meth:`BaseSupervisor.child_exited`, a plain function). So a reader between two
checkpoints sees a consistent table. Nothing is *started* from an exit path: that would give the
new task the context of the dead one (statement 78). It only leaves a message.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from math import inf
from sys import maxsize
from typing import Any, ClassVar, Final, Never

import trio
from trio.lowlevel import Task, current_task

from locshare.actors import (
    KILLED,
    NO_REPLY,
    SHUTDOWN,
    Actor,
    ActorRef,
    CallTimeout,
    CallToSelf,
    Crash,
    ExitReason,
    MailboxSpec,
    NoProc,
    NoReply,
    Ref,
    ReplyTo,
    StartError,
    UnhandledMessage,
)
from locshare.actors.lowlevel import (
    ActorIncarnation,
    CallAt,
    Incarnation,
    MessageKind,
    Status,
    actor_incarnation_of,
    bad_callable,
    clear_finished_frames,
    incarnation_in,
    incarnation_of,
    on_handled,
    post,
    raise_after_checkpoint,
    raise_if,
    start_failure,
    statistics,
)
from locshare.supervisor.child import Child, ChildCounts, ChildExit, ChildInfo, ChildState, build
from locshare.supervisor.decide import RestartDecision, decide_restart
from locshare.supervisor.events import (
    GaveUp,
    HandlerSpan,
    MailboxGauge,
    Restarted,
    Started,
    Stopped,
)
from locshare.supervisor.report import Report, Reporter, ReportKind, logger, reporter, send
from locshare.supervisor.spec import BRUTAL_KILL, INFINITY
from locshare.supervisor.telemetry import Hub, Listener, Subscription, current_hub
from locshare.supervisor.window import RestartWindow

#: A child that is still there this many seconds after its kill is reported as stuck (70).
STUCK_AFTER: Final = 5.0


class BaseSupervisor(Actor[Never]):
    """Base of the supervisors: launch, exit, report, counting, kill.

    A kill is passed on to all children and cancels what the supervisor itself waits for; it ends
    after they have ended.
    """

    _incarnation: ActorIncarnation

    mailbox: ClassVar[MailboxSpec] = MailboxSpec(capacity=None)
    hosts_children: ClassVar[bool] = True

    def __init__(
        self,
        max_restarts: int,
        max_seconds: float,
        report: Reporter | None,
        telemetry: Listener | None,
    ) -> None:
        self._window = RestartWindow(max_restarts, max_seconds)
        self._report: Reporter | None = report
        self.hub = Hub(current_hub.get(), self)
        if telemetry is not None:
            self.hub.add(telemetry, spans=False)
        # The children whose exits wait in our mailbox, in that order.
        self._due: dict[Child, None] = {}

    @abstractmethod
    def children(self) -> Iterable[Child]:
        """All children in start order."""

    @abstractmethod
    def forget(self, child: Child) -> None:
        """Drop a child and its spec."""

    # -- unknown messages ------------------------------------------------------------------

    def refuse(self, request: object, reply_to: ReplyTo[Any]) -> NoReply:
        """Refuse an unknown request: a stray one must not take a tree down (51)."""
        name = type(request).__qualname__
        reply_to.fail(UnhandledMessage(f"a supervisor does not handle the call {name}"))
        return NO_REPLY

    def handle_cast(self, message: Any) -> None:
        """Log and ignore it: a supervisor takes no casts."""
        logger.warning("%s ignored a cast of type %s", self.ref.name, type(message).__qualname__)

    # -- reports ---------------------------------------------------------------------------

    def inherit_hooks(self) -> None:
        """First thing in init: hand our report hook, or the inherited one, and our telemetry hub
        down to the children, which start in our context.
        """
        current_hub.set(self.hub)
        if self._report is None:
            self._report = reporter.get()
        else:
            reporter.set(self._report)

    def report(self, kind: ReportKind, child: Child, reason: ExitReason) -> None:
        """Send a crash report of ``child`` to our hook."""
        incarnation = child.incarnation
        hook = self._report
        if hook is None:
            return
        if incarnation is None:
            report = Report(kind, self.ref.name, child.spec.id, 0, reason)
        else:
            report = Report(
                kind,
                self.ref.name,
                child.spec.id,
                incarnation.ref.serial,
                reason,
                incarnation.last_message,
                incarnation.last_events,
                incarnation.details,
            )
        fatal = send(hook, report)
        if fatal is not None:
            self.leave(Crash(fatal))

    # -- telemetry -------------------------------------------------------------------------

    def leave_for(self, error: BaseException) -> None:
        """A listener has raised ``error``, which ends the program."""
        self.leave(Crash(error))

    def refresh_spans(self) -> None:
        """Install the span hook in every actor below if a listener wants spans, else remove it."""
        wanted = self.hub.wants_spans()
        for child in self.children():
            if child.ref is not None:
                self._set_span_hook(child, wanted)
                if isinstance(child.ref, BaseSupervisorRef):
                    child.ref._base_supervisor().refresh_spans()

    def _set_span_hook(self, child: Child, wanted: bool) -> None:
        ref = child.ref
        if not isinstance(ref, ActorRef):
            return

        def handled(kind: MessageKind, message: str, seconds: float) -> None:
            span = HandlerSpan(*self._event(child, ref.serial), kind, message, seconds)
            self.hub.emit(span, span=True)

        on_handled(ref, handled if wanted else None)

    def _event(self, child: Child, serial: int) -> tuple[str, str, int, float]:
        """The first fields of an event about ``child``."""
        return self.ref.name, child.spec.id, serial, trio.current_time()

    def mailboxes(self) -> Iterator[MailboxGauge]:
        """The mailbox of each actor below that is alive, in start order."""
        for child in self.children():
            ref = child.ref
            if isinstance(ref, ActorRef):
                now = statistics(ref)
                yield MailboxGauge(
                    *self._event(child, ref.serial),
                    now.waiting,
                    None if now.capacity == maxsize else now.capacity,
                    now.high_water,
                    now.handled,
                    now.dropped,
                )
            if isinstance(ref, BaseSupervisorRef):
                yield from ref._base_supervisor().mailboxes()

    # -- start and exit of one child -------------------------------------------------------

    def launch(self, child: Child, state: ChildState) -> Incarnation:
        """Launch a new incarnation of ``child`` in our nursery and context. Raises StartError if it
        cannot be built.
        """
        nursery = self._incarnation.nursery
        if nursery is None:
            raise StartError(child.spec.id, "was started by a supervisor that is dead")
        child.cancel_retry()
        if state is ChildState.STARTING:
            child.failures = 0
        child.state = state
        child.incarnation = None
        child.stuck = False
        incarnation = build(child.spec)
        child.incarnation = incarnation
        if child.on_launch is not None:
            child.on_launch(incarnation)
        incarnation.on_started = lambda incarnation: self.child_started(child, incarnation)
        incarnation.on_exit = lambda incarnation: self.child_exited(child, incarnation)
        if self.hub.wants_spans():
            self._set_span_hook(child, True)
        init_timeout = child.spec.init_timeout
        if init_timeout != inf:
            deadline = trio.current_time() + init_timeout + STUCK_AFTER
            stuck = CallAt(incarnation.clock, deadline, lambda: self.report_stuck(child))
            child.limits = [stuck]
        incarnation.launch(nursery, init_timeout)
        return incarnation

    def child_started(self, child: Child, incarnation: Incarnation) -> None:
        """In the child's task, right after its init."""
        was = child.state
        if child.incarnation is incarnation:
            if was is not ChildState.STOPPING:
                child.disarm_limits()
            child.up_since = trio.current_time()
            if was is not ChildState.STOPPING:
                child.state = ChildState.RUNNING
        if self.hub.listening():
            event = self._event(child, incarnation.ref.serial)
            again = was is ChildState.RESTARTING
            self.hub.emit(Restarted(*event, child.restarts) if again else Started(*event))

    def child_exited(self, child: Child, incarnation: Incarnation) -> None:
        """In the child's exit path: report, decide, and leave a message if there is work."""
        reason = incarnation.reason or SHUTDOWN
        if incarnation.fatal is not None:
            self.leave(incarnation.fatal)
        if child.incarnation is not incarnation:
            return  # a late notice of an old incarnation changes nothing (14)
        child.disarm_limits()
        if self.hub.listening():
            self.hub.emit(self._stopped(child, incarnation, reason))
        was = child.state
        # Of the crashes below a supervisor, only the one that it gave up for concerns its parent.
        crash = incarnation.last_crash if incarnation.gave_up else None
        if isinstance(reason, Crash):
            crash = reason
        if crash is not None:
            self._incarnation.last_crash = crash
        if was is ChildState.STARTING:
            child.state = ChildState.STOPPED  # the starter sees the error; no report, no budget (3)
            return
        if not reason.expected:
            during = f" in {incarnation.last_message}" if incarnation.last_message else ""
            child.last_reason = f"{reason}{during}"
            brutal = child.spec.shutdown is BRUTAL_KILL and reason is KILLED
            if was is not ChildState.STOPPING:
                self.report("crash" if incarnation.started else "start_failed", child, reason)
            elif not brutal and incarnation.started:
                self.report("stop_failed", child, reason)
        if was is ChildState.STOPPING:
            child.state = ChildState.STOPPED
            if incarnation.gave_up and self._incarnation.status is Status.STOPPING:
                self._due[child] = None  # it gave up, which our own stop would hide
            return
        self._settle(child, incarnation, reason, was)

    def _stopped(self, child: Child, incarnation: Incarnation, reason: ExitReason) -> Stopped:
        crash = type(reason.exception).__qualname__ if isinstance(reason, Crash) else None
        return Stopped(
            *self._event(child, incarnation.ref.serial),
            reason.label,
            crash,
            reason.expected,
            trio.current_time() - child.up_since if incarnation.started else None,
        )

    def _settle(
        self, child: Child, incarnation: Incarnation, reason: ExitReason, was: ChildState
    ) -> None:
        decision = decide_restart(child.spec.restart, reason)
        failed_attempt = was is ChildState.RESTARTING and not incarnation.ignored
        if failed_attempt and decision is not RestartDecision.STOP_TREE:
            decision = RestartDecision.RESTART  # repeated whatever the attempt ended with
        if incarnation.ignored:
            decision = RestartDecision.KEEP_SPEC
        if decision is RestartDecision.RESTART:
            child.state = ChildState.RESTARTING
            self.restart_later(child, incarnation)
            return
        child.state = ChildState.STOPPED
        if decision is RestartDecision.DROP_SPEC:
            self.forget(child)
        elif decision is RestartDecision.KEEP_SPEC:
            self.kept(child)

    def kept(self, child: Child) -> None:
        """Called when a transient child has ended as expected, or a restarted one has declined."""

    def attempt_failed(self, child: Child, last: Incarnation | None, error: StartError) -> None:
        """A restart attempt could not build an incarnation: report it and try again, behind what
        waits in the mailbox (22). ``last`` is the incarnation before.
        """
        clear_finished_frames(error)
        crash = Crash(error)
        self._incarnation.last_crash = crash
        child.last_reason = str(crash)
        self.report("start_failed", child, crash)
        child.incarnation = last
        child.state = ChildState.RESTARTING
        self.restart_later(child, last)

    def restart_later(self, child: Child, incarnation: Incarnation | None) -> None:
        """Schedule the restart of this child: at once, or after its back-off."""
        backoff = child.spec.backoff
        if backoff is None:
            self._due[child] = None
            post(self.ref, ChildExit(child, incarnation))
            return
        now = trio.current_time()
        if (
            incarnation is not None
            and incarnation.started
            and now - child.up_since >= backoff.reset_after_s
        ):
            child.failures = 0
        child.up_since = inf
        child.failures += 1
        try:
            delay = backoff.delay(child.failures)
        except Exception as error:  # noqa: BLE001 - nothing may raise in an exit path
            logger.error("a back-off's random failed with %s", type(error).__qualname__)
            delay = backoff.bound(child.failures)
        child.restart_at = now + delay
        child.retry = self.send_at(child.restart_at, ChildExit(child, incarnation))

    def may_restart(self, child: Child) -> bool:
        """Count one automatic restart of ``child``. False if that exceeds the budget. Restarts with
        a back-off do not count.
        """
        child.cancel_retry()
        return child.spec.backoff is not None or self._window.admit(trio.current_time())

    def leave(self, fatal: Crash) -> None:
        """Stop in order and end with ``fatal``, whatever else happens meanwhile (75)."""
        incarnation = self._incarnation
        incarnation.note_fatal(fatal)
        if incarnation.status is not Status.STOPPING:
            incarnation.request_stop(fatal, trio.current_time() + incarnation.grace)

    def wants_restart(self, exit_: ChildExit) -> bool:
        """Whether this exit is still current, and its child to be restarted."""
        child = exit_.child
        if child.incarnation is not exit_.incarnation:
            return False  # it was started again meanwhile (14)
        self._due.pop(child, None)
        return child.state is ChildState.RESTARTING

    def settled_with(self, failed: Child) -> Iterable[Child]:
        """The children whose exits a restart of ``failed`` settles."""
        return (failed,)

    def settle_overtaken_exits(self) -> None:
        """At our own end, settle the exits that our stop has overtaken, and supervisors that gave
        up while they were being stopped. If the budget does not allow their restart, we give up
        too.
        """
        while self._due and not self._incarnation.gave_up:
            failed = next(iter(self._due))
            for child in self.settled_with(failed):
                self._due.pop(child, None)
            reason = failed.incarnation.reason if failed.incarnation is not None else None
            decision = RestartDecision.RESTART
            if reason is not None:
                decision = decide_restart(failed.spec.restart, reason)
            if decision is RestartDecision.RESTART and not self.may_restart(failed):
                self.give_up(failed)

    def give_up(self, child: Child) -> None:
        """Handle that the budget tripped on ``child``."""
        incarnation = self._incarnation
        incarnation.gave_up = True
        child.state = ChildState.STOPPED
        self.report("gave_up", child, incarnation.last_crash or SHUTDOWN)
        if self.hub.listening():
            serial = 0 if child.incarnation is None else child.incarnation.ref.serial
            self.hub.emit(GaveUp(*self._event(child, serial), child.restarts))

    # -- stop ------------------------------------------------------------------------------

    async def stop_child(self, child: Child) -> None:
        """Stop one child by its own shutdown setting and wait for its death."""
        incarnation = child.incarnation
        if incarnation is None or incarnation.reason is not None:
            child.cancel_retry()
            self._due.pop(child, None)
            child.state = ChildState.STOPPED
            return
        child.state = ChildState.STOPPING
        await self.kill_after(self.ask_to_stop(child), incarnation)
        await self.await_killed(child)

    async def kill_after(self, deadline: float, incarnation: Incarnation) -> None:
        """Wait for the end of ``incarnation`` until ``deadline``, then kill it."""
        if deadline > trio.current_time():
            with trio.move_on_at(deadline):
                await incarnation.wait_exit()
        incarnation.kill()

    def ask_to_stop(self, child: Child) -> float:
        """Send the stop request that fits the child; return the instant at which to kill it."""
        incarnation = child.incarnation
        if incarnation is None:
            return -inf
        shutdown = child.spec.shutdown
        # An actor in its init cannot take a request yet, and has nothing to terminate. A
        # supervisor in its init can, and has children that should stop in order.
        in_init = not incarnation.started and child.spec.type == "worker"
        if shutdown is BRUTAL_KILL or in_init or shutdown == 0:
            incarnation.kill()
            return -inf
        deadline = trio.current_time() + shutdown
        incarnation.request_stop(SHUTDOWN, deadline)
        return deadline

    async def await_killed(self, child: Child) -> None:
        """Wait for the end of a child that was killed. If it ignores the kill, report it as stuck
        and keep waiting: only the root's watchdog may end the process (70).
        """
        incarnation = child.incarnation
        if incarnation is None or incarnation.reason is not None:
            return
        with trio.move_on_after(STUCK_AFTER):
            await incarnation.wait_exit()
        if incarnation.reason is None:
            self.report_stuck(child)
            await incarnation.wait_exit()

    def report_stuck(self, child: Child) -> None:
        """Report once that ``child`` ignores its kill, unless it is dead by now."""
        if child.ref is not None and not child.stuck:
            child.stuck = True
            self.report("stuck", child, KILLED)

    def on_kill(self) -> None:
        killed = [child for child in self.children() if child.ref is not None]
        for child in killed:
            child.state = ChildState.STOPPING
            if child.incarnation is not None:
                child.incarnation.kill()
        if killed and not self._incarnation.killed:

            def report() -> None:
                for child in killed:
                    self.report_stuck(child)

            # Not awaited as in an ordered stop: our own task is being cancelled, and our nursery
            # waits for the children.
            self._incarnation.limit(trio.current_time() + STUCK_AFTER, report)

    # -- inspection ------------------------------------------------------------------------

    def which_children(self) -> tuple[ChildInfo, ...]:
        """All children in start order."""
        return tuple(
            ChildInfo(
                child.spec.id,
                child.ref if child.state is not ChildState.RESTARTING else None,
                child.state.value,
                child.spec.type,
                child.restarts,
                child.last_reason,
                child.restart_at,
            )
            for child in self.children()
        )

    def count_children(self) -> ChildCounts:
        """How many there are of each kind."""
        specs = active = supervisors = 0
        for child in self.children():
            specs += 1
            active += child.ref is not None and child.state is not ChildState.RESTARTING
            supervisors += child.spec.type == "supervisor"
        return ChildCounts(specs, active, supervisors, specs - supervisors)


class BaseSupervisorRef(ActorRef[Never]):
    """What the refs of all supervisors have in common. A supervisor takes no casts. Its mailbox is
    unbounded: a request never waits for room.
    """

    __slots__ = ()

    def which_children(self) -> tuple[ChildInfo, ...]:
        """All children in start order, as of now. Does not wait. Raises NoProc if we are dead."""
        return self._base_supervisor().which_children()

    def count_children(self) -> ChildCounts:
        """Specs, active, supervisors, workers, as of now. Raises NoProc if we are dead."""
        return self._base_supervisor().count_children()

    def subscribe(self, listener: Listener, *, spans: bool = False) -> Subscription:
        """Pass every telemetry event of what runs below to ``listener``, from now on; with
        ``spans``, also one :class:`HandlerSpan` per message that an actor handles, which costs that
        actor about 1.5 µs per message.

        The listener runs inside the actor's task: it must be quick and must not await. If it raises
        it is unsubscribed; see :mod:`locshare.supervisor.telemetry`. Raises NoProc if the
        supervisor is dead, TypeError for what is no function.
        """
        raise_if(bad_callable("listener", listener))
        return self._base_supervisor().hub.add(listener, spans)

    def mailboxes(self) -> tuple[MailboxGauge, ...]:
        """A gauge for the mailbox of every living actor below, supervisors included, in start
        order. Does not wait. Raises NoProc if the supervisor is dead.
        """
        return tuple(self._base_supervisor().mailboxes())

    async def stop(self, reason: ExitReason = SHUTDOWN, timeout: float = INFINITY) -> ExitReason:
        """Stop all children in order, then the supervisor; returns the reason after the end.

        As long as it takes, like OTP: each child has its own ``shutdown`` time. With ``timeout``
        (seconds), what still runs below when it has passed is killed, and the reason is ``killed``;
        CallTimeout only if something ignores its kill for another 5 s. Otherwise as
        :meth:`Ref.stop`; cancelling the wait takes neither the request nor its timeout back.

        CallToSelf in a handler of an actor below, whose end would be waited for. A plain task below
        and an actor's helper may call it: the stop cancels them.
        """
        if self._waits_for(current_task()):
            await raise_after_checkpoint(
                CallToSelf(f"{self.name} would wait for a task that waits for this one to end")
            )
        try:
            return await super().stop(reason, timeout)
        except CallTimeout:
            with trio.move_on_after(STUCK_AFTER):
                return await self.wait_exit()
            raise

    def _waits_for(self, task: Task) -> bool:
        """Whether ``task`` runs inside an actor below us."""
        ours, above = incarnation_of(self).task, [task]
        while above[-1] is not ours:
            nursery = above[-1].parent_nursery
            if nursery is None:
                return False
            above.append(nursery.parent_task)
        return any(_is_actor(each) for each in above)

    def _base_supervisor(self) -> BaseSupervisor:
        actor = actor_incarnation_of(self).actor
        if not isinstance(actor, BaseSupervisor):
            raise NoProc(self.name)
        return actor


def _is_actor(task: Task) -> bool:
    """Whether this is the task of an actor that is no supervisor."""
    incarnation = incarnation_in(task)
    return incarnation is not None and not incarnation.actor.hosts_children


def first_failure(child: Child) -> Exception | None:
    """The error for the starter of ``child``, or None if it has started or declined."""
    incarnation = child.incarnation
    return None if incarnation is None else start_failure(incarnation)


def to_itself(child: Ref) -> CallToSelf:
    """The error for an actor that would wait for its own end."""
    return CallToSelf(f"{child.name} cannot wait for its own end; return StopActor instead")
