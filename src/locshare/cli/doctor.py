"""``locshare doctor``: look a server over, from the settings to its public address."""

import os
import shutil
import sys
import textwrap
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from functools import partial
from typing import Final

import msgspec
import trio

from locshare.cli import EXIT_FAILURE, EXIT_OK, EXIT_USAGE, say
from locshare.cli.flags import add_settings_flags, load_settings
from locshare.config import SettingsError
from locshare.maintenance.doctor.examination import checks, examine
from locshare.maintenance.doctor.findings import Finding, Report, error, ok, report_of
from locshare.maintenance.doctor.public import DEFAULT_IDLE_S, LONGEST_IDLE_S

DESCRIPTION = """\
Look a server over, with the settings of `locshare serve`: limits of the machine, ports, disk,
clock, signing key, database, map, and the public address as a client reaches it: TLS, what the
proxy passes on, a WebSocket. Each finding says what to do. It may run before the server does, and
while it runs; then more can be seen. It changes nothing, but makes a session and ends it, and
writes the row that the server's readiness writes.
Exit status: 0 without errors, 1 with one (with --strict: or a warning), 2 for wrong settings."""
EXAMPLES = """\
  locshare doctor
  locshare doctor --config /etc/locshare.toml --strict
  locshare doctor --json | jq -r '.findings[] | select(.level == "error") | .text'
  locshare doctor --idle 120            how long a quiet connection is kept by the proxy
"""

_SIGNS: Final = {"ok": "ok", "skipped": "--", "warning": "warning", "error": "ERROR"}
_COLOURS: Final = {"ok": "32", "skipped": "2", "warning": "33", "error": "31;1"}
_NAME_CHARS: Final = 21
_LEAST_CHARS: Final = 16
"""In a line of what to do; on a narrower terminal it begins further left."""
_NARROW_CHARS: Final = 3


def add_arguments(parser: ArgumentParser) -> None:
    """How to show it, how long to be idle, and the flags of ``serve``."""
    parser.add_argument("--json", action="store_true", help="one JSON object, at the end")
    parser.add_argument("--strict", action="store_true", help="a warning too is exit status 1")
    parser.add_argument(
        "--idle", type=_seconds, default=DEFAULT_IDLE_S, metavar="SECONDS",
        help="hold a quiet WebSocket so long, to see when the proxy cuts it: 0 to "
        f"{LONGEST_IDLE_S:g} (default {DEFAULT_IDLE_S:g})",
    )  # fmt: skip
    add_settings_flags(parser)


def run(arguments: Namespace) -> int:
    """Look, and say what is found. Raises nothing that a machine can cause."""
    found: list[Finding] = []

    def note(finding: Finding) -> None:
        found.append(finding)
        if not arguments.json:
            _show(sys.stdout.isatty(), finding)

    status: int | None = None
    try:
        loaded = load_settings(arguments)
    except SettingsError as failure:
        for fault in failure.faults:
            what, split, do = fault.partition("\n")
            if not split:  # "… is not a setting; did you mean …?"
                what, _, do = fault.partition("; ")
            note(error("settings", what.rstrip("."), do.strip()))
        status = EXIT_USAGE
    else:
        given = f"{len(loaded.origins)} given" if loaded.origins else "all at their defaults"
        note(ok("settings", f"they are right ({given})"))
        trio.run(partial(examine, loaded.settings, note, _began, checks(arguments.idle)))
        _clear()
    report = report_of(found)
    say(msgspec.json.encode(report).decode() if arguments.json else summary(report))
    if status is not None:
        return status
    bad = report.errors or (arguments.strict and report.warnings)
    return EXIT_FAILURE if bad else EXIT_OK


def _began(name: str) -> None:
    """Progress, on a terminal: the line that the next finding overwrites."""
    _clear(f"… {name}")


def _clear(instead: str = "") -> None:
    if sys.stderr.isatty() and _obeys_escapes():
        sys.stderr.write(f"\r\x1b[K{instead}")
        sys.stderr.flush()


def _obeys_escapes() -> bool:
    return os.environ.get("TERM") != "dumb"  # as in an editor


def _show(terminal: bool, finding: Finding) -> None:
    _clear()
    width = shutil.get_terminal_size().columns if terminal else 0
    coloured = terminal and _obeys_escapes() and not os.environ.get("NO_COLOR")
    say(line(finding, width=width, coloured=coloured))


def line(finding: Finding, *, width: int = 0, coloured: bool = False) -> str:
    """A finding, and below it what to do, in ``width`` columns; 0: no terminal. Pure."""
    sign = f"{_SIGNS[finding.level]:<7}"
    if coloured:
        sign = f"\x1b[{_COLOURS[finding.level]}m{sign}\x1b[0m"
    texts = [f"{sign} {finding.check:<{_NAME_CHARS}} {finding.text}"]
    if finding.do:
        do = f"→ {finding.do}"
        beside = _NAME_CHARS + 9
        indent = " " * (beside if not width or width >= beside + _LEAST_CHARS else _NARROW_CHARS)
        wrapped = textwrap.wrap(do, max(width - len(indent), _LEAST_CHARS)) if width else [do]
        texts += [indent + part for part in wrapped]
    return "\n".join(texts)


def summary(report: Report) -> str:
    """The last line. Pure."""
    if not report.errors and not report.warnings:
        return "\nNothing to do."
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((report.errors, "error"), (report.warnings, "warning"))
        if count
    ]
    return f"\n{' and '.join(parts)}: what to do is beside each."


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= LONGEST_IDLE_S:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to {LONGEST_IDLE_S:g}")
    return value
