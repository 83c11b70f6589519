"""Our own JSON of a report: what is required, what is bounded, which of several is taken."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from locshare.ingest.plain import MAX_POSITIONS, newest_position
from locshare.ingest.report import InvalidReport
from locshare.model.position import Position

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def read(body: Any) -> Position:
    return newest_position(json.dumps(body).encode(), NOW)


def test_a_place_is_all_that_is_needed() -> None:
    assert read({"lat": 47, "lng": 8.5}) == Position(47.0, 8.5, None, NOW)


def test_every_field_of_a_position_is_read_and_others_are_ignored() -> None:
    fix = {
        "lat": 47.1, "lng": 8.5, "accuracy": 4, "timestamp": "2026-03-01T11:59:00Z",
        "altitude": 410.5, "speed": 1.5, "heading": 359, "battery": 80, "age_ms": 60_000,
        "mood": "good",
    }  # fmt: skip
    assert read(fix) == Position(
        47.1, 8.5, 4, NOW - timedelta(minutes=1), 410.5, 1.5, 359, 80, 60_000
    )


def test_null_is_unknown() -> None:
    fix = {"lat": 1, "lng": 2, "accuracy": None, "speed": None, "timestamp": None, "age_ms": None}
    assert read(fix) == Position(1, 2, None, NOW)


def test_without_a_timestamp_the_age_tells_when_a_fix_was_taken() -> None:
    assert read({"lat": 1, "lng": 2, "age_ms": 5000}).timestamp == NOW - timedelta(seconds=5)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_of_a_queue_the_newest_fix_is_taken_in_whatever_order_they_come(
    order: tuple[int, ...],
) -> None:
    queue = [{"lat": n, "lng": 0, "timestamp": f"2026-03-01T11:5{n}:00Z"} for n in order]
    assert read({"positions": queue}).lat == 3


def test_of_fixes_with_one_timestamp_the_last_is_taken() -> None:
    assert read({"positions": [{"lat": 1, "lng": 0}, {"lat": 2, "lng": 0}]}).lat == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "lat"),
        ({"lat": 1}, "lng"),
        ({"lat": 91, "lng": 0}, "lat"),
        ({"lat": "47", "lng": 0}, "lat"),
        ({"lat": 0, "lng": -180.1}, "lng"),
        ({"lat": None, "lng": 0}, "lat"),
        ({"lat": 0, "lng": 0, "speed": -1}, "speed"),
        ({"lat": 0, "lng": 0, "heading": 360}, "heading"),
        ({"lat": 0, "lng": 0, "timestamp": "2026-03-01T12:00:00"}, "timestamp"),
        ({"lat": 0, "lng": 0, "timestamp": 1772366400}, "timestamp"),
        ({"lat": 0, "lng": 0, "age_ms": 86_400_001}, "age_ms"),
        ({"positions": [{"lat": 0, "lng": 0}, {"lat": 0}]}, "positions[1].lng"),
        ({"positions": [{"lat": 99, "lng": 0}]}, "positions[0].lat"),
        ({"positions": []}, "positions"),
        ({"positions": [{"lat": 0, "lng": 0}] * (MAX_POSITIONS + 1)}, "positions"),
        ({"positions": None}, "positions"),
        ([{"lat": 0, "lng": 0}], ""),
        ("here", ""),
    ],
)
def test_a_wrong_report_is_refused_with_the_name_of_the_field(body: Any, field: str) -> None:
    with pytest.raises(InvalidReport) as refused:
        read(body)
    assert refused.value.field == field


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"lat": NaN, "lng": 0}', b'{"x":' * 3_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidReport) as refused:
        newest_position(body, NOW)
    assert refused.value.field is None


def test_no_error_quotes_the_report() -> None:
    with pytest.raises(InvalidReport) as refused:
        read({"lat": "my secret place", "lng": 0})
    assert "secret" not in str(refused.value)
