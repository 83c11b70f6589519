"""The dynamic supervisor: any number of children of any kind, added and removed at run time.

Children do not depend on each other, so nothing waits in line: starts run concurrently (a slow
init delays no other child; ``max_children`` counts those still starting), restarts too, and a stop
asks all children at once, each with its own deadline (statement 43). No handler here awaits.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import NoneType
from typing import Any, ClassVar, TypeVar, cast, final

import trio
from trio.lowlevel import current_task

from locshare.actors import (
    NO_REPLY,
    SHUTDOWN,
    ActorRef,
    ExitReason,
    HandlerResult,
    InitResult,
    Name,
    NoReply,
    Ref,
    ReplyTo,
    Request,
    StartError,
    StopActor,
    on_call,
    on_info,
)
from locshare.actors.lowlevel import (
    CallAt,
    Incarnation,
    M,
    bad_type,
    incarnation_of,
    raise_after_checkpoint,
    raise_if,
)
from locshare.supervisor.backoff import Backoff
from locshare.supervisor.base import (
    STUCK_AFTER,
    BaseSupervisor,
    BaseSupervisorRef,
    first_failure,
    to_itself,
)
from locshare.supervisor.child import Child, ChildExit, ChildState
from locshare.supervisor.decide import Restart
from locshare.supervisor.errors import BadSpec, ChildNotFound, MaxChildren, SupervisorError
from locshare.supervisor.report import Reporter
from locshare.supervisor.spec import (
    DEFAULT_MAX_RESTARTS,
    DEFAULT_MAX_SECONDS,
    INFINITY,
    AnySpec,
    ChildSpec,
    ShutdownTime,
    bad_spec,
    check_budget,
    check_report,
    check_telemetry,
    is_count,
)
from locshare.supervisor.telemetry import Listener

T = TypeVar("T")


@final
@dataclass(frozen=True, slots=True)
class DynamicSpec:
    """A dynamic supervisor: children are added at run time. ``max_children`` None means any
    number; the rest as in :class:`SupervisorSpec`.
    """

    max_children: int | None = None
    max_restarts: int = DEFAULT_MAX_RESTARTS
    max_seconds: float = DEFAULT_MAX_SECONDS
    report: Reporter | None = None
    telemetry: Listener | None = None

    def __post_init__(self) -> None:
        if self.max_children is not None and not is_count(self.max_children):
            raise BadSpec("max_children", self.max_children, "None or a whole number ≥ 0")
        check_budget(self.max_restarts, self.max_seconds)
        check_report(self.report)
        check_telemetry(self.telemetry)

    def child(
        self,
        id: str,  # noqa: A002 - OTP's word
        *,
        restart: Restart = "permanent",
        shutdown: ShutdownTime = INFINITY,
        register: Name[Any] | None = None,
        backoff: Backoff | None = None,
    ) -> ChildSpec:
        """This supervisor as a child of another one."""
        return ChildSpec(
            id,
            DynamicSupervisor,
            (self,),
            restart=restart,
            shutdown=shutdown,
            type="supervisor",
            register=register,
            backoff=backoff,
        )


class DynamicSupervisorRef(BaseSupervisorRef):
    """The ref of a dynamic supervisor.

    The requests below wait as long as it takes: each is bounded by the child's own timeouts.
    They raise NoProc if the supervisor is dead and Exited if it ends meanwhile, TypeError for a
    bad argument, before anything is asked. Cancelling one does not take it back once it is being
    handled.
    """

    __slots__ = ()

    async def start_child(self, spec: AnySpec) -> Ref:
        """Start a child; returns its ref after its init. Ids need not be unique here.

        If init declines (IGNORE) the ref is dead and no child is kept. Raises MaxChildren,
        StartError (with the original exception as cause).
        """
        problem = bad_spec(spec)
        if problem is not None:
            await raise_after_checkpoint(problem)
        return await self.call(StartDynamic(spec), None)

    async def start_actor(self, spec: ChildSpec[M, *tuple[Any, ...]]) -> ActorRef[M]:
        """As :meth:`start_child`, typed for actors: the ref takes what the actor handles."""
        problem = bad_type("spec", spec, ChildSpec, hint="; start_child takes a TaskSpec too")
        if problem is not None:
            await raise_after_checkpoint(problem)
        return cast("ActorRef[M]", await self.call(StartDynamic(spec), None))

    async def terminate_child(self, ref: Ref | None) -> None:
        """Stop a child by its own shutdown setting and drop it, or call off its restart.
        Returns after its death. Raises ChildNotFound, also the second time, and CallToSelf in a
        handler of that child.

        While a child is being restarted it is found by the ref of its last incarnation and by
        that of the one whose init is under way. None, which a registry gives for a name without a
        holder, is not the ref of any child.
        """
        if ref is None:
            await raise_after_checkpoint(ChildNotFound("no such child here: there is no ref"))
        problem = bad_type("ref", ref, Ref)
        if problem is None and incarnation_of(ref).task is current_task():
            problem = to_itself(ref)
        if problem is not None:
            await raise_after_checkpoint(problem)
        await self.call(TerminateDynamic(ref), None)


@final
@dataclass(frozen=True, slots=True)
class StartDynamic(Request[Ref]):
    spec: AnySpec
    #: Called with the new incarnation in the supervisor's task, before its init.
    launched: Callable[[Incarnation], None] | None = None


@final
@dataclass(frozen=True, slots=True)
class TerminateDynamic(Request[None]):
    ref: Ref


class DynamicSupervisor(BaseSupervisor):
    """The actor behind a :class:`DynamicSupervisorRef`. Made by ``DynamicSpec.child``."""

    ref_type: ClassVar[type[ActorRef]] = DynamicSupervisorRef

    def __init__(self, spec: DynamicSpec | None = None) -> None:
        raise_if(bad_type("spec", spec, DynamicSpec, NoneType))
        spec = spec or DynamicSpec()
        super().__init__(spec.max_restarts, spec.max_seconds, spec.report, spec.telemetry)
        self._max_children = spec.max_children
        # By the serial of the last incarnation that has started: while a child is being restarted
        # it is still found by its old ref (42).
        self._children: dict[int, Child] = {}

    def children(self) -> Iterable[Child]:
        return tuple(self._children.values())

    def forget(self, child: Child) -> None:
        self._children.pop(child.key, None)

    def kept(self, child: Child) -> None:
        self.forget(child)  # it could not be started again: there are no ids here (12)

    # -- callbacks -------------------------------------------------------------------------

    def init(self) -> InitResult:
        self.inherit_hooks()
        return None

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        """Raise the errors of a request in its caller; the supervisor itself goes on."""
        if type(request) not in self._calls:
            return self.refuse(request, reply_to)
        try:
            return super().handle_call(request, reply_to)
        except (SupervisorError, StartError) as error:
            reply_to.fail(error)
            return NO_REPLY

    @on_info(ChildExit)
    def _restart_is_due(self, message: ChildExit) -> HandlerResult:
        return self._restart(message.child) if self.wants_restart(message) else None

    async def terminate(self, reason: ExitReason) -> None:
        """All at once, each with its own timer: the total is near the longest (43)."""
        del reason
        self.settle_overtaken_exits()
        deadlines = []
        for child in self.children():
            incarnation = child.incarnation
            if incarnation is not None and incarnation.reason is None:
                child.state = ChildState.STOPPING
                deadlines.append((self.ask_to_stop(child), incarnation, child))
        for deadline, incarnation, _ in sorted(deadlines, key=lambda each: each[0]):
            await self.kill_after(deadline, incarnation)
        for _, _, child in deadlines:
            await self.await_killed(child)
        self.settle_overtaken_exits()

    # -- start -----------------------------------------------------------------------------

    @on_call(StartDynamic)
    def _start_child(self, request: StartDynamic, reply_to: ReplyTo[Ref]) -> NoReply:
        if self._max_children is not None and len(self._children) >= self._max_children:
            raise MaxChildren(f"{self.ref.name} has {len(self._children)} children already")
        child = Child(request.spec)
        incarnation = self.launch(child, ChildState.STARTING)
        if request.launched is not None:
            request.launched(incarnation)
        child.starter = reply_to
        child.key = incarnation.ref.serial
        self._children[child.key] = child
        return NO_REPLY  # answered when init is over; if we die first, by our exit

    def child_started(self, child: Child, incarnation: Incarnation) -> None:
        super().child_started(child, incarnation)
        if child.key != incarnation.ref.serial and self._children.pop(child.key, None) is not None:
            child.key = incarnation.ref.serial
            self._children[child.key] = child
        starter, child.starter = child.starter, None
        if starter is not None:
            starter.reply(incarnation.ref)

    def child_exited(self, child: Child, incarnation: Incarnation) -> None:
        super().child_exited(child, incarnation)
        if child.state is ChildState.STOPPED:
            self.forget(child)
        starter, child.starter = child.starter, None
        if starter is not None:
            failure = first_failure(child)
            if failure is None:
                starter.reply(incarnation.ref)
            else:
                starter.fail(failure)
        stoppers, child.stoppers = child.stoppers, []
        for stopper in stoppers:
            stopper.reply(None)

    def _restart(self, child: Child) -> HandlerResult:
        if not self.may_restart(child):
            self.give_up(child)
            self.forget(child)
            return StopActor(SHUTDOWN)
        child.restarts += 1
        old = child.incarnation
        try:
            self.launch(child, ChildState.RESTARTING)
        except StartError as error:
            self.attempt_failed(child, old, error)
        return None

    # -- stop ------------------------------------------------------------------------------

    def _child_of(self, ref: Ref) -> Child | None:
        child = self._children.get(ref.serial)
        if child is not None:
            return child
        # Rare: before its init is over, a new incarnation is not in the table by its ref.
        return next((each for each in self._children.values() if each.ref is ref), None)

    @on_call(TerminateDynamic)
    def _terminate_child(
        self, request: TerminateDynamic, reply_to: ReplyTo[None]
    ) -> NoReply | None:
        child = self._child_of(request.ref)
        if child is None or child.incarnation is None:
            raise ChildNotFound("no such child here")
        incarnation = child.incarnation
        if incarnation.reason is not None:  # between two attempts
            child.cancel_retry()
            self._due.pop(child, None)
            child.state = ChildState.STOPPED
            self.forget(child)
            return None
        child.stoppers.append(reply_to)
        if child.state is not ChildState.STOPPING:
            child.state = ChildState.STOPPING
            deadline = self.ask_to_stop(child)
            now = trio.current_time()
            child.disarm_limits()
            child.limits = [
                CallAt(incarnation.clock, max(deadline, now), incarnation.kill),
                CallAt(
                    incarnation.clock,
                    max(deadline, now) + STUCK_AFTER,
                    lambda: self.report_stuck(child),
                ),
            ]
        return NO_REPLY
