"""Helpers of these tests: a pool and a listener on a real loopback port, and raw clients.

The session behind them is `Room`, the smallest thing that keeps the promises of
`locshare.connection.admission.SessionOpener`: these tests are about sockets, frames and ends.
"""

import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import trio
from msgspec import Struct

from locshare.auth.tokens import TokenExpired, TokenInvalid
from locshare.broadcast.fanout import encode_flush, encode_frame, text_frame
from locshare.broadcast.outbox import OutboxLimits
from locshare.broadcast.receiver import Receiver
from locshare.connection import admission
from locshare.connection.context import ConnectionLimits
from locshare.connection.dialect import DEFAULT_DIALECTS, Dialects
from locshare.connection.listener import Listener
from locshare.connection.pool import ConnectionPool, PoolLimits
from locshare.model.events import ParticipantLeft
from locshare.model.participant import PresenceState
from locshare.model.position import HeldPosition, Position
from locshare.model.reasons import CloseReason
from locshare.session.commands import NO_OPTIONS, AttachOptions
from locshare.session.errors import ParticipantNotFound, SessionNotFound, SessionOver
from locshare.store.port import StoreUnavailable
from tests.running import LAST_RESORT_S
from tests.sockets import Raw, request

SESSION = UUID(int=1)
SNAPSHOT = b'{"type":"session_state","data":{}}'
SNAPSHOT_TEXT = SNAPSHOT.decode()


QUICK_ENDS = OutboxLimits(linger=0.2)
"""For clients that do not answer a close."""
PATIENT = ConnectionLimits(outbox=OutboxLimits(linger=10 * LAST_RESORT_S))
"""For what must not be waited for."""
QUICK = PoolLimits(drain_deadline=1.0, connection=ConnectionLimits(outbox=QUICK_ENDS))


class Claims(Struct, frozen=True):
    user_id: str
    session_id: UUID = SESSION


class Verifier:
    """The token is the user_id; a few words stand for what can be wrong."""

    def verify(self, token: str) -> Claims:
        if token == "forged":
            raise TokenInvalid("not one of ours")
        if token == "expired":
            raise TokenExpired("too old")
        return Claims(token)


class Room:
    """A session of the tests: the receivers, and everything that was asked of it."""

    def __init__(self) -> None:
        self.receivers: dict[str, Receiver] = {}
        self.positions: list[tuple[str, Position]] = []
        self.options: list[AttachOptions] = []
        self.choices: list[tuple[str, float | str]] = []
        self.left: list[str] = []
        self.detached: list[str] = []
        self.fail_update: Exception | None = None
        self.fail_attach: Exception | None = None
        self.fail_leave: Exception | None = None
        self.hold_open: trio.Event | None = None
        self.hold_attach: trio.Event | None = None
        self.hold_update: trio.Event | None = None

    async def open(self, session_id: UUID, user_id: str) -> "RoomLink":
        problems: dict[str, Exception] = {
            "no-session": SessionNotFound(),
            "over": SessionOver(),
            "removed": ParticipantNotFound(),
            "no-store": StoreUnavailable(),
        }
        if user_id in problems:
            raise problems[user_id]
        if self.hold_open is not None:
            await self.hold_open.wait()
        return RoomLink(self, user_id)


class RoomLink:
    def __init__(self, room: Room, user_id: str) -> None:
        self._room = room
        self._user_id = user_id
        self._receiver: Receiver | None = None

    async def attach(self, receiver: Receiver, options: AttachOptions = NO_OPTIONS) -> None:
        self._room.options.append(options)
        if self._room.fail_attach is not None:
            raise self._room.fail_attach
        if self._room.hold_attach is not None:
            await self._room.hold_attach.wait()
        older = self._room.receivers.pop(self._user_id, None)
        if older is not None:
            older.close(CloseReason.REPLACED)
        self._receiver = self._room.receivers[self._user_id] = receiver
        receiver.send_event(text_frame(SNAPSHOT))

    def offer(self, position: Position, received: float) -> bool:
        room = self._room
        if room.fail_update is not None or room.hold_update is not None:
            return False
        self._report(position)
        return True

    async def update(self, position: Position, received: float) -> None:
        room = self._room
        if room.fail_update is not None:
            raise room.fail_update
        if room.hold_update is not None:
            await room.hold_update.wait()
        self._report(position)

    def _report(self, position: Position) -> None:
        room = self._room
        room.positions.append((self._user_id, position))
        moved = {self._user_id: HeldPosition(position, 0.0, 0.0)}
        for receiver in room.receivers.values():
            receiver.send_positions(encode_flush(moved, 0.0, receiver.dialect))

    async def set_pace(self, interval_s: float) -> None:
        await self._choose(interval_s)

    async def set_state(self, state: PresenceState) -> None:
        await self._choose(state)

    async def _choose(self, choice: float | str) -> None:
        if self._room.fail_update is not None:
            raise self._room.fail_update
        self._room.choices.append((self._user_id, choice))

    async def leave(self) -> None:
        room = self._room
        if room.fail_leave is not None:
            raise room.fail_leave
        room.left.append(self._user_id)
        room.receivers.pop(self._user_id, None)
        for receiver in room.receivers.values():
            event = ParticipantLeft(self._user_id, "left")
            receiver.send_event(encode_frame(event, receiver.dialect))

    def detach(self) -> None:
        self._room.detached.append(self._user_id)
        if self._room.receivers.get(self._user_id) is self._receiver:
            self._room.receivers.pop(self._user_id, None)
        self._receiver = None


