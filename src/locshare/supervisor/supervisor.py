"""The static supervisor: children in a fixed order, three strategies.

A supervisor is an actor whose handlers start and stop children. It does one thing at a time, as
OTP's does: a start, a stop or a group restart is one handler, and other requests wait behind it.
Two things do not wait. A stop request interrupts a start that is under way (statement 36). And
after a failed restart attempt the supervisor returns to its mailbox before the next one, so that
it serves requests in between (22). Reading (``which_children``) never waits at all.

Choices that OTP leaves open: back-off between attempts for the children that ask for it
(:mod:`locshare.supervisor.backoff`); a group's restart waits as a whole for the child that caused
it, and starts the others in its range that still wait. There are no significant children.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar, final, get_args

import trio
from trio.lowlevel import current_task

from locshare.actors import (
    IGNORE,
    NO_REPLY,
    SHUTDOWN,
    ActorRef,
    ExitReason,
    HandlerResult,
    InitResult,
    Name,
    Ref,
    ReplyTo,
    Request,
    StartError,
    StopActor,
    on_call,
    on_info,
)
from locshare.actors.lowlevel import bad_type, incarnation_of, raise_after_checkpoint, raise_if
from locshare.supervisor.backoff import Backoff
from locshare.supervisor.base import BaseSupervisor, BaseSupervisorRef, first_failure, to_itself
from locshare.supervisor.child import Child, ChildExit, ChildState
from locshare.supervisor.decide import Plan, Restart, Strategy, plan
from locshare.supervisor.errors import (
    AlreadyPresent,
    AlreadyStarted,
    BadSpec,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    SupervisorError,
)
from locshare.supervisor.report import Reporter
from locshare.supervisor.spec import (
    DEFAULT_MAX_RESTARTS,
    DEFAULT_MAX_SECONDS,
    INFINITY,
    AnySpec,
    ChildSpec,
    ShutdownTime,
    TaskSpec,
    bad_spec,
    check_budget,
    check_report,
    check_telemetry,
    one_of,
)
from locshare.supervisor.telemetry import Listener


@final
@dataclass(frozen=True, slots=True, init=False)
class SupervisorSpec:
    """A static supervisor: children in start order, a strategy, a restart budget.

    ``max_restarts`` within ``max_seconds`` (inclusive), over all children together. ``report``
    gets the crash reports of this supervisor and those below it; the default is inherited.
    ``telemetry`` is subscribed before the first child starts, without handler spans; see
    :meth:`BaseSupervisorRef.subscribe`. Raises BadSpec.
    """

    children: tuple[AnySpec, ...]
    strategy: Strategy
    max_restarts: int
    max_seconds: float
    report: Reporter | None
    telemetry: Listener | None

    def __init__(
        self,
        children: Iterable[AnySpec] = (),
        *,
        strategy: Strategy = "one_for_one",
        max_restarts: int = DEFAULT_MAX_RESTARTS,
        max_seconds: float = DEFAULT_MAX_SECONDS,
        report: Reporter | None = None,
        telemetry: Listener | None = None,
    ) -> None:
        if not isinstance(children, Iterable):
            raise BadSpec("children", children, "a list of ChildSpec or TaskSpec objects")
        children = tuple(children)
        one_of("strategy", strategy, get_args(Strategy))
        check_budget(max_restarts, max_seconds)
        check_report(report)
        check_telemetry(telemetry)
        seen: set[str] = set()
        for child in children:
            if not isinstance(child, ChildSpec | TaskSpec):
                raise BadSpec("children", child, "ChildSpec or TaskSpec objects")
            if child.id in seen:
                raise BadSpec("id", child.id, "a different id for each child")
            seen.add(child.id)
        put = object.__setattr__
        put(self, "children", children)
        put(self, "strategy", strategy)
        put(self, "max_restarts", max_restarts)
        put(self, "max_seconds", max_seconds)
        put(self, "report", report)
        put(self, "telemetry", telemetry)

    def child(
        self,
        id: str,  # noqa: A002 - OTP's word
        *,
        restart: Restart = "permanent",
        shutdown: ShutdownTime = INFINITY,
        init_timeout: float = inf,
        register: Name[Any] | None = None,
        backoff: Backoff | None = None,
    ) -> ChildSpec:
        """This supervisor as a child of another one."""
        return ChildSpec(
            id,
            Supervisor,
            (self,),
            restart=restart,
            shutdown=shutdown,
            type="supervisor",
            init_timeout=init_timeout,
            register=register,
            backoff=backoff,
        )


@final
class SupervisorRef(BaseSupervisorRef):
    """The ref of a static supervisor.

    The requests below wait as long as it takes: each is bounded by the child's own timeouts.
    They raise NoProc if the supervisor is dead and Exited if it ends meanwhile, TypeError for a
    bad argument, before anything is asked. Cancelling one does not take it back once it is being
    handled.
    """

    __slots__ = ()

    async def start_child(self, spec: AnySpec) -> Ref:
        """Add a child at the end and start it; returns after its init.

        If init declines (IGNORE) the start still counts as success: the spec is kept (unless
        temporary) and the ref is dead. Raises AlreadyStarted (with
        the ref), AlreadyPresent, StartError; then no spec is stored.
        """
        await _check(bad_spec(spec))
        return await self.call(StartChild(spec), None)

    async def restart_child(self, id: str) -> Ref:  # noqa: A002 - OTP's word
        """Start a child that is present but not running; as :meth:`start_child` if init declines.
        Raises ChildNotFound, ChildRunning, ChildRestarting, StartError.
        """
        await _check(bad_type("id", id, str))
        return await self.call(RestartChild(id), None)

    async def terminate_child(self, id: str) -> None:  # noqa: A002 - OTP's word
        """Stop a child by its own shutdown setting, or call off its restart; returns after its
        death. Its spec is kept unless it is temporary. Raises ChildNotFound, and CallToSelf in a
        handler of that child.
        """
        await _check(bad_type("id", id, str) or self._to_itself(id))
        await self.call(TerminateChild(id), None)

    async def delete_child(self, id: str) -> None:  # noqa: A002 - OTP's word
        """Drop the spec of a child that is not running. Raises ChildNotFound, ChildRunning,
        ChildRestarting.
        """
        await _check(bad_type("id", id, str))
        await self.call(DeleteChild(id), None)

    def _to_itself(self, id: str) -> Exception | None:  # noqa: A002 - OTP's word
        child = self.child(id) if self.alive else None
        if child is not None and incarnation_of(child).task is current_task():
            return to_itself(child)
        return None

    def child(self, id: str) -> Ref | None:  # noqa: A002 - OTP's word
        """The ref of the child that runs under this id now, or None. Does not wait. Raises NoProc
        if we are dead.
        """
        return next((info.ref for info in self.which_children() if info.id == id), None)


async def _check(problem: Exception | None) -> None:
    """Raise what is wrong with an argument; a checkpoint only then."""
    if problem is not None:
        await raise_after_checkpoint(problem)


@final
@dataclass(frozen=True, slots=True)
class StartChild(Request[Ref]):
    spec: AnySpec


@final
@dataclass(frozen=True, slots=True)
class RestartChild(Request[Ref]):
    id: str


@final
@dataclass(frozen=True, slots=True)
class TerminateChild(Request[None]):
    id: str


@final
@dataclass(frozen=True, slots=True)
class DeleteChild(Request[None]):
    id: str


class _Interrupted(Exception):
    """A stop request waits: unwinds the handler that is starting a child."""


class Supervisor(BaseSupervisor):
    """The actor behind a :class:`SupervisorRef`. Made by ``SupervisorSpec.child`` and by
    ``run_root``; there is no need to subclass it.
    """

    ref_type: ClassVar[type[ActorRef]] = SupervisorRef

    def __init__(self, spec: SupervisorSpec) -> None:
        raise_if(bad_type("spec", spec, SupervisorSpec))
        super().__init__(spec.max_restarts, spec.max_seconds, spec.report, spec.telemetry)
        self._strategy = spec.strategy
        self._children = {child.id: Child(child) for child in spec.children}
        self._interrupt = trio.CancelScope()
        self._stop_requested = False

    def children(self) -> Iterable[Child]:
        return tuple(self._children.values())

    def forget(self, child: Child) -> None:
        if self._children.get(child.spec.id) is child:
            del self._children[child.spec.id]

    # -- callbacks -------------------------------------------------------------------------

    async def init(self) -> InitResult:
        self.inherit_hooks()
        try:
            for child in self.children():
                await self._start(child, ChildState.STARTING)
        except _Interrupted:
            self.settle_overtaken_exits()
            await self._stop_all()
            return IGNORE
        except BaseException as error:
            if not isinstance(error, trio.Cancelled):
                await self._stop_all()
            raise
        return None

    async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        """Raise the errors of a request in its caller; the supervisor itself goes on."""
        if type(request) not in self._calls:
            return self.refuse(request, reply_to)
        try:
            return await super().handle_call(request, reply_to)
        except (SupervisorError, StartError) as error:
            reply_to.fail(error)
        except _Interrupted:
            pass  # the stop in the system lane comes next; our end is the caller's answer
        return NO_REPLY

    @on_info(ChildExit)
    async def _restart_is_due(self, message: ChildExit) -> HandlerResult:
        if not self.wants_restart(message):
            return None
        try:
            return await self._restart(message.child)
        except _Interrupted:
            return None

    async def terminate(self, reason: ExitReason) -> None:
        del reason
        self.settle_overtaken_exits()
        await self._stop_all()
        self.settle_overtaken_exits()

    def on_stop_requested(self) -> None:
        self._stop_requested = True
        self._interrupt.cancel()

    # -- requests --------------------------------------------------------------------------

    @on_call(StartChild)
    async def _start_child(self, request: StartChild) -> Ref:
        spec = request.spec
        present = self._children.get(spec.id)
        if present is not None:
            if present.ref is not None:
                raise AlreadyStarted(spec.id, present.ref)
            raise AlreadyPresent(f"{spec.id} is present but not running")
        child = self._children[spec.id] = Child(spec)
        try:
            ref = await self._start(child, ChildState.STARTING)
        except StartError:
            self.forget(child)
            raise
        return ref

    @on_call(RestartChild)
    async def _restart_child(self, request: RestartChild) -> Ref:
        child = self._find(request.id)
        if child.state is ChildState.RESTARTING:
            raise ChildRestarting(f"{child.spec.id} is being restarted")
        if child.ref is not None:
            raise ChildRunning(f"{child.spec.id} is running")
        return await self._start(child, ChildState.STARTING)

    @on_call(TerminateChild)
    async def _terminate_child(self, request: TerminateChild) -> None:
        child = self._find(request.id)
        await self.stop_child(child)
        if child.spec.restart == "temporary":
            self.forget(child)

    @on_call(DeleteChild)
    async def _delete_child(self, request: DeleteChild) -> None:
        child = self._find(request.id)
        if child.state is ChildState.RESTARTING:
            raise ChildRestarting(f"{child.spec.id} is being restarted")
        if child.ref is not None:
            raise ChildRunning(f"{child.spec.id} is running")
        self.forget(child)

    def _find(self, id: str) -> Child:  # noqa: A002 - OTP's word
        child = self._children.get(id)
        if child is None:
            raise ChildNotFound(f"there is no child {id!r} here")
        return child

    # -- start, restart, stop --------------------------------------------------------------

    async def _start(self, child: Child, state: ChildState) -> Ref:
        """Start one child and wait for its init. Interrupted by a stop request."""
        if self._stop_requested:
            raise _Interrupted
        try:
            incarnation = self.launch(child, state)
        except StartError:
            if state is ChildState.STARTING:
                child.state = ChildState.STOPPED
            raise
        with trio.CancelScope() as self._interrupt:
            await incarnation.wait_started()
        if incarnation.reason is None and not incarnation.started:
            await self.stop_child(child)
            raise _Interrupted
        failure = first_failure(child)
        if failure is not None:
            raise failure
        if incarnation.ignored and child.spec.restart == "temporary":
            self.forget(child)
        return incarnation.ref

    def settled_with(self, failed: Child) -> Iterable[Child]:
        return (failed, *self._plan(failed).stop)

    def _plan(self, failed: Child) -> Plan[Child]:
        order = [(child, child.spec.restart) for child in self.children()]
        return plan(self._strategy, order, failed)

    async def _restart(self, failed: Child) -> HandlerResult:
        """One automatic restart attempt, of one child or of a group."""
        if not self.may_restart(failed):
            self.give_up(failed)
            return StopActor(SHUTDOWN)
        failed.restarts += 1
        steps = self._plan(failed)
        # Each step may wait, and children may end meanwhile: a temporary one is then dropped from
        # the table. So a round holds the children themselves and looks nothing up.
        for child in steps.stop:
            await self.stop_child(child)
        for child in steps.forget:
            self.forget(child)
        for child in steps.start:
            try:
                await self._start(child, ChildState.RESTARTING)
            except StartError as error:
                # If an incarnation was launched, its exit path has already left the message.
                if child.incarnation is None:
                    self.attempt_failed(child, None, error)
                return None
        return None

    async def _stop_all(self) -> None:
        """Reverse start order, the next only after the one before is dead (32)."""
        for child in reversed(tuple(self.children())):
            await self.stop_child(child)
