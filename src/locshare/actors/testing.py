"""A kit for testing actors: a probe, commands for it, waits that explain themselves, a leak check.

::

    async def test_the_counter_reports_to_its_owner(autojump_clock):
        async with no_leaks(), open_actor_nursery() as actors:
            probe = Probe()
            owner = await actors.start(probe)
            counter = await actors.start(Counter(owner))
            counter.cast(Add(3))
            assert (await probe.expect(Total)).value == 3
            await crash(counter)
            (await probe.expect_call(Report)).reply("noted")

Every wait has a timeout on Trio's clock, so a mock clock makes a failing test fail at once. What
fails is an AssertionError that says what was awaited and what came instead. For trees there is
:mod:`locshare.supervisor.testing`.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, Literal, NamedTuple, TypeVar, cast

import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors.actor import Actor, InitResult
from locshare.actors.actor_ref import ActorRef
from locshare.actors.clock import CLOCK_TASK, current_clock
from locshare.actors.handlers import HandlerResult
from locshare.actors.reasons import NORMAL, ExitReason
from locshare.actors.ref import Ref
from locshare.actors.reply import IGNORE, NO_REPLY, ReplyTo, Request, StopActor

T = TypeVar("T")
R = TypeVar("R")

#: Seconds that a wait lasts unless the test says otherwise.
DEFAULT_TIMEOUT = 5.0


class Boom(Exception):
    """What a probe raises on command."""


# -- commands to a probe -------------------------------------------------------------------------


@dataclass(frozen=True)
class Echo(Request[object]):
    """Call: answered with its own value."""

    value: object = None


@dataclass(frozen=True)
class Raise(Request[None]):
    """Call or cast: the handler raises ``error``."""

    error: BaseException = field(default_factory=lambda: Boom("boom"))


@dataclass(frozen=True)
class Finish(Request[None]):
    """Call or cast: the actor stops itself with this reason."""

    reason: ExitReason = NORMAL


@dataclass(frozen=True)
class AddUp(Request[int]):
    """Call: add to a number in the actor's state; answered with the sum."""

    number: int = 0


@dataclass(frozen=True)
class Sleep(Request[object]):
    """Call: answered with ``value`` after ``seconds`` in the handler."""

    seconds: float
    value: object = None


@dataclass(frozen=True)
class Run(Request[object]):
    """Call or cast: the result of ``function(actor)``, awaited if it is async, is the handler's."""

    function: Callable[[Any], object]


