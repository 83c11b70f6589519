"""Writes docs/reference/logs.md, the catalogue of log lines, from the calls in the code.

``python -m tools.log_page`` (part of ``make generate``). Names, levels, fields and places are read
from the syntax of src/; what a line means and what to do stands here, in :data:`EVENTS`. A test
compares the page with the code and this table with both, so that no line is without its word.
"""

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, get_args

from locshare.model.reasons import EndReason
from locshare.supervisor import ReportKind

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "src" / "locshare"
PAGE: Final = ROOT / "docs" / "reference" / "logs.md"
LEVELS: Final = ("debug", "info", "warning", "error", "exception", "critical")

ALWAYS: Final = "`timestamp`, `level`, `event`"


class Line(NamedTuple):
    """One call that logs."""

    event: str
    levels: tuple[str, ...]
    fields: tuple[str, ...]
    place: str


class Word(NamedTuple):
    """What it means, and what to do; empty when there is nothing to do."""

    means: str
    do: str = ""


_BUG: Final = "A fault of the program: report the line. Nothing needs a restart."
_OPERATOR: Final = "Somebody did it with `locshare top`."
_REASONS: Final = ", ".join(f"`{reason}`" for reason in get_args(EndReason))

EVENTS: Final[dict[str, Word]] = {
    # --- the server as a whole
    "ready": Word("Clients can connect, at these addresses; `sending` is `compiled` or `python`."),
    "stopping": Word("An orderly stop has begun."),
    "stopped": Word("The stop is over. The exit status is 0."),
    "not_stopped_in_time": Word("A part hangs; the process ends itself, status 70.", "Report it."),
    "signal": Word("A signal asks for the stop."),
    "signal_ignored": Word("A signal came that has no effect here."),
    "stopping_at_once": Word("A second signal skips the wait for clients."),
    "gave_up": Word("A part kept crashing; the process ends with status 1.",
                    "The crashes before it say why. The service manager starts it again."),
    "start_failed": Word("Why the server did not start, in full; the last line says it in short."),
    "fewer_connections_than_wanted": Word("Fewer files may be open than the settings need.",
                                          "Raise it to the number in `way_out`."),
    "faults_can_be_injected": Word("The server was started with `--faults`.", "Not in production."),
    "fault": Word("A script injected a fault."),
    "thread_crashed": Word("A thread ended by an error.", _BUG),
    "unraisable_error": Word("An error came where none can be handled, as in a finalizer.", _BUG),
    "log_lines_dropped": Word("The log's reader was too slow: `count` lines are missing here.",
                              "Make it quicker, or raise `LOCSHARE_LOG_LEVEL`."),
    "collect_failed": Word("A source of metrics failed; the others are there.", _BUG),
    "check_failed": Word("A check of readiness failed with an error.", _BUG),
    # --- listening
    "http_listening": Word("The HTTP port accepts."),
    "listening": Word("The WebSocket port accepts; with one port, that port."),
    "control_listening": Word("The socket of `locshare top` is open."),
    "no_control_socket": Word("The data directory cannot hold a socket; the server runs without.",
                              "Set `LOCSHARE_CONTROL_SOCKET` to a shorter or writable path."),
    "out_of_files": Word("No file descriptor is left; accepting pauses. Once a minute at most.",
                         "Raise the limit of open files (LimitNOFILE)."),
    # --- crashes
    "child_crash": Word("A part, or a session, crashed and is restarted: `child`.", _BUG),
    "child_gave_up": Word("It crashed too often. A session ends (`internal_error`); a part of the"
                          " server takes the server with it.", "Report the crashes before it."),
    "child_start_failed": Word("It could not be started, or started again.", "`reason` says why."),
    "child_stop_failed": Word("It did not stop as it was asked to.", _BUG),
    "child_stuck": Word("It cannot be ended; its supervisor waits for it.",
                        "Restart the process, and report the line."),
    "connection_crashed": Word("A connection's task crashed; its participant reconnects.", _BUG),
    "request_failed": Word("A request failed unexpectedly and was answered with 500.", _BUG),
    "http_application_failed": Word("The same, outside of a handler.", _BUG),
    "http_connection_failed": Word("An HTTP connection ended by an error.", _BUG),
    "control_connection_crashed": Word("A connection of `locshare top` crashed.", _BUG),
    "control_operation_crashed": Word("An operation of `locshare top` crashed.", _BUG),
    "event_loop_error": Word("The database driver's loop reported an error.", _BUG),
    "event_loop_abandoned": Word("The database driver's thread did not end at the stop.", _BUG),
    # --- HTTP, connections, sessions
    "http_request": Word("A request was answered. `route` is the pattern, never the path; debug"
                         " level for health and metrics."),
    "connection_refused": Word("An upgrade was refused, with the reason that the client got."),
    "connection_closed": Word("A connection ended; debug level for what is routine."),
    "session_ended": Word(f"A session ended; reasons: {_REASONS}."),
    "swept": Word("The sweep ended `ended` sessions in the database and deleted `purged`."),
    "sweep_put_off": Word("The database is away; the next sweep does it."),
    # --- the database
    "migrated": Word("A change of the tables was made, at the start."),
    "database_not_open": Word("The database is not there yet; the start waits for it.",
                              "`reason` says what to do."),
    "database_away": Word("The database cannot be used. Live sessions go on, joining answers 503.",
                          "`reason` says what to do. Nothing needs a restart."),
    "database_back": Word("It can be used again."),
    "late_write_refused": Word("One row that was written behind was refused and is lost.", _BUG),
    "write_failed": Word("A write that callers wait for failed unexpectedly.", _BUG),
    "writes_left": Word("The stop came before these writes (last contacts, ends) were written.",
                        "Nothing; sessions that ended are ended again by the next sweep."),
    "embedded_postgres_started": Word("The embedded PostgreSQL runs."),
    "embedded_postgres_leftover": Word("One of a killed process still ran; it is stopped."),
    "embedded_postgres_slow_stop": Word("It did not stop at this signal; the next one is harder."),
    "made_passable": Word("PostgreSQL's account may pass through this directory now."),
    # --- map, page, traces
    "map_file_opened": Word("A map file, or a new one in its place, is served."),
    "map_file_refused": Word("A new map file cannot be used; the one before is served.",
                             "Put a whole file in its place, by renaming."),
    "map_file_unreadable": Word("The map file cannot be read now.", "Look at the disk."),
    "web_client_missing": Word("The web client is not built: there is no page.", "See `hint`."),
    "traces_not_sent": Word("The collector of traces is away; spans are dropped meanwhile.",
                            "Look at what listens at `LOCSHARE_TRACES_URL`."),
    "traces_sent_again": Word("It takes them again."),
    # --- by operators
    "suspended": Word(f"An actor takes no message. {_OPERATOR}", "Resume it."),
    "resumed": Word(f"It goes on. {_OPERATOR}"),
    "terminated": Word(f"A child was stopped for good. {_OPERATOR}"),
    "restarted": Word(f"A terminated child was started again. {_OPERATOR}"),
    "killed": Word(f"A child was ended as by a crash. {_OPERATOR}"),
    # --- the demo
    "demo_session": Word("The demo made a session of simulated people."),
    "demo_session_ended": Word("It ended; the demo makes another."),
    "demo_not_possible_now": Word("The demo could not go on; it tries again."),
    "demo_ended": Word("The demo failed; the server goes on without."),
}  # fmt: skip


