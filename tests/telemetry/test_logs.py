"""Log lines: nothing private in them, their format, and that writing one never fails."""

import base64
import io
import json
import logging
import string
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from locshare.auth.tokens import TokenKeys
from locshare.telemetry.logs import LibraryHandler, capture_uncaught, configure
from locshare.telemetry.redaction import REDACTED, redact

BASE64URL = string.ascii_letters + string.digits + "-_"


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# Header, payload and signature as a token of ours or of anybody else has them.
TOKENS = st.builds(
    lambda header, claim, signature: f"{_part(header)}.{_part(claim)}.{signature}",
    st.dictionaries(st.sampled_from(["alg", "typ", "kid"]), st.text(max_size=8), min_size=1),
    st.dictionaries(st.sampled_from(["sub", "session", "exp"]), st.text(max_size=8), min_size=1),
    st.text(BASE64URL, min_size=20, max_size=43),
)
# Shorter than any part of a token, so that a part that is found is the token's.
AROUND = st.one_of(
    st.text(max_size=12),
    st.text(BASE64URL + ".", max_size=12),
    st.sampled_from(["eyJ", "eyJ.", "eyJa.", "eyJa.b.", ".", "..", "token=", "Bearer ", "\\"]),
)


@pytest.fixture(autouse=True)
def configuration() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = [each for each in root.handlers if not isinstance(each, LibraryHandler)]
    root.setLevel(level)


