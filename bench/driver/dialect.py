"""Dialects: positions to bytes, and bytes to the few messages that the driver acts on. Pure.

All other messages of a server are ignored.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from bench.driver.tracker import ReceivedPosition
from bench.results import Dialect
from locshare.model.position import Position


class Snapshot(NamedTuple):
    """The first message of a connection, and every later one that lists positions."""

    positions: Sequence[ReceivedPosition]


class Ended(NamedTuple):
    """The server ends the conversation, though not yet the connection."""

    reason: str
    reconnect: bool


class Refusal(NamedTuple):
    """The server rejected something that it was sent."""

    reason: str


Message = ReceivedPosition | Snapshot | Ended | Refusal | None
"""None: ignored."""


class Access(NamedTuple):
    """What a participant needs to connect."""

    session_id: str
    user_id: str
    token: str


class Conversation(Protocol):
    """One connection's, from the upgrade to the end."""

    def hello(self) -> bytes | None:
        """The first message, if the dialect has one."""

    def position(self, position: Position) -> bytes:
        """An update."""

    def heartbeat(self) -> bytes:
        """Keeps the connection alive; the server answers it."""

    def leave(self) -> bytes:
        """Leaves the session for good; afterwards one of the two closes."""

    def read(self, payload: bytes) -> Message | list[ReceivedPosition]:
        """Parse one message; a list is that of a flush. Never raises: an unreadable one is a
        :class:`Refusal`.
        """


class DialectAdapter(Protocol):
    """One dialect with one server."""

    name: Dialect
    subprotocols: Sequence[str]
    """To be offered; with any of them all messages are in binary frames."""
    heartbeat_s: float
    """The interval when ``always_beats``, else the silence that triggers a heartbeat."""
    always_beats: bool
    closes: bool
    """True when the server closes the connection after a leave."""

    def address(self, access: Access, websocket_url: str) -> str:
        """Where to connect, token included."""

    def converse(self, access: Access) -> Conversation:
        """A new connection's."""
