"""Forwards TCP connections to another address: at once, delayed, or not at all.

Bytes are forwarded in order. The end of one direction is forwarded while the other continues; a
reset is forwarded as a reset.

Loss is imitated: a lost piece is delayed by TCP's retransmission timeout, and the pieces behind it
wait. No byte is lost.
"""

import os
import random
import struct
from collections import deque
from contextlib import suppress
from functools import partial
from math import inf
from socket import SO_LINGER, SOL_SOCKET
from typing import Final, NamedTuple, final

import trio

HELD_BYTES_MAX: Final = 262_144
"""In flight in one direction of one connection: at a delay of 100 ms, 2.6 MB/s."""
PIECE_BYTES: Final = 65_536
RETRANSMISSION_S: Final = 0.2
"""Linux' shortest retransmission timeout. Each further loss of the same piece doubles it."""
_LOSSES_MAX: Final = 6
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

Piece = bytes | None
"""Bytes; the empty piece is the end of the stream, None its end by a reset."""


class Impairment(NamedTuple):
    """Of each direction of each connection."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    """By how much the delay varies, evenly spread. A piece never overtakes the one before it."""
    loss: float = 0.0
    """The share of pieces that are lost, less than 1."""

    def travel_s(self, dice: random.Random) -> float:
        if not self.jitter_s:
            return self.delay_s
        return max(self.delay_s + dice.uniform(-self.jitter_s, self.jitter_s), 0.0)

    def retransmission_s(self, dice: random.Random) -> float:
        losses = 0
        while losses < _LOSSES_MAX and dice.random() < self.loss:
            losses += 1
        return RETRANSMISSION_S * ((1 << losses) - 1)


class DelayLine:
    """The pieces in flight in one direction, and when each arrives. Pure."""

    def __init__(self, impairment: Impairment, dice: random.Random) -> None:
        self._trouble = impairment
        self._dice = dice
        self._pieces: deque[tuple[float, Piece]] = deque()
        self._arrival = -inf
        self._held = 0
        self._ended = False

    @property
    def due(self) -> float:
        """When the next piece arrives; infinity when there is none."""
        return self._pieces[0][0] if self._pieces else inf

    @property
    def over(self) -> bool:
        """True when the end was taken too."""
        return self._ended and not self._pieces

    @property
    def room(self) -> int:
        """How many bytes may be put now."""
        return 0 if self._ended else min(HELD_BYTES_MAX - self._held, PIECE_BYTES)

    def put(self, now: float, piece: Piece) -> None:
        """``piece`` sets off. Nothing may follow an end."""
        arrival = now + self._trouble.travel_s(self._dice)
        if arrival < self._arrival:
            arrival = self._arrival  # pieces behind a lost one arrive with it
        else:
            arrival += self._trouble.retransmission_s(self._dice)
        self._held += len(piece or b"")
        self._ended = not piece
        self._arrival = arrival
        self._pieces.append((arrival, piece))

    def take(self) -> Piece:
        """The next piece; there is one once ``due`` has passed."""
        _, piece = self._pieces.popleft()
        self._held -= len(piece or b"")
        return piece


@final
class Relay:
    """Everything that was accepted on one listener. To be used in one Trio loop."""

    def __init__(self, host: str, port: int, impairment: Impairment, *, seed: int = 0) -> None:
        self.dial = partial(trio.open_tcp_stream, host, port)
        self.impairment = impairment
        self.dice = random.Random(seed)  # noqa: S311 - spreads delays, keeps no secret
        self._refusing = False
        self._connections: dict[_Connection, None] = {}  # a set that keeps their order

    def cut(self) -> int:
        """Reset all connections, pending ones too, and refuse new ones. Returns how many were
        reset.
        """
        self._refusing = True
        cut = list(self._connections)
        for each in cut:
            each.reset()
        return len(cut)

    def restore(self) -> None:
        """Accept new connections again."""
        self._refusing = False

    async def serve(self, listener: trio.SocketListener) -> None:
        """Accept and forward until cancelled; then reset open connections."""
        await trio.serve_listeners(self._handle, [listener])

    async def _handle(self, client: trio.SocketStream) -> None:
        if self._refusing:
            _reset(client)
            return
        connection = _Connection(self, client)
        self._connections[connection] = None
        try:
            await connection.run()
        finally:
            del self._connections[connection]


@final
class _Connection:
    """A client's stream and the one it leads to, until both directions end or it is reset."""

    def __init__(self, relay: Relay, client: trio.SocketStream) -> None:
        self._relay = relay
        self._client = client
        self._scope = trio.CancelScope()

    def reset(self) -> None:
        self._scope.cancel()

    async def run(self) -> None:
        streams = [self._client]
        try:
            with self._scope, suppress(OSError):
                server = await self._relay.dial()
                streams.append(server)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._carry, self._client, server)
                    nursery.start_soon(self._carry, server, self._client)
                for each in streams:
                    await each.aclose()
        finally:
            for each in streams:  # without effect on those that were closed in order
                _reset(each)

    async def _carry(self, source: trio.SocketStream, target: trio.SocketStream) -> None:
        """Forward one direction to its end; a reset of either stream resets both."""
        relay = self._relay
        if relay.impairment == Impairment():
            piece = await _receive(source)
            while await _send(target, piece) and piece:
                piece = await _receive(source)
            if piece != b"":
                self.reset()
            return
        under_way = DelayLine(relay.impairment, relay.dice)
        while not under_way.over:
            if room := under_way.room:
                with trio.move_on_at(under_way.due):
                    piece = await _receive(source, room)
                    under_way.put(trio.current_time(), piece)
            else:
                await trio.sleep_until(under_way.due)
            while under_way.due <= trio.current_time():
                if not await _send(target, under_way.take()):
                    self.reset()


async def _receive(source: trio.SocketStream, most: int = PIECE_BYTES) -> Piece:
    """Reads the file descriptor itself: a relay without impairment must cost little."""
    fileno = source.socket.fileno()
    while True:
        await trio.lowlevel.wait_readable(fileno)
        try:
            return os.read(fileno, most)
        except BlockingIOError:
            continue
        except OSError:
            return None


async def _send(target: trio.SocketStream, piece: Piece) -> bool:
    """False when the piece is a reset, or the target has gone."""
    if piece is None:
        return False
    try:
        taken = os.write(target.socket.fileno(), piece) if piece else 0
    except BlockingIOError:
        taken = 0
    except OSError:
        return False
    try:
        if not piece:
            await target.send_eof()
        elif taken < len(piece):
            await target.send_all(piece[taken:])
    except trio.BrokenResourceError:
        return False
    return True


def _reset(stream: trio.SocketStream) -> None:
    """Close the stream with a reset."""
    with suppress(OSError):  # it is closed
        stream.setsockopt(SOL_SOCKET, SO_LINGER, _RESET_ON_CLOSE)
    stream.socket.close()
