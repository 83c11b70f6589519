"""Exit reasons, and the errors that callers see.

Five reasons, as in OTP: ``normal``, ``shutdown`` (with or without a detail), ``killed``,
``noproc`` and a crash, which carries its exception. The first two kinds are *expected*; the rest
are *abnormal*, and that one distinction decides restarts, reports and links.

No text here contains a message, a state or the text of an exception: a reason names the type of its
exception. The exception itself is there for whatever needs more.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, final

from locshare.actors.checks import bad_type, raise_if


def bad_reason(reason: object) -> Exception | None:
    """A TypeError unless ``reason`` is an ExitReason, else None."""
    if isinstance(reason, ExitReason):
        return None
    hint = ": NORMAL, SHUTDOWN, Shutdown(detail) or Crash(exception)"
    return bad_type("reason", reason, ExitReason, hint=hint)


class ExitReason:
    """Base of the reasons. ``expected`` is False for what a supervisor calls abnormal."""

    __slots__ = ()
    expected: ClassVar[bool] = False
    label: ClassVar[str] = "unknown"  #: a short stable word for logs and metrics

    def __str__(self) -> str:
        return self.label


@final
@dataclass(frozen=True, slots=True)
class Normal(ExitReason):
    """The actor finished by its own decision. Use the constant :data:`NORMAL`."""

    expected = True
    label = "normal"

    __str__ = ExitReason.__str__


@final
@dataclass(frozen=True, slots=True)
class Shutdown(ExitReason):
    """The actor was asked to stop. ``Shutdown()`` is the constant :data:`SHUTDOWN`."""

    detail: object = None
    expected = True
    label = "shutdown"

    __str__ = ExitReason.__str__


@final
@dataclass(frozen=True, slots=True)
class Killed(ExitReason):
    """The actor was cancelled: a brutal kill, or a deadline that passed. Constant
    :data:`KILLED`.
    """

    label = "killed"

    __str__ = ExitReason.__str__


@final
@dataclass(frozen=True, slots=True)
class NoProcess(ExitReason):
    """The target was dead or unknown: the reason of a DOWN or of a failed call. Constant
    :data:`NOPROC`.
    """

    label = "noproc"

    __str__ = ExitReason.__str__


@final
@dataclass(frozen=True, slots=True, repr=False)
class Crash(ExitReason):
    """An exception left a handler. One exception group is one crash (statement 74).

    ``previous`` is the reason with which the actor was already ending when ``terminate`` crashed
    and replaced it (statement 69).
    """

    exception: BaseException
    previous: ExitReason | None = None
    label = "crash"

    def __post_init__(self) -> None:
        raise_if(bad_type("exception", self.exception, BaseException))

    def __repr__(self) -> str:
        return f"Crash({type(self.exception).__qualname__})"

    def __str__(self) -> str:
        return f"crash: {type(self.exception).__qualname__}"

    @property
    def fatal(self) -> bool:
        """True for KeyboardInterrupt and SystemExit (alone or inside a group), which are never
        restarted: they stop the whole tree, in order, and leave it (statement 75).
        """
        if isinstance(self.exception, BaseExceptionGroup):
            return self.exception.split(Exception)[1] is not None
        return not isinstance(self.exception, Exception)


NORMAL: Final = Normal()
SHUTDOWN: Final = Shutdown()
KILLED: Final = Killed()
NOPROC: Final = NoProcess()


class ActorError(Exception):
    """Base of the errors of this package."""


class ActorDown(ActorError):
    """The target was dead before (:class:`NoProc`) or died meanwhile (:class:`Exited`)."""

    def __init__(self, reason: ExitReason, target: str = "actor") -> None:
        super().__init__(f"{target} is down ({reason})")
        self.reason = reason
        self.target = target


class NoProc(ActorDown):
    """When the operation began the target was dead, or no actor held the name."""

    def __init__(self, target: str = "actor") -> None:
        super().__init__(NOPROC, target)


class Exited(ActorDown):
    """The target died while the operation waited. A crash is its ``__cause__``."""

    def __init__(self, reason: ExitReason, target: str = "actor") -> None:
        super().__init__(reason, target)
        if isinstance(reason, Crash):
            self.__cause__ = reason.exception


class CallTimeout(ActorError):
    """No reply within the timeout. Whether the server acted on the request is not known; a late
    reply is dropped (statement 46).
    """

    def __init__(self, seconds: float, target: str = "actor") -> None:
        super().__init__(f"{target} did not answer within {seconds:g} s")
        self.seconds = seconds
        self.target = target


class CallToSelf(ActorError):
    """An actor waits for itself, which would never end (statement 49)."""


class WrongThread(ActorError, RuntimeError):
    """An actor was used outside of the thread of its Trio run; nothing has changed. Use
    ``ref.from_thread`` there.
    """

    def __init__(self) -> None:
        super().__init__(
            "actors belong to the thread of their Trio run; from another one use ref.from_thread"
        )


class MailboxFull(ActorError):
    """A full mailbox with a dropping rule refused a call or pushed it out. As the cause of a crash:
    a mailbox with the rule STOP overflowed.
    """


class ActorReused(ActorError):
    """An actor object was started twice. Each incarnation needs a new object; otherwise the state
    that caused a crash would survive the restart (statement 13).
    """


class BadReturn(ActorError):
    """A callback returned something that is not one of its legal results (statement 51)."""


class UnhandledMessage(ActorError):
    """A call or cast reached an actor that does not handle it (statement 51)."""


class StartError(ActorError):
    """``child`` did not come up. The original exception, if there is one, is the ``__cause__``."""

    def __init__(self, child: str, problem: str = "did not start") -> None:
        super().__init__(f"{child} {problem}")
        self.child = child


class InitTimeout(StartError):
    """Init did not finish in time; the task has been cancelled and is gone (statement 4)."""
