"""Bytes to messages and back. A dialect is one way to write the same messages down.

A dialect never raises anything but :class:`InvalidMessage`, whatever the bytes: a wrong message
becomes an ``error`` reply and the connection lives on.
"""

from typing import Protocol

import msgspec

from locshare.model.errors import LocshareError
from locshare.wire.lenient import decode_update, without_constants
from locshare.wire.messages import ClientMessage, Error, ErrorCode, Problem, ServerMessage


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
        """The message that tells the client."""
        return Error(Problem(self.code, self.text))


class Dialect(Protocol):
    """How messages are written on one connection."""

    name: str
    """Also the WebSocket subprotocol, such as ``locshare.v1``."""

    def decode(self, data: bytes | str) -> ClientMessage:
        """One message from one text frame's payload. Raises InvalidMessage, nothing else."""
        ...

    def encode(self, message: ServerMessage) -> bytes:
        """The payload of one text frame: UTF-8 JSON without line breaks."""
        ...


class PlainDialect:
    """``{"type": …, "data": {…}}``, one message per text frame (docs/reference/protocol.md)."""

    name = "locshare.v1"

    def __init__(self) -> None:
        self._decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
        self._encoder = msgspec.json.Encoder()

    def decode(self, data: bytes | str) -> ClientMessage:
        """See :meth:`Dialect.decode`."""
        try:
            return self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
        try:
            try:
                return self._decode_leniently(data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return self._decode_leniently(without_constants(data))
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise InvalidMessage("INVALID_MESSAGE", "not valid JSON") from None

    def _decode_leniently(self, data: bytes | str) -> ClientMessage:
        """Raises InvalidMessage, and what the library raises when it is not JSON."""
        try:
            return self._decoder.decode(data)
        except msgspec.ValidationError as error:
            problem = str(error)
        if _path_of(problem).startswith("data"):
            try:
                return decode_update(data)
            except msgspec.ValidationError as error:
                if _path_of(str(error)) != "type":
                    problem = str(error)
        raise _explain(problem)

    def encode(self, message: ServerMessage) -> bytes:
        """See :meth:`Dialect.encode`."""
        return self._encoder.encode(message)


PLAIN = PlainDialect()


def _path_of(text: str) -> str:
    """The path in msgspec's ``Expected … - at `$.path` ``; empty when there is none."""
    return text.partition(" - at `$")[2].rstrip("`").lstrip(".")


def _explain(text: str) -> InvalidMessage:
    """Turn msgspec's error into a code and a sentence without the value."""
    problem, path = text.partition(" - at `$")[0], _path_of(text)
    if path == "type" and problem.startswith("Invalid value"):
        return InvalidMessage(
            "UNKNOWN_TYPE", "type: not known here; allowed are location_update, ping and leave"
        )
    if path.startswith("data."):
        return InvalidMessage("INVALID_LOCATION", f"{path.removeprefix('data.')}: {problem}")
    if path == "data" and "missing required field" in problem:
        return InvalidMessage("INVALID_LOCATION", problem)
    return InvalidMessage("INVALID_MESSAGE", f"{path}: {problem}" if path else problem)
