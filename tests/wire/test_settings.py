"""What a client chooses for its connection, in each dialect: ``set_pace`` and ``presence``."""

import json
import math
from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest
from msgspec import Raw

from locshare.model.pace import parse_interval
from locshare.model.participant import PresenceState
from locshare.wire.compact import COMPACT, STATES
from locshare.wire.dialects import InvalidMessage
from locshare.wire.messages import SETTING_BOUNDS, Presence, SetPace
from locshare.wire.phoenix import decode_setting
from locshare.wire.plain import PLAIN, encode_for_server

NUMBERS = {"set_pace": 11, "presence": 13}
FIELDS = {"set_pace": "interval_s", "presence": "state"}


def plain(kind: str, value: Any) -> object:
    return PLAIN.decode(json.dumps({"type": kind, "data": {FIELDS[kind]: value}}))


def compact(kind: str, value: Any) -> object:
    number = STATES.index(value) if value in STATES else value
    return COMPACT.decode(msgspec.msgpack.encode([NUMBERS[kind], number]))


def phoenix(kind: str, value: Any) -> object:
    return decode_setting(kind, Raw(json.dumps({FIELDS[kind]: value}).encode()))


Decode = Callable[[str, Any], object]
DIALECTS = pytest.mark.parametrize("decode", [plain, compact, phoenix])


@DIALECTS
@pytest.mark.parametrize("interval_s", [0, 0.25, 5, 29.97, 60, 60.0])
def test_a_pace_is_a_number_from_0_to_60(decode: Decode, interval_s: float) -> None:
    assert decode("set_pace", interval_s) == SetPace(float(interval_s))


@DIALECTS
@pytest.mark.parametrize(
    "value", [-0.001, 60.001, 1e308, math.inf, -math.inf, math.nan, None, True, "5", [], [5], {}]
)
def test_any_other_pace_is_refused_and_not_repeated(decode: Decode, value: object) -> None:
    with pytest.raises(InvalidMessage) as caught:
        decode("set_pace", value)
    assert (caught.value.code, caught.value.text) == ("INVALID_MESSAGE", SETTING_BOUNDS["set_pace"])


@DIALECTS
@pytest.mark.parametrize("state", get_args(PresenceState))
def test_a_state_is_active_paused_or_hidden(decode: Decode, state: PresenceState) -> None:
    assert decode("presence", state) == Presence(state)


@DIALECTS
@pytest.mark.parametrize("value", [-1, 3, 1.5, None, True, "", "Active", "away", [], {}])
def test_any_other_state_is_refused_and_not_repeated(decode: Decode, value: object) -> None:
    with pytest.raises(InvalidMessage) as caught:
        decode("presence", value)
    assert (caught.value.code, caught.value.text) == ("INVALID_MESSAGE", SETTING_BOUNDS["presence"])


@pytest.mark.parametrize("kind", NUMBERS)
def test_a_choice_without_its_value_is_refused(kind: str) -> None:
    decoders: list[Callable[[], object]] = [
        lambda: PLAIN.decode(json.dumps({"type": kind})),
        lambda: PLAIN.decode(json.dumps({"type": kind, "data": {}})),
        lambda: PLAIN.decode(json.dumps({"type": kind, "data": None})),
        lambda: COMPACT.decode(msgspec.msgpack.encode([NUMBERS[kind]])),
        lambda: decode_setting(kind, Raw(b"{}")),
        lambda: decode_setting(kind, Raw(b"null")),
        lambda: decode_setting(kind, Raw(b"{")),
    ]
    for decode in decoders:
        with pytest.raises(InvalidMessage) as caught:
            decode()
        assert caught.value.code == "INVALID_MESSAGE"


def test_what_a_later_client_adds_is_ignored() -> None:
    later = {"interval_s": 5, "later": True}
    assert PLAIN.decode(json.dumps({"type": "set_pace", "data": later})) == SetPace(5.0)
    assert COMPACT.decode(msgspec.msgpack.encode([11, 5, "later"])) == SetPace(5.0)
    assert COMPACT.decode(msgspec.msgpack.encode([13, 1, "later"])) == Presence("paused")


def test_states_are_numbered_as_the_contract_says() -> None:
    assert STATES == ("active", "paused", "hidden")


@pytest.mark.parametrize("setting", [SetPace(7.5), Presence("hidden")])
def test_what_a_client_writes_the_server_reads(setting: SetPace | Presence) -> None:
    assert PLAIN.decode(encode_for_server(setting)) == setting


@pytest.mark.parametrize(
    ("said", "interval_s"),
    [
        ("5", 5.0), ("0.5", 0.5), ("60", 60.0), (5, 5.0), (7.5, 7.5), ("0", 0.0),
        ("-1", 0.0), ("61", 0.0), ("nan", 0.0), ("inf", 0.0), ("1e999", 0.0), ("", 0.0),
        ("soon", 0.0), (None, 0.0), (True, 0.0), ([5], 0.0), ({}, 0.0), (10**400, 0.0),
    ],
)  # fmt: skip
def test_a_pace_that_a_connection_begins_with_is_read_or_ignored(
    said: object, interval_s: float
) -> None:
    assert parse_interval(said) == interval_s