class Tokens:
    """`session:user`, the session by its number."""

    def verify(self, token: str) -> Claims:
        if ":" not in token:
            raise TokenInvalid("not one of ours")
        number, _, user_id = token.partition(":")
        return Claims(user_id, UUID(int=int(number)))


class Rooms:
    """Two sessions."""

    def __init__(self) -> None:
        self.of = {UUID(int=1): Room(), UUID(int=2): Room()}

    async def open(self, session_id: UUID, user_id: str) -> RoomLink:
        return await self.of[session_id].open(session_id, user_id)


class Server(Struct):
    """A running pool and listener."""

    room: Room
    pool: ConnectionPool
    listener: Listener
    nursery: trio.Nursery
    limits: PoolLimits

    @property
    def port(self) -> int:
        return self.listener.addresses[0][1]

    def url(self, user_id: str) -> str:
        return f"ws://127.0.0.1:{self.port}/ws?token={user_id}"

    def closed(self) -> dict[str, int]:
        return {label: n for label, n in self.pool.statistics().closed.items() if n}

    def refused(self) -> dict[str, int]:
        return {label: n for label, n in self.pool.statistics().refused.items() if n}

    async def all_gone(self, but: int = 0) -> None:
        """Until no connection is left, or only ``but``."""
        with trio.fail_after(LAST_RESORT_S):
            await self.pool.wait_at_most(but)


@asynccontextmanager
async def serving(
    limits: PoolLimits | None = None,
    *,
    behind_a_proxy: bool = False,
    heartbeat: bool = False,
    verifier: admission.Verifier | None = None,
    sessions: admission.SessionOpener | None = None,
    dialects: Dialects = DEFAULT_DIALECTS,
    with_reader: bool = True,
) -> AsyncIterator[Server]:
    """A server on a free port; it has drained when the block ends. Behind a proxy clients are
    counted by what it says of them, else by their address, which is the same for all here. Without
    the heartbeat no ping comes between what a test expects, however long that takes.
    """
    limits = limits or QUICK
    room = Room()
    address_of = _what_the_proxy_says if behind_a_proxy else _the_peer
    pool = ConnectionPool(verifier or Verifier(), sessions or room, limits, address_of, dialects)
    listener = Listener("127.0.0.1:0", pool)
    async with trio.open_nursery() as nursery:
        if with_reader:
            await nursery.start(pool.reader.serve)
        await nursery.start(pool.serve)
        if heartbeat:
            await nursery.start(pool.heartbeat)
        await nursery.start(listener.serve)
        yield Server(room, pool, listener, nursery, limits)
        nursery.cancel_scope.cancel()


def _the_peer(peer: str, _forwarded_for: Sequence[str], _forwarded: Sequence[str]) -> str:
    return peer


def _what_the_proxy_says(
    _peer: str, forwarded_for: Sequence[str], _forwarded: Sequence[str]
) -> str | None:
    return next(iter(forwarded_for), None)


@asynccontextmanager
async def raw_tcp(server: Server, *, receive_buffer: int | None = None) -> AsyncIterator[Raw]:
    """A TCP connection to the server, nothing sent yet."""
    sock = trio.socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await sock.connect(("127.0.0.1", server.port))
    async with trio.SocketStream(sock) as stream:
        yield Raw(stream)


@asynccontextmanager
async def raw_client(
    server: Server, user_id: str, *, receive_buffer: int | None = None
) -> AsyncIterator[Raw]:
    """A connected client that has read its snapshot."""
    async with raw_tcp(server, receive_buffer=receive_buffer) as raw:
        await raw.send(request(f"/ws?token={user_id}"))
        assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
        assert await raw.frame() == (0x81, SNAPSHOT)
        yield raw


def an_update(lat: float = 52.52, lng: float = 13.405, **more: object) -> bytes:
    """A `location_update` as a client sends it."""
    data = {"lat": lat, "lng": lng, "accuracy": 8, "timestamp": "2030-01-01T12:00:00Z", **more}
    return json.dumps({"type": "location_update", "data": data}).encode()