class Output(io.StringIO):
    """What was written; a terminal or not."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()

    @property
    def entry(self) -> dict[str, Any]:
        (line,) = self.lines
        parsed: dict[str, Any] = json.loads(line)
        return parsed


def logger(form: str = "json", level: str = "info", **options: Any) -> tuple[Any, Output]:
    output = Output(**options)
    configure(level, form, output)
    root = logging.getLogger()  # without pytest's own handlers, which would report and complain
    root.handlers[:] = [each for each in root.handlers if isinstance(each, LibraryHandler)]
    return structlog.get_logger(), output


class Position(msgspec.Struct):
    lat: float
    lng: float


# --- tokens -----------------------------------------------------------------------------------


def assert_nothing_of(token: str, text: str) -> None:
    for part in token.split("."):
        assert part not in text


@pytest.mark.parametrize("form", ["json", "console"])
@given(token=TOKENS, before=AROUND, after=AROUND)
def test_no_token_survives_anywhere_in_a_line(
    form: str, token: str, before: str, after: str
) -> None:
    text = f"{before}{token}{after}"
    log, output = logger(form)
    log.info(text)
    log.info("event", value=text, nested={"deep": [{text: (text, {"x": text})}]})
    log.info("event", **{text: 1})
    log.info("event", value=ValueError(text), raw=text.encode())
    try:
        raise ExceptionGroup(text, [ValueError(text), KeyError(text)])
    except ExceptionGroup:
        log.exception("event")
    logging.getLogger("a.library").warning("%s and %r", text, [text])
    assert_nothing_of(token, output.getvalue())
    assert output.getvalue().count(REDACTED) >= 6


def test_a_real_token_of_ours_does_not_survive() -> None:
    token = TokenKeys("k" * 32).issue(
        session_id=UUID(int=5), user_id="ada", role="host",
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    log, output = logger()
    log.info("connected", url=f"/ws?token={token}&x=1", protocols=["locshare.bearer." + token])
    assert_nothing_of(token, output.getvalue())


@pytest.mark.parametrize(
    "key",
    ["token", "Authorization", "password", "jwt_secret", "host_token", "secret", "database_url",
     "lat", "LNG", "latitude", "longitude", "position", "positions", "data", "accuracy"],
)  # fmt: skip
@pytest.mark.parametrize("value", ["hush", 52.5, ["hush"], {"a": "hush"}, None])
def test_the_value_of_a_telling_key_is_never_written(key: str, value: Any) -> None:
    log, output = logger()
    log.info("event", **{key: value}, inner={"deep": [{key: value}]})
    assert output.entry[key] == REDACTED
    assert output.entry["inner"] == {"deep": [{key: REDACTED}]}


def test_a_position_in_an_object_is_not_written() -> None:
    log, output = logger()
    log.info("event", handling=Position(52.52, 13.405), several=[Position(52.52, 13.405)])
    assert "52.52" not in output.getvalue()
    assert "13.405" not in output.getvalue()


# --- exceptions -------------------------------------------------------------------------------


def test_a_traceback_says_where_and_what_but_no_values() -> None:
    log, output = logger()
    hidden = "a-local-value"
    try:
        raise ValueError(f"no {len(hidden)}")
    except ValueError:
        log.exception("event")
    text = output.entry["exception"]
    assert "test_a_traceback_says_where" in text
    assert "ValueError: no 13" in text
    assert hidden not in text


@pytest.mark.parametrize("given_as", ["instance", "tuple", "true"])
def test_an_exception_may_be_given_in_each_usual_way(given_as: str) -> None:
    log, output = logger()
    try:
        raise ValueError("reason")
    except ValueError as error:
        forms = {"instance": error, "tuple": sys.exc_info(), "true": True}
        log.critical("event", exc_info=forms[given_as])
    assert "ValueError: reason" in output.entry["exception"]


def test_no_exception_at_hand_is_no_exception() -> None:
    log, output = logger()
    log.critical("event", exc_info=True)  # noqa: LOG014 - the point of the test
    assert "exception" not in output.entry


# --- lines ------------------------------------------------------------------------------------


def test_a_json_line_begins_with_time_level_and_event() -> None:
    log, output = logger()
    log.warning("event", a=1)
    assert list(output.entry) == ["timestamp", "level", "event", "a"]
    assert output.entry["timestamp"].endswith("Z")
    assert (output.entry["level"], output.entry["event"]) == ("warning", "event")


def test_values_keep_their_json_types() -> None:
    log, output = logger()
    log.info("e", i=1, f=1.5, n=None, b=True, s="ü", t=(1, 2), u=UUID(int=1), nan=float("nan"))
    entry = output.entry
    assert (entry["i"], entry["f"], entry["n"], entry["b"]) == (1, 1.5, None, True)
    assert (entry["s"], entry["t"], entry["u"], entry["nan"]) == (
        "ü", [1, 2], "00000000-0000-0000-0000-000000000001", "nan",
    )  # fmt: skip


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary()
    | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(), max_size=5) | st.integers(), inner, max_size=3),
)  # fmt: skip


@pytest.mark.parametrize("form", ["json", "console"])
@given(value=ANYTHING, event=st.text(st.characters()))
def test_one_entry_is_one_line_without_control_codes_whatever_it_says(
    form: str, value: Any, event: str
) -> None:
    log, output = logger(form)
    log.info(event, value=value)
    line = output.getvalue()
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    if form == "json":
        json.loads(line)


def test_an_object_whose_repr_fails_is_logged_all_the_same() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    log, output = logger()
    log.info("event", value=Broken())
    assert output.entry["value"] == "<Broken without a repr>"


def test_a_value_that_contains_itself_ends() -> None:
    loop: list[Any] = []
    loop.append(loop)
    log, output = logger()
    log.info("event", value=loop)
    assert output.entry["event"] == "event"


@pytest.mark.parametrize("stream_error", [OSError, BrokenPipeError, ValueError])
def test_writing_never_raises(stream_error: type[Exception]) -> None:
    class Closed(Output):
        def write(self, _text: str) -> int:
            raise stream_error

    configure("info", "json", Closed())
    structlog.get_logger().info("event")
    logging.getLogger("a.library").error("event")


# --- format and level -------------------------------------------------------------------------


def test_auto_is_console_on_a_terminal_and_json_elsewhere() -> None:
    log, output = logger("auto")
    log.info("event")
    assert output.entry["event"] == "event"
    log, output = logger("auto", terminal=True)
    log.info("event")
    assert "event" in output.getvalue()
    assert not output.getvalue().startswith("{")


def test_the_console_is_coloured_on_a_terminal_only_and_not_against_the_users_wish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    log, output = logger("console", terminal=True)
    log.info("event")
    assert "\x1b[" in output.getvalue()
    log, output = logger("console")
    log.info("event")
    assert "\x1b[" not in output.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    log, output = logger("console", terminal=True)
    log.info("event")
    assert "\x1b[" not in output.getvalue()


def test_a_console_line_reads_as_time_level_event_and_pairs() -> None:
    log, output = logger("console")
    log.info("session_created", people=3, name="Anna's walk", plain="word")
    assert output.lines[0][9:] == (
        '[info    ] session_created people=3 name="Anna\'s walk" plain=word'
    )


def test_a_console_shows_an_exception_below_its_line() -> None:
    log, output = logger("console")
    try:
        raise ValueError("reason")
    except ValueError:
        log.exception("event")
    assert output.lines[0].endswith("event")
    assert output.lines[-1] == "    ValueError: reason"


def test_a_console_says_nothing_of_a_stack_that_is_not_there() -> None:
    log, output = logger("console")
    log.info("event", stack=None, a=1)
    assert output.lines[0].endswith("event a=1")


def test_what_is_below_the_level_is_not_written() -> None:
    log, output = logger(level="warning")
    log.debug("no")
    log.info("no")
    log.warning("yes")
    assert output.entry["event"] == "yes"


# --- other people's lines ---------------------------------------------------------------------


def test_libraries_are_heard_from_warning_on_whatever_the_level() -> None:
    _, output = logger(level="debug")
    library = logging.getLogger("a.library")
    library.info("chatter that may quote a header")
    library.warning("%s failed", "it")
    assert output.entry | {"timestamp": ""} == {
        "timestamp": "", "level": "warning", "event": "it failed", "logger": "a.library",
    }  # fmt: skip


def test_a_librarys_line_whose_arguments_do_not_fit_does_not_show_them() -> None:
    _, output = logger()
    logging.getLogger("a.library").error("%d", "hush")
    assert "hush" not in output.getvalue()
    assert output.entry["event"] == "%d (its arguments do not fit)"


def test_a_librarys_exception_is_redacted_too() -> None:
    _, output = logger()
    try:
        raise ValueError("password=hush")
    except ValueError:
        logging.getLogger("a.library").exception("failed")
    assert "ValueError: password=[redacted]" in output.entry["exception"]


def test_warnings_are_log_lines() -> None:
    _, output = logger()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("something old", UserWarning, stacklevel=1)
    assert "something old" in output.entry["event"]
    assert output.entry["logger"] == "py.warnings"


def test_setting_up_twice_does_not_write_twice() -> None:
    configure("info", "json", Output())
    _, output = logger()
    logging.getLogger("a.library").warning("once")
    assert len(output.lines) == 1


def test_an_uncaught_error_of_a_thread_is_a_redacted_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    _, output = logger()
    capture_uncaught()

    def fail() -> None:
        raise ValueError("password=hush")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert output.entry["event"] == "thread_crashed"
    assert "hush" not in output.getvalue()


def test_what_fails_in_a_finalizer_is_a_redacted_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    _, output = logger()
    capture_uncaught()

    class Bad:
        def __del__(self) -> None:
            raise ValueError("password=hush")

    Bad()
    assert output.entry["event"] == "unraisable_error"
    assert "hush" not in output.getvalue()


# --- the house rule ---------------------------------------------------------------------------


def test_redaction_runs_on_every_entry_right_before_it_is_rendered() -> None:
    configure("info", "json", Output())
    processors = structlog.get_config()["processors"]
    at = processors.index(redact)
    assert isinstance(processors[at + 1], structlog.processors.JSONRenderer)
    configure("info", "console", Output())
    processors = structlog.get_config()["processors"]
    assert processors.index(redact) < processors.index(
        next(each for each in processors if isinstance(each, structlog.dev.ConsoleRenderer))
    )
