"""The bodies of REST requests: from bytes to structs, with every wrong field named."""

import unicodedata
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request

from bench.peers.common.problems import Problem

MAX_BODY_BYTES = 16 * 1024
NAME_CHARS = 255
DISPLAY_NAME_CHARS = 100
DEFAULT_COLOR = "#FF5733"


class CreateSession(Struct, frozen=True):
    """``POST /api/sessions``"""

    name: str | None = None
    expires_in_minutes: Annotated[int, Meta(ge=60, le=1440)] = 360


class JoinSession(Struct, frozen=True):
    """``POST /api/sessions/{id}/join``"""

    display_name: str
    avatar_color: Annotated[str, Meta(pattern=r"\A#[0-9A-Fa-f]{6}\Z")] | None = None


T = TypeVar("T", bound=Struct)


async def body_of(request: Request, kind: type[T]) -> T:
    """The request's body; an absent one counts as ``{}``. Raises Problem."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Problem("BODY_TOO_LARGE", f"at most {MAX_BODY_BYTES} bytes are allowed")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = media_type.startswith("application/") and media_type.endswith(("/json", "+json"))
    if (body or media_type) and not is_json:
        raise Problem("UNSUPPORTED_MEDIA_TYPE", "the body must be application/json")
    try:
        fields = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem("MALFORMED_JSON", "the body is not JSON") from None
    if not isinstance(fields, dict):
        raise _wrong({"": "Expected a JSON object"})
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError:
        raise _wrong(_wrong_fields(fields, kind)) from None


def _wrong_fields(fields: dict[str, Any], kind: type[Struct]) -> dict[str, str]:
    found = {}
    for field in msgspec.structs.fields(kind):
        if field.name not in fields:
            if field.required:
                found[field.name] = "Required"
            continue
        try:
            msgspec.convert(fields[field.name], field.type)
        except msgspec.ValidationError as error:
            found[field.name] = str(error)
    return found


def clean(field: str, text: str, limit: int) -> str:
    """``text`` normalised and trimmed; empty when nothing is left. Raises Problem."""
    text = unicodedata.normalize("NFC", text).strip()
    if len(text) > limit:
        raise _wrong({field: f"Expected at most {limit} characters"})
    if any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in text):
        raise _wrong({field: "Expected no control characters"})
    return text


def clean_display_name(text: str) -> str:
    """The name of a participant. Raises Problem."""
    name = clean("display_name", text, DISPLAY_NAME_CHARS)
    if not name:
        raise _wrong({"display_name": "Expected at least one character after trimming"})
    return name


def _wrong(errors: dict[str, str]) -> Problem:
    return Problem("VALIDATION_FAILED", "the body does not have the right fields", errors=errors)
