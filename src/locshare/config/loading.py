"""The sources of settings, and conflicts between settings. Only the settings file is read."""

import difflib
import re
import tomllib
import types
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from locshare.config.fields import PREFIX, Setting, excerpt, parse_bind
from locshare.config.sections import MAX_PRESENCE_DELAY_S
from locshare.config.settings import Settings, all_settings, with_values
from locshare.model.errors import LocshareError

CONFIG_VARIABLE: Final = "LOCSHARE_CONFIG"
PURE_PYTHON_VARIABLE: Final = "LOCSHARE_PURE_PYTHON"
"""Not a setting: it is read when the program is imported (:mod:`locshare.broadcast.native`)."""
CACHE_DIR_VARIABLE: Final = "LOCSHARE_CACHE_DIR"
"""Of the single-file program: where it unpacks itself (tools/binary/runner.c)."""
_NO_SETTINGS: Final = (CONFIG_VARIABLE, PURE_PYTHON_VARIABLE, CACHE_DIR_VARIABLE)
PORT_VARIABLE: Final = "PORT"
"""By which Heroku, Cloud Run, Render, Fly and others name the one port that they forward to."""
_BINDS: Final = ("bind", "http_bind", "ws_bind")
MAX_FILE_BYTES: Final = 1024 * 1024
"""Of the settings file; one with every setting and its explanation has 20 kB."""
_OTHER_FILE: Final = (
    f"\n    Correct it, or name another with --config or {CONFIG_VARIABLE};"
    " `locshare defaultconfig` prints one to edit."
)


class SettingsError(LocshareError):
    """The settings cannot be used. ``faults`` has one text per fault; none holds a secret."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Loaded(Struct, frozen=True):
    """Checked settings, and the source of each that is not a default."""

    settings: Settings
    origins: dict[str, str]
    """By name of the setting: a variable, a flag, or the path of the settings file."""
    file: Path | None


def load(
    environ: Mapping[str, str],
    flags: Mapping[str, str] = types.MappingProxyType({}),
    file: Path | None = None,
) -> Loaded:
    """The settings of all sources. ``flags`` is by the names of :func:`all_settings`.

    ``file`` takes precedence over ``LOCSHARE_CONFIG``. Raises SettingsError with all faults.
    """
    faults: list[str] = []
    if file is None and environ.get(CONFIG_VARIABLE):
        file = Path(environ[CONFIG_VARIABLE])
    given: dict[str, tuple[Any, str]] = {}  # name: raw value, origin
    if file is not None:
        given |= _from_file(file, faults)
    given |= _from_environment(environ, faults)
    given |= {
        setting.name: (flags[setting.name], setting.flag)
        for setting in all_settings()
        if flags.get(setting.name)
    }
    if environ.get(PORT_VARIABLE) and given.keys().isdisjoint(_BINDS):
        given["bind"] = f":{environ[PORT_VARIABLE]}", PORT_VARIABLE
    values = {}
    for setting in all_settings():
        if setting.name in given:
            raw, origin = given[setting.name]
            try:
                values[setting.name] = setting.parse(raw)
            except ValueError as error:
                faults.append(_fault(setting, raw, origin, str(error)))
    settings = with_values(Settings(), values)
    if not settings.data_dir.is_absolute():
        faults.append(
            "No home directory is known (HOME is not set or no absolute path, or the account of"
            " this user is missing), so there is no place for the data.\n"
            "    Set LOCSHARE_DATA_DIR (--data-dir)."
        )
    faulty = given.keys() - values.keys()
    faults += _one_port_conflicts(settings, given, faulty)
    faults += _conflicts(settings, faulty)
    if faults:
        raise SettingsError(tuple(faults))
    return Loaded(settings, {name: origin for name, (_, origin) in given.items()}, file)


def _from_file(path: Path, faults: list[str]) -> dict[str, tuple[Any, str]]:
    try:
        table = _read(path)
    except ValueError as error:
        faults.append(f"The settings file {path} {error}.{_OTHER_FILE}")
        return {}
    names = {setting.name for setting in all_settings()}
    faults += [_unknown(f"{key} in {path}", key, names) for key in table if key not in names]
    return {key: (value, str(path)) for key, value in table.items() if key in names and value != ""}


def _read(path: Path) -> dict[str, Any]:
    """Raises ValueError with the fault. Reads no further than is allowed: /dev/zero has no end."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ValueError("has more than 1 MiB, the most allowed")
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        # Its text quotes at most one character of the file.
        raise ValueError(f"is not TOML: {error}") from None
    except (ValueError, RecursionError):  # a number of 4,301 digits, 1,000 brackets
        raise ValueError("has a number that is too long, or nests too deep") from None


# Kubernetes and old Docker links tell every container about a service named locshare in this way.
_SERVICE_LINK = re.compile(
    r"LOCSHARE_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)"
)


def _from_environment(environ: Mapping[str, str], faults: list[str]) -> dict[str, tuple[Any, str]]:
    variables = {setting.variable: setting.name for setting in all_settings()}
    given: dict[str, tuple[Any, str]] = {}
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIX) or not value or variable in _NO_SETTINGS:
            continue
        if variable in variables:
            given[variables[variable]] = (value, variable)
        elif not _SERVICE_LINK.fullmatch(variable) and not (
            variable.endswith("_PORT") and value.startswith(("tcp://", "udp://"))
        ):
            faults.append(_unknown(variable, variable, {*variables, CONFIG_VARIABLE}))
    return given


