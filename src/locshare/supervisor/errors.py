"""The errors of supervisors: few, typed, named for the situation."""

from locshare.actors import ActorError, Ref


class SupervisorError(ActorError):
    """Base of the errors below."""


class BadSpec(SupervisorError, ValueError):
    """A spec or flag is wrong; nothing was started. ``field`` names it."""

    def __init__(self, field: str, value: object, legal: str) -> None:
        super().__init__(f"{field}: {value!r} is not allowed; it must be {legal}")
        self.field = field


class AlreadyStarted(SupervisorError):
    """A child with this id is running: ``ref``."""

    def __init__(self, child: str, ref: Ref) -> None:
        super().__init__(f"{child} is already running")
        self.ref = ref


class AlreadyPresent(SupervisorError):
    """A child with this id is present but not running; ``restart_child`` starts it."""


class ChildNotFound(SupervisorError):
    """No such child here."""


class ChildRunning(SupervisorError):
    """The operation needs a child that is not running."""


class ChildRestarting(SupervisorError):
    """The child is between two attempts to restart it."""


class MaxChildren(SupervisorError):
    """The dynamic supervisor is full; nothing was started."""


class RestartBudgetExceeded(SupervisorError):
    """The root gave up: more restarts than its budget allows. The last crash is the cause."""


class RootFailed(SupervisorError):
    """The root ended in another way that is not an ordinary stop."""
