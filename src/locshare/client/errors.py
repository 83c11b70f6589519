"""Errors of the client, each with whether reconnecting can help.

Invariant: no text of these errors holds a token or a position, so they may be logged.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from locshare.model.errors import LocshareError
from locshare.model.reasons import CloseReason, reason_of, should_reconnect

_MAX_RETRY_AFTER_S: Final = 3600.0
"""A longer ``Retry-After`` is cut to this."""


class ClientError(LocshareError):
    """Base of what this package raises. ``reconnect``: whether another attempt can succeed."""

    reconnect: bool = False


class Unreachable(ClientError):
    """No answer: nothing listens, the network failed, a timeout passed, or it was not HTTP."""

    reconnect = True


class ApiProblem(ClientError):
    """The server refused, with a status of 400 or more.

    ``code`` is the stable code of docs/reference/rest.md, empty when the answer had none (from a
    proxy, for example); ``retry_after`` is in seconds, None when the server named no time.
    """

    def __init__(self, status: int, code: str, detail: str, retry_after: float | None) -> None:
        super().__init__(f"{status} {code}: {detail}" if code else f"{status}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        self.reconnect = status in (408, 429) or status >= 500


class ConnectionRefused(ApiProblem):
    """The upgrade to a WebSocket was refused. 401, 403, 404 and 410 are final."""


class NotConnected(ClientError):
    """The connection has ended, so nothing can be sent on it."""

    def __init__(self, end: "End") -> None:
        super().__init__(end.text)
        self.end = end
        self.reconnect = end.reconnect


class End(Struct, frozen=True):
    """How a connection ended. ``reason`` is None for a close code that is not in the contract."""

    code: int
    reason: CloseReason | None

    @classmethod
    def of(cls, code: int) -> "End":
        """The end with close code ``code``."""
        return cls(code, reason_of(code))

    @property
    def reconnect(self) -> bool:
        """Whether to reconnect with the same token; of an unknown code its range says it."""
        return should_reconnect(self.code)

    @property
    def text(self) -> str:
        """One line for people."""
        return f"closed with {self.code}" if self.reason is None else self.reason.text


class _Details(Struct, frozen=True):
    code: str = ""
    detail: str = ""
    title: str = ""


P = TypeVar("P", bound=ApiProblem)


def problem_of(status: int, headers: Mapping[str, str], body: bytes, kind: type[P]) -> P:
    """The refusal in an HTTP response. ``headers`` has lower-case names. Never raises."""
    try:
        details = msgspec.json.decode(body, type=_Details)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        details = _Details()
    return kind(
        status,
        details.code,
        details.detail or details.title or "no details",
        retry_after_of(headers.get("retry-after")),
    )


def retry_after_of(value: str | None, now: datetime | None = None) -> float | None:
    """``Retry-After`` in seconds from ``now``: a number, or a date of HTTP. None if unusable."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return min(float(value[:9]), _MAX_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a number beyond all dates
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    seconds = (at - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S)
