"""The bodies of the REST API's requests. Pure. (Those of its responses are in
:mod:`locshare.wire.answers`, which clients import too.)

Types are strict (the text "60" is not the number 60). Unknown fields are ignored, as on the
WebSocket, so that an older server accepts a newer client. Names may be of any script; they are
cleaned (:mod:`locshare.model.display_names`) before their length counts.
"""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from locshare.http.problems import FieldError, HttpProblem, ProblemCode
from locshare.model.display_names import clean
from locshare.model.participant import Role

NAME_CHARS: Final = 255
DISPLAY_NAME_CHARS: Final = 100
RAW_CHARS_FACTOR: Final = 4
"""How many times its limit a name may have before invisible characters are removed. A longer one is
refused unread."""
_PATTERNS: Final = {
    "avatar_color": "Expected `#RRGGBB`",
    "device_key": "Expected 16 to 64 letters, digits, `_` or `-`",
}
DEFAULT_COLOR: Final = "#FF5733"
"""The default of the column ``participants.avatar_color``."""

_REFUSED_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_DIRECTION_CONTROLS = {*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}
"""They reorder the text around a name, so that it can imitate another."""


def _name(chars: Mapping[str, int]) -> Meta:
    """For the contract only: the characters count after cleaning."""
    return Meta(extra_json_schema={**chars, "format": "visible-name"})


# --- requests ---------------------------------------------------------------------------------


class CreateSession(Struct, frozen=True):
    """Body of ``POST /api/sessions``. Every field is optional."""

    name: Annotated[str, _name({"maxLength": NAME_CHARS})] | None = None
    expires_in_minutes: Annotated[int, Meta(ge=60, le=1440)] = 360


class JoinSession(Struct, frozen=True):
    """Body of ``POST /api/sessions/{id}/join``."""

    display_name: Annotated[str, _name({"minLength": 1, "maxLength": DISPLAY_NAME_CHARS})]
    avatar_color: Annotated[str, Meta(pattern=r"\A#[0-9A-Fa-f]{6}\Z")] | None = None
    device_key: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{16,64}\Z")] | None = None
    link_key: Annotated[str, Meta(max_length=100)] | None = None


class HostKey(Struct, frozen=True):
    """Body of ``POST /api/sessions/{id}/host``."""

    host_key: Annotated[str, Meta(max_length=100)]


class ChangeSession(Struct, frozen=True):
    """Body of ``PATCH /api/sessions/{id}``."""

    locked: bool


class ChangeParticipant(Struct, frozen=True):
    """Body of ``PATCH /api/sessions/{id}/participants/{user_id}``."""

    role: Role


# --- decoding ---------------------------------------------------------------------------------

T = TypeVar("T", bound=Struct)


def decode(body: bytes, kind: type[T]) -> T:
    """``body`` as a ``kind``; an empty body counts as ``{}``.

    Raises HttpProblem: MALFORMED_JSON, or VALIDATION_FAILED with every wrong field.
    """
    try:
        raw = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Not chained: the library's text may quote the body.
        raise HttpProblem(ProblemCode.MALFORMED_JSON) from None
    if not isinstance(raw, dict):
        raise HttpProblem(
            ProblemCode.VALIDATION_FAILED, errors=(FieldError("", "Expected a JSON object"),)
        ) from None
    raw = {name: _whole(value) for name, value in raw.items()}
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError:
        raise HttpProblem(ProblemCode.VALIDATION_FAILED, errors=_field_errors(raw, kind)) from None


def _whole(value: Any) -> Any:
    """60.0 is the integer 60: JSON has numbers only, and JSON Schema counts it as one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _field_errors(raw: dict[str, Any], kind: type[Struct]) -> tuple[FieldError, ...]:
    errors = []
    for field in msgspec.structs.fields(kind):
        if field.encode_name in raw:
            try:
                msgspec.convert(raw[field.encode_name], field.type)
            except msgspec.ValidationError as error:
                # Such as "Expected `int` >= 60": types and limits, never the value.
                message = str(error).partition(" - at ")[0]
                if "regex" in message:
                    message = _PATTERNS[field.encode_name]
                errors.append(FieldError(field.encode_name, message))
        elif field.required:
            errors.append(FieldError(field.encode_name, "Required"))
    return tuple(errors)


def clean_name(name: str | None) -> str | None:
    """The name of a session, at most 255 characters. None for an empty one. Raises HttpProblem."""
    if name is None or not name.strip():
        return None
    return _cleaned("name", name, NAME_CHARS)


def clean_display_name(name: str) -> str:
    """The name of a participant, 1 to 100 visible characters. Raises HttpProblem."""
    if not name.strip():
        raise _wrong("display_name", "Expected at least one character after trimming")
    return _cleaned("display_name", name, DISPLAY_NAME_CHARS)


def _cleaned(field: str, text: str, limit: int) -> str:
    """``text`` as others see it. Raises HttpProblem."""
    text = text.strip()
    if len(text) > RAW_CHARS_FACTOR * limit:  # not worth the work
        raise _wrong(field, f"Expected at most {limit} characters")
    if not all(map(_allowed, text)):
        raise _wrong(field, "Expected no control characters")
    text = clean(text)
    if not text:
        raise _wrong(field, "Expected at least one visible character")
    if len(text) > limit:
        raise _wrong(field, f"Expected at most {limit} characters")
    return text


def _allowed(character: str) -> bool:
    return (
        unicodedata.category(character) not in _REFUSED_CATEGORIES
        and character not in _DIRECTION_CONTROLS
    )


def _wrong(field: str, message: str) -> HttpProblem:
    return HttpProblem(ProblemCode.VALIDATION_FAILED, errors=(FieldError(field, message),))
