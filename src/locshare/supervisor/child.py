"""One child of a supervisor, and what both kinds of supervisor have in common.

The table of children changes at two places only: in the supervisor's own task, and in the exit
path of a child (``BaseSupervisor.child_exited``, a plain function). So whoever reads it between two
checkpoints sees a table that is true. Nothing is *started* from an exit path: that would give the
new task the context of the dead one (statement 78). It only leaves a message.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from math import inf
from types import CoroutineType
from typing import Any, ClassVar, Final, Literal, Never, final

import trio

from locshare.actors import (
    NO_REPLY,
    SHUTDOWN,
    Actor,
    Crash,
    ExitReason,
    MailboxSpec,
    Ref,
    ReplyTo,
    StartError,
    Timer,
    UnhandledMessage,
)
from locshare.actors.clock import CallAt
from locshare.actors.frames import clear_finished_frames
from locshare.actors.incarnation import DEFAULT_GRACE, Incarnation, Status
from locshare.actors.loop import ActorIncarnation
from locshare.actors.mailbox import INFO
from locshare.actors.nursery import register_name, start_failure
from locshare.actors.reasons import KILLED
from locshare.actors.task import TaskIncarnation
from locshare.supervisor.decide import RestartDecision, decide_restart
from locshare.supervisor.errors import BadSpec
from locshare.supervisor.report import Kind, Report, Reporter, logger, reporter, send
from locshare.supervisor.spec import BRUTAL_KILL, AnySpec, ChildSpec, ChildType, ShutdownTime
from locshare.supervisor.window import RestartWindow

#: A child that is still there this many seconds after its kill is reported as stuck (70).
STUCK_AFTER: Final = 5.0


class ChildState(Enum):
    """Where a child stands, as its supervisor sees it."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    """Ended, and the next attempt to start it is still to come or under way."""
    STOPPING = "stopping"
    STOPPED = "stopped"


@final
class Child:
    """A spec, and the life that it has now or had last."""

    __slots__ = (
        "failures",
        "key",
        "last_reason",
        "life",
        "limits",
        "on_launch",
        "restart_at",
        "restarts",
        "retry",
        "spec",
        "starter",
        "state",
        "stoppers",
        "stuck",
        "up_since",
    )

    def __init__(self, spec: AnySpec) -> None:
        self.spec = spec
        self.life: Incarnation | None = None
        self.state = ChildState.STARTING
        self.restarts = 0
        #: Why a life last ended abnormally, in words: the exception itself is not kept.
        self.last_reason: str | None = None
        #: For a back-off: failures since it was last healthy, the end of its last init, and while
        #: it waits the next attempt's timer and its instant.
        self.failures = 0
        self.up_since = inf
        #: Whether this life has been reported as stuck.
        self.stuck = False
        self.retry: Timer | None = None
        self.restart_at: float | None = None
        #: Is shown each new life before it runs: see locshare.supervisor.inject.
        self.on_launch: Callable[[Incarnation], None] | None = None
        #: Dynamic supervisors: the key in their table, who waits for the start, who for the end.
        self.key = 0
        self.starter: Any = None
        self.stoppers: list[Any] = []
        self.limits: list[CallAt] = []

    @property
    def ref(self) -> Ref | None:
        """The ref of the living incarnation, or None."""
        life = self.life
        return life.ref if life is not None and life.reason is None else None

    def cancel_retry(self) -> None:
        """Do not wait for the next attempt any more. Safe to repeat."""
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None
            self.restart_at = None


@final
@dataclass(frozen=True, slots=True)
class ChildInfo:
    """One line of ``which_children``. ``ref`` is None unless it runs."""

    id: str
    ref: Ref | None
    state: Literal["starting", "running", "restarting", "stopping", "stopped"]
    type: ChildType
    restarts: int  #: automatic restart attempts so far
    last_reason: str | None  #: of the last abnormal end, such as "crash: ValueError in Join"
    restart_at: float | None = None
    """While a child with back-off waits: when it is started, of ``trio.current_time()``."""


@final
@dataclass(frozen=True, slots=True)
class ChildCounts:
    """The answer of ``count_children`` (statement 41)."""

    specs: int
    active: int
    supervisors: int
    workers: int


@final
@dataclass(frozen=True, slots=True)
class ChildExit:
    """To the supervisor's own mailbox: this life of this child has ended and wants a restart."""

    child: Child
    life: Incarnation | None


