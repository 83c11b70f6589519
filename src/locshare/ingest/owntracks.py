"""OwnTracks in HTTP mode (https://owntracks.org/booklet/tech/json/). Pure.

The app posts one message at a time. A ``location`` is a report; the other types (``transition``,
``waypoint``, ``status``, ``lwt``, ``encrypted``, and an empty body when a friend is deleted) say
nothing to a session. It takes from the response an array of messages: each ``location`` moves a
friend on its map, and each ``card`` gives that friend a name.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from locshare.ingest.foreign import KMH, ForeignFix
from locshare.ingest.report import InvalidReport, invalid
from locshare.model.position import LocatedMember

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


_SECONDS: Final = Meta(extra_json_schema={"minimum": -62_135_596_800, "maximum": 253_402_300_799})


class _Message(Struct, frozen=True):
    kind: str = msgspec.field(name="_type", default="")


class OwnTracksLocation(Struct, frozen=True):
    """The bounds are those of the contract: checked later, as in every foreign report."""

    lat: Annotated[float, Meta(extra_json_schema={"minimum": -90, "maximum": 90})]
    lon: Annotated[float, Meta(extra_json_schema={"minimum": -180, "maximum": 180})]
    tst: Annotated[float, _SECONDS] | None = None
    acc: float | None = None
    alt: float | None = None
    vel: float | None = None
    cog: float | None = None
    batt: float | None = None


_message: Final = msgspec.json.Decoder(_Message)
_location: Final = msgspec.json.Decoder(OwnTracksLocation)


def from_json(body: bytes) -> ForeignFix | None:
    """The fix in a message; None for a message of another type, or none. Raises InvalidReport."""
    if not body:
        return None
    try:
        if _message.decode(body).kind != "location":
            return None
        sent = _location.decode(body)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidReport(None, "not valid JSON") from None
    return ForeignFix(
        sent.lat,
        sent.lon,
        _time(sent.tst),
        sent.acc,
        sent.alt,
        None if sent.vel is None else sent.vel * KMH,
        sent.cog,
        sent.batt,
    )


def _time(tst: float | None) -> datetime | None:
    try:
        return None if tst is None else datetime.fromtimestamp(tst, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidReport("tst", "Expected seconds since 1970") from None


# --- the response -----------------------------------------------------------------------------


class OwnTracksFriend(Struct, frozen=True, tag_field="_type", tag="location"):
    """Whole numbers, as the app's documentation has them; ``vel`` in km/h."""

    topic: str
    tid: str
    lat: float
    lon: float
    tst: int
    acc: int | UnsetType = UNSET
    alt: int | UnsetType = UNSET
    vel: int | UnsetType = UNSET
    cog: int | UnsetType = UNSET
    batt: int | UnsetType = UNSET


class OwnTracksCard(Struct, frozen=True, tag_field="_type", tag="card"):
    topic: str
    tid: str
    name: str


def friends(members: Iterable[LocatedMember]) -> bytes:
    """The response to a report: a location and a card for each of ``members`` who has a position.

    Some versions of the app know a friend by the ``tid``, of two characters. So no two members have
    the same one; ``members`` are all the others, in an order that stays.
    """
    taken: set[str] = set()
    messages: list[OwnTracksFriend | OwnTracksCard] = []
    for member in members:
        tid = tracker_id(member.display_name, taken)
        taken.add(tid)
        held, at = member.position, member.taken
        if held is None or at is None:
            continue
        topic = f"owntracks/locshare/{member.user_id}"
        speed = None if held.speed is None else held.speed / KMH
        messages.append(
            OwnTracksFriend(
                topic,
                tid,
                held.lat,
                held.lng,
                int(at.timestamp()),
                _whole(held.accuracy),
                _whole(held.altitude),
                _whole(speed),
                _whole(held.heading),
                _whole(held.battery),
            )
        )
        messages.append(OwnTracksCard(topic, tid, member.display_name))
    return msgspec.json.encode(messages)


def _whole(value: float | None) -> int | UnsetType:
    return UNSET if value is None else round(value)


def tracker_id(name: str, taken: Collection[str]) -> str:
    """The initials of ``name`` or its first two letters; numbered if they are taken."""
    words = ["".join(filter(str.isalnum, word)) for word in name.split()]
    words = [word for word in words if word] or ["X"]
    first, second = words[0][0], words[1][0] if len(words) > 1 else words[0][1:2]
    if second and first + second not in taken:
        return first + second
    numbered = (lead + digit for lead in first + _DIGITS for digit in _DIGITS)
    return next((tid for tid in numbered if tid not in taken), first)
