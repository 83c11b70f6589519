"""Log lines: structlog, on standard error, redacted.

Modules write ``log = structlog.get_logger()`` and then ``log.info("event_name", key=value)``. The
lines of libraries that use ``logging`` take the same way, from ``warning`` upwards only: their
lower levels may quote anything.

Promises. No token, secret or position is written (:mod:`locshare.telemetry.redaction`). One line is
one entry: neither line breaks nor terminal control codes in a value get through. Writing never
raises, whatever was given and wherever standard error leads to. A filtered line costs one call.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, TextIO

import structlog
from structlog.dev import (
    Column,
    ConsoleRenderer,
    KeyValueColumnFormatter,
    LogLevelColumnFormatter,
    plain_traceback,
)
from structlog.processors import ExceptionRenderer, JSONRenderer, TimeStamper, add_log_level
from structlog.stdlib import ProcessorFormatter, add_logger_name
from structlog.typing import EventDict, Processor

from locshare.telemetry.output import BackgroundText
from locshare.telemetry.redaction import format_exception, hide_tokens, redact

_FIRST: Final = ("timestamp", "level", "event")
# ASCII, so that no control code of a terminal survives. msgspec and orjson write UTF-8.
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
_DIM, _BRIGHT, _RESET = "\x1b[2m", "\x1b[1m", "\x1b[0m"
_LEVEL_STYLES: Final = {
    "debug": _DIM, "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m",
    "critical": "\x1b[31;1m",
}  # fmt: skip


def configure(level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Set logging up for the process. ``level`` and ``form`` are ``log_level`` and ``log_format``
    of the settings. May be called again; loggers that were used keep what they had.
    """
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    if form == "json" or (form == "auto" and not terminal):
        rendering = _json()
    else:
        rendering = _console(colors=terminal and not os.environ.get("NO_COLOR"))
    rest: list[Processor] = [ExceptionRenderer(format_exception), *rendering]
    lines = _Lines(stream)
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[add_log_level, *rest],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    if isinstance(stream, BackgroundText):
        stream.writer.announce = partial(_dropped_line, rest)
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, LibraryHandler)]:
        root.removeHandler(handler)
    root.addHandler(LibraryHandler(rest, lines))
    root.setLevel(max(number, logging.WARNING))
    logging.captureWarnings(capture=True)


def capture_uncaught() -> None:
    """Log uncaught errors of threads and finalizers, instead of the interpreter's unredacted
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


# --- rendering --------------------------------------------------------------------------------


def _json() -> list[Processor]:
    """One JSON object in ASCII; time, level and event come first."""
    return [
        TimeStamper(fmt="iso"),
        _order,
        redact,
        JSONRenderer(serializer=lambda entry, **_: _encode(entry)),
        _hide_tokens,
    ]


def _console(*, colors: bool) -> list[Processor]:
    """For people: ``12:34:56 [info    ] event key=value``; an exception on the lines below it."""
    dim, bright, reset = (_DIM, _BRIGHT, _RESET) if colors else ("", "", "")
    levels = _LEVEL_STYLES if colors else dict.fromkeys(_LEVEL_STYLES, "")
    columns = [
        Column("timestamp", KeyValueColumnFormatter(None, dim, reset, str)),
        Column("level", LogLevelColumnFormatter(levels, reset)),
        Column("event", KeyValueColumnFormatter(None, bright, reset, _word)),
        Column("", KeyValueColumnFormatter(dim, "", reset, _word)),
    ]
    return [
        TimeStamper(fmt="%H:%M:%S", utc=False),
        redact,
        _make_printable,
        ConsoleRenderer(columns=columns, exception_formatter=plain_traceback, sort_keys=False),
        _hide_tokens,
    ]


def _order(_logger: Any, _method: str, entry: EventDict) -> EventDict:
    return {key: entry[key] for key in _FIRST if key in entry} | dict(entry)


def _hide_tokens(_logger: Any, _method: str, line: Any) -> str:
    return hide_tokens(line)


def _make_printable(_logger: Any, _method: str, entry: EventDict) -> EventDict:
    """The blocks below the line, indented, without what a terminal would obey; and the keys."""
    printable = {_visible(key): value for key, value in entry.items()}
    for key in ("exception", "stack"):
        if block := printable.pop(key, None):
            lines = (f"    {_visible(line)}" for line in str(block).split("\n"))
            printable[key] = "\n".join(lines)
    return printable


def _word(value: Any) -> str:
    """One printable word, or a quoted text."""
    if not isinstance(value, str):
        return json.dumps(value)
    if value and value.isprintable() and not any(each in value for each in " \"='"):
        return value
    return '"' + _visible(value).replace('"', '\\"') + '"' if value else '""'


def _visible(text: str) -> str:
    """``text`` with escapes for everything that is not printable."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


# --- writing ----------------------------------------------------------------------------------


class _Lines:
    """Writes whole lines. Standard error may be closed or on a full disk: the program goes on
    without its log. The stream itself never blocks (:mod:`locshare.telemetry.output`).
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


class LibraryHandler(logging.Handler):
    """Renders what libraries write with ``logging`` as our own lines."""

    def __init__(self, processors: Sequence[Processor], lines: _Lines) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(
            ProcessorFormatter(
                foreign_pre_chain=[add_log_level, add_logger_name],
                processors=[ProcessorFormatter.remove_processors_meta, *processors],
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        try:
            record.getMessage()
        except Exception:  # noqa: BLE001 - logging's own answer prints the arguments, unredacted
            record.msg, record.args = f"{record.msg} (its arguments do not fit)", ()
        self._lines.write(self.format(record))


def _dropped_line(processors: Sequence[Processor], count: int) -> bytes:
    entry: Any = {"event": "log_lines_dropped", "level": "warning", "count": count}
    for processor in processors:
        entry = processor(None, "warning", entry)
    return f"{entry}\n".encode(errors="backslashreplace")
