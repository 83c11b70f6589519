"""Settings: where they come from, what is refused, and that no secret is shown."""

import math
import os
import pwd
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.auth.tokens import TokenKeys
from locshare.config import (
    Setting,
    Settings,
    SettingsError,
    all_settings,
    hide_password,
    load,
    parse_bind,
)
from locshare.config.fields import MIN_SECRET_BYTES

SECRET = "s3cret-" * 8
OTHER = "0ther-one-" * 8
BY_NAME = {setting.name: setting for setting in all_settings()}


def faults(environ: dict[str, str], flags: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ, flags or {})
    return str(caught.value)


# --- sources ----------------------------------------------------------------------------------


def test_nothing_given_is_the_defaults() -> None:
    loaded = load({})
    assert loaded.settings == Settings()
    assert loaded.origins == {}


def test_a_later_source_wins(tmp_path: Path) -> None:
    file = tmp_path / "locshare.toml"
    file.write_text("max_participants = 11\nmissed_pings = 3\nmax_sessions = 7\n")
    environ = {"LOCSHARE_MAX_PARTICIPANTS": "12", "LOCSHARE_MISSED_PINGS": "4"}
    loaded = load(environ, {"max_participants": "13"}, file)
    assert loaded.settings.sessions.max_participants == 13
    assert loaded.settings.connections.missed_pings == 4
    assert loaded.settings.max_sessions == 7
    assert loaded.origins == {
        "max_participants": "--max-participants",
        "missed_pings": "LOCSHARE_MISSED_PINGS",
        "max_sessions": str(file),
    }


def test_the_settings_file_may_be_named_in_the_environment_and_the_flag_wins(
    tmp_path: Path,
) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text("max_sessions = 1")
    other.write_text("max_sessions = 2")
    assert load({"LOCSHARE_CONFIG": str(one)}).settings.max_sessions == 1
    assert load({"LOCSHARE_CONFIG": str(one)}, file=other).settings.max_sessions == 2


def test_an_empty_text_counts_as_not_given(tmp_path: Path) -> None:
    file = tmp_path / "locshare.toml"
    file.write_text('database_url = ""')
    loaded = load({"LOCSHARE_DATABASE_URL": "", "LOCSHARE_CONFIG": str(file)}, {"tile_url": ""})
    assert loaded.settings == Settings()


def test_variables_of_other_programs_are_none_of_ours() -> None:
    assert load({"PATH": "/bin", "LOCSHAREX": "1", "locshare_x": "1"}).settings == Settings()


def test_service_links_of_kubernetes_are_not_mistaken_for_settings() -> None:
    environ = {
        "LOCSHARE_SERVICE_HOST": "10.0.0.7",
        "LOCSHARE_SERVICE_PORT": "8080",
        "LOCSHARE_SERVICE_PORT_HTTP": "8080",
        "LOCSHARE_PORT": "tcp://10.0.0.7:8080",
        "LOCSHARE_PORT_8080_TCP": "tcp://10.0.0.7:8080",
        "LOCSHARE_PORT_8080_TCP_ADDR": "10.0.0.7",
        "LOCSHARE_WS_PORT": "tcp://10.0.0.8:8081",
    }
    assert load(environ).settings == Settings()


WRONG_URL = "postgresql://ada:hush@db/x\u00a0"
"""With a space that no setting takes."""


@pytest.mark.parametrize("setting", all_settings(), ids=lambda each: each.name)
def test_a_password_in_the_wrong_setting_is_not_shown(setting: Setting) -> None:
    text = faults({setting.variable: WRONG_URL})
    assert setting.variable in text
    assert "hush" not in text


@pytest.mark.parametrize("setting", all_settings(), ids=lambda each: each.name)
def test_an_error_about_a_long_value_is_short_and_names_what_is_allowed(setting: Setting) -> None:
    value = "x" * 100_000
    try:
        load({setting.variable: value})
    except SettingsError as error:
        text = "\n".join(error.faults)
        assert setting.variable in text
        assert len(text) < 1000
        assert "Set LOCSHARE_" in text
    else:
        assert setting.name == "jwt_secret"


