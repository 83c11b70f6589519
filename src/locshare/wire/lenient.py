"""Position updates that the strict decoder refuses although the position in them is valid.

Phones say "unknown" in many ways: iOS sends -1 for no heading and no speed, JavaScript turns
``NaN`` into ``null``, Python's json writes a bare ``NaN``, some clients send texts. Of an optional
field all of these mean that it is not known. And RFC 3339 (section 5.7) has a second 60.

This is the slow way, taken only when the fast one has failed. Pure, and raises nothing but
msgspec.DecodeError (of which ValidationError is one), ValueError and RecursionError.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, convert

from locshare.wire.messages import (
    Accuracy,
    Age,
    Altitude,
    Battery,
    Heading,
    Latitude,
    LocationUpdate,
    Longitude,
    Position,
    Speed,
    Timestamp,
)

_FULL_CIRCLE: Final = 360.0
_LEAP_SECOND: Final = re.compile(r"([0-9-]{10}[Tt ][0-9]{2}:[0-9]{2}):60(.*)")

Optional = Raw | UnsetType


class _Position(Struct, frozen=True, gc=False):
    """What must be right is typed; what may be unknown is looked at field by field."""

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


def decode_update(data: bytes | str) -> LocationUpdate:
    """The ``location_update`` in ``data``. Raises msgspec.ValidationError, with a path as the
    strict decoder has it, when what must be right is wrong.
    """
    loose = _update.decode(data).data
    accuracy = _known(loose.accuracy, Accuracy)
    return LocationUpdate(
        Position(
            loose.lat,
            loose.lng,
            None if accuracy is UNSET else accuracy,
            _timestamp(loose.timestamp),
            _known(loose.altitude, Altitude),
            _known(loose.speed, Speed),
            _heading(loose.heading),
            _known(loose.battery, Battery),
            _known(loose.age_ms, Age),
        )
    )


def without_constants(data: bytes | str) -> bytes:
    """``data`` with ``null`` for each bare ``NaN`` and ``Infinity``, which are not JSON but which
    the standard library reads. Raises ValueError when it is not JSON even then, RecursionError.
    """
    return msgspec.json.encode(json.loads(data))


def _known(raw: Optional, kind: Any) -> Any:
    """The number in ``raw`` when it is one of ``kind``, else UNSET."""
    if isinstance(raw, UnsetType):
        return UNSET
    try:
        return convert(_number.decode(raw), kind)
    except msgspec.DecodeError:
        return UNSET


def _heading(raw: Optional) -> Any:
    if not isinstance(raw, UnsetType):
        try:
            if _number.decode(raw) == _FULL_CIRCLE:
                return 0.0
        except msgspec.DecodeError:
            return UNSET
    return _known(raw, Heading)


def _timestamp(text: str) -> datetime:
    """RFC 3339; the second 60 at the end of a day of UTC is the first of the next."""
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
