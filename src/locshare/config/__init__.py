"""Every setting: typed structs with default, meaning and bounds beside each field.

The command line, the settings file, ``checkconfig``, ``defaultconfig`` and
docs/reference/configuration.md are all made from :class:`Settings`; there is no second list of
settings anywhere.

Sources, the later wins: defaults, the settings file (TOML; ``--config`` or ``LOCSHARE_CONFIG``),
the environment (``LOCSHARE_`` and the name in capitals), the flags of ``locshare serve`` (the name
with dashes). An empty text counts as not given.

Promises. :func:`load` finds all faults before it raises, and each names the setting, its value,
where that came from, what is allowed and what to do. A secret is in no repr and in no error.
:class:`Settings` made by hand is not checked: tests may go beyond the limits.

Reading the settings file is all the I/O there is. Nothing awaits.
"""

from locshare.config.fields import MIN_SECRET_BYTES, About, Setting, hide_password, parse_bind
from locshare.config.loading import CONFIG_VARIABLE, Loaded, SettingsError, load
from locshare.config.settings import Settings, all_settings, default_data_dir, with_values

__all__ = [
    "CONFIG_VARIABLE",
    "MIN_SECRET_BYTES",
    "About",
    "Loaded",
    "Setting",
    "Settings",
    "SettingsError",
    "all_settings",
    "default_data_dir",
    "hide_password",
    "load",
    "parse_bind",
    "with_values",
]
