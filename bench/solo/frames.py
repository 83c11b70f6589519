"""A WebSocket client's side, reduced to what a load generator needs. Pure.

It parses the frames that this server sends: unmasked, unfragmented, without extensions; anything
else is a :class:`BadFrame`. It does not verify the upgrade or UTF-8, which tests do.

A position carries its sender and time, so that a receiver needs no table: the latitude is the
sender's number, the longitude a monotonic clock in microseconds, modulo 360 s. Both survive a
server that parses and formats the numbers.
"""

import re
from dataclasses import dataclass

CLOSE = 0x8
BINARY = 0x2
PING = 0x9
PONG = 0xA
TEXT = 0x1

_FINAL = 0x80
_MASKED = 0x80
_CONTROL_FINAL = {_FINAL | CLOSE, _FINAL | PING, _FINAL | PONG}

POSITION = re.compile(rb'"lat":([-+.0-9eE]+),"lng":([-+.0-9eE]+)')
"""Latitude and longitude of one message; nothing else that is sent looks like this."""

SPAN_US = 360_000_000
"""Period of the clock in a longitude."""
MOST_SENDERS = 1_800_000


class BadFrame(Exception):
    """The server sent a frame of another kind."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame."""

    opcode: int
    payload: bytes


class FrameReader:
    """Cuts the stream of one connection into whole frames, however the network cut it. ``opcode``
    is that of all frames with data.
    """

    __slots__ = ("_data", "_rest")

    def __init__(self, opcode: int = TEXT) -> None:
        self._data = _FINAL | opcode
        self._rest = b""

    def feed(self, data: bytes) -> tuple[bytes, int, list[Frame]]:
        """All frames that are complete now: their bytes with headers, in one piece; the number of
        data frames; and the other frames. The rest waits for more data. Raises BadFrame.

        The bytes are not split, because one search through all of them is one call, and a flush of
        a hundred positions is a hundred frames.
        """
        if self._rest:
            data = self._rest + data
        size = len(data)
        at = count = 0
        first_of_data = self._data
        others: list[Frame] = []
        while at + 2 <= size:
            start = at + 2
            length = data[at + 1]
            if length > 125:
                if length & _MASKED:
                    raise BadFrame("masked")
                start += 2 if length == 126 else 8
                if start > size:
                    break
                length = int.from_bytes(data[at + 2 : start], "big")
            end = start + length
            if end > size:
                break
            first = data[at]
            if first == first_of_data:
                count += 1
            elif first in _CONTROL_FINAL:
                others.append(Frame(first & 0x0F, data[start:end]))
            else:
                raise BadFrame(f"begins with {first:#04x}")
            at = end
        self._rest = data[at:]
        return data if at == size else data[:at], count, others


def payloads(whole: bytes, opcode: int = TEXT) -> list[bytes]:
    """The payloads of the data frames in what :meth:`FrameReader.feed` returned."""
    found = []
    at = 0
    while at < len(whole):
        start, length = at + 2, whole[at + 1]
        if length > 125:
            start += 2 if length == 126 else 8
            length = int.from_bytes(whole[at + 2 : start], "big")
        if whole[at] == _FINAL | opcode:
            found.append(whole[start : start + length])
        at = start + length
    return found


def server_frame(opcode: int, payload: bytes) -> bytes:
    """One final frame without a mask."""
    size = len(payload)
    if size < 126:
        return bytes((_FINAL | opcode, size)) + payload
    if size < 65_536:
        return bytes((_FINAL | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((_FINAL | opcode, 127)) + size.to_bytes(8, "big") + payload


def client_frame(opcode: int, payload: bytes, key: bytes) -> bytes:
    """One final, masked frame. ``key`` is the mask, 4 bytes."""
    size = len(payload)
    if size < 126:
        header = bytes((_FINAL | opcode, _MASKED | size))
    else:
        header = bytes((_FINAL | opcode, _MASKED | 126)) + size.to_bytes(2, "big")
    mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return header + key + (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")


def upgrade_request(host: str, port: int, resource: str, subprotocols: str) -> bytes:
    """The upgrade request."""
    offer = f"Sec-WebSocket-Protocol: {subprotocols}\r\n" if subprotocols else ""
    return (
        f"GET {resource} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: bG9hZC1nZW5lcmF0b3IuLg==\r\n"
        f"{offer}\r\n"
    ).encode()


def clock_us(seconds: float) -> int:
    """A moment of the monotonic clock as a longitude can carry it."""
    return int(seconds * 1e6) % SPAN_US


def since_s(then_us: int, now_us: int) -> float:
    """Seconds from one moment to a later one less than 360 s after it."""
    return (now_us - then_us) % SPAN_US / 1e6


def write_position(sender: int, moment_us: int) -> tuple[str, str]:
    """Latitude and longitude that say who sent, and when."""
    return f"{sender / 1e4 - 90:.4f}", f"{moment_us / 1e6 - 180:.6f}"


def read_position(lat: bytes, lng: bytes) -> tuple[int, int]:
    """What :func:`write_position` was given."""
    return round((float(lat) + 90) * 1e4), round((float(lng) + 180) * 1e6)
