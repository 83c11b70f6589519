"""One WebSocket over one socket that never blocks.

The protocol is the Sans-I/O one of the ``websockets`` library: the handshake, fragments, control
frames and the closing are its business. Only whole messages of text are cut out before it sees them
(:mod:`bench.driver.frames`): that takes a fifth off what a delivery costs here.
"""

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Sequence
from typing import NamedTuple

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from bench.certificates import trusted_authorities, unverified
from bench.driver.frames import cut, end_of_frame
from bench.errors import NotServing
from locshare.client.errors import (
    ClientError,
    ConnectionRefused,
    End,
    NotConnected,
    Unreachable,
    retry_after_of,
)

_CHUNK = 262_144
_LONGEST_HEAD = 65_536
_LONGEST = 16 * 2**20
"""Bytes of one message: a snapshot of thousands."""
_PROBE_S = 2.0
"""How long one of several addresses of a name may take to answer."""


class Address(NamedTuple):
    """Where a server listens, looked up once for everybody."""

    family: int
    address: tuple[object, ...]
    tls: ssl.SSLContext | None
    host: str


def place(url: str) -> tuple[str, int]:
    """Host and port of a ``ws://`` or ``wss://`` URL."""
    uri = parse_uri(url)
    return uri.host, uri.port


def look_up(url: str, via: tuple[str, int] | None = None) -> Address:
    """The address of a ``ws://`` or ``wss://`` URL, which ``via`` leads to if it is given. Raises
    NotServing.

    Of several (``localhost`` is two, and many servers listen on one of them) the first where
    somebody takes a connection, else the first.
    """
    uri = parse_uri(url)
    host, port = via or (uri.host, uri.port)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotServing(f"{host}: {error.strerror or error}") from error
    family, address = _first_to_answer([(each[0], tuple(each[4])) for each in found])
    return Address(family, address, trusted_authorities() if uri.secure else None, uri.host)


def _first_to_answer(
    places: Sequence[tuple[int, tuple[object, ...]]],
) -> tuple[int, tuple[object, ...]]:
    for family, address in places if len(places) > 1 else ():
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PROBE_S)
            try:
                probe.connect(address)
            except OSError:
                continue
            return family, address
    return places[0]


class Lost(Exception):
    """The connection has ended or never came about. ``cause`` says it as our own client would, and
    so whether and when coming back makes sense.
    """

    def __init__(self, why: str, cause: ClientError | None = None) -> None:
        super().__init__(why)
        self.cause = Unreachable(why) if cause is None else cause