def test_a_value_in_another_encoding_is_said_to_be_that() -> None:
    text = faults({"LOCSHARE_DATA_DIR": os.fsdecode(b"/data/\xff")})
    assert "is not UTF-8" in text


@pytest.mark.parametrize("host", ["https://metrics", "metrics:9090", "a/b", "", "ä"])
def test_an_internal_host_is_a_name_without_anything_else(host: str) -> None:
    text = faults({"LOCSHARE_INTERNAL_HOSTS": f"prometheus,{host}"})
    assert "which is no host name" in text
    names = "prometheus,map_server,a.example.org,*"
    assert load({"LOCSHARE_INTERNAL_HOSTS": names}).settings.internal_hosts == tuple(
        names.split(",")
    )


def test_an_unknown_variable_is_an_error_that_names_the_nearest() -> None:
    text = faults({"LOCSHARE_MAX_PARTICIPANT": "5", "LOCSHARE_HTTP_PORT": "80"})
    assert "LOCSHARE_MAX_PARTICIPANT is not a setting; did you mean LOCSHARE_MAX_PARTI" in text
    assert "LOCSHARE_HTTP_PORT is not a setting; did you mean LOCSHARE_HTTP_BIND?" in text


def test_an_unknown_key_is_an_error_that_names_the_nearest_and_the_file(tmp_path: Path) -> None:
    file = tmp_path / "locshare.toml"
    file.write_text('htp_bind = ":80"\n[limits]\nmax_sessions = 1')
    with pytest.raises(SettingsError) as caught:
        load({}, file=file)
    assert caught.value.faults == (
        f"htp_bind in {file} is not a setting; did you mean http_bind?",
        f"limits in {file} is not a setting; `locshare defaultconfig` lists all settings.",
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"a = ", "is not TOML"), (b"\xff = 1", "is not UTF-8"), (None, "cannot be read: No such")],
)
def test_a_settings_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    file = tmp_path / "locshare.toml"
    if content is not None:
        file.write_bytes(content)
    text = faults({"LOCSHARE_CONFIG": str(file)})
    assert str(file) in text
    assert fault in text


def test_all_faults_of_all_sources_are_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "locshare.toml"
    file.write_text("max_sessions = 0\nwrong = 1")
    environ = {
        "LOCSHARE_CONFIG": str(file),
        "LOCSHARE_LOG_LEVEL": "loud",
        "LOCSHARE_NOPE": "1",
        "LOCSHARE_PING_INTERVAL_S": "200",
    }
    with pytest.raises(SettingsError) as caught:
        load(environ, {"http_bind": "8080"})
    assert len(caught.value.faults) == 6
    for name in ("max_sessions", "wrong", "LOG_LEVEL", "NOPE", "PING_INTERVAL_S", "--http-bind"):
        assert sum(name in fault for fault in caught.value.faults) == 1, name


# --- values -----------------------------------------------------------------------------------


def test_every_setting_says_what_it_means_and_what_is_allowed() -> None:
    for setting in all_settings():
        assert setting.about.meaning.endswith("."), setting.name
        assert setting.allowed, setting.name
        assert setting.default is not None or setting.about.default, setting.name
        if setting.kind in (int, float):
            assert math.isfinite(setting.about.ge), setting.name
            assert math.isfinite(setting.about.le), setting.name


def test_every_default_is_allowed() -> None:
    for setting in all_settings():
        if setting.default is not None and not isinstance(setting.default, tuple):
            assert setting.parse(setting.show(setting.default)) == setting.default
    given = {s.variable: s.show(s.default) for s in all_settings() if s.default is not None}
    assert load(given).settings == Settings()


@pytest.mark.parametrize("setting", [s for s in all_settings() if s.kind in (int, float)],
                         ids=lambda setting: setting.name)  # fmt: skip
