"""Log lines: structured, on standard error, without anybody's token or position.

Modules write ``log = structlog.get_logger()`` and then ``log.info("event_name", key=value)``;
what the libraries write with ``logging`` comes out the same way, from ``warning`` upwards only,
since nobody knows what their chatter quotes.

Promises. No token, no key of ours and no value of a key that names one is written; nor is a
position, under the names by which positions are known here or in the text of an exception.
A traceback has no values of variables. One line is one entry: neither line breaks nor terminal
control codes in a value get through. Writing never raises, whatever was given and wherever standard
error leads to. What is filtered out by its level costs a method call.

Not promised: that free text which holds a bare position (``"52.1 13.4"``) is recognised. So no
such text is written anywhere in this program.

Invariant: :func:`redact` runs on every entry, right before it is rendered. Nothing awaits.
"""

import errno
import json
import logging
import math
import os
import re
import sys
import threading
import traceback
from collections import deque
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from locshare.telemetry.output import BackgroundText

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
_DEEPEST: Final = 6
_LONGEST_TEXT: Final = 65_536
_MOST_PLACES: Final = 50

_SYSTEM_SAYS: Final = "|".join(
    [r"\[Errno -?\d+\]", *sorted({re.escape(os.strerror(number)) for number in errno.errorcode})]
)
"""What is said of a file whose name ends in "secret", for instance, and is none."""

# base64url of `{"` is always eyJ. All dotted parts that follow are taken, so that nothing of a
# token is left when something that looks like the start of one stands before it.
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)+")
_BEARER: Final = re.compile(r"(?i)\b(bearer[\s.]+)(?!\[redacted\]|tokens?\b)[^\s\"',;]+")
_URL_PASSWORD: Final = re.compile(r"(://[^/?#:@\s]*):(?!password@)[^\s]*@")
"""An example in an error's text says "password"."""
_NAMED_SECRET: Final = re.compile(
    r"(?i)((?:token|authorization|password|passwd|secret)[\"']?\s*[=:]\s*)"
    rf"(?!\[redacted\]|{_SYSTEM_SAYS})"
    r"(?:(?:basic|bearer)\s+[^\s\"',;]+|\"[^\"]*\"|'[^']*'|[^\s\"',;&)}\]]+)"
)
_NAMED_POSITION: Final = re.compile(
    r"(?i)\b((?:lat|lng|lon|latitude|longitude|altitude|accuracy|speed|heading)"
    r"[\"']?\s*[=:]\s*)[\"']?[-+]?[0-9.][0-9.eE+-]*[\"']?"
)
_SUSPECT: Final = re.compile(r"[:=]|eyJ|(?i:bearer)")
"""What each of the patterns above needs; most texts in a log have none of it."""
_COORDINATE: Final = re.compile(r"(?<![\w.])[-+]?[0-9]{1,3}\.[0-9]{3,}(?![\w.])")


# --- redaction --------------------------------------------------------------------------------


def scrub(text: str) -> str:
    """``text`` without tokens, passwords and named coordinates."""
    if _SUSPECT.search(text) is None:
        return text
    text = _JWT.sub(REDACTED, text)
    text = _BEARER.sub(rf"\1{REDACTED}", text)
    text = _URL_PASSWORD.sub(rf"\1:{REDACTED}@", text)
    text = _NAMED_SECRET.sub(rf"\1{REDACTED}", text)
    return _NAMED_POSITION.sub(rf"\1{REDACTED}", text)


def format_exception(exc_info: ExcInfo) -> str:
    """A traceback, groups and causes included, without values of variables; its texts scrubbed,
    and decimals that may be coordinates taken out.
    """
    lines = traceback.TracebackException(*exc_info, capture_locals=False).format()
    return _COORDINATE.sub(REDACTED, scrub("".join(lines).rstrip()))


def stack_of(error: BaseException) -> str:
    """Where ``error`` was raised, outermost first, at most the innermost 50 places. Neither its own
    text, which may quote a message, nor lines of source: reading those took as long as the restart
    of what had crashed.
    """
    places: deque[str] = deque(maxlen=_MOST_PLACES)
    at = error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        places.append(f'  File "{code.co_filename}", line {at.tb_lineno}, in {code.co_qualname}\n')
        at = at.tb_next
    return "".join(places)


def redact(_logger: Any, _method: str, entry: EventDict) -> EventDict:
    """The processor: every value becomes plain JSON without secrets and positions."""
    return {str(key): _redacted(str(key), value, 0) for key, value in entry.items()}


@lru_cache(maxsize=1024)
def _is_private(key: str) -> bool:
    name = key.lower()
    return name in _SECRET_KEYS or name in _POSITION_KEYS or name.endswith(_SECRET_SUFFIXES)


def _redacted(key: str, value: Any, depth: int) -> Any:
    if _is_private(key):
        return REDACTED
    if isinstance(value, str):
        return scrub(value[:_LONGEST_TEXT])
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth < _DEEPEST:
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
    return text[:_LONGEST_TEXT]


