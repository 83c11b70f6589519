"""The commands of ``locshare``, one module each, imported on demand.

Each module has ``DESCRIPTION`` and ``EXAMPLES`` (both for ``--help``; examples are lines of
command and comment), ``add_arguments(parser)`` and ``run(arguments)``, which returns one of the
exit statuses ``EXIT_…``. Names and one-line summaries are in :mod:`locshare.cli.main`, so that
``locshare --help`` imports none of the commands.

Results go to standard output; errors and logs to standard error. ``run`` may raise SettingsError,
KeyboardInterrupt, and what :func:`locshare.cli.failures.explain` explains; :mod:`locshare.cli.main`
turns them into an exit status.
"""

import sys
from argparse import ArgumentParser, Namespace
from typing import Final, Protocol

from locshare.model.errors import LocshareError
from locshare.telemetry.output import forget

EXIT_OK: Final = 0
EXIT_FAILURE: Final = 1
EXIT_USAGE: Final = 2
"""Wrong arguments or settings: trying again will not help."""
EXIT_INTERRUPTED: Final = 130
MAX_INPUT_CHARS: Final = 65_536
"""Of standard input; a token or a receipt has some hundred."""


class CannotWrite(LocshareError):
    """Standard output cannot be written: a full disk, for instance."""


class Command(Protocol):
    """The interface of a command's module."""

    DESCRIPTION: str
    EXAMPLES: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the flags."""
        ...

    def run(self, arguments: Namespace) -> int:
        """Run the command; returns the exit status."""
        ...


def say(text: str = "", end: str = "\n") -> None:
    """Print a line of result on standard output and flush it. Raises BrokenPipeError when the
    reader is gone, CannotWrite when it cannot be written.
    """
    try:
        sys.stdout.write(text + end)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CannotWrite(f"cannot write to standard output: {error.strerror}") from error


def read_standard_input(prompt: str) -> str:
    """What somebody pastes or a program sends, without space around it; at most
    :data:`MAX_INPUT_CHARS`, since /dev/zero has no end. ``prompt``: shown on a terminal.
    """
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        complain(f"{prompt}, then Enter and Ctrl-D")
    try:
        return sys.stdin.read(MAX_INPUT_CHARS).strip()
    except UnicodeDecodeError:
        return ""


def complain(text: str) -> None:
    """Print a line of error on standard error; never raises."""
    try:
        sys.stderr.write(f"locshare: {text}\n")
        sys.stderr.flush()
    except OSError:
        forget(sys.stderr)