def test_a_number_is_held_to_its_limits(setting: Any) -> None:
    low, high = setting.about.ge, setting.about.le
    assert setting.parse(str(setting.kind(low))) == low
    assert setting.parse(str(setting.kind(high))) == high
    with pytest.raises(ValueError, match="too low"):
        setting.parse(str(setting.kind(low) - 1))
    with pytest.raises(ValueError, match="too high"):
        setting.parse(str(setting.kind(high) + 1))


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("http_bind", ":8080", ":8080"),
        ("http_bind", "[::1]:0", "[::1]:0"),
        ("public_url", "https://example.org:8443/map/", "https://example.org:8443/map"),
        ("trusted_proxies", "10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")),
        ("trusted_proxies", "none", ()),
        ("allowed_origins", "https://a.example,http://b.example:81", (
            "https://a.example", "http://b.example:81")),
        ("allowed_origins", "*", ("*",)),
        ("max_sessions", "10_000", 10_000),
        ("retention_s", "2.5", 2.5),
        ("retention_s", 3, 3.0),
        ("jwt_previous_until", "2026-05-01T14:00:00+02:00", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("data_dir", "/srv/x", Path("/srv/x")),
        ("data_dir", "x", Path.cwd() / "x"),
        ("tile_url", "/tiles/{z}/{x}/{y}.png", "/tiles/{z}/{x}/{y}.png"),
        ("log_level", "debug", "debug"),
    ],
)  # fmt: skip
def test_a_right_value_is_taken(name: str, given: Any, value: Any) -> None:
    assert BY_NAME[name].parse(given) == value


