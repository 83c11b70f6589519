"""The reader and the connections' own tasks: who reads when, and that nobody notices."""

import contextlib
import json
import select
import socket
import weakref
from collections.abc import Callable

import pytest
import structlog
import trio
import trio.lowlevel
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from locshare.connection import reader as reader_module
from locshare.connection.context import ConnectionLimits
from locshare.connection.parser import MessageParser
from locshare.connection.pool import PoolLimits
from locshare.connection.rate_policy import RateLimits
from locshare.connection.reader import Reader
from locshare.connection.received import (
    PEER_GONE,
    Deferred,
    PeerClosed,
    PeerGone,
    Pinged,
    Received,
    TooLarge,
    Violation,
)
from locshare.connection.transport import Transport
from locshare.connection.transport_limits import DEFAULT_LIMITS
from locshare.model.position import Position
from locshare.model.reasons import CloseReason
from locshare.supervisor import SupervisorSpec, TaskSpec, open_supervisor
from tests.connection.kit import (
    PATIENT,
    QUICK,
    RoomLink,
    Server,
    an_update,
    raw_client,
    raw_tcp,
    serving,
)
from tests.connection.test_framing import ENDINGS, PIECES
from tests.running import LAST_RESORT_S
from tests.sockets import Raw, client_frame, request

PING = client_frame(b'{"type":"ping"}')


def at(lat: float) -> bytes:
    """A position, as a frame."""
    return client_frame(an_update(lat))


def lats(server: Server) -> list[float]:
    return [position.lat for _, position in server.room.positions]


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(LAST_RESORT_S):
        while not holds():
            await trio.testing.wait_all_tasks_blocked(0.001)


async def pong(raw: Raw) -> None:
    assert json.loads((await raw.frame())[1])["type"] == "pong"


# --- hand-over ------------------------------------------------------------------------------------


async def test_the_reader_hands_positions_on_while_the_task_sleeps() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        for lat in (1, 2, 3):
            await ada.send(at(lat))
            await until(lambda lat=lat: lats(server)[-1:] == [lat])  # type: ignore[misc]
        assert lats(server) == [1, 2, 3]
        (connection,) = server.pool._connections()
        assert connection.transport.bytes_in == 3 * len(at(1))


async def test_no_position_overtakes_one_that_waits_for_its_session() -> None:
    """The session has no room: the task waits, and the reader leaves the socket alone."""
    async with serving() as server, raw_client(server, "ada") as ada:
        held = server.room.hold_update = trio.Event()
        await ada.send(at(1))
        await trio.testing.wait_all_tasks_blocked(0.01)
        server.room.hold_update = None  # the next one could be taken at once
        await ada.send(at(2))
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert lats(server) == []
        held.set()
        await until(lambda: len(lats(server)) == 2)
        await ada.send(at(3))
        await until(lambda: len(lats(server)) == 3)
        assert lats(server) == [1, 2, 3]


async def test_what_came_with_a_message_that_waits_waits_with_it() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        held = server.room.hold_update = trio.Event()
        await ada.send(at(1) + at(2) + PING)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert lats(server) == []
        held.set()
        await pong(ada)
        assert lats(server) == [1, 2]


async def test_a_full_session_holds_up_nobody_in_another() -> None:
    async with (
        serving() as server,
        raw_client(server, "ada") as ada,
        raw_client(server, "bob") as bob,
    ):
        held = server.room.hold_update = trio.Event()
        await ada.send(at(1) * 3)
        await trio.testing.wait_all_tasks_blocked(0.01)
        for _ in range(3):
            await bob.send(PING)
            await pong(bob)
        held.set()
        await until(lambda: len(lats(server)) == 3)


@pytest.mark.parametrize("cut", [1, 2, 5, 7, -1])
async def test_a_frame_in_two_parts_goes_to_the_task_and_back(cut: int) -> None:
    frame = at(2)
    async with serving() as server, raw_client(server, "ada") as ada:
        for _ in range(2):
            server.room.positions.clear()
            await ada.send(at(1) + frame[:cut])
            await until(lambda: lats(server) == [1])
            await trio.testing.wait_all_tasks_blocked(0.01)
            await ada.send(frame[cut:])
            await until(lambda: lats(server) == [1, 2])
            await ada.send(at(3))
            await until(lambda: lats(server) == [1, 2, 3])


