"""The commands of ``locshare``, one module each, imported only when it is asked for.

Each module has ``DESCRIPTION`` and ``EXAMPLES`` (both for ``--help``; examples are lines of
command and comment), ``add_arguments(parser)`` and ``run(arguments)``, which returns the exit
status: one of the ``EXIT_…`` below. The names and one-line summaries are in
:mod:`locshare.cli.main`, so that ``locshare --help`` imports none of this.

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
"""Of settings too: what was asked for makes no sense, and asking again will not help."""
EXIT_INTERRUPTED: Final = 130


class CannotWrite(LocshareError):
    """Standard output is a full disk, for instance."""


class Command(Protocol):
    """What a module in here provides."""

    DESCRIPTION: str
    EXAMPLES: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the flags."""
        ...

    def run(self, arguments: Namespace) -> int:
        """Do it. Returns the exit status."""
        ...


def say(text: str = "") -> None:
    """A line of result, on standard output, at once. Raises BrokenPipeError when its reader has
    gone, CannotWrite when it cannot be written.
    """
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CannotWrite(f"cannot write to standard output: {error.strerror}") from error


def complain(text: str) -> None:
    """A line of error, on standard error. When that cannot be written there is nobody to tell."""
    try:
        sys.stderr.write(f"locshare: {text}\n")
        sys.stderr.flush()
    except OSError:
        forget(sys.stderr)