@pytest.mark.parametrize(
    ("name", "given", "fault"),
    [
        ("http_bind", "8080", "has no port"),
        ("http_bind", "::1:8080", "without brackets"),
        ("http_bind", "a:65536", "has the port"),
        ("http_bind", "a:\uff18", "has the port"),
        ("http_bind", "a:80\nb", "control characters"),
        ("public_url", "example.org", "does not begin with http:// or https://"),
        ("public_url", "wss://example.org", "does not begin with http"),
        ("public_url", "https://", "has no host"),
        ("public_url", "https://a:b@example.org", "more than scheme"),
        ("public_url", "https://example.org/?a=b", "more than scheme"),
        ("public_url", "https://example.org:99999", "out of range"),
        ("public_ws_url", "https://example.org", "does not begin with ws:// or wss://"),
        ("trusted_proxies", "10.0.0.0/8,proxy", "'proxy', which is no network"),
        ("allowed_origins", "https://a.example/path", "no origin"),
        ("allowed_origins", "a.example", "no origin"),
        ("allowed_origins", "https://", "no origin"),
        ("database_url", "mysql://h/d", "does not begin with postgresql://"),
        ("database_url", "postgresql://u:p/w@h:1/d", "percent-encode"),
        ("max_sessions", "1.5", "is not a whole number"),
        ("max_sessions", "\u0663", "is not a whole number"),
        ("max_sessions", "9" * 5000, "is not a whole number"),
        ("max_sessions", True, "is not a whole number"),
        ("retention_s", "nan", "is not a finite number"),
        ("retention_s", "inf", "is not a finite number"),
        ("retention_s", "half", "is not a number"),
        ("retention_s", False, "is not a number"),
        ("retention_s", 10**400, "is not a number"),
        ("jwt_secret", "short", "has 5 bytes"),
        ("jwt_secret", 5, "is not text"),
        ("jwt_previous_until", "tomorrow", "is not a date and time"),
        ("jwt_previous_until", "2026-05-01T12:00:00", "has no time zone"),
        ("jwt_previous_until", 5, "is not a date and time"),
        ("tile_url", "https://t.example/{z}/{x}.png", "has no {y}"),
        ("tile_url", "ftp://t.example/{z}/{x}/{y}", "does not begin"),
        ("data_dir", __file__, "is not a directory"),
        ("data_dir", "~nobody-of-this-name/x", "cannot be found"),
        ("log_level", "loud", "is none of these"),
        ("trusted_proxies", [1], "is not a list of texts"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused(name: str, given: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault.replace("(", r"\(")):
        BY_NAME[name].parse(given)


JSON_LIKE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40),
    st.lists(st.text(max_size=5), max_size=3), st.dictionaries(st.text(max_size=3), st.none()),
)  # fmt: skip


@given(name=st.sampled_from(sorted(BY_NAME)), raw=JSON_LIKE)
def test_any_value_is_taken_or_refused_with_a_reason(name: str, raw: Any) -> None:
    fault = None
    try:
        BY_NAME[name].parse(raw)
    except ValueError as error:
        fault = str(error)
    assert fault != ""


def test_an_error_names_variable_value_limits_flag_and_default() -> None:
    assert faults({"LOCSHARE_MAX_PARTICIPANTS": "5000"}) == (
        "LOCSHARE_MAX_PARTICIPANTS = '5000' is too high.\n"
        "    Allowed: a whole number from 2 to 1000. Set LOCSHARE_MAX_PARTICIPANTS or "
        "--max-participants; the default is 50."
    )


def test_an_error_in_the_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "locshare.toml"
    file.write_text('missed_pings = "two"')
    text = faults({"LOCSHARE_CONFIG": str(file)})
    assert text.startswith(f"missed_pings = 'two' (from {file}) is not a whole number.")


# --- what goes together -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"WS_BIND": "127.0.0.1:8080"}, "both cannot listen"),
        ({"BIND": ":8080", "INTERNAL_BIND": ":8080"}, "both cannot listen"),
        ({"BIND": ":8080", "WS_BIND": ":8081"}, "one port for everything"),
        ({"BIND": ":8080", "HTTP_BIND": "127.0.0.1:8080"}, "Remove one of them"),
        ({"BIND": ":1", "PUBLIC_URL": "https://a.example", "PUBLIC_WS_URL": "ws://a.example"},
         "may open wss:// only"),
        ({"PUBLIC_URL": "https://a.example"}, "may open wss:// only"),
        ({"PUBLIC_URL": "https://a.example", "PUBLIC_WS_URL": "ws://a.example"}, "wss:// only"),
        ({"JWT_PREVIOUS_SECRET": OTHER}, "accepted for ever"),
        ({"JWT_PREVIOUS_UNTIL": "2026-05-01T12:00:00Z"}, "no previous key"),
        ({"JWT_SECRET": SECRET, "JWT_PREVIOUS_SECRET": SECRET,
          "JWT_PREVIOUS_UNTIL": "2026-05-01T12:00:00Z"}, "the same key"),
        ({"PING_INTERVAL_S": "60", "MISSED_PINGS": "6"}, "more than 300 seconds"),
        ({"MESSAGE_PER_SECOND": "9"}, "would never be reached"),
        ({"POSITION_BURST": "41"}, "would never be reached"),
        ({"TILE_ATTRIBUTION": "somebody"}, "no tiles"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together_are_refused(environ: dict[str, str], fault: str) -> None:
    text = faults({f"LOCSHARE_{name}": value for name, value in environ.items()})
    assert fault in text
    assert SECRET not in text
    assert OTHER not in text


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_BIND": "127.0.0.1:0", "WS_BIND": "127.0.0.1:0"},
        {"PUBLIC_URL": "https://a.example", "PUBLIC_WS_URL": "wss://a.example"},
        {"JWT_PREVIOUS_SECRET": OTHER, "JWT_PREVIOUS_UNTIL": "2020-05-01T12:00:00Z"},
        {"PING_INTERVAL_S": "60", "MISSED_PINGS": "5"},
        {"BIND": "127.0.0.1:8080", "PUBLIC_URL": "https://a.example/map"},
    ],
)
def test_settings_that_go_together_are_taken(environ: dict[str, str]) -> None:
    loaded = load({f"LOCSHARE_{name}": value for name, value in environ.items()})
    assert {name.upper() for name in loaded.origins} == environ.keys()


def test_a_wrong_setting_is_not_reported_as_a_conflict_too() -> None:
    text = faults(
        {
            "LOCSHARE_JWT_PREVIOUS_SECRET": "short",
            "LOCSHARE_JWT_PREVIOUS_UNTIL": "2026-05-01T12:00:00Z",
        }
    )
    assert "has 5 bytes" in text
    assert "no previous key" not in text


# --- one port ---------------------------------------------------------------------------------


