"""Children by failure mode, and the journal in which they write what happened to them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    IGNORE,
    NORMAL,
    Actor,
    ActorRef,
    Exited,
    ExitReason,
    HandlerResult,
    Ref,
    ReplyTo,
    Request,
    StopActor,
)
from locshare.supervisor import (
    ChildSpec,
    DynamicSupervisorRef,
    Report,
    RestartBudgetExceeded,
    SupervisorRef,
    SupervisorSpec,
    open_supervisor,
)

#: How often a test is repeated with Trio's scheduler unseeded, where the order could matter.
REPEATS = range(20)


class Boom(Exception):
    """What a child under test raises."""


@dataclass(frozen=True)
class Echo(Request[object]):
    """Answered with its own value."""

    value: object = None


@dataclass(frozen=True)
class Crash_(Request[None]):  # noqa: N801 - the reason is called Crash
    """The handler raises."""

    error: BaseException = field(default_factory=lambda: Boom("boom"))


@dataclass(frozen=True)
class Finish(Request[None]):
    """The actor stops itself with this reason."""

    reason: ExitReason = NORMAL


@dataclass(frozen=True)
class Remember(Request[int]):
    """Add to a number in the actor's state; answered with the sum."""

    number: int = 0


@dataclass(frozen=True)
class Work(Request[object]):
    """An async handler that takes its time."""

    seconds: float
    value: object = None


class Journal:
    """What happened, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.reports: list[Report] = []

    def note(self, line: str) -> None:
        self.lines.append(line)

    def take(self) -> list[str]:
        """All lines since the last `take`."""
        lines, self.lines = self.lines, []
        return lines

    def kinds(self) -> list[str]:
        return [report.kind for report in self.reports]


@dataclass
class Script:
    """How a child behaves. Shared by its incarnations on purpose: it says what the *next* does."""

    init_seconds: float = 0
    init_errors: list[BaseException | None] = field(default_factory=list)
    init_error: BaseException | None = None
    declines: bool = False
    terminate_seconds: float = 0
    terminate_error: BaseException | None = None
    shields: bool = False


class Probe(Actor):
    """A child that notes its life in the journal and does what its script and messages say."""

    def __init__(self, name: str, journal: Journal, script: Script | None = None) -> None:
        self.name = name
        self.journal = journal
        self.script = script or Script()

    async def init(self) -> Any:
        script = self.script
        self.sum = 0
        self.journal.note(f"init {self.name}")
        if script.init_seconds:
            await trio.sleep(script.init_seconds)
        error = script.init_errors.pop(0) if script.init_errors else script.init_error
        if error is not None:
            raise error
        return IGNORE if script.declines else None

    async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        match request:
            case Echo(value):
                return value
            case Crash_(error):
                raise error
            case Finish(reason):
                return StopActor(reason)
            case Remember(number):
                self.sum += number
                return self.sum
            case Work(seconds, value):
                with trio.CancelScope(shield=self.script.shields):
                    await trio.sleep(seconds)
                return value
        return super().handle_call(request, reply_to)

    def handle_cast(self, message: Any) -> HandlerResult:
        match message:
            case Crash_(error):
                raise error
            case Finish(reason):
                return StopActor(reason)
            case _:
                self.journal.note(f"{self.name} cast {message}")
        return None

    def handle_info(self, message: Any) -> HandlerResult:
        self.journal.note(f"{self.name} info {message}")
        return None

    async def terminate(self, reason: ExitReason) -> None:
        self.journal.note(f"terminate {self.name}")
        if self.script.terminate_seconds:
            await trio.sleep(self.script.terminate_seconds)
        if self.script.terminate_error is not None:
            raise self.script.terminate_error
        self.journal.note(f"ended {self.name}")


def probe(name: str, journal: Journal, script: Script | None = None, **options: Any) -> ChildSpec:
    """The spec of a Probe."""
    return ChildSpec(name, Probe, (name, journal, script), **options)


def at(sup: SupervisorRef, name: str) -> ActorRef:
    """The child that runs under this id now."""
    ref = sup.child(name)
    assert isinstance(ref, ActorRef)
    return ref


def static(ref: Ref | None) -> SupervisorRef:
    assert isinstance(ref, SupervisorRef)
    return ref


def dynamic(ref: Ref | None) -> DynamicSupervisorRef:
    assert isinstance(ref, DynamicSupervisorRef)
    return ref


async def crash(ref: ActorRef) -> None:
    """Make an actor crash and wait until whatever follows from it has been done."""
    ref.cast(Crash_())
    await ref.wait_exit()
    await settle()


async def finish(ref: ActorRef, reason: ExitReason = NORMAL) -> None:
    """Make an actor end itself and wait until whatever follows from it has been done."""
    ref.cast(Finish(reason))
    await ref.wait_exit()
    await settle()


async def settle() -> None:
    """Wait until every task waits for something."""
    await wait_all_tasks_blocked()


async def exit_of(work: Callable[[], Any]) -> ExitReason:
    """The reason that a call reports for a server that died under it."""
    try:
        await work()
    except Exited as error:
        return error.reason
    raise AssertionError("the call was answered")


@asynccontextmanager
async def doomed(spec: SupervisorSpec) -> AsyncIterator[SupervisorRef]:
    """A tree that gives up in, or after, the block; anything else fails the test."""
    try:
        async with open_supervisor(spec) as sup:
            yield sup
            await trio.sleep_forever()
    except RestartBudgetExceeded:
        return
    raise AssertionError("the root did not give up")
