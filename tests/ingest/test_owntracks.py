"""Messages of OwnTracks in HTTP mode, as its documentation has them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from locshare.ingest.owntracks import friends, from_json
from locshare.ingest.report import InvalidReport
from locshare.model.position import LocatedMember, Position

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TAKEN = datetime(2026, 3, 1, 11, 59, 30, tzinfo=UTC)
TST = int(TAKEN.timestamp())

ANDROID: dict[str, Any] = {
    "_type": "location", "BSSID": "aa:bb:cc:dd:ee:ff", "SSID": "home", "_id": "5f3a", "acc": 12,
    "alt": 408, "batt": 87, "bs": 1, "conn": "w", "created_at": TST + 2, "lat": 47.3769,
    "lon": 8.5417, "m": 2, "t": "u", "tid": "ad", "tst": TST, "vac": 3, "vel": 36,
}  # fmt: skip
IOS: dict[str, Any] = {
    "_type": "location", "lat": 47.3769, "lon": 8.5417, "tst": TST, "acc": 65, "vac": -1,
    "alt": 408, "cog": -1, "vel": -1, "batt": 50, "tid": "AD", "inregions": ["Home"],
    "topic": "owntracks/ada/phone",
}  # fmt: skip


def read(message: Any) -> Position | None:
    fix = from_json(json.dumps(message).encode())
    return None if fix is None else fix.position(NOW)


def test_a_location_of_the_android_app_is_read_with_its_speed_in_kilometres_per_hour() -> None:
    found = read(ANDROID)
    assert found is not None
    assert found.speed == pytest.approx(10.0)
    assert (found.lat, found.lng, found.timestamp) == (47.3769, 8.5417, TAKEN)
    assert (found.accuracy, found.altitude, found.battery) == (12, 408, 87)


def test_minus_one_of_the_ios_app_is_unknown() -> None:
    assert read(IOS) == Position(47.3769, 8.5417, 65, TAKEN, 408, None, None, 50)


def test_a_place_is_all_that_is_needed() -> None:
    assert read({"_type": "location", "lat": 1, "lon": 2}) == Position(1, 2, None, NOW)


@pytest.mark.parametrize(
    "message",
    [
        {"_type": "transition", "event": "enter", "lat": 1, "lon": 2, "tst": TST},
        {"_type": "waypoint", "desc": "Home", "lat": 1, "lon": 2, "rad": 50, "tst": TST},
        {"_type": "status", "android": {"wifi": 1}},
        {"_type": "lwt", "tst": TST},
        {"_type": "encrypted", "data": "bm8="},
        {"_type": "card", "name": "Ada", "tid": "AD"},
        {"lat": 1, "lon": 2},
        {},
    ],
)
def test_every_other_type_of_message_is_ignored(message: Any) -> None:
    assert read(message) is None


def test_an_empty_body_is_ignored_as_the_documentation_asks() -> None:
    assert from_json(b"") is None


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"_type": "location", "lat": 91, "lon": 0}, "lat"),
        ({"_type": "location", "lat": 0, "lon": 181}, "lon"),
        ({"_type": "location", "lat": "x", "lon": 0}, "lat"),
        ({"_type": "location", "lat": 0}, "lon"),
        ({"_type": "location", "lat": 0, "lon": 0, "tst": 1e300}, "tst"),
        ({"_type": 5}, "_type"),
        ([], ""),
    ],
)
def test_a_wrong_message_is_refused(message: Any, field: str) -> None:
    with pytest.raises(InvalidReport) as refused:
        read(message)
    assert refused.value.field == field


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"a":' * 3_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidReport) as refused:
        from_json(body)
    assert refused.value.field is None


# --- the response -----------------------------------------------------------------------------


def shown(*members: LocatedMember) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = json.loads(friends(members))
    return messages


def test_each_of_the_others_with_a_position_is_a_location_and_a_card() -> None:
    position = Position(47.3769, 8.5417, 6.4, NOW, 408.2, 10.0, 90.4, 86.6)
    assert shown(LocatedMember("5d1c", "Ada Lovelace", position, TAKEN)) == [
        {
            "_type": "location", "topic": "owntracks/locshare/5d1c", "tid": "AL", "lat": 47.3769,
            "lon": 8.5417, "tst": TST, "acc": 6, "alt": 408, "vel": 36, "cog": 90, "batt": 87,
        },
        {
            "_type": "card", "topic": "owntracks/locshare/5d1c", "tid": "AL",
            "name": "Ada Lovelace",
        },
    ]  # fmt: skip


def test_what_is_unknown_is_left_out() -> None:
    location, _ = shown(LocatedMember("5d1c", "Ada", Position(1, 2, None, NOW), TAKEN))
    assert set(location) == {"_type", "topic", "tid", "lat", "lon", "tst"}


def test_one_without_a_position_is_not_shown_and_keeps_their_tracker_id() -> None:
    here = Position(1, 2, None, NOW)
    both = shown(LocatedMember("1", "Ada", here, TAKEN), LocatedMember("2", "Ada", here, TAKEN))
    one = shown(LocatedMember("1", "Ada"), LocatedMember("2", "Ada", here, TAKEN))
    assert one == both[2:]


def test_no_two_have_the_same_tracker_id_of_two_characters() -> None:
    names = ["Ada", "Ada", "Ad", "A", "🙂", "🙂🙂", "Ada Ba", "Ab", *["Ada"] * 600]
    here = Position(1, 2, None, NOW)
    messages = shown(*(LocatedMember(str(i), name, here, NOW) for i, name in enumerate(names)))
    ids = [message["tid"] for message in messages if message["_type"] == "location"]
    assert len(set(ids)) == len(names)
    assert {len(each) for each in ids} == {2}
