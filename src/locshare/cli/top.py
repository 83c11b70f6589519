"""``locshare top``: the live tree of a running server.

On a terminal, an interactive screen; with ``--json`` or ``--text``, or without a terminal,
snapshots for scripts; with ``--suspend`` and the like, one action on one actor.
"""

import math
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from functools import partial
from pathlib import Path
from typing import Final, get_args

import msgspec
import trio
from msgspec import Struct

from locshare.cli import EXIT_FAILURE, EXIT_OK, EXIT_USAGE, complain, say
from locshare.cli.flags import add_config_flag, load_settings
from locshare.ops.control import ControlClient, ControlError, open_control
from locshare.ops.inspection.text import as_text
from locshare.ops.inspection.views import (
    DEFAULT_LIMIT,
    Kill,
    Restart,
    Resume,
    SortKey,
    Suspend,
    Terminate,
    Trace,
    TraceLine,
    Tree,
    TreeSnapshot,
    Watch,
)

DESCRIPTION = """\
Show the live tree of a running server: every supervisor, actor and task, what waits in their
mailboxes, how much of the core they take, how often and why they were restarted. Talks to the
server's control socket, which only the user who runs the server can open. It shows no names, no
positions and no messages."""
EXAMPLES = """\
  locshare top                                        the server with the same settings, live
  locshare top --data-dir /var/lib/locshare           another one
  locshare top --json | jq .vitals.sessions           one snapshot, for scripts
  locshare top --json --count 60 --interval 5         five minutes of them, one per line
  locshare top --trace sessions/6f1c9d0e/session      types and times of its messages
  locshare top --kill listener                        as a crash would; its supervisor restarts it
"""

_ACTIONS: Final[dict[str, tuple[type[Struct], str]]] = {
    "suspend": (Suspend, "let an actor take no message; they wait in its mailbox"),
    "resume": (Resume, "end --suspend"),
    "terminate": (Terminate, "stop a child in order; it is not started again by itself"),
    "restart": (Restart, "start a child again that was terminated"),
    "kill": (Kill, "end a child as a crash would"),
}


def add_arguments(parser: ArgumentParser) -> None:
    """Where the server is, what to show, what to do."""
    add_config_flag(parser)
    parser.add_argument(
        "--data-dir", dest="setting_data_dir", metavar="DIR", help="of the server, as for serve"
    )
    parser.add_argument(
        "--control-socket", dest="setting_control_socket", metavar="PATH",
        help="of the server, as for serve",
    )  # fmt: skip
    show = parser.add_argument_group("what to show")
    show.add_argument(
        "--interval", type=_interval, default=1.0, metavar="SECONDS",
        help="between two snapshots (default 1)",
    )  # fmt: skip
    show.add_argument(
        "--sort", choices=get_args(SortKey), default="load", help="sessions by (default load)"
    )
    show.add_argument(
        "--limit", type=_count, default=DEFAULT_LIMIT, metavar="N",
        help=f"at most N sessions, 0 for all (default {DEFAULT_LIMIT})",
    )  # fmt: skip
    form = show.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per snapshot and line")
    form.add_argument("--text", action="store_true", help="plain text")
    show.add_argument(
        "--count", type=_count, default=1, metavar="N",
        help="with --json or --text: number of snapshots, 0 for no end (default 1)",
    )  # fmt: skip
    do = parser.add_argument_group("what to do").add_mutually_exclusive_group()
    for name, (_, about) in _ACTIONS.items():
        do.add_argument(f"--{name}", metavar="PATH", help=about)
    do.add_argument(
        "--trace", metavar="PATH", help="show types and times of an actor's messages until it ends"
    )


def run(arguments: Namespace) -> int:
    """Show or do. Raises SettingsError."""
    path = load_settings(arguments).settings.control_path
    if path is None:
        complain("control_socket is off: a server with this setting cannot be looked into")
        return EXIT_USAGE
    try:
        trio.run(partial(_run, path, arguments))
    except ControlError as error:
        complain(_explain(error))
        return EXIT_FAILURE
    return EXIT_OK


async def _run(path: Path, arguments: Namespace) -> None:
    for name, (request, _) in _ACTIONS.items():
        target = getattr(arguments, name)
        if target is not None:
            async with open_control(path) as control:
                await _hear(control)
                await control.ask(request(target))
            return
    if arguments.trace is not None:
        await _trace(path, arguments)
    elif arguments.json or arguments.text or not _can_show_a_screen():
        await _snapshots(path, arguments)
    else:
        from locshare.ops.top.live import run_live  # rich is not needed for scripts

        await run_live(
            path,
            interval=arguments.interval,
            limit=arguments.limit,
            sort=arguments.sort,
            keyboard=sys.stdin.fileno(),
        )


def _can_show_a_screen() -> bool:
    """A dumb terminal, as in an editor, cannot: it would stay empty."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


async def _snapshots(path: Path, arguments: Namespace) -> None:
    left = arguments.count or -1
    request = Watch(arguments.interval, arguments.limit, arguments.sort)
    async with open_control(path) as control:
        with control.answering() as waiting:
            async for snapshot in control.stream(request, TreeSnapshot):
                if waiting.deadline < math.inf:
                    waiting.deadline = math.inf
                    continue  # the first has no loads: there is no earlier one to compare with
                say(msgspec.json.encode(snapshot).decode() if arguments.json else as_text(snapshot))
                left -= 1
                if left == 0:
                    return


async def _hear(control: ControlClient) -> None:
    """Raises ControlError ``silent`` for a server that hangs, before it is asked for what may take
    long, and would be done later, after the command has given up.
    """
    with control.answering():
        await control.ask(Tree(limit=1))


async def _trace(path: Path, arguments: Namespace) -> None:
    async with open_control(path) as control:
        await _hear(control)
        async for line in control.stream(Trace(arguments.trace), TraceLine):
            if arguments.json:
                say(msgspec.json.encode(line).decode())
                continue
            lost = f"  ({line.lost} lost before it)" if line.lost else ""
            took = f"{line.seconds * 1e6:10.0f} µs"
            say(f"{line.at:9.3f} s  {line.kind:<6}{line.type:<28}{took}{lost}")


def _explain(error: ControlError) -> str:
    if error.code == "unreachable":
        return (
            f"{error}. Start one with `locshare serve`, or say where it is with --data-dir or "
            "--control-socket"
        )
    return error.message


def _interval(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 3600:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1 to 3600")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)
