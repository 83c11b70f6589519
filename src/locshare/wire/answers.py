"""The responses of the REST API (docs/reference/rest.md): the server encodes, the client decodes.
Pure.
"""

from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from locshare.model.participant import ParticipantView


class SessionCreated(Struct, frozen=True):
    """``host_token`` ends the session and removes participants; it is given only here.
    ``host_key``, which is in the fragment of ``host_url``, is good for another one.
    """

    session_id: str
    join_link: str
    expires_at: datetime
    name: str
    host_token: str
    host_key: str = ""
    host_url: str = ""


class HostToken(Struct, frozen=True):
    host_token: str
    expires_at: datetime


class SessionDescription(Struct, frozen=True):
    id: str
    name: str
    created_at: datetime
    expires_at: datetime
    participant_count: int
    is_active: bool
    locked: bool = False
    link_key: str | UnsetType = UNSET


class NewLink(Struct, frozen=True):
    """The new join link. ``link_key`` is what it has after the id."""

    join_link: str
    link_key: str


class OwnTracksSetup(Struct, frozen=True):
    """The password is the code. ``link`` makes all settings."""

    url: str
    username: str
    link: str


class TraccarSetup(Struct, frozen=True):
    """The device identifier is the code. ``link`` is for Traccar Client's QR scanner."""

    url: str
    link: str


class GpsLoggerSetup(Struct, frozen=True):
    """``url`` is for "log to custom URL"; ``link`` loads a profile that has it."""

    url: str
    link: str


class ReportSetup(Struct, frozen=True):
    """How other apps report positions for a participant, every ``interval_s`` seconds. ``code``
    stands for the token in reports, and can do nothing else.
    """

    code: str
    interval_s: int
    positions_url: str
    owntracks: OwnTracksSetup
    traccar: TraccarSetup
    osmand_url: str
    gpslogger: GpsLoggerSetup


class SessionJoined(Struct, frozen=True):
    """``websocket_token`` is the participant's and valid until the session ends. ``websocket_url``
    does not contain it, so that it stays out of logs. ``display_name`` is the name others see.
    """

    user_id: str
    websocket_token: str
    websocket_url: str
    display_name: str = ""
    setup: ReportSetup | None = None
    """None from a server that has no report codes."""


class RowCount(Struct, frozen=True):
    sessions: int
    participants: int


class DeletionReceipt(Struct, frozen=True):
    """What the database has of a session (``state`` is ``stored``), or had (``deleted``).

    ``session_sha256`` is of the session's id as text. ``until``: when the rows will be deleted at
    the latest; after that, when the server forgets that there was anything. ``receipt`` is a JWT
    that says the same, signed by the server; None until the rows are deleted.
    """

    state: Literal["stored", "deleted"]
    session_sha256: str
    rows: RowCount
    until: datetime
    ended_at: datetime | None = None
    deleted_at: datetime | None = None
    receipt: str | None = None


class ParticipantList(Struct, frozen=True):
    participants: tuple[ParticipantView, ...]


class Success(Struct, frozen=True):
    success: bool = True
