"""Redaction: no token, secret or position in a log line. Pure.

Hidden are: what looks like a JWT; the value after a word that names a secret or a coordinate; every
value under a key that names one; in the text of an exception, also every decimal that may be a
coordinate. A traceback shows no values of variables.

Not promised: that free text with a bare position (``"52.1 13.4"``) is recognised. So no such text
is written anywhere in this program.

Invariant: :func:`redact` runs on every entry, right before it is rendered.
"""

import errno
import math
import os
import re
import traceback
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from structlog.typing import EventDict, ExcInfo

REDACTED: Final = "[redacted]"

_SECRET_KEYS: Final = frozenset(
    {"token", "jwt", "authorization", "password", "secret", "cookie", "database_url", "dsn"}
)
_SECRET_SUFFIXES: Final = ("_token", "_secret", "_password", "-token")
_POSITION_KEYS: Final = frozenset(
    {
        "lat", "lng", "lon", "latitude", "longitude", "accuracy", "altitude", "speed", "heading",
        "position", "positions", "location", "coordinates", "data", "payload",
    }
)  # fmt: skip
_MAX_DEPTH: Final = 6
_MAX_TEXT_CHARS: Final = 65_536
_MAX_PLACES: Final = 50

_SYSTEM_MESSAGES: Final = "|".join(
    [r"\[Errno -?\d+\]", *sorted({re.escape(os.strerror(number)) for number in errno.errorcode})]
)
"""What follows the name of a file that ends in "secret", for instance, and is not a secret."""

# base64url of `{"` is always eyJ. All dotted parts that follow are taken, so that nothing of a
# token is left when something that looks like the start of one stands before it.
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)+")
_BEARER: Final = re.compile(r"(?i)\b(bearer[\s.]+)(?!\[redacted\]|tokens?\b)[^\s\"',;]+")
_URL_PASSWORD: Final = re.compile(r"(://[^/?#:@\s]*):(?!password@)[^\s]*@")
"""An example in an error's text says "password"."""
_NAMED_SECRET: Final = re.compile(
    r"(?i)((?:token|authorization|password|passwd|secret)[\"']?\s*[=:]\s*)"
    rf"(?!\[redacted\]|{_SYSTEM_MESSAGES})"
    r"(?:(?:basic|bearer)\s+[^\s\"',;]+|\"[^\"]*\"|'[^']*'|[^\s\"',;&)}\]]+)"
)
_NAMED_POSITION: Final = re.compile(
    r"(?i)\b((?:lat|lng|lon|latitude|longitude|altitude|accuracy|speed|heading)"
    r"[\"']?\s*[=:]\s*)[\"']?[-+]?[0-9.][0-9.eE+-]*[\"']?"
)
_SUSPECT: Final = re.compile(r"[:=]|eyJ|(?i:bearer)")
"""Each of the patterns above needs one of these; most texts in a log have none."""
_COORDINATE: Final = re.compile(r"(?<![\w.])[-+]?[0-9]{1,3}\.[0-9]{3,}(?![\w.])")


def redact(_logger: Any, _method: str, entry: EventDict) -> EventDict:
    """Processor: every value becomes plain JSON without secrets and positions."""
    return {str(key): _redacted(str(key), value, 0) for key, value in entry.items()}


def scrub(text: str) -> str:
    """``text`` without tokens, passwords and named coordinates."""
    if _SUSPECT.search(text) is None:
        return text
    text = hide_tokens(text)
    text = _BEARER.sub(rf"\1{REDACTED}", text)
    text = _URL_PASSWORD.sub(rf"\1:{REDACTED}@", text)
    text = _NAMED_SECRET.sub(rf"\1{REDACTED}", text)
    return _NAMED_POSITION.sub(rf"\1{REDACTED}", text)


def hide_tokens(text: str) -> str:
    """``text`` without tokens. Also run over each rendered line, keys included."""
    return _JWT.sub(REDACTED, text)


def format_exception(exc_info: ExcInfo) -> str:
    """A traceback, groups and causes included, without values of variables. Its texts are scrubbed,
    and decimals that may be coordinates are hidden.
    """
    lines = traceback.TracebackException(*exc_info, capture_locals=False).format()
    return _COORDINATE.sub(REDACTED, scrub("".join(lines).rstrip()))


def stack_of(error: BaseException) -> str:
    """Where ``error`` was raised, outermost first, at most the innermost 50 places.

    Without its text, which may quote a message, and without lines of source: reading those took as
    long as the restart of the actor that had crashed.
    """
    places: deque[str] = deque(maxlen=_MAX_PLACES)
    at = error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        places.append(f'  File "{code.co_filename}", line {at.tb_lineno}, in {code.co_qualname}\n')
        at = at.tb_next
    return "".join(places)


@lru_cache(maxsize=1024)
def _is_private(key: str) -> bool:
    name = key.lower()
    return name in _SECRET_KEYS or name in _POSITION_KEYS or name.endswith(_SECRET_SUFFIXES)


def _redacted(key: str, value: Any, depth: int) -> Any:
    if _is_private(key):
        return REDACTED
    if isinstance(value, str):
        return scrub(value[:_MAX_TEXT_CHARS])
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth < _MAX_DEPTH:
        if isinstance(value, Mapping):
            return {
                scrub(str(inner)): _redacted(str(inner), each, depth + 1)
                for inner, each in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [_redacted("", each, depth + 1) for each in value]
    return scrub(_repr(value))


def _repr(value: Any) -> str:
    try:
        # str, where it says more to people: UUIDs, dates, paths.
        text = repr(value) if isinstance(value, BaseException | bytes) else str(value)
    except Exception:  # noqa: BLE001 - any object may be logged, and its repr is not ours
        return f"<{type(value).__name__} without a repr>"
    return text[:_MAX_TEXT_CHARS]
