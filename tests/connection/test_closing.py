"""After a close: nothing more is served, the input is bounded, and the close frame arrives."""

import json
import socket
import struct

import pytest
import structlog.testing
import trio
import trio.testing

from locshare.broadcast.outbox import OutboxLimits
from locshare.connection.context import ConnectionLimits
from locshare.connection.parser import MessageParser
from locshare.connection.pool import PoolLimits
from locshare.connection.received import NO_MESSAGE, UNFINISHED, Received
from locshare.connection.transport import Transport
from locshare.connection.transport_limits import TransportLimits
from locshare.model.reasons import CloseReason
from tests.connection.kit import QUICK_ENDS, an_update, raw_client, serving
from tests.running import LAST_RESORT_S
from tests.sockets import Raw, client_frame

pytestmark = pytest.mark.usefixtures("read_each_way")

PING = client_frame(b"", 9)
CLOSE = client_frame(struct.pack("!H", 1000), 8)


def limited(outbox: OutboxLimits = QUICK_ENDS, **transport: float) -> PoolLimits:
    return PoolLimits(
        drain_deadline=1.0,
        connection=ConnectionLimits(
            transport=TransportLimits(**transport),  # type: ignore[arg-type] # all are numbers
            outbox=outbox,
        ),
    )


async def flood(raw: Raw, data: bytes) -> None:
    """Send until the server is gone."""
    try:
        while True:
            await raw.send(data)
    except trio.BrokenResourceError:
        pass


