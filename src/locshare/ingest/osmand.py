"""The OsmAnd protocol, as Traccar's server reads it: Traccar Client, OsmAnd, GPSLogger. Pure.

Parameters of a query or a form (https://www.traccar.org/osmand/), or, from Traccar Client 9 on, a
JSON object. Units differ: a speed is in knots among parameters and in m/s in JSON; a battery is per
cent among parameters and a fraction of 1 in JSON. What apps send besides is ignored.

``hdop`` is ignored too: it is a factor, and says no radius in metres.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from locshare.ingest.foreign import KMH, KNOT, ForeignFix
from locshare.ingest.report import InvalidReport, invalid

_SPEED_UNITS: Final = {"kn": KNOT, "kmh": KMH, "mps": 1.0}
"""Of ``speed``, by our own parameter ``speed_unit``: OsmAnd and GPSLogger send m/s."""
_SECONDS_BELOW: Final = 2**31
"""A larger timestamp is in milliseconds; as in Traccar's server."""


class OsmandReport(Struct, frozen=True):
    """``device`` is what the app calls its device identifier: here, the participant's token."""

    device: str
    fix: ForeignFix


# --- parameters -------------------------------------------------------------------------------


def from_parameters(parameters: Iterable[tuple[str, str]]) -> OsmandReport:
    """The report in the parameters of a query or a form; of one that is repeated, the last counts.
    Raises InvalidReport.
    """
    given = {name: value for name, value in parameters if value}
    device = given.get("id") or given.get("deviceid", "")
    if given.get("valid", "").lower() in ("false", "0"):
        return OsmandReport(device, ForeignFix())
    lat, lon = given.get("lat"), given.get("lon")
    if lat is None and lon is None and "location" in given:
        lat, _, lon = given["location"].partition(",")
    unit = _SPEED_UNITS.get(given.get("speed_unit", "kn"))
    if unit is None:
        raise InvalidReport("speed_unit", "Expected `kn`, `kmh` or `mps`")
    speed = _number(given.get("speed"))
    return OsmandReport(
        device,
        ForeignFix(
            lat=_required_number("lat", lat),
            lng=_required_number("lon", lon),
            timestamp=_timestamp(given.get("timestamp")),
            accuracy=_number(given.get("accuracy")),
            altitude=_number(given.get("altitude")),
            speed=None if speed is None else speed * unit,
            heading=_number(given.get("bearing") or given.get("heading")),
            battery=_number(given.get("batt")),
        ),
    )


def _number(text: str | None) -> float | None:
    """What is no number is unknown."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _required_number(field: str, text: str | None) -> float | None:
    if text is None:
        return None
    value = _number(text)
    if value is None:
        raise InvalidReport(field, "Expected a number")
    return value


def _timestamp(text: str | None) -> datetime | None:
    """Seconds or milliseconds since 1970, or a date and time; in UTC if it names no offset."""
    if text is None:
        return None
    try:
        number = _number(text)
        if number is not None:
            seconds = number if number < _SECONDS_BELOW else number / 1000
            return datetime.fromtimestamp(seconds, UTC)
        taken = datetime.fromisoformat(text)
        return taken if taken.tzinfo is not None else taken.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        # A template that was not filled in. Seen now, when the app is set up, it can be repaired.
        raise InvalidReport("timestamp", "Expected seconds since 1970, or ISO 8601") from None


# --- JSON -------------------------------------------------------------------------------------


class TraccarCoords(Struct, frozen=True):
    latitude: Annotated[float, Meta(extra_json_schema={"minimum": -90, "maximum": 90})]
    longitude: Annotated[float, Meta(extra_json_schema={"minimum": -180, "maximum": 180})]
    accuracy: float | None = None
    speed: float | None = None
    heading: float | None = None
    altitude: float | None = None


class TraccarBattery(Struct, frozen=True):
    level: float | None = None


class TraccarLocation(Struct, frozen=True):
    coords: TraccarCoords | None = None
    timestamp: datetime | None = None
    battery: TraccarBattery | None = None


class TraccarReport(Struct, frozen=True):
    location: TraccarLocation
    device_id: str = ""


_body: Final = msgspec.json.Decoder(TraccarReport)


def from_json(body: bytes) -> OsmandReport:
    """The report of Traccar Client 9 or newer. Raises InvalidReport."""
    try:
        sent = _body.decode(body)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidReport(None, "not valid JSON") from None
    location = sent.location
    coords, taken = location.coords, location.timestamp
    if coords is None:
        return OsmandReport(sent.device_id, ForeignFix())
    if taken is not None and taken.tzinfo is None:
        taken = taken.replace(tzinfo=UTC)
    level = None if location.battery is None else location.battery.level
    return OsmandReport(
        sent.device_id,
        ForeignFix(
            coords.latitude,
            coords.longitude,
            taken,
            coords.accuracy,
            coords.altitude,
            coords.speed,
            coords.heading,
            None if level is None else level * 100,
        ),
    )
