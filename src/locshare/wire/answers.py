"""What the REST API answers, as frozen structs: for the server that encodes them and for the client
that decodes them. One struct is one answer of docs/reference/rest.md. Pure.
"""

from datetime import datetime

from msgspec import Struct

from locshare.model.participant import ParticipantView


class SessionCreated(Struct, frozen=True):
    """``host_token`` is given this once; it ends the session and removes participants. Another can
    be had for ``host_key``, which ``host_url`` has in its fragment.
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


class SessionJoined(Struct, frozen=True):
    """``websocket_token`` is that of one participant, valid until the session ends;
    ``websocket_url`` is without it, so that it stays out of logs. ``display_name`` is the name as
    others see it.
    """

    user_id: str
    websocket_token: str
    websocket_url: str
    display_name: str = ""


class ParticipantList(Struct, frozen=True):
    participants: tuple[ParticipantView, ...]


class Success(Struct, frozen=True):
    success: bool = True