def _add_exception(_logger: Any, _method: str, entry: EventDict) -> EventDict:
    given = entry.pop("exc_info", None)
    if isinstance(given, BaseException):
        given = (type(given), given, given.__traceback__)
    elif given and not isinstance(given, tuple):
        given = sys.exc_info()
    if given and given[0] is not None:
        entry["exception"] = format_exception(given)
    return entry


def _add_time(_logger: Any, _method: str, entry: EventDict) -> EventDict:
    entry["timestamp"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return entry


# --- rendering --------------------------------------------------------------------------------

_FIRST: Final = ("timestamp", "level", "event")
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31;1"}


def render_json(_logger: Any, _method: str, entry: EventDict) -> str:
    """One JSON object in ASCII; time, level and event come first."""
    ordered = {key: entry[key] for key in _FIRST if key in entry} | dict(entry)
    return _JWT.sub(REDACTED, _encode(ordered))


class ConsoleRenderer:
    """For people: ``12:34:56.789 info  event  key=value``; an exception on the lines below it."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, _logger: Any, _method: str, entry: MutableMapping[str, Any]) -> str:
        """Render ``entry``."""
        time = datetime.fromisoformat(entry.pop("timestamp")).astimezone()
        level = str(entry.pop("level", "info"))
        event = _plain(entry.pop("event", ""))
        blocks = [block for key in ("exception", "stack") if (block := entry.pop(key, None))]
        pairs = " ".join(f"{self._paint('2', _plain(k))}={_plain(v)}" for k, v in entry.items())
        line = (
            f"{self._paint('2', time.strftime('%H:%M:%S'))} "
            f"{self._paint(_COLOURS.get(level, '0'), f'{level:<7}')} "
            f"{self._paint('1', event)}"
        )
        if pairs:
            line = f"{line}  {pairs}"
        indented = "".join(f"\n    {_visible(part)}" for b in blocks for part in str(b).split("\n"))
        return _JWT.sub(REDACTED, line + indented)

    def _paint(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text


def _plain(value: Any) -> str:
    """One printable word, or a quoted text."""
    if not isinstance(value, str):
        return json.dumps(value)
    if value and value.isprintable() and not any(each in value for each in " \"='"):
        return value
    return '"' + _visible(value).replace('"', '\\"') + '"' if value else '""'


def _visible(text: str) -> str:
    """Without anything a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


# --- set-up -----------------------------------------------------------------------------------


class _Lines:
    """Writes whole lines. Standard error may be closed or a full disk: the program goes on without
    its log. That it does not wait for a pipe that nobody reads is the stream's part
    (:mod:`locshare.telemetry.output`).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass

    debug = info = warning = error = critical = exception = fatal = msg = log = write


class _StandardHandler(logging.Handler):
    """Takes what libraries write with ``logging`` into our format."""

    def __init__(self, processors: list[Processor], lines: _Lines) -> None:
        super().__init__()
        self._processors = processors
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event = record.getMessage()
        except Exception:  # noqa: BLE001 - logging's own answer prints the arguments, unredacted
            event = f"{record.msg} (its arguments do not fit)"
        level = record.levelname.lower()
        entry: Any = {
            "event": event,
            "level": level,
            "logger": record.name,
            "exc_info": record.exc_info,
        }
        for processor in self._processors:
            entry = processor(None, level, entry)
        self._lines.write(entry)


def _dropped_line(processors: Sequence[Processor], count: int) -> bytes:
    entry: Any = {"event": "log_lines_dropped", "level": "warning", "count": count}
    for processor in processors:
        entry = processor(None, "warning", entry)
    return f"{entry}\n".encode(errors="backslashreplace")


def configure(level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Set logging up for the process. ``level`` and ``form`` are ``log_level`` and ``log_format``
    of the settings. May be called again; loggers that were used keep what they had.
    """
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    renderer: Processor
    if form == "json" or (form == "auto" and not terminal):
        renderer = render_json
    else:
        renderer = ConsoleRenderer(colours=terminal and not os.environ.get("NO_COLOR"))
    rest: list[Processor] = [_add_time, _add_exception, redact, renderer]
    lines = _Lines(stream)
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[structlog.processors.add_log_level, *rest],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    if isinstance(stream, BackgroundText):
        stream.writer.announce = partial(_dropped_line, rest)
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _StandardHandler)]:
        root.removeHandler(handler)
    root.addHandler(_StandardHandler(rest, lines))
    root.setLevel(max(number, logging.WARNING))
    logging.captureWarnings(capture=True)


def capture_uncaught() -> None:
    """Log what nobody catches in threads and finalizers, instead of the interpreter's unredacted
    tracebacks. For programs, not for tests.
    """
    log = structlog.get_logger()

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            value = args.exc_value
            log.error("thread_crashed", exc_info=(args.exc_type, value, args.exc_traceback))

    def unraisable(args: "sys.UnraisableHookArgs") -> None:
        value = args.exc_value
        log.error("unraisable_error", exc_info=(args.exc_type, value, args.exc_traceback))

    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