def never_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, reading a frame fails the test."""

    def looked_at(*_: object) -> None:
        raise AssertionError("served after the close")

    monkeypatch.setattr(MessageParser, "parse", looked_at)
    monkeypatch.setattr(MessageParser, "digest", looked_at)


# --- what comes after our close -----------------------------------------------------------------


async def test_after_4429_no_frame_is_served_and_only_a_few_bytes_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(limited(discard_bytes=20_000)) as server:
        async with raw_client(server, "ada") as ada:
            await ada.send(PING * 400)
            assert await ada.close_code() == 4429
            never_again(monkeypatch)
            before = server.pool.statistics().bytes_in
            await flood(ada, PING * 10_000)
        await server.all_gone()
        statistics = server.pool.statistics()
        assert statistics.bytes_in - before <= 20_000
        assert statistics.crashes == 0
        assert server.closed() == {"rate_limited": 1}


async def test_a_client_that_floods_and_reads_late_still_gets_the_close_frame() -> None:
    """A reset because of unread input would destroy it."""
    limits = limited(OutboxLimits(linger=60.0), discard_bytes=1000)
    async with (
        serving(limits) as server,
        raw_client(server, "ada") as ada,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(flood, ada, PING * 10_000)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert await ada.close_code() == 4429
        nursery.cancel_scope.cancel()
        server.nursery.cancel_scope.cancel()


async def test_the_flood_of_a_closed_connection_costs_no_turn_of_the_loop() -> None:
    """Once enough was discarded nothing is read, so that TCP stops the client."""
    limits = limited(OutboxLimits(linger=60.0), discard_bytes=1000)
    async with serving(limits) as server, raw_client(server, "ada") as ada:
        await ada.send(PING * 400)
        assert await ada.close_code() == 4429
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, ada, PING * 10_000)
            await trio.testing.wait_all_tasks_blocked(0.05)
            before = server.pool.statistics().bytes_in
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert server.pool.statistics().bytes_in == before
            nursery.cancel_scope.cancel()
        server.nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "first",
    [
        b"",
        PING * 3,
        client_frame(b"half", 1, fin=False),
        client_frame(an_update() * 20),
        client_frame(b""),
        client_frame(b"", 10),
    ],
    ids=["nothing", "pings", "a fragment", "a long message", "an empty message", "a pong"],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_the_answer_to_our_close_is_found_and_ends_it_at_once(
    first: bytes, at_once: bool
) -> None:
    patient = limited(OutboxLimits(linger=60.0))
    async with serving(patient) as server, raw_client(server, "ada") as ada:
        server.room.receivers["ada"].close(CloseReason.SESSION_ENDED)
        assert await ada.close_code() == 4410
        for piece in [first + CLOSE] if at_once else [bytes([b]) for b in first + CLOSE]:
            await ada.send(piece)
            await trio.lowlevel.checkpoint()
        with trio.fail_after(LAST_RESORT_S):
            await server.pool.wait_at_most(0)
        await ada.end()


@pytest.mark.parametrize(
    "garbage",
    [client_frame(b"x", mask=b""), client_frame(b"x" * 70_000)[:14], b"\xff" * 100],
    ids=["unmasked", "too long", "no frames"],
)
async def test_after_our_close_garbage_is_waited_out_and_not_answered(garbage: bytes) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        server.room.receivers["ada"].close(CloseReason.SESSION_ENDED)
        assert await ada.close_code() == 4410
        await ada.send(garbage + CLOSE)
        await ada.end()
        await server.all_gone()
        assert server.closed() == {"session_ended": 1}


async def test_a_position_sent_before_our_close_arrived_is_dropped() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        server.room.receivers["ada"].close(CloseReason.REPLACED)
        await ada.send(client_frame(an_update()) + CLOSE)
        assert await ada.close_code() == 4409
        await ada.end()
        await server.all_gone()
        assert server.room.positions == []


@pytest.mark.parametrize("said", [b"", client_frame(an_update()) + PING[:3]])
async def test_a_client_that_hangs_up_after_our_close_ends_it_at_once(said: bytes) -> None:
    async with serving(limited(OutboxLimits(linger=60.0))) as server:
        async with raw_client(server, "ada") as ada:
            server.room.receivers["ada"].close(CloseReason.SESSION_ENDED)
            assert await ada.close_code() == 4410
            await ada.send(said)
        await server.all_gone()
        assert server.closed() == {"session_ended": 1}


async def test_every_byte_that_came_is_counted_those_after_the_close_too() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        update = client_frame(an_update())
        for _ in range(2):
            await ada.send(update)
            await trio.testing.wait_all_tasks_blocked()
        server.room.receivers["ada"].close(CloseReason.SESSION_ENDED)
        assert await ada.close_code() == 4410
        for piece in (PING, PING, PING, CLOSE):
            await ada.send(piece)
            await trio.testing.wait_all_tasks_blocked()
        await ada.end()
        await server.all_gone()
        assert server.pool.statistics().bytes_in == 2 * len(update) + 3 * len(PING) + len(CLOSE)


async def test_what_came_is_counted_for_all_connections_together_when_they_have_ended() -> None:
    async with serving() as server:
        for user_id in ("ada", "bob"):
            async with raw_client(server, user_id) as client:
                await client.send(PING)
                await client.send(CLOSE)
                await client.end()
            await server.all_gone()
        assert server.pool.statistics().bytes_in == 2 * (len(PING) + len(CLOSE))


@pytest.mark.parametrize(
    ("said", "reason", "level"),
    [
        (client_frame(b'{"type": "leave"}'), "left", "debug"),
        (client_frame(b"", mask=b""), "protocol_error", "info"),
    ],
)
async def test_a_routine_end_is_logged_at_debug_and_any_other_at_info(
    said: bytes, reason: str, level: str
) -> None:
    with structlog.testing.capture_logs() as lines:
        async with serving() as server, raw_client(server, "ada") as ada:
            await ada.send(said)
            await ada.end()
            await ada.stream.aclose()
            await server.all_gone()
    ends = [line for line in lines if line["event"] == "connection_closed"]
    assert [(line["reason"], line["log_level"]) for line in ends] == [(reason, level)]


async def test_behind_our_close_frame_the_client_sees_the_end_of_the_stream_at_once() -> None:
    async with serving(limited(OutboxLimits(linger=60.0))) as server:
        async with raw_client(server, "ada") as ada:
            server.room.receivers["ada"].close(CloseReason.SESSION_ENDED)
            assert await ada.close_code() == 4410
            await ada.end()
            assert len(server.pool) == 1, "the client's close frame is still awaited"
        await server.all_gone()


# --- the peer closes ----------------------------------------------------------------------------


async def test_the_echo_of_a_close_arrives_though_much_was_sent_behind_it() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(CLOSE + client_frame(an_update()) * 100)
        assert await ada.close_code() == 1000
        await ada.end()
        await server.all_gone()
        assert server.closed() == {"peer_closed": 1}
        assert server.room.positions == []


async def test_a_client_that_reads_late_gets_what_waited_and_the_echo_of_its_close() -> None:
    limits = limited(OutboxLimits(linger=5.0), send_buffer_bytes=4096)
    async with serving(limits) as server, raw_client(server, "ada", receive_buffer=4096) as ada:
        receiver = server.room.receivers["ada"]
        sent = 0
        while not server.pool.statistics().blocked:
            receiver.send_event(b"\x81\x7e\x10\x00" + b"x" * 4096)
            sent += 1
        await ada.send(CLOSE)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(sent):
            assert (await ada.frame())[0] == 0x81
        assert await ada.frame() == (0x88, struct.pack("!H", 1000))
        await ada.end()
        await ada.stream.aclose()
        await server.all_gone()
        assert server.closed() == {"peer_closed": 1}


# --- what is begun must be finished -------------------------------------------------------------


@pytest.mark.parametrize(
    "begun",
    [
        client_frame(an_update())[:1],
        client_frame(an_update())[:-1],
        client_frame(b"half", 1, fin=False),
        client_frame(b"half", 1, fin=False) + PING[:3],
        client_frame(an_update()) + client_frame(an_update())[:5],
    ],
    ids=["a head", "a payload", "a message", "a ping in a message", "the next frame"],
)
async def test_a_message_that_is_begun_and_not_finished_has_a_deadline(begun: bytes) -> None:
    async with serving(limited(message_deadline=0.05)) as server, raw_client(server, "ada") as ada:
        await ada.send(begun)
        assert await ada.close_code() == 4408
        await ada.stream.aclose()
        await server.all_gone()
        assert server.closed() == {"silent": 1}


@pytest.mark.parametrize("whole", [client_frame(an_update()), client_frame(b"", 0, fin=False)])
async def test_a_dripping_frame_or_message_has_one_deadline_as_a_whole(
    whole: bytes,
) -> None:
    async with (
        serving(limited(message_deadline=0.1)) as server,
        raw_client(server, "ada") as ada,
        trio.open_nursery() as nursery,
    ):

        async def drip() -> None:
            await ada.send(client_frame(b"", 1, fin=False) if whole[0] == 0 else b"")
            for byte in whole * 1000:
                await ada.send(bytes([byte]))
                await trio.sleep(0.01)

        nursery.start_soon(drip)
        assert await ada.close_code() == 4408
        nursery.cancel_scope.cancel()


async def test_whole_messages_in_any_pieces_meet_no_deadline(
    mock_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """Every read ends in the middle of a frame, for longer than one frame may take."""
    received, theirs = read_on(nursery, TransportLimits(message_deadline=10))
    frame = client_frame(b'{"type": "ping"}')
    stream = frame * 12
    with theirs:
        for start in range(0, len(stream), len(frame) - 1):
            theirs.send(stream[start : start + len(frame) - 1])
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(9.9)
        await trio.testing.wait_all_tasks_blocked()
        assert received == ['{"type": "ping"}'] * 12
        theirs.send(frame[:-1])
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(10.1)
        await trio.testing.wait_all_tasks_blocked()
        assert received[12:] == [UNFINISHED]
        nursery.cancel_scope.cancel()


async def test_the_deadline_of_a_message_counts_from_its_first_fragment(
    mock_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    received, theirs = read_on(nursery, TransportLimits(message_deadline=10))
    with theirs:
        for _ in range(3):  # one that ends in time leaves no deadline behind
            theirs.send(client_frame(b"a", 1, fin=False))
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(6)
            theirs.send(client_frame(b"b", 0))
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(6)
        assert received == [NO_MESSAGE, "ab"] * 3
        theirs.send(client_frame(b"a", 1, fin=False))
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(6)
        theirs.send(client_frame(b"b", 0, fin=False) + client_frame(b"c", 9))
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(6)
        await trio.testing.wait_all_tasks_blocked()
        assert received[-1] is UNFINISHED
        nursery.cancel_scope.cancel()


async def test_a_message_is_not_late_because_its_reader_was(
    mock_clock: trio.testing.MockClock,
) -> None:
    """The session had no room for the message before it."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    transport = Transport(ours, TransportLimits(message_deadline=10))
    ping = client_frame(b'{"type": "ping"}')
    with theirs:
        theirs.send(ping + ping[:5])
        assert await transport.receive() == '{"type": "ping"}'
        theirs.send(ping[5:])
        mock_clock.jump(11)
        assert await transport.receive() == '{"type": "ping"}'
        transport.close()


