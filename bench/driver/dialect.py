"""What is said over a WebSocket and what it means: one conversation per connection. Pure.

A dialect turns positions into bytes and bytes into the few things that the driver acts on. Whatever
else a server says is none of its business.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from bench.driver.tracker import ReceivedPosition
from bench.results import Dialect
from locshare.model.position import Position


class Snapshot(NamedTuple):
    """The first message that says: you are in. Also every later one that lists positions."""

    positions: Sequence[ReceivedPosition]


class Ended(NamedTuple):
    """The server says that this connection is of no use any more."""

    reason: str
    reconnect: bool


class Refusal(NamedTuple):
    """The server did not like something that it was sent."""

    reason: str


Message = ReceivedPosition | Snapshot | Ended | Refusal | None
"""None: nothing that matters here."""


class Access(NamedTuple):
    """What a participant needs to connect."""

    session_id: str
    user_id: str
    token: str


class Conversation(Protocol):
    """One connection's, from the upgrade to the end."""

    def hello(self) -> bytes | None:
        """What is sent first, if anything."""

    def position(self, position: Position) -> bytes:
        """An update."""

    def heartbeat(self) -> bytes:
        """What keeps a connection alive; the server answers it."""

    def leave(self) -> bytes:
        """Leaving the session for good; the server closes, or is closed after it."""

    def read(self, text: bytes) -> Message:
        """What one message means. Never raises: what cannot be read is a :class:`Refusal`."""


class DialectAdapter(Protocol):
    """How a dialect is spoken to one server."""

    name: Dialect
    heartbeat_s: float
    """So often when ``always_beats``, else when nothing has come for so long."""
    always_beats: bool
    closes: bool
    """True when a server closes the connection of whoever has left."""

    def address(self, access: Access, websocket_url: str) -> str:
        """Where to connect, token and all."""

    def converse(self, access: Access) -> Conversation:
        """A new connection's."""
