"""``locshare defaultconfig``: every setting, explained, as a settings file or as a page."""

import json
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from locshare.cli import EXIT_OK, say
from locshare.config import CONFIG_VARIABLE, Setting, all_settings

DESCRIPTION = """\
Print a settings file (TOML) with every setting at its default, its meaning and what is allowed.
Read it with --config or LOCSHARE_CONFIG. What has no fixed default is commented out."""
EXAMPLES = """\
  locshare defaultconfig > locshare.toml
  locshare serve --config locshare.toml
"""

_PREAMBLE = f"""\
# Settings of locshare. `locshare serve --config FILE` or {CONFIG_VARIABLE}=FILE reads this.
# An environment variable LOCSHARE_… or a flag of `locshare serve` wins over a line here.
# `locshare checkconfig` checks it."""

_PAGE = f"""\
# Settings

Made from the code by `python -m locshare defaultconfig --markdown`; a test keeps it current.

Every setting can be given in three ways. The later wins:

1. a key in a settings file (TOML), named with `--config FILE` or `{CONFIG_VARIABLE}`;
   `locshare defaultconfig` prints one to edit;
2. an environment variable, `LOCSHARE_` and the name in capitals (an empty one counts as not
   given);
3. a flag of `locshare serve`, the name with dashes.

`locshare checkconfig` checks all of them and shows what is in effect and where it comes from. A
variable `LOCSHARE_…` or a key that is no setting is an error. Secrets belong in the environment or
in a file that others cannot read: a command line can be seen by all users of a machine."""


def add_arguments(parser: ArgumentParser) -> None:
    """``--markdown``."""
    parser.add_argument(
        "--markdown", action="store_true", help="print docs/reference/configuration.md instead"
    )


def run(arguments: Namespace) -> int:
    """Print it."""
    say(markdown() if arguments.markdown else toml())
    return EXIT_OK


def toml() -> str:
    """The settings file, without a line break at its end."""
    lines = [_PREAMBLE]
    for setting in all_settings():
        if setting.about.section:
            lines += ["", "", f"# --- {setting.about.section} ".ljust(100, "-")]
        lines += ["", *_comments(setting), _assignment(setting)]
    return "\n".join(lines)


def _comments(setting: Setting) -> Iterator[str]:
    text = f"{setting.about.meaning} Allowed: {setting.allowed}."
    if setting.about.default:
        text += f" Default: {setting.about.default}."
    for line in textwrap.wrap(text, 98, break_on_hyphens=False, break_long_words=False):
        yield f"# {line}"


def _assignment(setting: Setting) -> str:
    if setting.about.default:  # one that is not a value, or differs from machine to machine
        return f'#{setting.name} = ""'
    return f"{setting.name} = {_toml_value(setting.default)}"


def _toml_value(value: Any) -> str:
    # JSON's texts, numbers and lists are TOML's.
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def markdown() -> str:
    """The page, without a line break at its end."""
    lines = [_PAGE]
    for setting in all_settings():
        if setting.about.section:
            lines += [
                "",
                f"## {setting.about.section}",
                "",
                "| setting | variable, flag | default | allowed | meaning |",
                "|---|---|---|---|---|",
            ]
        cells = (
            f"`{setting.name}`",
            f"`{setting.variable}` `{setting.flag}`",
            setting.default_in_words if setting.about.default else f"`{setting.default_in_words}`",
            setting.allowed,
            setting.about.meaning,
        )
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)
