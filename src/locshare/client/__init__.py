"""A small Python client of the REST and the WebSocket contract, on Trio.

    async with Client("http://127.0.0.1:8080") as client:
        session = await client.create_session("Alps")
        me = await client.join(session.session_id, "Ada")
        async with connect(me.websocket_url, me.websocket_token) as connection:
            await connection.send_position(position)
            async for message in connection:
                ...

:class:`Client` is the REST API, :func:`connect` opens one connection, :class:`Live` keeps a
participant connected (:func:`watch_network` tells it when the network changes), and
:func:`parse_join_link` reads a link as people pass it on. The dialect is compact where the server
speaks it, else plain. Tokens stay out of URLs, logs and the texts of errors.
"""

from locshare.client.backoff import Backoff
from locshare.client.codecs import COMPACT_DIALECT, DIALECTS, PLAIN_DIALECT
from locshare.client.connection import Connection, connect
from locshare.client.errors import (
    ApiProblem,
    ClientError,
    ConnectionRefused,
    End,
    NotConnected,
    Unreachable,
)
from locshare.client.live import Live, Watcher, WentOffline
from locshare.client.network import watch_network
from locshare.client.replica import Replica
from locshare.client.rest import Client, retry
from locshare.model.events import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    SessionEnded,
    SessionUpdated,
)
from locshare.model.join_link import JoinLink, parse_join_link
from locshare.model.pace import Pace
from locshare.model.participant import ParticipantView, PresenceState
from locshare.model.position import ParticipantPosition, Position
from locshare.model.session import Snapshot
from locshare.wire.answers import (
    DeletionReceipt,
    HostToken,
    NewLink,
    SessionCreated,
    SessionDescription,
    SessionJoined,
)
from locshare.wire.messages import Error, Pong, ServerMessage

__all__ = [
    "COMPACT_DIALECT",
    "DIALECTS",
    "PLAIN_DIALECT",
    "ApiProblem",
    "Backoff",
    "Client",
    "ClientError",
    "Connection",
    "ConnectionRefused",
    "DeletionReceipt",
    "End",
    "Error",
    "HostToken",
    "JoinLink",
    "Live",
    "NewLink",
    "NotConnected",
    "Pace",
    "ParticipantJoined",
    "ParticipantLeft",
    "ParticipantPosition",
    "ParticipantUpdated",
    "ParticipantView",
    "Pong",
    "Position",
    "PresenceState",
    "Replica",
    "ServerMessage",
    "SessionCreated",
    "SessionDescription",
    "SessionEnded",
    "SessionJoined",
    "SessionUpdated",
    "Snapshot",
    "Unreachable",
    "Watcher",
    "WentOffline",
    "connect",
    "parse_join_link",
    "retry",
    "watch_network",
]