def test_a_platform_gives_the_one_port_by_its_own_variable() -> None:
    loaded = load({"PORT": "10000"})
    assert loaded.settings.bind == ":10000"
    assert loaded.origins == {"bind": "PORT"}


@pytest.mark.parametrize("name", ["BIND", "HTTP_BIND", "WS_BIND"])
def test_an_address_of_ours_takes_precedence_over_that_of_the_platform(name: str) -> None:
    loaded = load({"PORT": "10000", f"LOCSHARE_{name}": "127.0.0.1:9"})
    assert loaded.settings.bind == ("127.0.0.1:9" if name == "BIND" else None)


@pytest.mark.parametrize("wrong", ["http", "65536", "tcp://10.0.0.7:80"])
def test_a_port_that_is_none_is_an_error_that_names_it(wrong: str) -> None:
    assert "(from PORT)" in faults({"PORT": wrong})


# --- secrets ----------------------------------------------------------------------------------


def test_no_repr_shows_a_secret() -> None:
    settings = Settings(
        jwt_secret=SECRET, jwt_previous_secret=OTHER, database_url="postgresql://u:pa55@h/d"
    )
    shown = repr(settings) + str(settings) + "".join(settings.__rich_repr__())
    assert "database_url=postgresql://u:[hidden]@h/d" in shown
    for secret in (SECRET, OTHER, "pa55"):
        assert secret not in shown


@pytest.mark.parametrize("name", ["jwt_secret", "jwt_previous_secret", "database_url"])
def test_no_error_shows_a_secret(name: str) -> None:
    for value in ("x:hunter2@y", "hunter2\x00", "postgres://hunter2@:hunter2"):
        assert "hunter2" not in faults({BY_NAME[name].variable: value}, {name: value})


@given(password=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=4))
def test_a_database_url_is_shown_without_its_password(password: str) -> None:
    secret = f"<<{password}>>"
    shown = hide_password(f"postgresql://ada:{secret}@db:5432/x?password={secret}&sslmode=require")
    assert secret not in shown
    assert shown.startswith("postgresql://ada:[hidden]@")


def test_the_least_length_of_a_secret_is_the_one_that_tokens_need() -> None:
    TokenKeys(BY_NAME["jwt_secret"].parse("k" * MIN_SECRET_BYTES))


# --- the rest ---------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [0, 1000])
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_DATA_HOME": "/x", "HOME": "/home/ada"}, "/x/locshare"),
        ({"XDG_DATA_HOME": "relative", "HOME": "/home/ada"}, "/home/ada/.local/share/locshare"),
        ({"HOME": "/home/ada"}, "/home/ada/.local/share/locshare"),
    ],
)
def test_data_is_kept_where_the_user_keeps_data(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], expected: str, user: int
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: user)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert Settings().data_dir == Path(expected)
    assert Settings().secret_file == Path(expected) / "jwt_secret"


@pytest.mark.skipif(sys.platform != "linux", reason="a rule of Linux alone")
@pytest.mark.parametrize("home", ["named", "unset", "nobody knows it"])
def test_root_keeps_data_where_services_do_unless_its_home_has_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str
) -> None:
    def account(user: int) -> pwd.struct_passwd:
        if home == "nobody knows it":
            raise KeyError(user)
        return pwd.struct_passwd(("root", "x", user, 0, "", str(tmp_path), "/bin/sh"))

    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwuid", account)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    if home == "named":
        monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings().data_dir == Path("/var/lib/locshare")

    before = tmp_path / ".local" / "share" / "locshare"
    before.mkdir(parents=True)
    if home != "nobody knows it":
        assert Settings().data_dir == before

    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert Settings().data_dir != Path("/var/lib/locshare")


def test_a_bind_address_is_split_into_host_and_port() -> None:
    assert parse_bind("127.0.0.1:80") == ("127.0.0.1", 80)
    assert parse_bind("[::1]:80") == ("::1", 80)
    assert parse_bind(":80") == (None, 80)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().max_sessions = 5  # type: ignore[misc]  # the point of the test
    assert msgspec.structs.replace(Settings(), max_sessions=5).max_sessions == 5
