"""Positions: what a phone reports, what a session keeps of it, and what the others see.

Units: degrees (WGS 84), metres, metres per second, degrees clockwise from true north, percent.
Times are aware datetimes; instants on Trio's clock are floats, in seconds. None means unknown.

The bounds are those of the contract. A decoder checks them; nothing behind it does so again.
"""

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Accuracy = Annotated[float, Meta(ge=0, le=100_000)]
"""Radius of 68 % confidence in metres, as the Geolocation API gives it."""
Altitude = Annotated[float, Meta(ge=-12_000, le=100_000)]
Speed = Annotated[float, Meta(ge=0, le=1_000)]
Heading = Annotated[float, Meta(ge=0, lt=360)]
Battery = Annotated[float, Meta(ge=0, le=100)]
MAX_AGE_MS: Final = 86_400_000
"""No session lasts longer than these 24 hours."""
Age = Annotated[float, Meta(ge=0, le=MAX_AGE_MS)]
"""Of a fix when it is sent, in milliseconds."""
Timestamp = Annotated[datetime, Meta(tz=True)]

LIVE_WITHIN_MS: Final = 1000
"""A younger fix counts as current: its age is not sent."""


class Position(Struct, frozen=True, gc=False, omit_defaults=True):
    """One report of a phone.

    ``accuracy`` is None when it is unknown, never 0. ``timestamp`` is the time of the fix by the
    sender's wall clock, which may be wrong; ``age_ms`` is the age of the fix when it was sent, by a
    monotonic clock.
    """

    lat: Latitude
    lng: Longitude
    accuracy: Accuracy | None
    timestamp: Timestamp
    altitude: Altitude | None = None
    speed: Speed | None = None
    heading: Heading | None = None
    battery: Battery | None = None
    age_ms: Age | None = None


class HeldPosition(Struct, frozen=True, gc=False):
    """A participant's newest position as a session keeps it. ``arrived`` and ``taken`` (the time of
    the fix, as judged by the session) are on Trio's clock. The retention counts from the arrival.
    """

    position: Position
    arrived: float
    taken: float

    def age_ms(self, clock: float) -> int | None:
        """The age of the fix at ``clock``; None while it is below :data:`LIVE_WITHIN_MS`."""
        age = int((clock - self.taken) * 1000)
        return age if age >= LIVE_WITHIN_MS else None


class ParticipantPosition(Struct, frozen=True, gc=False, omit_defaults=True):
    """A position as the other participants see it. ``age_ms`` is the age of the fix when the server
    sent it; None when that was below :data:`LIVE_WITHIN_MS`.
    """

    user_id: str
    lat: float
    lng: float
    accuracy: float | None
    timestamp: datetime
    altitude: float | None = None
    speed: float | None = None
    heading: float | None = None
    battery: float | None = None
    age_ms: int | None = None

    @classmethod
    def of(
        cls, user_id: str, position: Position, age_ms: int | None = None
    ) -> "ParticipantPosition":
        """The position of ``user_id``, whose fix is ``age_ms`` old."""
        return cls(
            user_id,
            position.lat,
            position.lng,
            position.accuracy,
            position.timestamp,
            position.altitude,
            position.speed,
            position.heading,
            position.battery,
            age_ms,
        )


class LocatedMember(Struct, frozen=True):
    """A participant and the position that the session holds of them, if it holds one. ``taken`` is
    when its fix was taken, by the server's wall clock.
    """

    user_id: str
    display_name: str
    position: Position | None = None
    taken: datetime | None = None