def read_on(nursery: trio.Nursery, limits: TransportLimits) -> tuple[list[Received], socket.socket]:
    """What a transport receives, until a message is unfinished, and the peer's socket."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    transport = Transport(ours, limits)
    received: list[Received] = []

    async def read() -> None:
        while UNFINISHED not in received:
            received.append(await transport.receive())
        transport.close()

    nursery.start_soon(read)
    return received, theirs


# --- control frames -----------------------------------------------------------------------------


async def test_of_pings_that_come_together_the_newest_is_answered() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        writes = server.pool.statistics().writes
        await ada.send(b"".join(client_frame(bytes([n]), 9) for n in range(30)))
        assert await ada.frame() == (0x8A, bytes([29]))
        assert server.pool.statistics().writes == writes + 1


async def test_a_ping_whose_length_is_written_in_more_bytes_than_needed_is_a_ping() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(struct.pack("!BBH", 0x89, 0xFE, 1) + b"\0\0\0\0" + b"x")
        assert await ada.frame() == (0x8A, b"x")
        await ada.send(client_frame(b'{"type": "ping"}'))
        assert json.loads((await ada.frame())[1])["type"] == "pong"


async def test_pings_within_the_rate_go_on_for_ever() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        for n in range(30):
            await ada.send(client_frame(bytes([n]), 9))
            assert await ada.frame() == (0x8A, bytes([n]))
        assert server.closed() == {}


@pytest.mark.parametrize(
    "flood_of",
    [
        PING,
        client_frame(b"", 10),
        client_frame(b""),
        client_frame(b"", 0, fin=False),
        client_frame(an_update()),
        client_frame(b"", 2),
    ],
    ids=["pings", "pongs", "empty messages", "fragments", "positions", "binary"],
)
async def test_a_flood_of_any_kind_ends_with_a_close_frame(flood_of: bytes) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        start = client_frame(b"", 1, fin=False) if flood_of[0] == 0 else b""
        await ada.send(start + flood_of * 300)
        assert await ada.close_code() in {4429, 4400}
        await ada.stream.aclose()
        await server.all_gone()
        assert sum(server.closed().values()) == 1


# --- nothing is left behind ---------------------------------------------------------------------


async def test_closing_reads_what_has_come_so_that_the_kernel_does_not_reset() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        theirs.send(b"x" * 10_000)
        transport = Transport(ours)
        ours.send(b"last words")
        transport.close()
        assert theirs.recv(100) == b"last words"
        assert theirs.recv(100) == b"", "an end, and no reset"