async def test_fragments_controls_and_settings_keep_their_order() -> None:
    fragments = client_frame(an_update(2)[:20], fin=False) + client_frame(an_update(2)[20:], 0)
    async with serving() as server, raw_client(server, "ada") as ada:
        pace = client_frame(b'{"type":"set_pace","data":{"interval_s":5}}')
        await ada.send(at(1) + client_frame(b"", 10) + fragments + pace + at(3))
        await until(lambda: len(lats(server)) == 3)
        assert lats(server) == [1, 2, 3]
        assert server.room.choices == [("ada", 5)]
        await ada.send(client_frame(b"p", 9))
        assert await ada.frame() == (0x8A, b"p")


async def test_a_position_over_the_rate_is_handed_on_when_it_is_due(
    mock_clock: trio.testing.MockClock,
) -> None:
    """Its task wakes for that; nothing else comes that would wake it."""
    rates = RateLimits(position_rate=1.0, position_burst=1)
    limits = PoolLimits(connection=ConnectionLimits(rates=rates))
    async with serving(limits) as server, raw_client(server, "ada") as ada:
        await ada.send(at(1) + at(2))
        await until(lambda: lats(server) == [1])
        await trio.testing.wait_all_tasks_blocked(0.01)
        mock_clock.jump(2.0)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert lats(server) == [1, 2]


# --- ends -----------------------------------------------------------------------------------------


async def test_a_connection_that_is_killed_while_it_sleeps_leaves_the_set() -> None:
    async with (
        serving() as server,
        raw_client(server, "ada") as ada,
        raw_client(server, "bob") as bob,
    ):
        await ada.send(at(1))
        await until(lambda: lats(server) == [1])
        server.pool.kill("ada")
        await ada.end()
        await server.all_gone(but=1)
        assert len(server.pool.reader) == 1
        # The descriptor is used again, by another connection.
        async with raw_client(server, "cy") as cy:
            await cy.send(at(2))
            await until(lambda: lats(server) == [1, 2])
            assert len(server.pool.reader) == 2
            for _ in range(2):
                assert json.loads((await bob.frame())[1])["type"] == "location_update"
            await bob.send(PING)
            await pong(bob)


@pytest.mark.parametrize("reset", [False, True])
async def test_the_end_of_a_stream_is_an_end_and_costs_no_turns(reset: bool) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        if reset:
            ada.stream.socket.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER of 0 s
        await ada.stream.aclose()
        await server.all_gone()
        assert server.closed() == {"peer_gone": 1}
        assert server.room.detached == ["ada"]
        assert len(server.pool.reader) == 0


async def test_what_handling_raises_is_raised_in_that_connections_task_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offer(self: RoomLink, position: Position, _received: float) -> bool:
        if position.lat == 13:
            raise ZeroDivisionError
        self._report(position)
        return True

    monkeypatch.setattr(RoomLink, "offer", offer)
    async with (
        serving() as server,
        raw_client(server, "ada") as ada,
        raw_client(server, "bob") as bob,
    ):
        with structlog.testing.capture_logs() as logs:
            await ada.send(at(1) + at(13) + at(2))
            await bob.send(at(3))
            assert (await bob.frame())[0] == 0x81
            while (frame := await ada.frame())[0] == 0x81:
                pass
            assert int.from_bytes(frame[1][:2], "big") == CloseReason.INTERNAL_ERROR.code
        crashes = [entry for entry in logs if entry["log_level"] == "error"]
        assert [entry["error"] for entry in crashes] == ["ZeroDivisionError"]
        assert server.pool.statistics().crashes == 1
        assert sorted(lats(server)) == [1, 3]
        await bob.send(PING)
        await pong(bob)


async def test_a_server_that_drains_still_hears_the_answers_to_its_close_frames() -> None:
    """What ends the connection is the answer: nothing else would in the time of a test."""
    patient = PoolLimits(drain_deadline=10 * LAST_RESORT_S, connection=PATIENT)
    async with serving(patient) as server, raw_client(server, "ada") as ada:
        await ada.send(at(1))
        await until(lambda: lats(server) == [1])
        server.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            assert (await ada.frame())[0] == 0x88
            await ada.send(client_frame(b"\x03\xf4", 8))
            await ada.end()
            await server.all_gone()
    assert server.closed() == {"restart": 1}


