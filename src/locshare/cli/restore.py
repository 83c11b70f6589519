"""``locshare restore``: a backup into a database that has no rows."""

from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

import trio

from locshare.cli import EXIT_OK, say
from locshare.cli.flags import add_settings_flags, load_settings
from locshare.maintenance.backup.format import BackupFile
from locshare.maintenance.backup.work import restore

DESCRIPTION = """\
Read a backup whole, check it, and bring it into the database of the settings: all of it or nothing.
A database that has sessions is refused, not overwritten. The server must be stopped if its database
is the embedded one. Sessions whose time has passed end with the next start, and are deleted."""
EXAMPLES = """\
  locshare restore --check locshare.backup        is it whole? touches no database
  locshare restore locshare.backup
  locshare restore --data-dir /var/lib/locshare locshare.backup
"""


def add_arguments(parser: ArgumentParser) -> None:
    """The file, and the flags of ``serve``."""
    parser.add_argument("file", metavar="FILE", type=Path, help="made by locshare backup")
    parser.add_argument("--check", action="store_true", help="only read and check it")
    add_settings_flags(parser)


def run(arguments: Namespace) -> int:
    """Restore. Raises SettingsError, and what :mod:`locshare.cli.failures` explains."""
    settings = load_settings(arguments).settings
    backup = BackupFile(arguments.file)
    made = backup.header.made_at.strftime("%Y-%m-%d %H:%M UTC")
    if arguments.check:
        say(f"{arguments.file} is whole, made {made} by locshare {backup.header.program}")
        return EXIT_OK
    say(f"restored: {trio.run(partial(restore, settings, backup))} (of {made})")
    return EXIT_OK
