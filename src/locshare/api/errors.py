"""The one place that knows how each error of a handler is answered."""

from typing import Final

import trio
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from locshare.auth.tokens import TokenExpired, TokenInvalid
from locshare.http.problems import Code, Problem, code_for_status
from locshare.session.errors import (
    Banned,
    ParticipantNotFound,
    SessionFull,
    SessionLocked,
    SessionNotFound,
    SessionOver,
    SessionUnavailable,
)
from locshare.store.port import StoreUnavailable

_PLAIN: Final[dict[type[Exception], Code]] = {
    SessionNotFound: Code.SESSION_NOT_FOUND,
    ParticipantNotFound: Code.PARTICIPANT_NOT_FOUND,
    SessionLocked: Code.SESSION_LOCKED,
    Banned: Code.BANNED,
    SessionOver: Code.SESSION_ENDED,
    TokenExpired: Code.SESSION_ENDED,  # a token lives exactly as long as its session
    TokenInvalid: Code.TOKEN_INVALID,
}
"""Those of which nothing more is to be said."""

EXPECTED: Final[tuple[type[Exception], ...]] = (
    *_PLAIN, Problem, SessionFull, StoreUnavailable, SessionUnavailable, trio.TooSlowError,
    HTTPException,
)  # fmt: skip
"""Every other error is a fault of ours: it goes up to the edge, which logs it."""

_OVERLOAD_RETRY_AFTER_S: Final = 5


def problem_for(error: Exception) -> Problem | None:
    """The answer to an error, or to the first in a group that has one; None when none has."""
    match error:
        case ExceptionGroup():
            found = (problem_for(each) for each in error.exceptions)
            return next((problem for problem in found if problem is not None), None)
        case Problem():
            return error
        case SessionFull():
            return Problem(
                Code.SESSION_FULL, f"the session is full: {error.limit} participants at most"
            )
        case StoreUnavailable() | SessionUnavailable():
            return Problem(Code.UNAVAILABLE, retry_after=error.retry_after)
        case trio.TooSlowError():
            return Problem(Code.UNAVAILABLE, retry_after=_OVERLOAD_RETRY_AFTER_S)
        case HTTPException():
            return _problem_for_framework(error)
        case _:
            code = _PLAIN.get(type(error))
            return None if code is None else Problem(code)


def _problem_for_framework(error: HTTPException) -> Problem:
    code = code_for_status(error.code or 500)
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if code in (Code.BODY_TOO_LARGE, Code.REQUEST_TIMEOUT):
        headers["Connection"] = "close"  # the rest of the body is not waited for
    return Problem(code, headers=headers)
