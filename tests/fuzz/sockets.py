"""A blocking client: it sends any bytes, and reads frames and HTTP answers by the book.

Whatever the server does against the book raises :class:`Fault`.
"""

import contextlib
import select
import socket
import struct
from typing import NamedTuple, Self

from tests.running import LAST_RESORT_S

ANSWER_S = LAST_RESORT_S
"""How long the server may take for anything. It closes what is idle for 15 s."""


class Fault(AssertionError):
    """The server did what it must not."""


class Busy(Fault):
    """The server did not do it now, as if it were overloaded."""


class Ended(Exception):
    """The stream has ended."""


class Answer(NamedTuple):
    """Of HTTP. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One TCP connection."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), ANSWER_S)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._data = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def send(self, data: bytes) -> None:
        """All of it, or as much as the server takes before it closes."""
        with contextlib.suppress(OSError):
            self._sock.sendall(data)

    def end(self) -> None:
        """Nothing more will be sent."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _fill(self) -> None:
        try:
            data = self._sock.recv(65_536)
        except TimeoutError:
            raise Fault(f"nothing came for {ANSWER_S:.0f} s, not even the end") from None
        except OSError:
            raise Ended from None
        if not data:
            raise Ended
        self._data += data

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            self._fill()
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    def rest(self) -> bytes:
        """Everything until the end of the stream."""
        with contextlib.suppress(Ended):
            while True:
                self._fill()
        return self._take(len(self._data))

    def has_more(self) -> bool:
        """Whether something has come, without waiting for it."""
        return bool(self._data) or bool(select.select([self._sock], [], [], 0)[0])

    def frame(self) -> tuple[int, bytes]:
        """The opcode and the payload of the next frame. Raises Ended."""
        first, second = self._take(2)
        if second & 0x80 or first & 0x70 or not first & 0x80:
            raise Fault(f"a server's frame begins with {first:#x} {second:#x}")
        size = second
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        return first & 15, self._take(size)

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of an answer. Raises Ended."""
        while b"\r\n\r\n" not in self._data:
            self._fill()
        text = self._take(self._data.index(b"\r\n\r\n") + 4).decode("latin-1")
        line, *fields = text.removesuffix("\r\n\r\n").split("\r\n")
        version, _, status = line.partition(" ")
        if not version.startswith("HTTP/1.") or not status[:3].isdigit():
            raise Fault(f"an answer begins with {line!r}")
        headers = {}
        for field in fields:
            name, colon, value = field.partition(":")
            if not colon or name != name.strip() or name.lower() == "":
                raise Fault(f"an answer has the header {field!r}")
            headers[name.lower()] = value.strip()
        return int(status[:3]), headers

    def answer(self, *, to_head: bool = False) -> Answer:
        """A whole answer. Raises Ended."""
        status, headers = self.head()
        while 100 <= status < 200 and status != 101:
            status, headers = self.head()
        body = b""
        if status not in (101, 204, 304) and not to_head:
            if "content-length" not in headers:
                raise Fault(f"an answer {status} does not say its length: {headers}")
            body = self._take(int(headers["content-length"]))
        return Answer(status, headers, body)
