"""What a dialect is: one way to write the messages of the contract as bytes. Pure.

A dialect translates between bytes and the model; no other code knows how messages are written. It
infers nothing from a message, its audience least of all.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from msgspec import Struct

from locshare.model.errors import LocshareError
from locshare.model.position import HeldPosition, Position
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


class Shorthand(Struct, frozen=True, eq=False):
    """What the messages of one session may be shortened by; its session keeps it."""

    time_base: datetime
    """The time from which times count."""
    numbers: Mapping[str, int]
    """A small number for each member, by user_id. No two members ever have the same one."""

    @classmethod
    def since(cls, moment: datetime, numbers: Mapping[str, int]) -> "Shorthand":
        """Times count from ``moment``, in whole milliseconds."""
        return cls(moment.replace(microsecond=moment.microsecond // 1000 * 1000), numbers)


NO_SHORTHAND: Final = Shorthand(datetime.fromtimestamp(0, UTC), {})
"""For messages that belong to no session."""


class Dialect(Protocol):
    """The server's side of one way to write messages."""

    name: str
    """Of the plain and the compact dialect also the WebSocket subprotocol."""

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

    @property
    def encode_batch(self) -> Callable[[Mapping[str, HeldPosition], float], bytes] | None:
        """The payload of one frame with all positions of a flush (with the ages of their fixes at a
        time on Trio's clock), the same for every receiver. None where each position is a frame of
        its own, and receivers do not get theirs.
        """
        ...

    def in_session(self, shorthand: Shorthand) -> "Dialect":
        """This dialect for the messages of one session. Itself where it shortens nothing."""
        ...
