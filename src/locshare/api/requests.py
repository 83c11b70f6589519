"""What handlers read of a request: its body, its token, the ids in its path."""

from base64 import b64decode
from typing import Final
from uuid import UUID

from werkzeug.http import parse_options_header

from locshare.http.problems import HttpProblem, ProblemCode
from locshare.http.types import JSON, Request

_MEDIA_TYPE_CHARS: Final = 256
"""Of a ``Content-Type``, parameters included."""


async def json_body(request: Request) -> bytes:
    """The request's body, which its headers call JSON; it may be empty. Raises HttpProblem and the
    errors of ``request.read``.
    """
    content_type = request.header(b"content-type")
    if content_type and not _is_json(content_type):
        raise HttpProblem(ProblemCode.UNSUPPORTED_MEDIA_TYPE)
    body = await any_body(request)
    if body and not content_type:
        raise HttpProblem(ProblemCode.UNSUPPORTED_MEDIA_TYPE)
    return body


async def any_body(request: Request) -> bytes:
    """The request's body, of whatever type. Raises HttpProblem and the errors of
    ``request.read``.
    """
    if request.header(b"content-encoding", "identity").lower() != "identity":
        raise HttpProblem(ProblemCode.UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed")
    return await request.read()


def _is_json(content_type: str) -> bool:
    """Whether it is a media type of JSON, in UTF-8."""
    if content_type == JSON:  # nearly always
        return True
    if len(content_type) > _MEDIA_TYPE_CHARS:  # not worth the work
        return False
    mimetype, options = parse_options_header(content_type)
    mimetype = mimetype.lower()
    return (
        mimetype == JSON or (mimetype.startswith("application/") and mimetype.endswith("+json"))
    ) and options.get("charset", "utf-8").lower() in ("utf-8", "utf8")


def bearer_token(request: Request) -> str:
    """The request's token. Raises HttpProblem."""
    headers = request.headers(b"authorization")
    if not headers:
        raise HttpProblem(ProblemCode.TOKEN_MISSING)
    scheme, _, token = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer":
        raise HttpProblem(ProblemCode.TOKEN_INVALID)
    return token.strip()


def password_or_bearer(request: Request) -> str:
    """The token as the password of HTTP Basic (RFC 7617), whatever the user name; or as
    :func:`bearer_token`. Raises HttpProblem.
    """
    headers = request.headers(b"authorization")
    scheme, _, credentials = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        return bearer_token(request)
    try:
        return b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except ValueError:  # of which the errors of base64 and of UTF-8 are two
        raise HttpProblem(ProblemCode.TOKEN_INVALID) from None


def session_uuid(text: str) -> UUID:
    """The session's id in a path, 36 characters. Raises HttpProblem."""
    try:
        session_id = UUID(text)
    except ValueError:
        raise HttpProblem(ProblemCode.INVALID_ID) from None
    if str(session_id) != text.lower():  # braces, urn:uuid: and missing hyphens
        raise HttpProblem(ProblemCode.INVALID_ID)
    return session_id
