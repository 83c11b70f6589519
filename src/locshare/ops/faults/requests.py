"""The requests of a server that was started with ``--faults``. Plain data, for both ends.

Paths are those of ``locshare top``. Seconds, unless a field says otherwise.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from locshare.ops.inspection.views import Request

MAX_SECONDS = 3600
MAX_BLOCK_SECONDS = 10
MAX_MEBIBYTES = 2048

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=MAX_SECONDS)]


class Crash(Request, frozen=True, tag="crash"):
    """The handler raises on its ``nth`` message, counting only those of type ``message`` if given,
    in this and the following incarnations, ``times`` in all.
    """

    path: str
    nth: Count = 1
    message: str | None = None
    times: Count = 1


class CrashNow(Request, frozen=True, tag="crash_now"):
    """Crash the actor with a poison message; the answer is a :class:`Recovery`."""

    path: str


class Recovery(Struct, frozen=True):
    """``seconds`` from the poison message until the next incarnation, after its init, answered a
    request in its own task.
    """

    seconds: float


class Slow(Request, frozen=True, tag="slow"):
    """The handler takes ``seconds`` more for each of the next ``messages``; other tasks run on."""

    path: str
    seconds: Seconds
    messages: Count = 1


class Block(Request, frozen=True, tag="block"):
    """The handler holds the whole loop for ``seconds`` at its next message."""

    path: str
    seconds: Annotated[float, Meta(ge=0, le=MAX_BLOCK_SECONDS)]


class CrashTerminate(Request, frozen=True, tag="crash_terminate"):
    """The next call of this child's ``terminate`` raises."""

    path: str


class FailStart(Request, frozen=True, tag="fail_start"):
    """The next ``times`` incarnations of this child raise in init. If its supervisor gives up, the
    supervisor's next incarnation starts the child without faults.
    """

    path: str
    times: Count = 1


class FillMailbox(Request, frozen=True, tag="fill_mailbox"):
    """Suspend the actor, fill its mailbox to the bound, resume after ``seconds``. The answer, sent
    then, is the number of entries added.
    """

    path: str
    seconds: Seconds


class SetBudget(Request, frozen=True, tag="set_budget"):
    """Change the restart budget of this incarnation of the supervisor at ``path``."""

    path: str
    max_restarts: Annotated[int, Meta(ge=0)]
    max_seconds: Annotated[float, Meta(gt=0)] = 5.0


class CrashTelling(Request, frozen=True, tag="crash_telling"):
    """The session raises in the middle of a flush or an event, after ``after`` of its receivers
    have got it.
    """

    session_id: str
    what: Literal["positions", "event"]
    after: Annotated[int, Meta(ge=0)] = 1


class KillConnection(Request, frozen=True, tag="kill_connection"):
    """Cancel the task of a participant's connection at once, without a close frame."""

    user_id: str


class CrashConnection(Request, frozen=True, tag="crash_connection"):
    """The task of a participant's connection raises at the next position it receives."""

    user_id: str


class CutStore(Request, frozen=True, tag="cut_store"):
    """Break the database's connections and refuse new ones until ``restore_store``."""


class DelayStore(Request, frozen=True, tag="delay_store"):
    """Delay everything that the database sends by ``seconds`` until ``restore_store``."""

    seconds: Seconds


class RestoreStore(Request, frozen=True, tag="restore_store"):
    """End ``cut_store`` and ``delay_store``."""


class LoseNames(Request, frozen=True, tag="lose_names"):
    """Clear the registry and kill every actor that held a name, as a crash of Elixir's registry
    does. Ours is a table, not a process, and cannot crash.
    """


class SkewClock(Request, frozen=True, tag="skew_clock"):
    """Add ``seconds`` (may be negative) to the server's wall clock."""

    seconds: Annotated[float, Meta(ge=-86_400 * 366, le=86_400 * 366)]


class PressMemory(Request, frozen=True, tag="press_memory"):
    """Hold ``mebibytes`` for ``seconds``, then answer. A client that hangs up ends it."""

    mebibytes: Annotated[int, Meta(ge=1, le=MAX_MEBIBYTES)]
    seconds: Seconds


class Pending(Request, frozen=True, tag="pending"):
    """Answered with the active and planned faults, one sentence each."""


class Clear(Request, frozen=True, tag="clear"):
    """Remove all faults that ``pending`` lists."""
