"""Position updates that the strict decoder refuses although the position in them is valid.

Phones write "unknown" in many ways: iOS sends -1 for no heading and no speed, JavaScript turns
``NaN`` into ``null``, Python's json writes a bare ``NaN``, some clients send texts. In an optional
field all of these mean that the value is unknown. And RFC 3339 (section 5.7) has a second 60.

This is the slow path, taken only after the fast one has failed. Pure. Raises msgspec.DecodeError
(of which ValidationError is one), ValueError and RecursionError, nothing else.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, convert

from locshare.model.position import (
    Accuracy,
    Age,
    Altitude,
    Battery,
    Heading,
    Latitude,
    Longitude,
    Position,
    Speed,
    Timestamp,
)

_FULL_CIRCLE: Final = 360.0
_LEAP_SECOND: Final = re.compile(r"([0-9-]{10}[Tt ][0-9]{2}:[0-9]{2}):60(.*)")

Optional = Raw | UnsetType


class _Position(Struct, frozen=True, gc=False):
    """Required fields are typed; optional ones are read one by one."""

    lat: Latitude
    lng: Longitude
    timestamp: str
    accuracy: Optional = UNSET
    altitude: Optional = UNSET
    speed: Optional = UNSET
    heading: Optional = UNSET
    battery: Optional = UNSET
    age_ms: Optional = UNSET


class _Update(Struct, frozen=True, gc=False, tag_field="type", tag="location_update"):
    data: _Position


_update: Final = msgspec.json.Decoder(_Update)
_number: Final = msgspec.json.Decoder(float)


def decode_position(data: bytes | str) -> Position:
    """The position in the ``location_update`` in ``data``. Raises msgspec.ValidationError, with a
    path as the strict decoder has it, when a required field is wrong.
    """
    loose = _update.decode(data).data
    return Position(
        loose.lat,
        loose.lng,
        _known(loose.accuracy, Accuracy),
        _timestamp(loose.timestamp),
        _known(loose.altitude, Altitude),
        _known(loose.speed, Speed),
        _heading(loose.heading),
        _known(loose.battery, Battery),
        _known(loose.age_ms, Age),
    )


def without_constants(data: bytes | str) -> bytes:
    """``data`` with ``null`` for each bare ``NaN`` and ``Infinity``, which are not JSON but which
    the standard library reads. Raises ValueError when it is not JSON even then, RecursionError.
    """
    return msgspec.json.encode(json.loads(data))


def _known(raw: Optional, kind: Any) -> Any:
    """The number in ``raw`` when it is within the bounds of ``kind``, else None."""
    if isinstance(raw, UnsetType):
        return None
    try:
        return convert(_number.decode(raw), kind)
    except msgspec.DecodeError:
        return None


def _heading(raw: Optional) -> Any:
    if not isinstance(raw, UnsetType):
        try:
            if _number.decode(raw) == _FULL_CIRCLE:
                return 0.0
        except msgspec.DecodeError:
            return None
    return _known(raw, Heading)


def _timestamp(text: str) -> datetime:
    """RFC 3339. The second 60 at the end of a day of UTC is the first second of the next day."""
    try:
        if (leap := _LEAP_SECOND.fullmatch(text)) is not None:
            last: datetime = convert(f"{leap[1]}:59{leap[2]}", Timestamp)
            utc = last.astimezone(UTC)
            if (utc.hour, utc.minute) == (23, 59):
                return last + timedelta(seconds=1)
        moment: datetime = convert(text, Timestamp)
    except (msgspec.ValidationError, OverflowError):
        problem = "Invalid RFC3339 encoded datetime"
        raise msgspec.ValidationError(f"{problem} - at `$.data.timestamp`") from None
    return moment
