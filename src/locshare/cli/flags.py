"""Flags made from the settings, for every command that takes settings."""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from locshare.config import Loaded, Setting, all_settings, load

_METAVARS = {"seconds": "SECONDS", "bytes": "BYTES", "per second": "RATE"}


def add_config_flag(parser: ArgumentParser) -> None:
    """``--config`` alone, for commands that need few settings."""
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="a settings file (TOML); see defaultconfig"
    )


def add_settings_flags(parser: ArgumentParser) -> None:
    """``--config`` and a flag per setting. Values stay text, since all are checked together."""
    add_config_flag(parser)
    group: Any = parser
    for setting in all_settings():
        if setting.about.section:
            group = parser.add_argument_group(f"settings: {setting.about.section}")
        group.add_argument(
            setting.flag,
            dest=f"setting_{setting.name}",
            metavar=_METAVARS.get(setting.about.unit) or _metavar(setting),
            help=_help(setting).replace("%", "%%"),
        )


def load_settings(arguments: Namespace) -> Loaded:
    """The settings of all sources. Raises SettingsError."""
    flags = {
        setting.name: value
        for setting in all_settings()
        if (value := getattr(arguments, f"setting_{setting.name}", None)) is not None
    }
    return load(os.environ, flags, arguments.config)


def _metavar(setting: Setting) -> str:
    if setting.kind in (int, float):
        return "N"
    last = setting.name.rpartition("_")[2]
    return {"dir": "DIR", "url": "URL", "secret": "SECRET", "until": "TIME"}.get(last, "VALUE")


def _help(setting: Setting) -> str:
    text = f"{setting.about.meaning} Allowed: {setting.allowed}."
    if setting.about.secret:
        text += f" Better given as {setting.variable}: others may see a command line."
    return f"{text} Default: {setting.default_in_words}."
