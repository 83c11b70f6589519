"""Every refusal of the API, as problem details (RFC 9457) with a code that never changes.

``type`` is ``about:blank``, so ``title`` is the phrase of the status; ``code`` is what programs
look at and ``detail`` what people read. No detail quotes what a client sent, so a token or a
position cannot come back, or get into a log, by way of an error.
"""

import enum
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from locshare.http.types import Answer
from locshare.model.errors import LocshareError

CONTENT_TYPE: Final = "application/problem+json"


class Code(enum.Enum):
    """The stable codes (docs/reference/rest.md), each with its status and its usual detail."""

    BAD_REQUEST = (400, "the request makes no sense")
    MALFORMED_JSON = (400, "the body is not JSON")
    VALIDATION_FAILED = (400, "the body does not have the right fields")
    INVALID_ID = (400, "the session id is not a UUID")
    TOKEN_MISSING = (401, "a token is needed: Authorization: Bearer …")
    TOKEN_INVALID = (401, "the token is not accepted")
    FORBIDDEN = (403, "the token does not allow this")
    CROSS_SITE = (403, "a page of another origin may not do this")
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


class FieldError(Struct, frozen=True):
    """What is wrong with one field of a body. ``field`` is empty when it is the body itself."""

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


class Problem(LocshareError):
    """Raised by a handler to answer with ``code``. ``retry_after`` is in seconds."""

    def __init__(
        self,
        code: Code,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code.status} {code.name}")
        self.code = code
        self.detail = detail or code.detail
        self.errors = errors
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, retry_after))
        if code.status == HTTPStatus.UNAUTHORIZED:
            challenge = ', error="invalid_token"' if code is Code.TOKEN_INVALID else ""
            self.headers["WWW-Authenticate"] = f'Bearer realm="locshare"{challenge}'

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.code.status

    def answer(self) -> Answer:
        """The problem details as JSON, with the headers that go with them."""
        return Answer(self.status, self._body(), CONTENT_TYPE, self.headers)

    def _body(self) -> bytes:
        return msgspec.json.encode(
            ProblemDetails(
                title=HTTPStatus(self.status).phrase,
                status=self.status,
                code=self.code.name,
                detail=self.detail,
                errors=self.errors or UNSET,
            )
        )


_BY_STATUS: Final = {
    400: Code.BAD_REQUEST,
    401: Code.TOKEN_MISSING,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    408: Code.REQUEST_TIMEOUT,
    410: Code.SESSION_ENDED,
    413: Code.BODY_TOO_LARGE,
    414: Code.URI_TOO_LONG,
    415: Code.UNSUPPORTED_MEDIA_TYPE,
    417: Code.EXPECTATION_FAILED,
    421: Code.WRONG_HOST,
    429: Code.RATE_LIMITED,
    431: Code.HEADERS_TOO_LARGE,
    501: Code.NOT_IMPLEMENTED,
    503: Code.UNAVAILABLE,
    505: Code.HTTP_VERSION_NOT_SUPPORTED,
}


def code_for_status(status: int) -> Code:
    """The code of a refusal by the framework, which knows nothing but a status."""
    return _BY_STATUS.get(status, Code.BAD_REQUEST if status < 500 else Code.INTERNAL_ERROR)