async def test_the_reader_holds_no_connection_that_has_ended() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(at(1))
        await until(lambda: lats(server) == [1])
        (connection,) = server.pool._connections()
        gone = weakref.ref(connection.transport)
        del connection
        await ada.send(at(2) + client_frame(b"\x03\xe8", 8))
        assert await ada.close_code() == 1000
        await server.all_gone()
        await trio.testing.wait_all_tasks_blocked()
        assert gone() is None


# --- the reader's own ends ------------------------------------------------------------------------


async def test_a_crash_of_the_reader_is_restarted_and_no_connection_notices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        serving(with_reader=False) as server,
        raw_client(server, "ada") as ada,
        raw_client(server, "bob") as bob,
    ):
        spec = SupervisorSpec([TaskSpec("reader", server.pool.reader.serve)], report=lambda _: None)
        async with open_supervisor(spec):
            for each in (ada, bob):  # they begin to sleep in the reader's set
                await each.send(PING)
                await pong(each)
            assert len(server.pool.reader) == 2
            crashes = []

            def crash(_reader: Reader, _epoll: object) -> None:
                crashes.append(True)
                monkeypatch.undo()
                raise ZeroDivisionError

            monkeypatch.setattr(Reader, "_step", crash)
            await ada.send(at(1))
            await bob.send(at(2))
            await until(lambda: len(lats(server)) == 2)
            assert crashes == [True]
            await ada.send(at(3))
            await until(lambda: len(lats(server)) == 3)
            await until(lambda: server.pool.reader.serving)
            for each in (ada, bob):
                await each.send(PING)
            await until(lambda: len(server.pool.reader) == 2)
            await bob.send(at(4))
            await until(lambda: len(lats(server)) == 4)
        # The reader was stopped: they read alone.
        await ada.send(at(5))
        await until(lambda: len(lats(server)) == 5)
        assert server.closed() == {}
        assert server.pool.statistics().crashes == 0


async def test_where_there_is_no_epoll_each_task_reads_its_own_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(select, "epoll")
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(at(1) + PING)
        await pong(ada)
        assert lats(server) == [1]
        assert not server.pool.reader.serving


async def test_a_socket_that_the_kernel_takes_into_no_set_is_read_by_its_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_reader: Reader, _descriptor: int, _readable: object) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(Reader, "add", refuse)
    async with serving() as server, raw_client(server, "ada") as ada:
        for lat in (1, 2):
            await ada.send(at(lat) + PING)
            await pong(ada)
        assert lats(server) == [1, 2]


# --- turns ----------------------------------------------------------------------------------------


async def test_a_step_reads_no_more_sockets_than_its_bound_and_comes_round_to_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader_module, "SOCKETS_PER_TURN", 2)
    reads: list[int] = []
    real = Reader._step

    def step(reader: Reader, epoll: select.epoll) -> None:
        before = len(lats(server))
        real(reader, epoll)
        reads.append(len(lats(server)) - before)

    monkeypatch.setattr(Reader, "_step", step)
    async with serving() as server, trio.open_nursery() as nursery:
        clients = []
        for number in range(5):
            client = await nursery.start(hold, server, f"user-{number}")
            clients.append(client)
        await trio.testing.wait_all_tasks_blocked(0.01)
        for client in clients:
            client.stream.socket._sock.send(at(1))
        await until(lambda: len(lats(server)) == 5)
        assert max(reads) == 2
        assert {user for user, _ in server.room.positions} == {f"user-{n}" for n in range(5)}
        nursery.cancel_scope.cancel()


async def hold(
    server: Server, user_id: str, *, task_status: trio.TaskStatus[Raw] = trio.TASK_STATUS_IGNORED
) -> None:
    async with raw_client(server, user_id) as raw:
        task_status.started(raw)
        await trio.sleep_forever()


