"""What can go wrong when someone asks for a session. The API and the connections translate it."""

import math

from locshare.model.errors import LocshareError
from locshare.wire.messages import EndReason


class SessionNotFound(LocshareError):
    """No session has this id."""


class SessionOver(LocshareError):
    """The session has ended. ``reason`` is None when it is not remembered why."""

    def __init__(self, reason: EndReason | None = None) -> None:
        super().__init__(f"the session has ended ({reason or 'earlier'})")
        self.reason = reason


class SessionFull(LocshareError):
    """The session has as many participants as it may have. ``limit`` is that number."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the session is full ({limit} participants)")
        self.limit = limit


class SessionLocked(LocshareError):
    """The host lets nobody else join."""


class Banned(LocshareError):
    """The host does not want this one back."""


class ParticipantNotFound(LocshareError):
    """Nobody in the session has this user_id, or they left it."""


class SessionUnavailable(LocshareError):
    """The session could not answer in time. ``retry_after`` is in seconds."""

    def __init__(self, text: str = "the session did not answer in time") -> None:
        super().__init__(text)
        self.retry_after = 1


class SessionElsewhere(SessionUnavailable):
    """Another process owns the session; ``owner`` is its name. It was perhaps moved just now."""

    def __init__(self, owner: str) -> None:
        super().__init__("the session is in another process")
        self.owner = owner


class TooManyJoins(SessionUnavailable):
    """So many people joined this session lately that the next must wait ``retry_after`` seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__("too many people join this session at once")
        self.retry_after = math.ceil(wait)
