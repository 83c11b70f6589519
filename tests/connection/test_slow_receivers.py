"""Clients that do not read, on real sockets with small buffers: bounded, closed, never stale."""

import json
import socket
from datetime import UTC, datetime

import pytest
import trio
import trio.testing
from msgspec import structs

from locshare.broadcast.backlog import ENTRY_COST
from locshare.broadcast.fanout import Flush, encode_flush, text_frame
from locshare.broadcast.outbox import OutboxLimits
from locshare.connection.context import ConnectionLimits
from locshare.connection.pool import PoolLimits
from locshare.connection.transport_limits import TransportLimits
from locshare.model.position import HeldPosition, Position
from locshare.model.reasons import CloseReason
from locshare.wire.plain import PLAIN
from tests.connection.kit import raw_client, serving
from tests.running import LAST_RESORT_S
from tests.skipping import KERNEL
from tests.sockets import Raw, client_frame

pytestmark = pytest.mark.usefixtures("read_each_way")

SMALL_BUFFER = 4096


def small(**outbox: float) -> PoolLimits:
    return PoolLimits(
        drain_deadline=1.0,
        connection=ConnectionLimits(
            transport=TransportLimits(send_buffer_bytes=SMALL_BUFFER),
            outbox=OutboxLimits(**{"linger": 0.2, **outbox}),  # type: ignore[arg-type] # numbers
        ),
    )


def flush_of(number: int, users: int = 20) -> Flush:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    held = HeldPosition(Position(1.0, 2.0, float(number), at), 0.0, 0.0)
    return encode_flush({f"u{n}": held for n in range(users)}, 0.0, PLAIN)


async def read_messages(raw: Raw, until: bytes) -> list[bytes]:
    messages = []
    while True:
        first, payload = await raw.frame()
        if first == 0x81:
            messages.append(payload)
            if payload == until:
                return messages


async def test_a_slow_receiver_that_reads_again_has_no_stale_pair_and_all_events() -> None:
    async with (
        serving(small()) as server,
        raw_client(server, "slow", receive_buffer=SMALL_BUFFER) as slow,
    ):
        receiver = server.room.receivers["slow"]
        number = 0
        while not server.pool.statistics().blocked:
            number += 1
            receiver.send_positions(flush_of(number))
        for event in range(10):
            number += 1
            receiver.send_positions(flush_of(number))
            receiver.send_event(text_frame(b"event %d" % event))
        number += 1
        receiver.send_positions(flush_of(number))
        receiver.send_event(text_frame(b"last"))
        assert server.pool.statistics().backlog_bytes <= 256 * 1024

        messages = await read_messages(slow, b"last")
        newest: dict[str, float] = {}
        for message in messages:
            if message.startswith(b"{"):
                data = json.loads(message)["data"]
                assert data["accuracy"] >= newest.get(data["user_id"], 0)
                newest[data["user_id"]] = data["accuracy"]
        assert newest == {f"u{n}": number for n in range(20)}
        events = [message for message in messages if message.startswith(b"event")]
        assert events == [b"event %d" % event for event in range(10)]

        receiver.send_positions(flush_of(number + 1, users=1))
        first, payload = await slow.frame()
        assert first == 0x81
        assert json.loads(payload)["data"]["accuracy"] == number + 1, "flushes go straight again"
        statistics = server.pool.statistics()
        assert statistics.stalls == 1
        assert (statistics.blocked, statistics.backlog_bytes) == (0, 0)


async def test_a_receiver_that_never_reads_is_cut_at_the_write_deadline_and_delays_no_other() -> (
    None
):
    async with (
        serving(small(write_deadline=0.2)) as server,
        raw_client(server, "stuck", receive_buffer=SMALL_BUFFER) as stuck,
        raw_client(server, "bob") as bob,
    ):
        receiver = server.room.receivers["stuck"]
        while not receiver.closed and not server.pool.statistics().blocked:
            receiver.send_positions(flush_of(1))
        server.room.receivers["bob"].send_event(text_frame(b"not held up"))
        assert await bob.frame() == (0x81, b"not held up")
        await server.all_gone(but=1)
        assert server.closed() == {"too_slow": 1}
        assert server.room.detached == ["stuck"]
        # What the kernel still held was thrown away, not kept for a peer that does not read.
        try:
            while await stuck.stream.receive_some(65536):
                pass
        except trio.BrokenResourceError:
            pass
        else:
            raise AssertionError("expected a reset")