async def test_a_storm_of_connections_is_served_while_others_send_without_pause() -> None:
    limits = PoolLimits(drain_deadline=1.0, connection=QUICK.connection, per_address=0)
    async with serving(limits) as server, trio.open_nursery() as nursery:
        for number in range(20):
            busy = await nursery.start(hold, server, f"busy-{number}")
            nursery.start_soon(flood, busy)
        heads: list[bytes] = []

        async def connect(number: int) -> None:
            async with raw_tcp(server) as raw:
                await raw.send(request(f"/ws?token=new-{number}"))
                heads.append((await raw.head())[:12])

        with trio.fail_after(LAST_RESORT_S):
            async with trio.open_nursery() as storm:
                for number in range(100):
                    storm.start_soon(connect, number)
        assert heads == [b"HTTP/1.1 101"] * 100
        nursery.cancel_scope.cancel()


async def flood(raw: Raw) -> None:
    """Pongs: they are counted, and answered with nothing."""
    try:
        while True:
            await raw.send(client_frame(b"", 10) * 20)
            await trio.sleep(0.002)
    except trio.BrokenResourceError:
        pass


# --- whoever reads, the same conversation ---------------------------------------------------------


class Talk:
    """A connection whose task is as slow as its messages say: what was handled, in order."""

    def __init__(self, ours: socket.socket) -> None:
        self.transport = Transport(ours)
        self.handled: list[object] = []

    def handle(self, received: Received) -> Received | None:
        """Some messages are left to the task, and all that closes."""
        if isinstance(received, PeerClosed | PeerGone | Violation | Deferred):
            return received
        size = received.size if isinstance(received, TooLarge) else len(str(received))
        if size % 3 == 1:
            return Deferred(received)
        self._note(received)
        return None

    async def serve(self) -> None:
        ended = False
        while not ended:
            received = await self.transport.receive()
            left = received if isinstance(received, Deferred) else self.handle(received)
            if isinstance(left, Deferred):
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
                left = left.effect  # type: ignore[assignment] # what was received
            if left is not None:
                ended = isinstance(left, PeerClosed | PeerGone | Violation)
                self._note(left)
        self.transport.close()

    def _note(self, received: object) -> None:
        if not isinstance(received, Pinged):  # how many came together is chance
            self.handled.append(received)


def read_at_once(stream: bytes) -> list[object]:
    """What a parser makes of a stream that comes in one piece."""
    parser = MessageParser(DEFAULT_LIMITS)
    parser.digest(stream)
    found = [each for each in parser.messages if not isinstance(each, Pinged)]
    ended = found and isinstance(found[-1], PeerClosed | Violation)
    return [*found] if ended else [*found, PEER_GONE]


CUTS = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 4), st.booleans()), max_size=12)
"""Bytes, turns of the loop after them, and whether the reader ends then."""


@settings(max_examples=80)
@given(st.lists(st.tuples(st.lists(PIECES, max_size=6), ENDINGS, CUTS), min_size=1, max_size=3))
def test_however_the_stream_is_cut_and_whoever_reads_it_the_order_is_the_same(
    streams: list[tuple[list[bytes], bytes, list[tuple[int, int, bool]]]],
) -> None:
    """One after the other, on the same descriptor."""

    async def talk() -> None:
        reader = Reader()
        for pieces, ending, cuts in streams:
            stream = b"".join(pieces) + ending
            handled = await converse(reader, stream, cuts)
            assert handled == read_at_once(stream)
            assert len(reader) == 0

    trio.run(talk)


async def converse(
    reader: Reader, stream: bytes, cuts: list[tuple[int, int, bool]]
) -> list[object]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    talk = Talk(ours)
    talk.transport.attach_reader(reader, talk.handle)
    async with trio.open_nursery() as reading:
        scope = await reading.start(serve_in_scope, reader)
        async with trio.open_nursery() as talking:
            talking.start_soon(talk.serve)
            far = trio.socket.from_stdlib_socket(theirs)
            with far, contextlib.suppress(OSError):  # it was closed, for a violation
                for size, turns, ends in [*cuts, (len(stream), 0, False)]:
                    piece, stream = stream[:size], stream[size:]
                    while piece:
                        piece = piece[await far.send(piece) :]
                    for _ in range(turns):
                        await trio.lowlevel.checkpoint()
                    if ends:
                        scope.cancel()
                        while reader.serving:
                            await trio.lowlevel.checkpoint()
                        scope = await reading.start(serve_in_scope, reader)
        scope.cancel()
    return talk.handled


async def serve_in_scope(reader: Reader, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(reader.serve)
            task_status.started(scope)
