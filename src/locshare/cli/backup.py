"""``locshare backup``: the database into one file."""

import sys
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

import trio

from locshare.cli import EXIT_OK, EXIT_USAGE, complain
from locshare.cli.flags import add_settings_flags, load_settings
from locshare.maintenance.backup.work import back_up

DESCRIPTION = """\
Write sessions and participants into a new file that only you can read (mode 600), as they are at
one moment; no position is in it, for none is stored. The server may run or not, its database may be
the embedded one or yours. The file is read again before the command ends. FILE - is standard
output."""
EXAMPLES = """\
  locshare backup locshare.backup
  locshare backup --with-key locshare.backup      and the generated key: tokens stay valid
  locshare backup - | age -r age1… > locshare.backup.age
"""


def add_arguments(parser: ArgumentParser) -> None:
    """The file, the key, and the flags of ``serve``."""
    parser.add_argument("file", metavar="FILE", help="must not exist; - is standard output")
    parser.add_argument(
        "--with-key", action="store_true",
        help="with the generated signing key, without which tokens are refused after a restore; "
        "whoever has the file can then act as anyone",
    )  # fmt: skip
    add_settings_flags(parser)


def run(arguments: Namespace) -> int:
    """Back up. Raises SettingsError, and what :mod:`locshare.cli.failures` explains."""
    settings = load_settings(arguments).settings
    if arguments.file == "-" and sys.stdout.isatty():
        complain("a backup is not for a terminal: give a file, or lead the output into a program")
        return EXIT_USAGE
    to_output = arguments.file == "-"
    # Its own buffer: that of sys.stdout is none under PYTHONUNBUFFERED, and may then write a part.
    target = open(1, "wb", closefd=False) if to_output else Path(arguments.file)  # noqa: SIM115
    what = trio.run(partial(back_up, settings, target, with_key=arguments.with_key))
    sys.stderr.write(f"{arguments.file}: {what}\n")
    return EXIT_OK
