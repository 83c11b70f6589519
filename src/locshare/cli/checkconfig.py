"""``locshare checkconfig``: are the settings right, and what is in effect?"""

import sys
from argparse import ArgumentParser, Namespace

from locshare.cli import EXIT_OK, say
from locshare.cli.flags import add_settings_flags, load_settings
from locshare.config import all_settings
from locshare.server.process_info import SENDING

DESCRIPTION = """\
Check the settings of all sources as `locshare serve` would, with the same flags, and show what is
in effect and where it comes from. Secrets are hidden. With errors: all of them, and status 2."""
EXAMPLES = """\
  locshare checkconfig
  locshare checkconfig --config /etc/locshare.toml
"""


def add_arguments(parser: ArgumentParser) -> None:
    """The flags of ``serve``."""
    parser.add_argument(
        "--changed", action="store_true", help="show only what is not left to its default"
    )
    add_settings_flags(parser)


def run(arguments: Namespace) -> int:
    """Print a table. Raises SettingsError."""
    loaded = load_settings(arguments)
    rows = [
        (
            setting.name,
            setting.default_in_words
            if setting.of(loaded.settings) is None
            else setting.show(setting.of(loaded.settings)),
            loaded.origins.get(setting.name, "default"),
        )
        for setting in all_settings()
        if setting.name in loaded.origins or not arguments.changed
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, value, origin in rows:
        say(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}")
    if not arguments.changed:
        how = "the compiled module" if SENDING == "compiled" else "Python code"
        sys.stderr.write(f"Positions are sent by {how}.\n")
    return EXIT_OK
