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
from locshare.supervisor.report import Kind, Report, Reporter, logger, reporter, send
from locshare.supervisor.spec import BRUTAL_KILL, INFINITY
from locshare.supervisor.telemetry import Hub, Listener, Subscription, current_hub
from locshare.supervisor.window import RestartWindow

#: A child that is still there this many seconds after its kill is reported as stuck (70).
STUCK_AFTER: Final = 5.0


class BaseSupervisor(Actor[Never]):
    """Base of the supervisors: launch, exit, report, counting, kill.

    A kill is passed on to all children, and cancels whatever the supervisor itself waits for; it
    ends after they have.
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
        self.hub = Hub(current_hub.get(), self._listener_was_fatal, self.refresh_spans)
        if telemetry is not None:
            self.hub.add(telemetry, spans=False)
        # The children whose exits still wait in our mailbox to be acted on, in that order.
        self._due: dict[Child, None] = {}

    @abstractmethod
    def children(self) -> Iterable[Child]:
        """All children in start order."""

    @abstractmethod
    def forget(self, child: Child) -> None:
        """Drop a child and its spec."""

    # -- strangers -------------------------------------------------------------------------

    def refuse(self, request: object, reply_to: ReplyTo[Any]) -> NoReply:
        """Refuse an unknown request: a stray one must not take a tree down (51)."""
        name = type(request).__qualname__
        reply_to.fail(UnhandledMessage(f"a supervisor does not handle the call {name}"))
        return NO_REPLY

    def handle_cast(self, message: Any) -> None:
        """Log and ignore: a supervisor takes no casts."""
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

    def report(self, kind: Kind, child: Child, reason: ExitReason) -> None:
        """Tell our hook about ``child``."""
        life = child.life
        hook = self._report
        if hook is None:
            return
        if life is None:
            report = Report(kind, self.ref.name, child.spec.id, 0, reason)
        else:
            report = Report(
                kind,
                self.ref.name,
                child.spec.id,
                life.ref.serial,
                reason,
                life.last_message,
                life.last_events,
                life.details,
            )
        fatal = send(hook, report)
        if fatal is not None:
            self.leave(Crash(fatal))

    # -- telemetry -------------------------------------------------------------------------

    def _listener_was_fatal(self, error: BaseException) -> None:
        self.leave(Crash(error))

    def refresh_spans(self) -> None:
        """Give every actor below a hook for its spans if anybody wants them, else take it out."""
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
        """Begin a new life of ``child`` in our nursery and context. StartError if it cannot even
        be built.
        """
        nursery = self._incarnation.nursery
        if nursery is None:
            raise StartError(child.spec.id, "was started by a supervisor that is dead")
        child.cancel_retry()
        if state is ChildState.STARTING:
            child.failures = 0
        child.state = state
        child.life = None
        child.stuck = False
        life = build(child.spec)
        child.life = life
        if child.on_launch is not None:
            child.on_launch(life)
        life.on_started = lambda life: self.child_started(child, life)
        life.on_exit = lambda life: self.child_exited(child, life)
        if self.hub.wants_spans():
            self._set_span_hook(child, True)
        life.launch(nursery, child.spec.init_timeout)
        return life

    def child_started(self, child: Child, life: Incarnation) -> None:
        """In the child's task, right after its init."""
        was = child.state
        if child.life is life:
            child.up_since = trio.current_time()
            if was is not ChildState.STOPPING:
                child.state = ChildState.RUNNING
        if self.hub.listening():
            event = self._event(child, life.ref.serial)
            again = was is ChildState.RESTARTING
            self.hub.emit(Restarted(*event, child.restarts) if again else Started(*event))

    def child_exited(self, child: Child, life: Incarnation) -> None:
        """In the child's exit path: report, decide, and leave a message if there is work."""
        reason = life.reason or SHUTDOWN
        if life.fatal is not None:
            self.leave(life.fatal)
        if child.life is not life:
            return  # a late notice from an old incarnation changes nothing (14)
        if self.hub.listening():
            self.hub.emit(self._stopped(child, life, reason))
        was = child.state
        # Of what a supervisor has lived through, only what it gave up for is its parent's concern.
        crash = reason if isinstance(reason, Crash) else life.last_crash if life.gave_up else None
        if crash is not None:
            self._incarnation.last_crash = crash
        if was is ChildState.STARTING:
            child.state = ChildState.STOPPED  # the starter is told; no report, no budget (3)
            return
        if not reason.expected:
            during = f" in {life.last_message}" if life.last_message else ""
            child.last_reason = f"{reason}{during}"
            brutal = child.spec.shutdown is BRUTAL_KILL and reason is KILLED
            if was is not ChildState.STOPPING:
                self.report("crash" if life.started else "start_failed", child, reason)
            elif not brutal and life.started:
                self.report("stop_failed", child, reason)
        if was is ChildState.STOPPING:
            child.state = ChildState.STOPPED
            if life.gave_up and self._incarnation.status is Status.STOPPING:
                self._due[child] = None  # it gave up all the same, and our own stop hid that
            return
        self._settle(child, life, reason, was)

    def _stopped(self, child: Child, life: Incarnation, reason: ExitReason) -> Stopped:
        crash = type(reason.exception).__qualname__ if isinstance(reason, Crash) else None
        return Stopped(
            *self._event(child, life.ref.serial),
            reason.label,
            crash,
            reason.expected,
            trio.current_time() - child.up_since if life.started else None,
        )

    def _settle(self, child: Child, life: Incarnation, reason: ExitReason, was: ChildState) -> None:
        decision = decide_restart(child.spec.restart, reason)
        failed_attempt = was is ChildState.RESTARTING and not life.ignored
        if failed_attempt and decision is not RestartDecision.STOP_TREE:
            decision = RestartDecision.RESTART  # repeated whatever the attempt ended with
        if life.ignored:
            decision = RestartDecision.KEEP_SPEC
        if decision is RestartDecision.RESTART:
            child.state = ChildState.RESTARTING
            self.restart_later(child, life)
            return
        child.state = ChildState.STOPPED
        if decision is RestartDecision.DROP_SPEC:
            self.forget(child)
        elif decision is RestartDecision.KEEP_SPEC:
            self.kept(child)

    def kept(self, child: Child) -> None:
        """A transient child has ended as expected, or a restarted one has declined."""

    def attempt_failed(self, child: Child, last: Incarnation | None, error: StartError) -> None:
        """A restart attempt did not even begin a life: report it and try again, after whatever
        waits in the mailbox (22). ``last`` is the life before.
        """
        clear_finished_frames(error)
        crash = Crash(error)
        self._incarnation.last_crash = crash
        child.last_reason = str(crash)
        self.report("start_failed", child, crash)
        child.life = last
        child.state = ChildState.RESTARTING
        self.restart_later(child, last)

    def restart_later(self, child: Child, life: Incarnation | None) -> None:
        """Come back to this exit when its restart is due: at once, or after the back-off."""
        backoff = child.spec.backoff
        if backoff is None:
            self._due[child] = None
            post(self.ref, ChildExit(child, life))
            return
        now = trio.current_time()
        if life is not None and life.started and now - child.up_since >= backoff.reset_after_s:
            child.failures = 0
        child.up_since = inf
        child.failures += 1
        try:
            delay = backoff.delay(child.failures)
        except Exception as error:  # noqa: BLE001 - this may be an exit path: nothing may break it
            logger.error("a back-off's random failed with %s", type(error).__qualname__)
            delay = backoff.bound(child.failures)
        child.restart_at = now + delay
        child.retry = self.send_at(child.restart_at, ChildExit(child, life))

    def may_restart(self, child: Child) -> bool:
        """Count one automatic restart of ``child``. False if that is one too many. What has a
        back-off costs nothing: it paces itself.
        """
        child.cancel_retry()
        return child.spec.backoff is not None or self._window.admit(trio.current_time())

    def leave(self, fatal: Crash) -> None:
        """Stop in order and end with ``fatal``, whatever else happens on the way (75)."""
        life = self._incarnation
        life.note_fatal(fatal)
        if life.status is not Status.STOPPING:
            life.request_stop(fatal, trio.current_time() + life.grace)

    def wants_restart(self, exit_: ChildExit) -> bool:
        """Whether this exit, whose turn has come, is still news, and its child to be restarted."""
        child = exit_.child
        if child.life is not exit_.life:
            return False  # somebody has started it again meanwhile: old news (14)
        self._due.pop(child, None)
        return child.state is ChildState.RESTARTING

    def settled_with(self, failed: Child) -> Iterable[Child]:
        """Those whose exits are settled by a restart of ``failed``."""
        return (failed,)

    def settle_overtaken_exits(self) -> None:
        """In our own end: exits that a stop has overtaken, and supervisors that gave up while they
        were being stopped. If the budget did not allow to restart them, we have given up too.
        """
        while self._due and not self._incarnation.gave_up:
            failed = next(iter(self._due))
            for child in self.settled_with(failed):
                self._due.pop(child, None)
            reason = failed.life.reason if failed.life is not None else None
            decision = RestartDecision.RESTART
            if reason is not None:
                decision = decide_restart(failed.spec.restart, reason)
            if decision is RestartDecision.RESTART and not self.may_restart(failed):
                self.give_up(failed)

    def give_up(self, child: Child) -> None:
        """The budget tripped on ``child``."""
        life = self._incarnation
        life.gave_up = True
        child.state = ChildState.STOPPED
        self.report("gave_up", child, life.last_crash or SHUTDOWN)
        if self.hub.listening():
            serial = 0 if child.life is None else child.life.ref.serial
            self.hub.emit(GaveUp(*self._event(child, serial), child.restarts))

    # -- stop ------------------------------------------------------------------------------

    async def stop_child(self, child: Child) -> None:
        """Stop one child by its own shutdown setting and wait for its death."""
        life = child.life
        if life is None or life.reason is not None:
            child.cancel_retry()
            self._due.pop(child, None)
            child.state = ChildState.STOPPED
            return
        child.state = ChildState.STOPPING
        await self.kill_after(self.ask_to_stop(child), life)
        await self.await_killed(child)

    async def kill_after(self, deadline: float, life: Incarnation) -> None:
        """Wait for the end of ``life`` until ``deadline``, then kill it."""
        if deadline > trio.current_time():
            with trio.move_on_at(deadline):
                await life.wait_exit()
        life.kill()

    def ask_to_stop(self, child: Child) -> float:
        """Send the request that fits the child; return the instant at which patience ends."""
        life = child.life
        if life is None:
            return -inf
        shutdown = child.spec.shutdown
        # An actor in its init cannot take a request yet, and has nothing to terminate. A
        # supervisor in its init can, and has children that should stop in order.
        in_init = not life.started and child.spec.type == "worker"
        if shutdown is BRUTAL_KILL or in_init or shutdown == 0:
            life.kill()
            return -inf
        deadline = trio.current_time() + shutdown
        life.request_stop(SHUTDOWN, deadline)
        return deadline

    async def await_killed(self, child: Child) -> None:
        """Wait for the death of a child that was killed. If it ignores that, say so, and wait
        on: only the root's watchdog may end the process (70).
        """
        life = child.life
        if life is None or life.reason is not None:
            return
        with trio.move_on_after(STUCK_AFTER):
            await life.wait_exit()
        if life.reason is None:
            self.report_stuck(child)
            await life.wait_exit()

    def report_stuck(self, child: Child) -> None:
        """Say once that ``child`` ignores its kill, unless it is dead after all."""
        if child.ref is not None and not child.stuck:
            child.stuck = True
            self.report("stuck", child, KILLED)

    def on_kill(self) -> None:
        killed = [child for child in self.children() if child.ref is not None]
        for child in killed:
            child.state = ChildState.STOPPING
            if child.life is not None:
                child.life.kill()
        if killed and not self._incarnation.killed:

            def say() -> None:
                for child in killed:
                    self.report_stuck(child)

            # Not awaited like those that are stopped one by one: our own task is being cancelled,
            # and only our nursery waits for them.
            self._incarnation.limit(trio.current_time() + STUCK_AFTER, say)

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
    """What the refs of all supervisors can do. A supervisor takes no casts, and its mailbox has
    no bound: a request never waits for room.
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
        (seconds), whoever below is still there when it has passed is killed, and the reason is
        ``killed``; CallTimeout only if something ignores its kill for another 5 s. Otherwise as
        :meth:`Ref.stop`; cancelling the wait takes neither the request nor its timeout back.

        CallToSelf in a handler of an actor below, whose end would be waited for. A plain task below
        and an actor's helper may call it: the stop cancels them.
        """
        if self._waits_for(current_task()):
            await raise_after_checkpoint(
                CallToSelf(f"{self.name} would wait for the end of who waits for its own")
            )
        try:
            return await super().stop(reason, timeout)
        except CallTimeout:
            with trio.move_on_after(STUCK_AFTER):
                return await self.wait_exit()
            raise

    def _waits_for(self, task: Task) -> bool:
        """Whether an actor somewhere below us is at work in ``task``."""
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
    life = incarnation_in(task)
    return life is not None and not life.actor.hosts_children


def first_failure(child: Child) -> Exception | None:
    """What the starter of ``child`` should see, or None if it came up or declined."""
    life = child.life
    return None if life is None else start_failure(life)


def to_itself(child: Ref) -> CallToSelf:
    """The error of a child that would wait for its own end."""
    return CallToSelf(f"{child.name} cannot wait for its own end; return StopActor instead")
