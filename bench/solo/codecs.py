"""What a client of each dialect sends, and how the load generator reads what it gets. Pure.

Made for speed: a flush of a hundred positions is one search or one decoding, and only the figures
that are looked at become Python numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from msgspec import Struct, msgpack

from bench.results import Dialect
from bench.solo.frames import BINARY, POSITION, TEXT, payloads, read_position, write_position
from locshare.wire.compact import TYPES

DETAILS: Final = {"altitude": 34.5, "speed": 1.4, "heading": 271.5, "battery": 76}
"""What a phone may add to a position."""
_BASIC: Final = {"accuracy": 5}


class Codec(Protocol):
    """One person's. ``details``: whether their positions have :data:`DETAILS`."""

    opcode: int
    """Of every frame with data, in both directions."""
    over: bool
    """The server has ended the conversation, though not the connection."""

    def request(self, token: str) -> tuple[str, str]:
        """The resource of the upgrade request, and the subprotocols, which may be none."""

    def hello(self) -> bytes | None:
        """What is sent after the upgrade."""

    def position(self, moment_us: int, at: datetime) -> bytes:
        """An update, dated ``at``, that says who sent it and when."""

    def is_snapshot(self, payload: bytes) -> bool | None:
        """None for what may come before it."""

    def read(self, whole: bytes, frames: int) -> tuple[Sequence[Any], int]:
        """The positions of others in that many whole frames, and how many frames are errors."""

    def source(self, found: Any) -> tuple[int, int]:
        """What :meth:`position` was given: the sender's number, and the moment."""


class PlainCodec:
    opcode = TEXT
    over = False

    def __init__(self, number: int, session_id: str, details: bool) -> None:
        del session_id
        self._number = number
        more = _BASIC | DETAILS if details else _BASIC
        self._more = "".join(f',"{name}":{value}' for name, value in more.items())

    def request(self, token: str) -> tuple[str, str]:
        return "/ws", f"locshare.v1, locshare.bearer.{token}"

    def hello(self) -> bytes | None:
        return None

    def position(self, moment_us: int, at: datetime) -> bytes:
        return f'{{"type":"location_update","data":{self._data(moment_us, at)}}}'.encode()

    def _data(self, moment_us: int, at: datetime) -> str:
        lat, lng = write_position(self._number, moment_us)
        timestamp = at.isoformat(timespec="milliseconds")
        return f'{{"lat":{lat},"lng":{lng}{self._more},"timestamp":"{timestamp}"}}'

    def is_snapshot(self, payload: bytes) -> bool | None:
        return payload.startswith(b'{"type":"session_state"')

    def read(self, whole: bytes, frames: int) -> tuple[Sequence[tuple[bytes, bytes]], int]:
        found = POSITION.findall(whole)
        return found, 0 if len(found) == frames else whole.count(b'{"type":"error"')

    def source(self, found: tuple[bytes, bytes]) -> tuple[int, int]:
        return read_position(*found)


class PhoenixCodec(PlainCodec):
    """Updates are pushed with a ref, as the official client does, so each is answered."""

    def __init__(self, number: int, session_id: str, details: bool) -> None:
        super().__init__(number, session_id, details)
        self._topic = f"location:{session_id}"
        self._ref = 1

    def request(self, token: str) -> tuple[str, str]:
        return f"/socket/websocket?vsn=2.0.0&token={token}", ""

    def hello(self) -> bytes | None:
        return f'["1","1","{self._topic}","phx_join",{{}}]'.encode()

    def position(self, moment_us: int, at: datetime) -> bytes:
        self._ref += 1
        data = self._data(moment_us, at)
        return f'["1","{self._ref}","{self._topic}","location_update",{data}]'.encode()

    def is_snapshot(self, payload: bytes) -> bool | None:
        if b',"session_state",{' in payload[:128]:
            return True
        return None if b'"status":"ok"' in payload else False

    def read(self, whole: bytes, frames: int) -> tuple[Sequence[tuple[bytes, bytes]], int]:
        found = POSITION.findall(whole)
        if len(found) == frames:
            return found, 0
        self.over = self.over or b',"phx_close",{' in whole
        return found, whole.count(b'"status":"error"')


class _Row(Struct, array_like=True, gc=False):
    number: int
    lat: int
    lng: int


class CompactCodec:
    opcode = BINARY
    over = False

    def __init__(self, number: int, session_id: str, details: bool) -> None:
        del session_id
        self._number = number
        self._lat = number * 1_000 - 900_000_000
        # Accuracy, age, speed, heading, altitude, battery, in the dialect's units.
        self._more = [5, None, 140, 2715, 345, 76] if details else [5]

    def request(self, token: str) -> tuple[str, str]:
        return "/ws", f"locshare.v1.compact, locshare.bearer.{token}"

    def hello(self) -> bytes | None:
        return None

    def position(self, moment_us: int, at: datetime) -> bytes:
        at_ms = int(at.timestamp() * 1000)
        return _encode([_MOVED, self._lat, moment_us * 10 - 1_800_000_000, at_ms, *self._more])

    def is_snapshot(self, payload: bytes) -> bool | None:
        return payload[:2] == _SNAPSHOT

    def read(self, whole: bytes, frames: int) -> tuple[Sequence[_Row], int]:
        del frames
        found: list[_Row] = []
        errors = 0
        own = self._lat
        for payload in payloads(whole, BINARY):
            if payload[:2] == _POSITIONS:
                found += [row for row in _rows(payload)[1] if row.lat != own]
            else:
                errors += payload[:2] == _ERROR
        return found, errors

    def source(self, found: _Row) -> tuple[int, int]:
        return (found.lat + 900_000_000) // 1_000, (found.lng + 1_800_000_000) // 10


_MOVED: Final = TYPES["location_update"]
_PAIR: Final = 0x92  # a MessagePack array of two
_SNAPSHOT, _POSITIONS, _ERROR = (
    bytes((_PAIR, TYPES[name])) for name in ("session_state", "location_update", "error")
)
_encode: Final = msgpack.Encoder().encode
_rows: Final = msgpack.Decoder(tuple[int, list[_Row]]).decode

CODECS: Final[Mapping[Dialect, Callable[[int, str, bool], Codec]]] = {
    "plain": PlainCodec,
    "compact": CompactCodec,
    "phoenix": PhoenixCodec,
}
"""Made of a person's number, the session's id, and ``details``."""
