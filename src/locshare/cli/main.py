"""The command line: finds the command, runs it, and turns every outcome into an exit status.

0 is success, 2 wrong usage or settings, 1 any other failure, 130 an interrupt (Ctrl-C). Only a
fault of the program itself shows a traceback, redacted.

Only the module of the given command is imported.
"""

import argparse
import difflib
import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn, cast

from locshare import __version__
from locshare.cli import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    CannotWrite,
    Command,
    complain,
    say,
)
from locshare.config import SettingsError
from locshare.telemetry.output import forget, open_standard_streams

COMMANDS: Final = {
    "serve": "run the server (with --demo: and a session to look at)",
    "simulate": "let simulated people walk and drive in sessions of a running server",
    "top": "look into a running server: its actors, their mailboxes and restarts",
    "doctor": "look a server over: machine, database, proxy, public address; what to do",
    "backup": "write sessions and participants into one file",
    "restore": "bring such a file into an empty database",
    "db": "take the embedded database over a major version of PostgreSQL",
    "health": "ask the running server whether it is ready, for health checks",
    "checkconfig": "check the settings; show what is in effect and where it comes from",
    "defaultconfig": "print a settings file with all defaults, explained",
    "gentoken": "make a secret, or make and read tokens, for tests and for finding faults",
}

EXAMPLES: Final = """\
examples:
  locshare serve --demo                    a server with eight people to watch
  locshare serve --http-bind :8080 --ws-bind :8081
                                           reachable from other machines
  locshare doctor                          is everything right, up to the public address?
  locshare top                             what goes on inside a running server
  locshare defaultconfig > locshare.toml   a settings file to edit
  locshare COMMAND --help                  all about one command

Every setting is a flag of `serve`, an environment variable LOCSHARE_… and a key of the settings
file. Exit status: 0 success, 1 failure, 2 wrong usage or settings, 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (without the program's name), or that of the process, which is
    then set up for it. Returns the exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    open_standard_streams()
    try:
        try:
            if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see __main__
                signal.signal(signal.SIGINT, signal.default_int_handler)
            status = _run(arguments, is_program=argv is None)
        except SystemExit as stop:  # argparse's: help, version, wrong usage
            status = stop.code if isinstance(stop.code, int) else EXIT_USAGE
        say(end="")  # flush here, where a reader that is gone can be handled
    except SettingsError as error:
        for fault in error.faults:
            complain(fault)
        return EXIT_USAGE
    except BrokenPipeError:  # `locshare … | head`
        forget(sys.stdout)
        return EXIT_FAILURE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BaseExceptionGroup as group:
        interrupts, rest = group.split(KeyboardInterrupt)
        if interrupts is not None and rest is None:
            return EXIT_INTERRUPTED
        return _failed(group)
    except Exception as error:  # noqa: BLE001 - the last handler: shows it redacted
        return _failed(error)
    return status


def _failed(error: BaseException) -> int:
    from locshare.cli.failures import explain

    if isinstance(error, CannotWrite):
        forget(sys.stdout)
    reason = explain(error)
    if reason is None:
        return _crashed(error)
    complain(reason)
    return EXIT_FAILURE


def _run(arguments: list[str], *, is_program: bool) -> int:
    if arguments and arguments[0] in COMMANDS:
        name = arguments[0]
        module = cast("Command", importlib.import_module(f"locshare.cli.{name}"))
        if is_program and name != "serve" and "structlog" in sys.modules:
            # Until it is set up it writes to standard output: into a backup, or a JSON document.
            from locshare.telemetry import logs

            logs.configure("warning", "console")
        parser: argparse.ArgumentParser = _Parser(
            prog=f"locshare {name}",
            description=module.DESCRIPTION,
            epilog=f"examples:\n{module.EXAMPLES.rstrip()}\n",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        module.add_arguments(parser)
        return module.run(parser.parse_args(arguments[1:]))
    parser = _top_level()
    if arguments and not arguments[0].startswith("-"):
        near = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}."
        parser.error(f"{arguments[0]!r} is not a command; {hint}")
    parser.parse_args(arguments)
    parser.print_help(sys.stderr if not arguments else sys.stdout)
    return EXIT_USAGE if not arguments else EXIT_OK


def _top_level() -> argparse.ArgumentParser:
    commands = "\n".join(f"  {name:<14} {summary}" for name, summary in COMMANDS.items())
    parser = _Parser(
        prog="locshare",
        usage="locshare COMMAND [flags]",
        description="A group sees itself live on a map, inside a private session that ends by "
        f"itself.\n\ncommands:\n{commands}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"locshare {__version__}")
    return parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence. argparse's own error comes after all flags, which are
    more than a screen.
    """

    def error(self, message: str) -> NoReturn:
        given = next((word for word in message.split() if word.startswith("--")), "")
        flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
        near = difflib.get_close_matches(given.partition("=")[0], flags, n=1)
        hint = f"; did you mean {near[0]}?" if near and near[0] != given else ""
        self.exit(
            EXIT_USAGE,
            f"{self.prog}: error: {message}{hint}\n    `{self.prog} --help` says what there is.\n",
        )


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """A wide column of flags; descriptions and examples are not wrapped."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def _crashed(error: BaseException) -> int:
    from locshare.telemetry.redaction import format_exception

    complain(
        "internal error; please report it with what follows (tokens and positions are removed).\n"
        + format_exception((type(error), error, error.__traceback__))
    )
    return EXIT_FAILURE
