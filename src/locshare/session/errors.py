"""Errors of calls to sessions. The API and the connections translate them."""

import math

from locshare.model.errors import LocshareError
from locshare.model.reasons import EndReason


class SessionNotFound(LocshareError):
    """No session has this id."""


class SessionOver(LocshareError):
    """The session has ended. ``reason`` is None if it is no longer known."""

    def __init__(self, reason: EndReason | None = None) -> None:
        super().__init__(f"the session has ended ({reason or 'earlier'})")
        self.reason = reason


class SessionFull(LocshareError):
    """The session has ``limit`` participants, and may have no more."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the session is full ({limit} participants)")
        self.limit = limit


class SessionLocked(LocshareError):
    """The host has locked the session: only hosts join."""


class LinkReplaced(LocshareError):
    """The host has replaced the join link, and this is an old one."""


class Banned(LocshareError):
    """The host has banned the origin of this join."""


class ParticipantNotFound(LocshareError):
    """No participant of the session has this user_id, or they left."""


class SessionUnavailable(LocshareError):
    """The session could not answer in time. ``retry_after`` is in seconds."""

    def __init__(self, text: str = "the session did not answer in time") -> None:
        super().__init__(text)
        self.retry_after = 1


class SessionElsewhere(SessionUnavailable):
    """Another process owns the session; ``owner`` is its name."""

    def __init__(self, owner: str) -> None:
        super().__init__("the session is in another process")
        self.owner = owner


class TooManyJoins(SessionUnavailable):
    """The rate limit of joins is reached. ``retry_after`` is in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__("too many people join this session at once")
        self.retry_after = math.ceil(wait)
