"""The messages of the control socket, for both ends. Pure.

Requests are msgspec structs with ``tag_field="do"``: the tag is the name of the operation, the
fields are its arguments.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias, Union, final

import msgspec
from msgspec import Struct

from locshare.model.errors import LocshareError

MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""A snapshot of ten thousand sessions has some ten megabytes."""

Send: TypeAlias = Callable[[object], Awaitable[None]]
"""Sends one item of an answer that has many. Waits while the client does not read."""


class ControlError(LocshareError):
    """The operation was refused or failed. ``code`` is stable, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Operation(Struct, frozen=True):
    """One operation.

    ``request`` is a tagged struct. ``answer(request, send)`` returns the result, after any number
    of ``await send(item)``; it may raise ControlError. It is cancelled when the client hangs up.
    """

    request: type[Struct]
    answer: Callable[[Any, Send], Awaitable[object]]

    @property
    def name(self) -> str:
        """The value of ``do``."""
        return str(self.request.__struct_config__.tag)


class ErrorBody(Struct, frozen=True):
    """What went wrong."""

    code: str
    message: str


class Answer(Struct, frozen=True, omit_defaults=True):
    """One line from the server: exactly one of the three is set."""

    item: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    done: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: ErrorBody | msgspec.UnsetType = msgspec.UNSET


@final
class Requests:
    """Reads requests for a set of operations."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations = {each.request: each for each in operations}
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            Union[tuple(self._operations)] if self._operations else None  # noqa: UP007 - made here
        )

    def read(self, line: bytes) -> tuple[Operation, Struct]:
        """The operation and request in ``line``. Raises ControlError that names the bad field."""
        try:
            request = self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ControlError("bad_request", f"{error}; there are {self.names}") from None
        return self._operations[type(request)], request

    @property
    def names(self) -> str:
        """Of all operations, for an error's text."""
        return ", ".join(each.name for each in self._operations.values())


def item(value: object) -> bytes:
    """A line with one item of many."""
    return msgspec.json.encode({"item": value}) + b"\n"


def done(value: object) -> bytes:
    """The last line of an answer."""
    return msgspec.json.encode({"done": value}) + b"\n"


def failed(code: str, message: str) -> bytes:
    """The line that reports an error."""
    return msgspec.json.encode({"error": ErrorBody(code, message)}) + b"\n"
