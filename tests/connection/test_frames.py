"""RFC 6455 byte by byte: fragments, control frames between them, masking, UTF-8, sizes, closing."""

import json
import struct

import pytest
import trio
from tests.connection.kit import (
    Raw,
    Server,
    an_update,
    client_frame,
    raw_client,
    serving,
)

PING_MESSAGE = b'{"type": "ping"}'


async def expect_pong_message(raw: Raw) -> None:
    first, payload = await raw.frame()
    assert (first, json.loads(payload)) == (0x81, {"type": "pong", "data": {}})


async def expect_end(raw: Raw, server: Server, code: int, reason: str) -> None:
    assert await raw.close_code() == code
    await raw.end()
    await raw.stream.aclose()
    await server.all_gone()
    assert server.closed() == {reason: 1}


async def test_a_message_may_come_in_single_bytes() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        for byte in client_frame(PING_MESSAGE):
            await ada.send(bytes([byte]))
            await trio.lowlevel.checkpoint()
        await expect_pong_message(ada)


async def test_many_messages_may_come_in_one_segment() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(PING_MESSAGE) * 10)
        for _ in range(10):
            await expect_pong_message(ada)


@pytest.mark.parametrize("cut", [0, 1, 7, len(PING_MESSAGE)])
async def test_fragments_are_joined(cut: int) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(PING_MESSAGE[:cut], 1, fin=False))
        await ada.send(client_frame(b"", 0, fin=False))
        await ada.send(client_frame(PING_MESSAGE[cut:], 0))
        await expect_pong_message(ada)


async def test_control_frames_between_fragments_are_answered_at_once() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(PING_MESSAGE[:5], 1, fin=False))
        await ada.send(client_frame(b"now", 9))
        assert await ada.frame() == (0x8A, b"now")
        await ada.send(client_frame(b"unasked", 10))
        await ada.send(client_frame(PING_MESSAGE[5:], 0))
        await expect_pong_message(ada)


async def test_a_character_may_be_split_between_fragments() -> None:
    payload = '{"type": "ping", "note": "€"}'.encode()
    cut = payload.index("€".encode()) + 1
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(payload[:cut], 1, fin=False) + client_frame(payload[cut:], 0))
        await expect_pong_message(ada)


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(client_frame(PING_MESSAGE, mask=b""), id="unmasked"),
        pytest.param(client_frame(b"x", 3), id="unknown opcode"),
        pytest.param(client_frame(b"x", 0), id="continuation of nothing"),
        pytest.param(
            client_frame(b"x", 1, fin=False) + client_frame(b"y", 1), id="new message in another"
        ),
        pytest.param(client_frame(b"x", 9, fin=False), id="fragmented control frame"),
        pytest.param(client_frame(b"x" * 126, 9), id="control frame too long"),
        pytest.param(b"\xc1" + client_frame(b"x")[1:], id="reserved bit"),
        pytest.param(client_frame(b"\x03", 8), id="close frame of one byte"),
        pytest.param(
            client_frame(struct.pack("!H", 1005), 8), id="close code that may not be sent"
        ),
        pytest.param(
            client_frame(b"x", 1, fin=False) + client_frame(b"\x03\xe8", 8),
            id="close inside a message",
        ),
    ],
)
async def test_a_breach_of_the_protocol_closes_with_1002(frames: bytes) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(frames)
        await expect_end(ada, server, 1002, "protocol_error")


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(client_frame(b'{"type": "\xff"}'), id="text"),
        pytest.param(
            client_frame(b"\xe2\x82", 1, fin=False) + client_frame(b"", 0), id="cut character"
        ),
        pytest.param(client_frame(b"\x03\xe8\xff", 8), id="reason of a close frame"),
    ],
)
async def test_text_that_is_not_utf8_closes_with_1007(frames: bytes) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(frames)
        await expect_end(ada, server, 1007, "invalid_data")


async def test_nothing_after_a_failure_is_processed() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b"\xff") + client_frame(an_update()))
        assert await ada.close_code() == 1007
        await ada.send(client_frame(an_update()))
        await ada.end()
        assert server.room.positions == []


@pytest.mark.parametrize(
    "frames",
    [
        # Only the head: what is announced is refused before it is read.
        pytest.param(client_frame(b"x" * 70_000)[:14], id="one frame"),
        pytest.param(
            client_frame(b"x" * 60_000, 1, fin=False) + client_frame(b"x" * 60_000, 0),
            id="sum of the fragments",
        ),
    ],
)
async def test_a_message_beyond_the_hard_limit_closes_with_1009(frames: bytes) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(frames)
        await expect_end(ada, server, 1009, "message_too_big")


async def test_a_close_is_echoed_and_then_the_socket_is_closed() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(struct.pack("!H", 4999) + b"bye", 8))
        assert await ada.frame() == (0x88, struct.pack("!H", 4999) + b"bye")
        await ada.end()
        await server.all_gone()
        assert server.closed() == {"peer_closed": 1}


async def test_a_close_without_a_code_is_echoed_without_one() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b"", 8))
        assert await ada.frame() == (0x88, b"")
        await ada.end()


async def test_an_end_of_stream_without_a_close_frame_is_a_peer_that_is_gone() -> None:
    async with serving() as server:
        async with raw_client(server, "ada") as ada:
            await ada.stream.send_eof()
            await ada.end()
        await server.all_gone()
        assert server.closed() == {"peer_gone": 1}
        assert server.room.detached == ["ada"]


async def test_a_reset_is_a_peer_that_is_gone() -> None:
    async with serving() as server:
        async with raw_client(server, "ada") as ada:
            linger = struct.pack("ii", 1, 0)
            ada.stream.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger)
        await server.all_gone()
        assert server.closed() == {"peer_gone": 1}