def _unknown(what: str, name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {near[0]}?" if near else "`locshare defaultconfig` lists all settings."
    return f"{what} is not a setting; {hint}"


def _fault(setting: Setting, raw: Any, origin: str, wrong: str) -> str:
    value = "[hidden]" if setting.about.secret else excerpt(repr(raw))
    where = "" if origin in (setting.variable, setting.flag) else f" (from {origin})"
    name = origin if not where else setting.name
    return (
        f"{name} = {value}{where} {wrong}.\n"
        f"    Allowed: {setting.allowed}. "
        f"Set {setting.variable} or {setting.flag}; the default is {setting.default_in_words}."
    )


def _same_binds(settings: Settings) -> list[tuple[str, str]]:
    """Pairs of settings with equal addresses. Port 0 is a different port each time."""
    names = ["internal_bind", "debug_bind"]
    names[:0] = ["http_bind", "ws_bind"] if settings.bind is None else ["bind"]
    binds = {name: bind for name in names if (bind := getattr(settings, name)) is not None}
    return [
        (one, other)
        for one, other in combinations(binds, 2)
        if binds[one] == binds[other] and parse_bind(binds[one])[1] != 0
    ]


def _one_port_conflicts(
    settings: Settings, given: Mapping[str, tuple[Any, str]], faulty: AbstractSet[str]
) -> list[str]:
    if "bind" not in given or "bind" in faulty:
        return []
    return [
        f"{PREFIX}BIND = {settings.bind} and {PREFIX}{name.upper()} are both given (the latter by"
        f" {given[name][1]}): bind is one port for everything.\n"
        f"    Remove one of them: LOCSHARE_BIND (--bind) for one port, LOCSHARE_HTTP_BIND and"
        f" LOCSHARE_WS_BIND for two."
        for name in ("http_bind", "ws_bind")
        if name in given
    ]


def _conflicts(settings: Settings, faulty: AbstractSet[str]) -> list[str]:
    """Faults in combinations of settings, without those in ``faulty``."""
    found: list[str] = []
    by_name = {setting.name: setting for setting in all_settings()}

    def conflict(*names: str, why: str, do: str) -> None:
        if not faulty.isdisjoint(names):
            return
        values = " and ".join(
            f"{by_name[name].variable} = {excerpt(by_name[name].show(by_name[name].of(settings)))}"
            for name in names
        )
        found.append(f"{values}: {why}.\n    {do}.")

    s = settings
    for one, other in _same_binds(s):
        conflict(one, other, why="both cannot listen on one port", do="Change one of them")
    ws_url = s.public_ws_url or ("" if s.bind is None else "wss:")  # of public_url on one port
    if (s.public_url or "").startswith("https:") and not ws_url.startswith("wss:"):
        conflict(
            "public_url", "public_ws_url",
            why="a page that came by https may open wss:// only",
            do="Set LOCSHARE_PUBLIC_WS_URL (--public-ws-url) to a wss:// address",
        )  # fmt: skip
    if s.jwt_previous_secret is not None and s.jwt_previous_until is None:
        conflict(
            "jwt_previous_secret", "jwt_previous_until",
            why="an old key that is accepted for ever is no rotation",
            do="Set LOCSHARE_JWT_PREVIOUS_UNTIL (--jwt-previous-until) to 24 hours after the "
            "change, or later",
        )  # fmt: skip
    if s.jwt_previous_until is not None and s.jwt_previous_secret is None:
        conflict(
            "jwt_previous_until", "jwt_previous_secret",
            why="there is no previous key that could be accepted until then",
            do="Set LOCSHARE_JWT_PREVIOUS_SECRET (--jwt-previous-secret), or remove the date",
        )  # fmt: skip
    if s.jwt_previous_secret is not None and s.jwt_previous_secret == s.jwt_secret:
        conflict(
            "jwt_secret", "jwt_previous_secret",
            why="both are the same key", do="Remove the previous one, or make a new secret",
        )  # fmt: skip
    if s.connections.ping_interval * s.connections.missed_pings > MAX_PRESENCE_DELAY_S:
        conflict(
            "ping_interval_s", "missed_pings",
            why=f"someone who is gone would be shown as online for more than "
            f"{MAX_PRESENCE_DELAY_S} seconds",
            do="Lower one of them",
        )  # fmt: skip
    for rate in ("per_second", "burst"):
        if by_name[f"message_{rate}"].of(s) < by_name[f"position_{rate}"].of(s):
            conflict(
                f"message_{rate}", f"position_{rate}",
                why="positions are messages too, so their limit would never be reached",
                do="Raise the first or lower the second",
            )  # fmt: skip
    if s.tile_attribution is not None and s.tile_url is None:
        conflict(
            "tile_attribution", "tile_url",
            why="there are no tiles to attribute",
            do="Set LOCSHARE_TILE_URL (--tile-url), or remove the attribution",
        )  # fmt: skip
    return found