class Journal:
    """What happened to one or more probes, line by line, over all their incarnations."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        """Add a line."""
        self.lines.append(line)

    def take(self) -> list[str]:
        """All lines since the last ``take``."""
        lines, self.lines = self.lines, []
        return lines


@dataclass
class Script:
    """How a probe behaves. Incarnations share it on purpose: it says what the *next* one does."""

    init_seconds: float = 0
    init_error: BaseException | None = None
    init_errors: list[BaseException | None] = field(default_factory=list)
    """For one init each, before ``init_error`` holds for all."""
    declines: bool = False
    """Whether init returns IGNORE."""
    terminate_seconds: float = 0
    terminate_error: BaseException | None = None
    shields: bool = False
    """Whether ``Sleep`` shields itself from cancellation."""


class Received(NamedTuple):
    """One message that a probe has received. ``reply_to`` is that of a call."""

    kind: Literal["call", "cast", "info"]
    message: object
    reply_to: ReplyTo[Any] | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.message!r}"


class NotReceived(AssertionError):
    """A probe did not receive in time what the test expects."""


class StillRunning(AssertionError):
    """An actor or task has not ended in time."""


class Leak(AssertionError):
    """Tasks or timers are left that were not there before."""


class Probe(Actor[Any]):
    """An actor that records what it receives, and does what commands and its script say.

    Casts and infos are recorded and do nothing. A call is recorded; it is answered at once if
    :meth:`answer` has set an answer for its type, otherwise by the test, through
    :meth:`expect_call`. The commands above are carried out and not recorded. The journal gets a
    line for each init, cast, info and the begin and end of ``terminate``.
    """

    def __init__(
        self, name: str = "probe", journal: Journal | None = None, script: Script | None = None
    ) -> None:
        self.name = name
        self.journal = Journal() if journal is None else journal
        self.script = Script() if script is None else script
        self.sum = 0
        #: All messages, in the order in which they were handled.
        self.received: list[Received] = []
        self._untaken: list[Received] = []
        self._arrived = trio.Event()
        self._answers: dict[type, object] = {}

    # -- for the test ----------------------------------------------------------------------

    def messages(self, kind: Literal["call", "cast", "info"] | None = None) -> list[object]:
        """The messages received so far, of one kind or of all."""
        return [each.message for each in self.received if kind in (None, each.kind)]

    def answer(self, request: type[Request[R]], value: R) -> None:
        """Answer every further call of this type with ``value``."""
        self._answers[request] = value

    async def expect(self, message: type[T], timeout: float = DEFAULT_TIMEOUT) -> T:
        """Wait for a message of this type and return it. Each message is taken once; others wait.

        Raises NotReceived, which lists what came. Cancelling the wait takes nothing.
        """
        return cast("T", (await self._take(message, timeout)).message)

    async def expect_call(
        self, request: type[Request[R]], timeout: float = DEFAULT_TIMEOUT
    ) -> ReplyTo[R]:
        """Wait for a call of this type and return its ReplyTo: ``reply`` or ``fail`` it; its
        ``request`` is the message. Raises NotReceived. Cancelling the wait takes nothing.
        """
        received = await self._take(request, timeout)
        if received.reply_to is None:
            raise NotReceived(f"{self.name} received {received}, which is no call")
        return received.reply_to

    def expect_nothing(self) -> None:
        """Raise NotReceived if a message was received that no ``expect`` has taken."""
        if self._untaken:
            raise NotReceived(f"{self.name} should have received nothing more; {self._came()}")

    async def _take(self, message: type, timeout: float) -> Received:
        with trio.move_on_after(timeout):
            await trio.lowlevel.checkpoint()
            while True:
                for received in self._untaken:
                    if isinstance(received.message, message):
                        self._untaken.remove(received)
                        return received
                await self._arrived.wait()
                self._arrived = trio.Event()
        wanted = message.__qualname__
        raise NotReceived(f"{self.name} did not receive {wanted} in {timeout:g} s; {self._came()}")

    def _came(self) -> str:
        if not self.received:
            return "it received nothing"
        untaken = ", ".join(map(str, self._untaken)) or "nothing"
        taken = len(self.received) - len(self._untaken)
        return f"it received {untaken}" + (f" (and {taken} taken before)" if taken else "")

    def _record(self, received: Received) -> None:
        self.received.append(received)
        self._untaken.append(received)
        self._arrived.set()

    # -- callbacks -------------------------------------------------------------------------

    async def init(self) -> InitResult:
        """Follow the script."""
        script = self.script
        self.journal.note(f"init {self.name}")
        if script.init_seconds:
            await trio.sleep(script.init_seconds)
        error = script.init_errors.pop(0) if script.init_errors else script.init_error
        if error is not None:
            raise error
        return IGNORE if script.declines else None

    async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        """Carry out a command; record anything else."""
        match request:
            case Echo(value):
                return value
            case Raise(error):
                raise error
            case Finish(reason):
                return StopActor(reason)
            case AddUp(number):
                self.sum += number
                return self.sum
            case Sleep(seconds, value):
                with trio.CancelScope(shield=self.script.shields):
                    await trio.sleep(seconds)
                return value
            case Run(function):
                result = function(self)
                return await result if isawaitable(result) else result
        self._record(Received("call", request, reply_to))
        return self._answers.get(type(request), NO_REPLY)

    def handle_cast(self, message: Any) -> HandlerResult:
        """Carry out a command; record anything else."""
        match message:
            case Raise(error):
                raise error
            case Finish(reason):
                return StopActor(reason)
            case Run(function):
                return cast("HandlerResult", function(self))
        self.journal.note(f"{self.name} cast {message}")
        self._record(Received("cast", message))
        return None

    def handle_info(self, message: Any) -> HandlerResult:
        """Record it."""
        self.journal.note(f"{self.name} info {message}")
        self._record(Received("info", message))
        return None

    async def terminate(self, reason: ExitReason) -> None:  # noqa: ARG002 - the runtime's hook
        """Follow the script."""
        self.journal.note(f"terminate {self.name}")
        if self.script.terminate_seconds:
            await trio.sleep(self.script.terminate_seconds)
        if self.script.terminate_error is not None:
            raise self.script.terminate_error
        self.journal.note(f"ended {self.name}")


# -- waits ---------------------------------------------------------------------------------------


async def settle() -> None:
    """Wait until every task waits for something."""
    await wait_all_tasks_blocked()


async def wait_down(ref: Ref, timeout: float = DEFAULT_TIMEOUT) -> ExitReason:
    """Wait for the end of ``ref`` and return the reason. Raises StillRunning after ``timeout``
    seconds. Cancelling the wait changes nothing for the actor.
    """
    with trio.move_on_after(timeout):
        return await ref.wait_exit()
    raise StillRunning(f"{ref!r} is still running after {timeout:g} s")


async def crash(
    ref: ActorRef, error: BaseException | None = None, timeout: float = DEFAULT_TIMEOUT
) -> ExitReason:
    """Make a probe crash, wait for its end and until everything that follows from it is done."""
    ref.cast(Raise() if error is None else Raise(error))
    reason = await wait_down(ref, timeout)
    await settle()
    return reason


async def finish(
    ref: ActorRef, reason: ExitReason = NORMAL, timeout: float = DEFAULT_TIMEOUT
) -> ExitReason:
    """Make a probe end itself, wait for its end and until everything that follows is done."""
    ref.cast(Finish(reason))
    ended = await wait_down(ref, timeout)
    await settle()
    return ended


# -- leaks ---------------------------------------------------------------------------------------


@asynccontextmanager
async def no_leaks() -> AsyncIterator[None]:
    """Check that the block leaves no task and no timer behind: actors, helpers, deadlines.

    Looks when every task waits for something. Raises Leak, which names the tasks; not if the block
    itself raises.
    """
    clock = current_clock()
    tasks, timers = _tasks(), clock.pending()
    yield
    await settle()
    more = Counter(task.name for task in _tasks() - tasks if task.name != CLOCK_TASK)
    left = clock.pending() - timers
    if more or left > 0:
        names = ", ".join(f"{name} ({count})" for name, count in more.items()) or "no task"
        raise Leak(f"left behind: {names}; {max(left, 0)} timers")


def _tasks() -> set[trio.lowlevel.Task]:
    root = trio.lowlevel.current_root_task()
    todo = [] if root is None else [root]
    found = set(todo)
    while todo:
        for nursery in todo.pop().child_nurseries:
            found |= nursery.child_tasks
            todo.extend(nursery.child_tasks)
    return found


__all__ = [
    "AddUp",
    "Boom",
    "Echo",
    "Finish",
    "Journal",
    "Leak",
    "NotReceived",
    "Probe",
    "Raise",
    "Received",
    "Run",
    "Script",
    "Sleep",
    "StillRunning",
    "crash",
    "finish",
    "no_leaks",
    "settle",
    "wait_down",
]
