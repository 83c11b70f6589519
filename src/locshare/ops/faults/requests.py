"""What can be asked of a server that was started with ``--faults``. Plain data, for both ends.

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
    """The handler raises on its ``nth`` message, of those of type ``message`` if one is given.
    ``times``: and so do the next incarnations.
    """

    path: str
    nth: Count = 1
    message: str | None = None
    times: Count = 1


class CrashNow(Request, frozen=True, tag="crash_now"):
    """Crash the handler with a message made for it, and answer with a :class:`Recovery`."""

    path: str


class Recovery(Struct, frozen=True):
    """``seconds`` from sending the message that crashed an actor to the moment at which the next
    incarnation, its init done, answered a question in its own task.
    """

    seconds: float


class Slow(Request, frozen=True, tag="slow"):
    """The handler takes ``seconds`` more for each of the next ``messages``; the others run on."""

    path: str
    seconds: Seconds
    messages: Count = 1


class Block(Request, frozen=True, tag="block"):
    """The handler holds the whole loop for ``seconds`` at its next message."""

    path: str
    seconds: Annotated[float, Meta(ge=0, le=MAX_BLOCK_SECONDS)]


class CrashTerminate(Request, frozen=True, tag="crash_terminate"):
    """``terminate`` of this child raises, the next time that it is called."""

    path: str


class FailStart(Request, frozen=True, tag="fail_start"):
    """The next ``times`` lives of this child raise in their init. Those of an actor whose
    supervisor gives up begin with that supervisor's next life, which has no faults.
    """

    path: str
    times: Count = 1


class FillMailbox(Request, frozen=True, tag="fill_mailbox"):
    """Suspend the actor, fill its mailbox to the bound, resume after ``seconds``. Answered then,
    with how many entries it took.
    """

    path: str
    seconds: Seconds


class SetBudget(Request, frozen=True, tag="set_budget"):
    """Another restart budget for this life of the supervisor at ``path``."""

    path: str
    max_restarts: Annotated[int, Meta(ge=0)]
    max_seconds: Annotated[float, Meta(gt=0)] = 5.0


class CrashTelling(Request, frozen=True, tag="crash_telling"):
    """The session raises in the middle of a flush (or of telling an event), after so many of its
    connections have been told.
    """

    session_id: str
    what: Literal["positions", "event"]
    after: Annotated[int, Meta(ge=0)] = 1


class KillConnection(Request, frozen=True, tag="kill_connection"):
    """Cancel the task of a participant's connection, now: no close frame is sent."""

    user_id: str


class CrashConnection(Request, frozen=True, tag="crash_connection"):
    """The task of a participant's connection raises at the next position that comes over it."""

    user_id: str


class CutStore(Request, frozen=True, tag="cut_store"):
    """The database's connections break, and nobody gets a new one, until ``restore_store``."""


class DelayStore(Request, frozen=True, tag="delay_store"):
    """All that the database says arrives ``seconds`` late, until ``restore_store``."""

    seconds: Seconds


class RestoreStore(Request, frozen=True, tag="restore_store"):
    """End ``cut_store`` and ``delay_store``."""


class LoseNames(Request, frozen=True, tag="lose_names"):
    """The registry loses its table, and whoever held a name is killed: what a crash of Elixir's
    registry does to those who are registered there. Ours is no process and cannot crash by itself.
    """


class SkewClock(Request, frozen=True, tag="skew_clock"):
    """The wall clock of the server is ``seconds`` off from now on, before (negative) or after."""

    seconds: Annotated[float, Meta(ge=-86_400 * 366, le=86_400 * 366)]


class PressMemory(Request, frozen=True, tag="press_memory"):
    """Hold so much memory for ``seconds``. Answered then; an asker who hangs up ends it."""

    mebibytes: Annotated[int, Meta(ge=1, le=MAX_MEBIBYTES)]
    seconds: Seconds


class Pending(Request, frozen=True, tag="pending"):
    """A list of sentences: the faults in force and those still to come."""


class Clear(Request, frozen=True, tag="clear"):
    """Take back what ``pending`` lists. What has happened has happened."""
