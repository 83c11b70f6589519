"""Our own JSON: one position, or ``{"positions": [...]}`` with those that waited. Pure.

Fields, units and bounds are those of the WebSocket, but that only ``lat`` and ``lng`` are required:
a watch or a script may know no more.
"""

from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from locshare.ingest.report import InvalidReport, invalid
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

MAX_POSITIONS: Final = 100
"""In one report."""


class ReportedPosition(Struct, frozen=True, gc=False):
    lat: Latitude
    lng: Longitude
    accuracy: Accuracy | None = None
    timestamp: Timestamp | None = None
    altitude: Altitude | None = None
    speed: Speed | None = None
    heading: Heading | None = None
    battery: Battery | None = None
    age_ms: Age | None = None


class ReportedPositions(Struct, frozen=True):
    positions: (
        Annotated[list[ReportedPosition], Meta(min_length=1, max_length=MAX_POSITIONS)] | UnsetType
    ) = UNSET


_fix: Final = msgspec.json.Decoder(ReportedPosition)
_queue: Final = msgspec.json.Decoder(ReportedPositions)


def newest_position(body: bytes, now: datetime) -> Position:
    """The newest position in ``body``, which arrived at ``now``; of several with one timestamp, the
    last. A position without a timestamp was taken at ``now``, less its ``age_ms``.

    Raises InvalidReport if any position in it is wrong.
    """
    try:
        queue = _queue.decode(body).positions
        fixes = [_fix.decode(body)] if isinstance(queue, UnsetType) else queue
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Not chained: the library's text may quote the body.
        raise InvalidReport(None, "not valid JSON") from None
    return max(reversed([_position(fix, now) for fix in fixes]), key=_taken)


def _position(fix: ReportedPosition, now: datetime) -> Position:
    timestamp = fix.timestamp or now - timedelta(milliseconds=fix.age_ms or 0)
    return Position(
        fix.lat,
        fix.lng,
        fix.accuracy,
        timestamp,
        fix.altitude,
        fix.speed,
        fix.heading,
        fix.battery,
        fix.age_ms,
    )


def _taken(position: Position) -> datetime:
    return position.timestamp