# --- reading the code -----------------------------------------------------------------------------


class _Calls(ast.NodeVisitor):
    def __init__(self, place: str) -> None:
        self._place = place
        self._aliases: dict[str, tuple[str, ...]] = {}
        self.found: list[Line] = []

    def visit_Assign(self, node: ast.Assign) -> None:
        """``write = log.debug if … else log.info``."""
        if isinstance(node.value, ast.IfExp) and isinstance(node.targets[0], ast.Name):
            both = [_level(each) for each in (node.value.body, node.value.orelse)]
            levels = tuple(each for each in both if each is not None)
            if len(levels) == len(both):
                self._aliases[node.targets[0].id] = levels
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        levels: tuple[str, ...] | None = None
        more: tuple[str, ...] = ()
        if (level := _level(node.func)) is not None:
            levels = ("error",) if level == "exception" else (level,)
        elif isinstance(node.func, ast.Name) and node.func.id in self._aliases:
            levels = self._aliases[node.func.id]
        elif isinstance(node.func, ast.Name) and node.func.id == "log_unexpected":
            levels, more = ("error",), ("error", "stack")
        elif isinstance(node.func, ast.Name) and node.func.id == "Acceptor":  # it logs for others
            events = [each.value for each in node.args if isinstance(each, ast.Constant)]
            self.found += [
                Line(str(each), ("info",), ("addresses",), self._place) for each in events
            ]
        if levels is not None and node.args:
            named = [each.arg or "…" for each in node.keywords]
            fields = (*more, *("exception" if each == "exc_info" else each for each in named))
            for event in _events(node.args[0]):
                self.found.append(Line(event, levels, fields, self._place))
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        """An entry that is rendered without a call."""
        values = {
            key.value: value
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        }
        event, level = values.get("event"), values.get("level")
        if isinstance(event, ast.Constant) and isinstance(level, ast.Constant):
            fields = tuple(str(each) for each in values if each not in ("event", "level"))
            line = Line(str(event.value), (str(level.value),), fields, self._place)
            self.found.append(line)


