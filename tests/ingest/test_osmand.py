"""Reports of Traccar Client, OsmAnd and GPSLogger, as their documentation shows them."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from locshare.ingest.osmand import OsmandReport, from_json, from_parameters
from locshare.ingest.report import InvalidReport
from locshare.model.position import Position

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TAKEN = datetime(2026, 3, 1, 11, 59, 30, tzinfo=UTC)
SECONDS = int(TAKEN.timestamp())


def sent(query: str) -> OsmandReport:
    return from_parameters(parse_qsl(query, True))


def position(query: str) -> Position | None:
    return sent(query).fix.position(NOW)


TRACCAR_CLIENT_8 = (
    f"id=123456&timestamp={SECONDS}&lat=47.3769&lon=8.5417&speed=10.0&bearing=270.5"
    "&altitude=408.2&accuracy=6.5&batt=87.0"
)
OSMAND = f"id=123456&lat=47.3769&lon=8.5417&timestamp={SECONDS}000&hdop=4.0&altitude=408.2"
GPSLOGGER = (
    "id=123456&lat=47.3769&lon=8.5417&timestamp=2026-03-01T11:59:30.000Z&speed=5.0&speed_unit=mps"
    "&bearing=90&altitude=408.2&accuracy=6.5&batt=87"
)
TRACCAR_CLIENT_9: dict[str, Any] = {
    "location": {
        "timestamp": "2026-03-01T11:59:30.000Z",
        "coords": {
            "latitude": 47.3769, "longitude": 8.5417, "accuracy": 6.5, "speed": 5.0,
            "heading": 90, "altitude": 408.2,
        },
        "is_moving": False,
        "odometer": 0,
        "event": "motionchange",
        "battery": {"level": 0.5, "is_charging": False},
        "activity": {"type": "still"},
        "extras": {},
    },
    "device_id": "123456",
}  # fmt: skip


def test_traccar_client_up_to_8_sends_parameters_with_the_speed_in_knots() -> None:
    found = position(TRACCAR_CLIENT_8)
    assert found is not None
    assert found.speed == pytest.approx(5.1444, abs=1e-3)
    assert (found.lat, found.lng, found.timestamp) == (47.3769, 8.5417, TAKEN)
    assert (found.heading, found.altitude, found.accuracy, found.battery) == (270.5, 408.2, 6.5, 87)
    assert sent(TRACCAR_CLIENT_8).device == "123456"


def test_osmand_sends_milliseconds_and_no_radius() -> None:
    assert position(OSMAND) == Position(47.3769, 8.5417, None, TAKEN, 408.2)


def test_gpslogger_sends_metres_per_second_which_its_url_says() -> None:
    assert position(GPSLOGGER) == Position(47.3769, 8.5417, 6.5, TAKEN, 408.2, 5.0, 90, 87)


def test_traccar_client_from_9_on_sends_json_in_si_units() -> None:
    report = from_json(json.dumps(TRACCAR_CLIENT_9).encode())
    assert report.device == "123456"
    assert report.fix.position(NOW) == Position(47.3769, 8.5417, 6.5, TAKEN, 408.2, 5.0, 90.0, 50.0)


@pytest.mark.parametrize(
    ("query", "speed"),
    [("speed=36&speed_unit=kmh", 10.0), ("speed=1", 1852 / 3600), ("speed=7&speed_unit=mps", 7.0)],
)
def test_a_speed_is_in_knots_unless_its_unit_is_named(query: str, speed: float) -> None:
    found = position(f"lat=1&lon=2&{query}")
    assert found is not None
    assert found.speed == pytest.approx(speed)


@pytest.mark.parametrize(
    "query",
    ["deviceid=abc&lat=1&lon=2", "id=abc&location=1,2", "id=abc&location=1.0,2.0&heading="],
)
def test_the_other_names_of_a_parameter_are_known(query: str) -> None:
    assert sent(query).device == "abc"
    assert position(query) == Position(1, 2, None, NOW)


@pytest.mark.parametrize(
    "query",
    [
        "accuracy=0", "accuracy=-1", "altitude=nan", "speed=-1", "speed=inf", "bearing=-1",
        "bearing=361", "batt=-100", "batt=101", "batt=full", "altitude={4}", "accuracy=1e9",
    ],
)  # fmt: skip
def test_an_optional_field_out_of_range_is_unknown(query: str) -> None:
    assert position(f"lat=1&lon=2&{query}") == Position(1, 2, None, NOW)


def test_a_heading_of_360_is_north() -> None:
    found = position("lat=1&lon=2&bearing=360")
    assert found is not None
    assert found.heading == 0


@pytest.mark.parametrize("text", [f"{SECONDS}", f"{SECONDS}000", "2026-03-01 11:59:30",
                                  "2026-03-01T12:59:30%2B01:00"])  # fmt: skip
def test_a_timestamp_is_read_in_every_form_that_apps_send(text: str) -> None:
    found = position(f"lat=1&lon=2&timestamp={text}")
    assert found is not None
    assert found.timestamp == TAKEN


@pytest.mark.parametrize("query", ["id=abc", "id=abc&batt=5", "id=abc&lat=1&lon=2&valid=false"])
def test_a_report_without_a_fix_holds_no_position(query: str) -> None:
    assert position(query) is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("lat=1", "lon"),
        ("lon=1", "lat"),
        ("lat=91&lon=0", "lat"),
        ("lat=0&lon=-180.5", "lon"),
        ("lat=nan&lon=0", "lat"),
        ("lat={0}&lon={1}", "lat"),
        ("location=1", "lon"),
        ("lat=0&lon=0&timestamp={2}", "timestamp"),
        ("lat=0&lon=0&timestamp=1e300", "timestamp"),
        ("lat=0&lon=0&timestamp=inf", "timestamp"),
        ("lat=0&lon=0&timestamp=nan", "timestamp"),
        ("lat=0&lon=0&speed=1&speed_unit=parsec", "speed_unit"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(query: str, field: str) -> None:
    with pytest.raises(InvalidReport) as refused:
        position(query)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", None),
        (b"[1]", ""),
        (b"{}", "location"),
        (b'{"location": {"coords": {"latitude": "x", "longitude": 1}}}',
         "location.coords.latitude"),
        (b'{"location": {"coords": {"latitude": 91, "longitude": 1}}}', "lat"),
    ],
)  # fmt: skip
def test_a_wrong_json_body_is_refused(body: bytes, field: str | None) -> None:
    with pytest.raises(InvalidReport) as refused:
        from_json(body).fix.position(NOW)
    assert refused.value.field == field


def test_json_without_coordinates_holds_no_position() -> None:
    body = b'{"location": {"event": "heartbeat"}, "device_id": "abc"}'
    assert from_json(body).fix.position(NOW) is None


def test_a_json_timestamp_without_an_offset_is_in_utc() -> None:
    location = {"timestamp": "2026-03-01T11:59:30", "coords": {"latitude": 1, "longitude": 2}}
    found = from_json(json.dumps({"location": location}).encode()).fix.position(NOW)
    assert found == Position(1, 2, None, TAKEN)
