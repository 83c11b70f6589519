"""One WebSocket over one socket that never blocks.

The Sans-I/O protocol of the ``websockets`` library handles the handshake, fragments, control frames
and closing. Only unfragmented messages bypass it (:mod:`bench.driver.frames`), which saves a
fifth of the CPU per delivery.
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
from websockets.typing import Subprotocol
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
"""Bytes of one message: enough for a snapshot of thousands."""
_PROBE_S = 2.0
"""How long one of several addresses of a name may take to answer."""


class Address(NamedTuple):
    """Where a server listens, resolved once for all users."""

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

    Of several (``localhost`` is two, and many servers listen on one of them) the first that accepts
    a connection, else the first.
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
    """The connection has ended or was not established. ``cause`` is the error of our own client,
    which tells whether and when to reconnect.
    """

    def __init__(self, why: str, cause: ClientError | None = None) -> None:
        super().__init__(why)
        self.cause = Unreachable(why) if cause is None else cause


class Connection:
    """One WebSocket. Every method may raise Lost; then only :meth:`close` may follow. A certificate
    that cannot be verified raises NotServing, because a retry would not help.
    """

    def __init__(self, url: str, address: Address, subprotocols: Sequence[str] = ()) -> None:
        """With ``subprotocols`` all messages are sent in binary frames."""
        offered = [Subprotocol(each) for each in subprotocols] or None
        self._protocol = ClientProtocol(parse_uri(url), subprotocols=offered, max_size=_LONGEST)
        self._write_message = self._protocol.send_binary if offered else self._protocol.send_text
        self._address = address
        self._rest = b""
        """Not yet written."""
        self._unread = b""
        """An incomplete frame."""
        self._fragments: list[bytes] = []
        self._connected = False
        self._listens = False
        """It is the server's turn in a TLS handshake."""
        self._secured = False
        self._reset = False
        self.socket = socket.socket(address.family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.tls is not None:
            # Now, because wrapping a socket that was reset meanwhile would fail halfway.
            self.socket = address.tls.wrap_socket(
                self.socket, server_hostname=address.host, do_handshake_on_connect=False
            )
        self.sent_bytes = 0
        """Taken by the socket so far."""
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
        """True while data is unsent, or the connecting waits for the socket to be writable."""
        return bool(self._rest) if self._connected else not self._listens

    def write(self) -> None:
        """The socket can be written: continue to connect, or send the rest."""
        if self._connected or self._connect():
            self._send()

    def read(self) -> bytes | None:
        """The data that is there; empty at the end of the stream, None when there is none."""
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
        """The messages that ``data``, read by :meth:`read`, completes."""
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
        """Process the response to the upgrade. Returns the data after it."""
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
            raise self.end()  # messages first; the end of the stream raises it again
        return found

    def _hand_over(self, frame: bytes) -> Sequence[bytes]:
        """Pass a frame to the library. Returns the message that it completes, if any."""
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
        """How the connection ended, as far as is known now."""
        close = self._protocol.close_rcvd
        if close is not None:
            end = End.of(int(close.code))
            return Lost(f"the server closed with {end.code} {close.reason}".rstrip(), _Over(end))
        wrong = self._protocol.parser_exc
        if wrong is not None and not isinstance(wrong, EOFError):
            return Lost(f"the server broke the WebSocket protocol: {wrong}")
        return Lost("ended without a close frame")

    def send(self, payload: bytes) -> None:
        """One message."""
        if self._protocol.state is not OPEN:
            raise self.end()
        self._write_message(payload)
        self._send()

    def send_close(self) -> None:
        """Send a close frame, unless one was sent or received."""
        if self._protocol.state is OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._send()

    def close(self) -> None:
        """Close the socket. Without :meth:`send_close` no close frame is sent."""
        with contextlib.suppress(OSError):
            self.socket.close()

    def _connect(self) -> bool:
        """True when TCP, and TLS if any, is connected."""
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
        """Everything that TLS has buffered: buffered data does not make the socket readable."""
        pieces: list[bytes] = []
        while not self._reset:
            try:
                pieces.append(self.socket.recv(_CHUNK))
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return b"".join(pieces) if pieces else None
            except OSError:
                if not pieces:
                    raise
                self._reset = True  # behind data: the next read shows the end
                break
            if not pieces[-1]:
                break  # the end of the stream shows again
        return b"".join(pieces)

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
        self.sent_bytes += taken


class _Over(NotConnected):
    """As our client treats the end, except that a close with 1000 is retried: the user did not ask
    for it.
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
