"""Every setting: typed structs with default, meaning and bounds beside each field.

The command line, the settings file, ``checkconfig``, ``defaultconfig`` and
docs/reference/configuration.md are all made from :class:`Settings`; there is no second list of
settings anywhere.

Sources, the later wins: defaults, the settings file (TOML; ``--config`` or ``LOCSHARE_CONFIG``),
the environment (``LOCSHARE_`` and the name in capitals), the flags of ``locshare serve`` (the name
with dashes). An empty text counts as not given.

Promises. :func:`load` collects all faults before it raises; each names the setting, its value,
the source, what is allowed and what to do. No repr and no error holds a secret. A
:class:`Settings` made directly is not checked: tests may exceed the bounds.

The only I/O is reading the settings file. Nothing awaits.
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
