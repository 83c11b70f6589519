"""Every refusal of the program as problem details (RFC 9457) with a code that never changes.

``type`` is ``about:blank``, so ``title`` is the phrase of the status; programs look at ``code``,
people read ``detail``. No detail of the public API quotes the client, so a token or a position
cannot come back, or get into a log, by way of an error.
"""

import enum
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from locshare.http.types import Response
from locshare.model.errors import LocshareError

CONTENT_TYPE: Final = "application/problem+json"

RETRY_AFTER_S: Final = 5
"""``Retry-After`` of a 503 whose cause names no time."""


class ProblemCode(enum.Enum):
    """The stable codes (docs/reference/rest.md), each with its status and its usual detail."""

    BAD_REQUEST = (400, "the request makes no sense")
    MALFORMED_JSON = (400, "the body is not JSON")
    VALIDATION_FAILED = (400, "the body does not have the right fields")
    INVALID_ID = (400, "the session id is not a UUID")
    TOKEN_MISSING = (401, "a token is needed: Authorization: Bearer …")
    TOKEN_INVALID = (401, "the token is not accepted")
    FORBIDDEN = (403, "the token does not allow this")
    CROSS_SITE = (403, "a page of another origin may not do this")
    LINK_REPLACED = (403, "the host has replaced the link: ask for the new one")
    BANNED = (403, "the host does not let you into this session")
    NOT_FOUND = (404, "there is nothing at this path")
    SESSION_NOT_FOUND = (404, "no such session")
    PARTICIPANT_NOT_FOUND = (404, "no such participant in this session")
    METHOD_NOT_ALLOWED = (405, "the method is not allowed here")
    REQUEST_TIMEOUT = (408, "the body did not arrive in time")
    SESSION_FULL = (409, "the session has as many participants as it may have")
    SESSION_LOCKED = (409, "the host has locked the session: nobody else can join")
    SESSION_ENDED = (410, "the session has ended")
    BODY_TOO_LARGE = (413, "the body is too large")
    URI_TOO_LONG = (414, "the path is too long")
    UNSUPPORTED_MEDIA_TYPE = (415, "the body must be application/json in UTF-8")
    EXPECTATION_FAILED = (417, "the only expectation that is met is 100-continue")
    WRONG_HOST = (421, "this server does not answer to that host name")
    RATE_LIMITED = (429, "too many requests from this address")
    HEADERS_TOO_LARGE = (431, "the request's head is too large")
    INTERNAL_ERROR = (500, "an internal error, which has been logged")
    NOT_IMPLEMENTED = (501, "this is not implemented")
    UNAVAILABLE = (503, "not possible now, come back later")
    HTTP_VERSION_NOT_SUPPORTED = (505, "this server speaks HTTP/1.1 (and 1.0) only")

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail


_RFC_9110_PHRASES: Final = {413: "Content Too Large", 414: "URI Too Long"}
"""Python before 3.13 has the phrases of older standards."""


def phrase_of(status: int) -> str:
    """The reason phrase of ``status``, "Unknown" for one that is not assigned."""
    if status in _RFC_9110_PHRASES:
        return _RFC_9110_PHRASES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class FieldError(Struct, frozen=True):
    """The fault of one field of a body. ``field`` is empty when it is the body itself."""

    field: str
    message: str


class ProblemDetails(Struct, frozen=True):
    """The body of a refusal. ``errors`` is there when fields are wrong."""

    title: str
    status: int
    code: str
    detail: str
    type: str = "about:blank"
    errors: tuple[FieldError, ...] | UnsetType = UNSET


def problem_body(status: int, code: str, detail: str, errors: tuple[FieldError, ...] = ()) -> bytes:
    """Problem details as JSON."""
    details = ProblemDetails(phrase_of(status), status, code, detail, errors=errors or UNSET)
    return msgspec.json.encode(details)


class HttpProblem(LocshareError):
    """Raised by a handler to respond with ``code``.

    ``retry_after`` is in seconds, at least 1; a 503 has :data:`RETRY_AFTER_S` without it.
    """

    def __init__(
        self,
        code: ProblemCode,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code.status} {code.name}")
        self.code = code
        self.detail = detail or code.detail
        self.errors = errors
        self.headers = dict(headers or {})
        if retry_after is None and code.status == HTTPStatus.SERVICE_UNAVAILABLE:
            retry_after = RETRY_AFTER_S
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, retry_after))
        if code.status == HTTPStatus.UNAUTHORIZED:
            challenge = ', error="invalid_token"' if code is ProblemCode.TOKEN_INVALID else ""
            self.headers["WWW-Authenticate"] = f'Bearer realm="locshare"{challenge}'

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.code.status

    def response(self) -> Response:
        """The problem details as JSON, with the headers that go with them."""
        body = problem_body(self.status, self.code.name, self.detail, self.errors)
        return Response(self.status, body, CONTENT_TYPE, self.headers)


_BY_STATUS: Final = {code.status: code for code in reversed(ProblemCode)}
"""The first code of each status, which is the general one."""


def code_for_status(status: int) -> ProblemCode:
    """The code of a refusal by the framework, which gives no more than a status."""
    return _BY_STATUS.get(
        status, ProblemCode.BAD_REQUEST if status < 500 else ProblemCode.INTERNAL_ERROR
    )
