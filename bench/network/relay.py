"""Carries TCP connections to another address, through lanes that may be faulty.

Without faults it is hardly there: bytes go on as they come, in order; the end of one direction is
passed on and the other goes on; a reset is passed on as one. It never holds more than a lane may.
"""

import math
import os
import random
import struct
from contextlib import suppress
from functools import partial
from socket import SO_LINGER, SOL_SOCKET
from typing import Final, Literal, final

import trio

from bench.network.faults import Command, Cut, Faults
from bench.network.lane import PIECE, Lane

Fate = Literal["rst", "fin", "silent"]

FIN_PATIENCE_S: Final = 10.0
"""How long a connection that was closed in order waits for its two ends to close it too."""
_LINGER_NOT: Final = struct.pack("ii", 1, 0)
_SINK: Final = 65_536


@final
class Relay:
    """Everything that was accepted on one listener. To be used in one Trio loop."""

    def __init__(self, host: str, port: int, *, faults: Faults, seed: int = 0) -> None:
        self.dial = partial(trio.open_tcp_stream, host, port)
        self.faults = faults
        self.dice = random.Random(seed)  # noqa: S311 - spreads delays, keeps no secret
        self._moving = trio.Event()
        self._connections: dict[_Connection, None] = {}  # a set that keeps their order
        self._update()

    @property
    def carrying(self) -> int:
        """How many connections are carried now; without those whose fate is decided."""
        return len(self._open())

    def _open(self) -> "list[_Connection]":
        return [each for each in self._connections if each.open]

    def do(self, command: Command) -> int:
        """Obey. Returns how many connections it struck. Never waits."""
        if isinstance(command, Faults):
            self.faults = command
            self._update()
            return 0
        if isinstance(command, Cut):  # who is only just being connected is cut off, too
            candidates = list(self._connections)
            fate: Fate = command.how
        else:
            candidates = self._open()
            fate = "silent"
        many = math.ceil(command.share * len(candidates))
        for each in self.dice.sample(candidates, many):
            del self._connections[each]
            each.strike(fate)
        return many

    def _update(self) -> None:
        self.clear = self.faults.clear
        """True while every byte goes on as it comes."""
        if not self.faults.stalled:
            self._moving.set()
        elif self._moving.is_set():
            self._moving = trio.Event()

    async def until_moving(self) -> None:
        """Wait while everything is stalled."""
        while self.faults.stalled:
            await self._moving.wait()

    async def serve(self, listener: trio.SocketListener) -> None:
        """Accept and carry until cancelled; then what is still open is reset."""
        await trio.serve_listeners(self._handle, [listener])

    async def _handle(self, client: trio.SocketStream) -> None:
        if self.faults.refusing:
            reset(client)
            return
        connection = _Connection(self, client)
        self._connections[connection] = None
        try:
            await connection.run()
        finally:
            self._connections.pop(connection, None)


@final
class _Connection:
    """A client's stream, the one it leads to, and a lane in each direction; until both directions
    have ended or its fate is decided from outside.
    """

    def __init__(self, relay: Relay, client: trio.SocketStream) -> None:
        self._relay = relay
        self._streams = [client]
        self._scope = trio.CancelScope()
        self._fate: Fate | None = None

    @property
    def open(self) -> bool:
        """True when the other side was reached."""
        return len(self._streams) == 2

    def strike(self, fate: Fate) -> None:
        """Carry nothing any more. The first fate stays."""
        if self._fate is None:
            self._fate = fate
            self._scope.cancel()

    async def run(self) -> None:
        """Until both streams are closed."""
        try:
            with self._scope:
                self.strike("fin" if await self._connect_and_carry() else "rst")
            if self._fate != "rst":
                await self._swallow()
        finally:
            for each in self._streams:  # what is closed already stays so
                reset(each)

    async def _connect_and_carry(self) -> bool:
        """True when all that was sent was taken."""
        try:
            self._streams.append(await self._relay.dial())
        except OSError:
            return False
        client, server = self._streams
        whole = []

        async def carry(source: trio.SocketStream, target: trio.SocketStream) -> None:
            whole.append(await self._carry(source, target))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(carry, client, server)
            nursery.start_soon(carry, server, client)
        return all(whole)

    async def _carry(self, source: trio.SocketStream, target: trio.SocketStream) -> bool:
        """One direction, until its end was passed on: True; or until its target had gone, which
        the other direction finds out in its own order: False.
        """
        relay, lane = self._relay, Lane(self._relay.dice)
        while not lane.over:
            if relay.clear and lane.empty:
                piece = await _receive_fast(source)
                if not (relay.clear and piece):
                    lane.put(trio.current_time(), piece, relay.faults)
                elif not await _send_fast(target, piece):
                    return False
                continue
            await relay.until_moving()
            if room := lane.room(relay.faults):
                with trio.move_on_at(lane.due):
                    piece = await _receive(source, room)
                    lane.put(trio.current_time(), piece, relay.faults)
            else:
                await trio.sleep_until(lane.due)
            while lane.due <= trio.current_time():
                await relay.until_moving()
                piece = lane.take()
                if piece is None:
                    self.strike("rst")
                elif not await _send(target, piece):
                    return False
        return True

    async def _swallow(self) -> None:
        """Take what still comes, and let it be, until both ends have closed."""
        streams = self._streams
        in_order = self._fate == "fin"
        with trio.move_on_after(FIN_PATIENCE_S if in_order else math.inf) as patience:
            if in_order:
                for each in streams:
                    await _send(each, b"")
            async with trio.open_nursery() as nursery:
                for each in streams:
                    nursery.start_soon(_sink, each)
        if not patience.cancelled_caught:
            for each in streams:
                each.socket.close()


async def _receive(source: trio.SocketStream, most: int) -> bytes | None:
    """A piece: empty at the end of the stream, None when that was a reset."""
    try:
        return bytes(await source.receive_some(most))
    except trio.BrokenResourceError:
        return None


async def _send(target: trio.SocketStream, piece: bytes) -> bool:
    """A piece; the empty one ends the stream. False when the target has gone."""
    try:
        await (target.send_all(piece) if piece else target.send_eof())
    except trio.BrokenResourceError:
        return False
    return True


async def _receive_fast(source: trio.SocketStream) -> bytes | None:
    """As :func:`_receive`, at a fraction of its price."""
    fileno = source.socket.fileno()
    while True:
        await trio.lowlevel.wait_readable(fileno)
        try:
            return os.read(fileno, PIECE)
        except BlockingIOError:
            continue
        except OSError:
            return None


async def _send_fast(target: trio.SocketStream, piece: bytes) -> bool:
    """As :func:`_send`, at a fraction of its price where the socket takes everything."""
    try:
        taken = os.write(target.socket.fileno(), piece)
    except BlockingIOError:
        taken = 0
    except OSError:
        return False
    return taken == len(piece) or await _send(target, piece[taken:])


async def _sink(source: trio.SocketStream) -> None:
    while await _receive(source, _SINK):
        pass


def reset(stream: trio.SocketStream) -> None:
    """Close it so that the peer is told of a reset, at once."""
    with suppress(OSError):  # it is closed
        stream.setsockopt(SOL_SOCKET, SO_LINGER, _LINGER_NOT)
    stream.socket.close()
