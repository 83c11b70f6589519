"""Maps the errors of a handler to responses. No other place does."""

from typing import Final

import trio
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from locshare.auth.tokens import TokenExpired, TokenInvalid
from locshare.http.problems import FieldError, HttpProblem, ProblemCode, code_for_status
from locshare.http.types import MAX_PARAMETERS, TooManyParameters
from locshare.ingest.report import InvalidReport
from locshare.session.errors import (
    Banned,
    LinkReplaced,
    ParticipantNotFound,
    SessionFull,
    SessionLocked,
    SessionNotFound,
    SessionOver,
    SessionUnavailable,
)
from locshare.store.port import StoreUnavailable

_PLAIN: Final[dict[type[Exception], ProblemCode]] = {
    SessionNotFound: ProblemCode.SESSION_NOT_FOUND,
    ParticipantNotFound: ProblemCode.PARTICIPANT_NOT_FOUND,
    SessionLocked: ProblemCode.SESSION_LOCKED,
    LinkReplaced: ProblemCode.LINK_REPLACED,
    Banned: ProblemCode.BANNED,
    SessionOver: ProblemCode.SESSION_ENDED,
    TokenExpired: ProblemCode.SESSION_ENDED,  # a token lives exactly as long as its session
    TokenInvalid: ProblemCode.TOKEN_INVALID,
}
"""Errors whose problem has no detail of its own."""

EXPECTED: Final[tuple[type[Exception], ...]] = (
    *_PLAIN, HttpProblem, InvalidReport, SessionFull, StoreUnavailable, SessionUnavailable,
    TooManyParameters, trio.TooSlowError, HTTPException,
)  # fmt: skip
"""Any other error is a fault of the server. It reaches the access middleware, which logs it."""


def problem_for(error: Exception) -> HttpProblem | None:
    """The response to an error; to a group, that of the first error that has one. None without."""
    match error:
        case ExceptionGroup():
            found = (problem_for(each) for each in error.exceptions)
            return next((problem for problem in found if problem is not None), None)
        case HttpProblem():
            return error
        case SessionFull():
            return HttpProblem(
                ProblemCode.SESSION_FULL, f"the session is full: {error.limit} participants at most"
            )
        case StoreUnavailable() | SessionUnavailable():
            return HttpProblem(ProblemCode.UNAVAILABLE, retry_after=error.retry_after)
        case InvalidReport(field=None):
            return HttpProblem(ProblemCode.MALFORMED_JSON)
        case InvalidReport():
            wrong = FieldError(error.field or "", error.message)
            return HttpProblem(ProblemCode.VALIDATION_FAILED, errors=(wrong,))
        case TooManyParameters():
            return HttpProblem(
                ProblemCode.BAD_REQUEST, f"more than {MAX_PARAMETERS} parameters are given"
            )
        case trio.TooSlowError():
            return HttpProblem(ProblemCode.UNAVAILABLE)
        case HTTPException():
            return _problem_for_framework(error)
        case _:
            code = _PLAIN.get(type(error))
            return None if code is None else HttpProblem(code)


def _problem_for_framework(error: HTTPException) -> HttpProblem:
    code = code_for_status(error.code or 500)
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if code in (ProblemCode.BODY_TOO_LARGE, ProblemCode.REQUEST_TIMEOUT):
        headers["Connection"] = "close"  # the rest of the body is not waited for
    return HttpProblem(code, headers=headers)