class Connection:
    """One WebSocket. Every method may raise Lost; then it is only to be closed. A certificate that
    cannot be verified is NotServing: trying again would not help.
    """

    __slots__ = (
        "_address", "_connected", "_fragments", "_listens", "_protocol", "_rest", "_secured",
        "_unread", "fileno", "socket",
    )  # fmt: skip

    def __init__(self, url: str, address: Address) -> None:
        self._protocol = ClientProtocol(parse_uri(url), max_size=_LONGEST)
        self._address = address
        self._rest = b""
        """Not yet written."""
        self._unread = b""
        """The beginning of what is not whole yet."""
        self._fragments: list[bytes] = []
        self._connected = False
        self._listens = False
        """It is the server's turn in a TLS handshake."""
        self._secured = False
        self.socket = socket.socket(address.family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.tls is not None:  # now: of one that is reset meanwhile, half would be left
            self.socket = address.tls.wrap_socket(
                self.socket, server_hostname=address.host, do_handshake_on_connect=False
            )
        self.fileno = self.socket.fileno()
        status = self.socket.connect_ex(address.address)
        if status not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            self.socket.close()
            raise Lost(os.strerror(status))
        self._protocol.send_request(self._protocol.connect())

    @property
    def open(self) -> bool:
        """True from the upgrade to the first close frame."""
        return self._protocol.state is OPEN

    @property
    def wants_to_write(self) -> bool:
        """True while there is something that the socket did not take, or it is to connect."""
        return bool(self._rest) if self._connected else not self._listens

    def write(self) -> None:
        """The socket can be written: go on with the connecting, or with what it did not take."""
        if self._connected or self._connect():
            self._send()

    def read(self) -> bytes | None:
        """What has come; empty when the other end has finished, None when nothing is there."""
        try:
            if not self._connected:
                if not self._connect():
                    return None
                self._send()
            return self._read_records() if self._secured else self.socket.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Lost(error.strerror or type(error).__name__) from error

    def receive(self, data: bytes) -> list[bytes]:
        """The messages that are whole with ``data``, what :meth:`read` returned."""
        if not data:
            self._protocol.receive_eof()
            self._check()
            raise self.end()
        if self._unread:
            data = self._unread + data
            self._unread = b""
        if self._protocol.state is not OPEN:
            data = self._open(data)
        elif not self._fragments:
            texts, at = cut(data, 0)
            if at == len(data):
                return texts
            return texts + self._receive_others(data[at:])
        return self._receive_others(data) if data else []

    def _open(self, data: bytes) -> bytes:
        """UsageSample at the answer to the upgrade. Returns what came behind it."""
        head, end, behind = data.partition(b"\r\n\r\n")
        if not end:
            self._unread = data
            if len(data) > _LONGEST_HEAD:
                raise Lost("the upgrade was answered with no HTTP")
            return b""
        self._protocol.receive_data(head + end)
        if self._protocol.state is not OPEN and behind:
            self._protocol.receive_data(behind)
            behind = b""
        self._protocol.events_received()
        self._check()
        return behind

    def _receive_others(self, data: bytes) -> list[bytes]:
        """As :meth:`receive`, with all kinds of frames."""
        found: list[bytes] = []
        at = 0
        while True:
            if not self._fragments:
                texts, at = cut(data, at)
                found += texts
            end = end_of_frame(data, at)
            if not end:
                break
            found += self._hand_over(data[at:end])
            at = end
        self._unread = data[at:]
        if len(self._unread) > _LONGEST:
            raise Lost(f"the server sent a message of more than {_LONGEST} bytes")
        self._send()
        if not found and (self._protocol.close_rcvd or self._protocol.parser_exc):
            raise self.end()  # what was found goes first; the end of the stream shows the rest
        return found

    def _hand_over(self, frame: bytes) -> Sequence[bytes]:
        """A frame for the library. Returns the message that is whole with it, if one is."""
        self._protocol.receive_data(frame)
        found: list[bytes] = []
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)
            if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._fragments.append(bytes(event.data))
                if event.fin:
                    found.append(b"".join(self._fragments))
                    self._fragments.clear()
        return found

    def _check(self) -> None:
        if self._protocol.handshake_exc is not None:
            raise _refused(self._protocol.handshake_exc)

    def end(self) -> Lost:
        """How it ended, by what is known now."""
        close = self._protocol.close_rcvd
        if close is not None:
            end = End.of(int(close.code))
            return Lost(f"the server closed with {end.code} {close.reason}".rstrip(), _Over(end))
        wrong = self._protocol.parser_exc
        if wrong is not None and not isinstance(wrong, EOFError):
            return Lost(f"the server broke the WebSocket protocol: {wrong}")
        return Lost("ended without a goodbye")

    def send(self, text: bytes) -> None:
        """One text message."""
        if self._protocol.state is not OPEN:
            raise self.end()
        self._protocol.send_text(text)
        self._send()

    def say_goodbye(self) -> None:
        """Begin to close, if that has not begun."""
        if self._protocol.state is OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._send()

    def close(self) -> None:
        """Give the socket back. Without :meth:`say_goodbye` the server learns of it by itself."""
        with contextlib.suppress(OSError):
            self.socket.close()

    def _connect(self) -> bool:
        """True when what is below the WebSocket is connected."""
        status = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            raise Lost(os.strerror(status))
        self._connected = not isinstance(self.socket, ssl.SSLSocket) or self._shake_hands(
            self.socket
        )
        return self._connected

    def _shake_hands(self, tls: ssl.SSLSocket) -> bool:
        """Go on with it. True when it is done."""
        try:
            tls.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wants:
            self._listens = isinstance(wants, ssl.SSLWantReadError)
            return False
        except ssl.SSLCertVerificationError as error:
            raise unverified(self._address.host, error) from error
        except OSError as error:
            raise Lost(f"TLS: {error}") from error
        self._secured = True
        return True

    def _read_records(self) -> bytes | None:
        """All that the TLS layer has: what it keeps would not make the socket readable."""
        pieces: list[bytes] = []
        while True:
            try:
                pieces.append(self.socket.recv(_CHUNK))
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return b"".join(pieces) if pieces else None
            except OSError:
                if not pieces:
                    raise
                return b"".join(pieces)  # what came before a reset; the next read shows the end
            if not pieces[-1]:
                return b"".join(pieces)  # the end of the stream shows again

    def _send(self) -> None:
        pending = self._protocol.data_to_send()
        if pending:
            self._rest += b"".join(pending)  # the empty piece that asks for an end adds nothing
        if not self._rest or not self._connected:
            return
        try:
            taken = self.socket.send(self._rest)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise Lost(error.strerror or type(error).__name__) from error
        self._rest = self._rest[taken:]


class _Over(NotConnected):
    """As our client sees the end; but a server that says 1000 to somebody who wants to stay is
    worth another try.
    """

    def __init__(self, end: End) -> None:
        super().__init__(end)
        self.reconnect = end.reconnect or end.code == CloseCode.NORMAL_CLOSURE


def _refused(error: Exception) -> Lost:
    if not isinstance(error, InvalidStatus):
        return Lost(f"the upgrade failed: {error}")
    status = error.response.status_code
    after = retry_after_of(error.response.headers.get("Retry-After"))
    why = f"the upgrade was answered with {status}"
    return Lost(why, ConnectionRefused(status, "", why, after))
