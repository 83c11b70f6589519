"""The dialects that the client speaks, by the name of their subprotocol. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, final

from locshare.wire import compact_client, plain
from locshare.wire.compact import COMPACT
from locshare.wire.messages import ClientMessage, ServerMessage


class Codec(Protocol):
    """Frames of one connection to messages and back."""

    def encode(self, message: ClientMessage) -> str | bytes:
        """The payload of one frame: a text frame for a string, else a binary one."""
        ...

    def decode(self, frame: str | bytes) -> Sequence[ServerMessage]:
        """The messages in one frame. Raises msgspec.DecodeError or UnicodeError for what this
        version of the contract does not have, and NotConnected where the frame says that the
        server has ended it.
        """
        ...


@final
class PlainCodec:
    """JSON. Has no state."""

    def encode(self, message: ClientMessage) -> str | bytes:
        """See :meth:`Codec.encode`."""
        return plain.encode_for_server(message).decode()

    def decode(self, frame: str | bytes) -> Sequence[ServerMessage]:
        """See :meth:`Codec.decode`."""
        return (plain.decode_from_server(frame),)


@final
class CompactCodec:
    """MessagePack; it reads a connection from its first frame on."""

    def __init__(self) -> None:
        self._reader = compact_client.CompactReader()

    def encode(self, message: ClientMessage) -> str | bytes:
        """See :meth:`Codec.encode`."""
        return compact_client.encode_for_server(message)

    def decode(self, frame: str | bytes) -> Sequence[ServerMessage]:
        """See :meth:`Codec.decode`."""
        return self._reader.decode(frame.encode() if isinstance(frame, str) else frame)


COMPACT_DIALECT: Final = COMPACT.name
PLAIN_DIALECT: Final = plain.PLAIN.name
CODECS: Final[Mapping[str, Callable[[], Codec]]] = {
    COMPACT_DIALECT: CompactCodec,
    PLAIN_DIALECT: PlainCodec,
}
DIALECTS: Final = tuple(CODECS)
"""All of them, the preferred one first. A server that does not know it chooses the other."""