def _level(node: ast.expr) -> str | None:
    is_log = (
        isinstance(node, ast.Attribute)
        and node.attr in LEVELS
        and isinstance(node.value, ast.Name)
        and node.value.id == "log"
    )
    return node.attr if is_log and isinstance(node, ast.Attribute) else None


def _events(node: ast.expr) -> Iterator[str]:
    """The names that the first argument may be."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):  # child_{kind}
        head = node.values[0]
        if isinstance(head, ast.Constant):
            yield from (f"{head.value!s}{kind}" for kind in get_args(ReportKind))


def lines() -> list[Line]:
    """Every call of src/ that logs, by event."""
    found: list[Line] = []
    for path in sorted(SOURCE.rglob("*.py")):
        calls = _Calls(str(path.relative_to(SOURCE)))
        calls.visit(ast.parse(path.read_text(encoding="utf-8")))
        found += calls.found
    return sorted(found)


# --- writing the page -----------------------------------------------------------------------------

_HEAD: Final = f"""\
# Log lines

<!-- Made by `python -m tools.log_page` from the code. Change meanings there. -->

One event is one line on standard error: JSON, or for people on a terminal (`LOCSHARE_LOG_FORMAT`).
Each has {ALWAYS} and the fields of its row; names are stable, fields may be
added. No line has a token, a secret, a position, a name, an address, or more of a session's id than
its first eight characters. Errors are logged by type and place, never by their text, which may
quote a client.

Lines of libraries, from warning upwards, come the same way, with their `logger`.

| event | level | fields | it means | what to do |
|---|---|---|---|---|
"""


def page() -> str:
    """The page, with a line break at its end."""
    by_event: dict[str, list[Line]] = defaultdict(list)
    for line in lines():
        by_event[line.event].append(line)
    rows = []
    for event, word in EVENTS.items():
        calls = by_event[event]
        levels = sorted({each for line in calls for each in line.levels}, key=LEVELS.index)
        fields = list(dict.fromkeys(each for line in calls for each in line.fields))
        shown = ", ".join(f"`{each}`" if each != "…" else each for each in fields)
        rows.append(f"| `{event}` | {', '.join(levels)} | {shown} | {word.means} | {word.do} |\n")
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    PAGE.write_text(page(), encoding="utf-8")