def grace_of(shutdown: ShutdownTime) -> float:
    """The time for ``terminate`` after a crash, when no stop request gives a deadline."""
    return DEFAULT_GRACE if shutdown is BRUTAL_KILL else shutdown


def build(spec: AnySpec) -> Incarnation:
    """A new incarnation, not yet launched. Raises StartError if that is not possible."""
    if not isinstance(spec, ChildSpec):
        return TaskIncarnation(
            spec.run,
            spec.args,
            name=spec.id,
            handshake=spec.handshake,
            grace=grace_of(spec.shutdown),
        )
    try:
        actor = _actor(spec.start(*spec.args))
        life = ActorIncarnation(actor, name=spec.id, heir=spec.heir, grace=grace_of(spec.shutdown))
    except Exception as error:
        raise StartError(spec.id, "could not be built") from error
    if spec.register is not None:
        try:
            register_name(spec.register, life)
        except Exception as error:
            raise StartError(spec.id, "could not take its name") from error
    return life


def _actor(made: object) -> Actor:
    if isinstance(made, Actor):
        return made
    if isinstance(made, CoroutineType):
        made.close()
    raise BadSpec("start", type(made).__name__, "a plain function that makes an Actor")


class BaseSupervisor(Actor[Never]):
    """Base of the supervisors: launch, exit, report, counting, kill.

    A kill is passed on to all children, and cancels whatever the supervisor itself waits for; it
    ends after they have.
    """

    mailbox: ClassVar[MailboxSpec] = MailboxSpec(capacity=None)
    hosts_children: ClassVar[bool] = True

    def __init__(self, max_restarts: int, max_seconds: float, report: Reporter | None) -> None:
        self._window = RestartWindow(max_restarts, max_seconds)
        self._report: Reporter | None = report
        # The children whose exits still wait in our mailbox to be acted on, in that order.
        self._due: dict[Child, None] = {}

    @abstractmethod
    def children(self) -> Iterable[Child]:
        """All children in start order."""

    @abstractmethod
    def forget(self, child: Child) -> None:
        """Drop a child and its spec."""

    # -- strangers -------------------------------------------------------------------------

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        """Refuse what is no request of ours: a stray one must not take a tree down (51)."""
        name = type(request).__qualname__
        reply_to.fail(UnhandledMessage(f"a supervisor does not handle the call {name}"))
        return NO_REPLY

    def handle_cast(self, message: Any) -> None:
        """Log and ignore: a supervisor takes no casts."""
        logger.warning("%s ignored a cast of type %s", self.ref.name, type(message).__qualname__)

    # -- reports ---------------------------------------------------------------------------

    def inherit_reporter(self) -> None:
        """First thing in init: hand our hook, or the inherited one, down to the children."""
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
        life.launch(nursery, child.spec.init_timeout)
        return life

    def child_started(self, child: Child, life: Incarnation) -> None:
        """In the child's task, right after its init."""
        if child.life is life and child.state is not ChildState.STOPPING:
            child.state = ChildState.RUNNING
            child.up_since = trio.current_time()

    def child_exited(self, child: Child, life: Incarnation) -> None:
        """In the child's exit path: report, decide, and leave a message if there is work."""
        reason = life.reason or SHUTDOWN
        if life.fatal is not None:
            self.leave(life.fatal)
        if child.life is not life:
            return  # a late notice from an old incarnation changes nothing (14)
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

    def _settle(self, child: Child, life: Incarnation, reason: ExitReason, was: ChildState) -> None:
        decision = decide_restart(child.spec.restart, reason)
        if (
            was is ChildState.RESTARTING
            and not life.ignored
            and decision is not RestartDecision.STOP_TREE
        ):
            decision = (
                RestartDecision.RESTART
            )  # an attempt that failed is repeated, whatever it ended with
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
            self._incarnation.mailbox.put_exempt(INFO, ChildExit(child, life))
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
            again = (
                reason is None
                or decide_restart(failed.spec.restart, reason) is RestartDecision.RESTART
            )
            if again and not self.may_restart(failed):
                self.give_up(failed)

    def give_up(self, child: Child) -> None:
        """The budget tripped on ``child``."""
        life = self._incarnation
        life.gave_up = True
        child.state = ChildState.STOPPED
        self.report("gave_up", child, life.last_crash or SHUTDOWN)

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


def first_failure(child: Child) -> Exception | None:
    """What the starter of ``child`` should see, or None if it came up or declined."""
    life = child.life
    return None if life is None else start_failure(life)
