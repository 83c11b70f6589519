"""What a dialect is: one way to write the messages of the contract as bytes. Pure.

A dialect translates between bytes and the model; no other code knows how messages are written. It
infers nothing from a message, its audience least of all.
"""

from typing import Protocol

from locshare.model.errors import LocshareError
from locshare.model.position import Position
from locshare.wire.messages import Error, ErrorCode, ServerMessage


class InvalidMessage(LocshareError):
    """A client message that does not follow the contract.

    ``code`` is the stable code of the ``error`` reply; the text names the field, what is wrong
    with it and what is allowed. It never repeats the value, which may be a position.
    """

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code: ErrorCode = code
        self.text = text

    def reply(self) -> Error:
        """The reply to the client."""
        return Error(self.code, self.text)


class Dialect(Protocol):
    """The server's side of one way to write messages."""

    name: str
    """Of the plain dialect also the WebSocket subprotocol, ``locshare.v1``."""

    binary: bool
    """Whether its payloads go into binary frames instead of text frames."""

    def encode(self, message: ServerMessage) -> bytes:
        """The payload of one frame."""
        ...

    def encode_position(self, user_id: str, position: Position, age_ms: int | None) -> bytes:
        """As :meth:`encode` of a ParticipantPosition, without making one: this runs for each
        position of each flush.
        """
        ...