async def test_a_client_that_misses_pings_because_it_does_not_read_is_slow_and_not_silent() -> None:
    limits = structs.replace(small(), ping_interval=0.1)
    async with (
        serving(limits, heartbeat=True) as server,
        raw_client(server, "stuck", receive_buffer=SMALL_BUFFER),
        raw_client(server, "mute"),
    ):
        receiver = server.room.receivers["stuck"]
        while not server.pool.statistics().blocked:
            receiver.send_positions(flush_of(1))
        await server.all_gone()
        assert server.closed() == {"too_slow": 1, "silent": 1}


async def test_a_backlog_of_events_over_the_bound_is_cut_at_once() -> None:
    async with (
        serving(small(max_bytes=20_000)) as server,
        raw_client(server, "stuck", receive_buffer=SMALL_BUFFER),
    ):
        receiver = server.room.receivers["stuck"]
        for _ in range(100_000):
            receiver.send_event(text_frame(b"x" * 100))
            assert server.pool.statistics().backlog_bytes < 21_000
            if receiver.closed:
                break
        assert server.pool.statistics().backlog_bytes < 1_000, "given back before the linger"
        await server.all_gone()
        assert server.closed() == {"too_slow": 1}


async def test_a_slow_receiver_that_reads_in_time_gets_4508_between_whole_frames() -> None:
    async with (
        serving(small(max_bytes=20_000, linger=10 * LAST_RESORT_S)) as server,
        raw_client(server, "slow", receive_buffer=SMALL_BUFFER) as slow,
    ):
        receiver = server.room.receivers["slow"]
        while not receiver.closed:
            receiver.send_event(text_frame(b"x" * 100))
        assert await slow.close_code() == CloseReason.TOO_SLOW.code
        await slow.end()


async def test_accepted_sockets_write_without_delay_and_keep_little_in_the_kernel() -> None:
    async with serving() as server, raw_client(server, "ada"):
        (connection,) = server.pool._connections()
        sock = connection.transport._sock
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        # Linux doubles what it is asked for.
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * 64 * 1024
        assert not sock.getblocking()


async def test_accepted_sockets_try_again_each_second_where_the_kernel_can() -> None:
    longest = 44  # TCP_RTO_MAX_MS of linux/tcp.h
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, longest, 1_000)
        except OSError:
            pytest.skip(f"{KERNEL} has no TCP_RTO_MAX_MS")
    async with serving() as server, raw_client(server, "ada"):
        (connection,) = server.pool._connections()
        assert connection.transport._sock.getsockopt(socket.IPPROTO_TCP, longest) == 1_000


async def test_of_the_pings_of_a_client_that_never_reads_one_answer_waits() -> None:
    ping = client_frame(b"x" * 125, 9)
    async with (
        serving(small()) as server,
        raw_client(server, "stuck", receive_buffer=SMALL_BUFFER) as stuck,
    ):
        receiver = server.room.receivers["stuck"]
        while not server.pool.statistics().blocked:
            receiver.send_positions(flush_of(1))
        before = server.pool.statistics()
        for number in range(1, 21):  # each is read alone: of those that come together one counts
            await stuck.send(ping)
            with trio.fail_after(LAST_RESORT_S):
                while server.pool.statistics().bytes_in < before.bytes_in + number * len(ping):
                    await trio.testing.wait_all_tasks_blocked()
        waits = server.pool.statistics().backlog_bytes - before.backlog_bytes
        assert waits == 2 + 125 + ENTRY_COST
