"""``locshare db upgrade``: the embedded database over a major version of PostgreSQL."""

from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

import trio

from locshare.cli import EXIT_OK, say
from locshare.cli.flags import add_settings_flags, load_settings
from locshare.maintenance.backup.upgrade import upgrade

DESCRIPTION = """\
Take the embedded database to the PostgreSQL that is installed, after an update of locshare brought
a new major version. The old server is started once more, with its own binaries; its rows go through
a backup into a new cluster; the old one is kept beside it. Stop the server first. It can be run
again whatever happened to it. With the same version there is nothing to do."""
EXAMPLES = """\
  locshare db upgrade
  locshare db upgrade --old-binaries /usr/lib/postgresql/16/bin
"""


def add_arguments(parser: ArgumentParser) -> None:
    """What to do, where old binaries are, and the flags of ``serve``."""
    parser.add_argument("action", choices=("upgrade",), help="over a major version")
    parser.add_argument(
        "--old-binaries", type=Path, metavar="DIR",
        help="the directory of the old version's postgres (default: where packages put it)",
    )  # fmt: skip
    add_settings_flags(parser)


def run(arguments: Namespace) -> int:
    """Upgrade. Raises SettingsError, and what :mod:`locshare.cli.failures` explains."""
    settings = load_settings(arguments).settings
    trio.run(partial(upgrade, settings, say, arguments.old_binaries))
    return EXIT_OK
