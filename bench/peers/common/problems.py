"""Refusals: problem details (RFC 9457) with the stable codes of docs/reference/rest.md."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

STATUS = {
    "BAD_REQUEST": 400,
    "MALFORMED_JSON": 400,
    "VALIDATION_FAILED": 400,
    "INVALID_ID": 400,
    "TOKEN_MISSING": 401,
    "TOKEN_INVALID": 401,
    "FORBIDDEN": 403,
    "NOT_A_PARTICIPANT": 403,
    "NOT_FOUND": 404,
    "SESSION_NOT_FOUND": 404,
    "PARTICIPANT_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "SESSION_FULL": 409,
    "SESSION_ENDED": 410,
    "BODY_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "INTERNAL_ERROR": 500,
    "UNAVAILABLE": 503,
}
RETRY_AFTER_S = 5


class Problem(Exception):
    """Raised to refuse a request."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status = STATUS[code]
        self.detail = detail
        self.errors = errors or {}
        self.headers = dict(headers or {})
        if self.status == HTTPStatus.UNAUTHORIZED:
            self.headers["WWW-Authenticate"] = "Bearer"
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.headers["Retry-After"] = str(RETRY_AFTER_S)

    def response(self) -> Response:
        body: dict[str, object] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [{"field": f, "message": m} for f, m in self.errors.items()]
        return Response(
            msgspec.json.encode(body),
            self.status,
            {"Cache-Control": "no-store", **self.headers},
            media_type="application/problem+json",
        )
