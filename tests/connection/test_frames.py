"""RFC 6455 byte by byte: fragments, control frames between them, masking, UTF-8, sizes, closing."""

import json
import logging
import struct

import pytest
import trio

from locshare.broadcast.outbox import OutboxLimits
from locshare.connection.context import ConnectionLimits
from locshare.connection.pool import PoolLimits
from locshare.connection.transport_limits import TransportLimits
from tests.connection.kit import (
    QUICK_ENDS,
    SNAPSHOT,
    Server,
    an_update,
    raw_client,
    raw_tcp,
    serving,
)
from tests.running import LAST_RESORT_S
from tests.sockets import Raw, client_frame, request

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


@pytest.mark.parametrize("cut", [0, 1, 7, len(PING_MESSAGE)])
async def test_fragments_are_joined(cut: int) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(PING_MESSAGE[:cut], 1, fin=False))
        await ada.send(client_frame(b"", 0, fin=False))
        await ada.send(client_frame(PING_MESSAGE[cut:], 0))
        await expect_pong_message(ada)


async def test_the_library_logs_nothing_of_what_it_reads_whatever_its_logger_allows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="websockets")
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b'{"type": ', fin=False) + client_frame(b'"ping"}', 0))
        _, payload = await ada.frame()
        assert json.loads(payload)["type"] == "pong"
    assert [each for each in caplog.records if each.name.startswith("websockets")] == []


async def test_control_frames_between_fragments_are_answered_at_once() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(PING_MESSAGE[:5], 1, fin=False))
        await ada.send(client_frame(b"now", 9))
        assert await ada.frame() == (0x8A, b"now")
        await ada.send(client_frame(b"unasked", 10))
        await ada.send(client_frame(PING_MESSAGE[5:], 0))
        await expect_pong_message(ada)


async def test_a_pong_carries_the_whole_payload_of_its_ping() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        for payload in (b"", bytes(range(125))):
            await ada.send(client_frame(payload, 9))
            assert await ada.frame() == (0x8A, payload)


async def test_a_conversation_may_come_in_single_bytes() -> None:
    conversation = [
        client_frame(PING_MESSAGE[:5], 1, fin=False),
        client_frame(b"between", 9),
        client_frame(PING_MESSAGE[5:], 0),
        client_frame(an_update()),
        client_frame(b"unasked", 10),
        client_frame(struct.pack("!H", 1000) + b"bye", 8),
    ]
    async with serving() as server, raw_tcp(server) as ada:
        for byte in request("/ws?token=ada"):
            await ada.send(bytes([byte]))
        assert (await ada.head()).startswith(b"HTTP/1.1 101 ")
        assert await ada.frame() == (0x81, SNAPSHOT)
        for byte in b"".join(conversation):
            await ada.send(bytes([byte]))
            await trio.lowlevel.checkpoint()
        assert await ada.frame() == (0x8A, b"between")
        await expect_pong_message(ada)
        assert await ada.frame() == (0x88, struct.pack("!H", 1000) + b"bye")
        await ada.end()
        assert [user for user, _ in server.room.positions] == ["ada"]


@pytest.mark.parametrize(
    ("opcode", "code"),
    [(1, "INVALID_MESSAGE"), (2, "BINARY_NOT_SUPPORTED")],
    ids=["text", "binary"],
)
async def test_an_empty_message_is_a_message(opcode: int, code: str) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b"", opcode, fin=False) + client_frame(b"", 0))
        await ada.send(client_frame(b"", opcode))
        for _ in range(2):
            _, payload = await ada.frame()
            assert json.loads(payload)["data"]["code"] == code


@pytest.mark.parametrize(
    "text",
    ["\x00", "\u007f\u0080", "\u07ff\u0800", "\ud7ff\ue000", "\uffff", "\U00010000\U0010ffff"],
    ids=ascii,
)
async def test_every_character_is_text_and_may_be_cut_anywhere(text: str) -> None:
    payload = json.dumps({"type": "ping", "note": text}, ensure_ascii=False).encode()
    payload = payload.replace(b"\\u0000", b"\\u0001")  # JSON has it escaped only
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b"", 1, fin=False))
        await ada.send(b"".join(client_frame(bytes([byte]), 0, fin=False) for byte in payload))
        await ada.send(client_frame(b"", 0))
        await expect_pong_message(ada)


async def test_a_length_longer_than_it_needs_to_be_is_read_as_what_it_says() -> None:
    # RFC 6455 section 5.2 forbids it to who sends; `websockets` reads it, and so does this server.
    mask = b"\x11\x22\x33\x44"
    masked = client_frame(PING_MESSAGE)[6:]
    async with serving() as server, raw_client(server, "ada") as ada:
        for head in (struct.pack("!BBH", 0x81, 0xFE, 16), struct.pack("!BBQ", 0x81, 0xFF, 16)):
            await ada.send(head + mask + masked)
            await expect_pong_message(ada)


@pytest.mark.parametrize(
    "frames",
    [
        *(
            pytest.param(client_frame(b"x", opcode, mask=b""), id=f"unmasked {opcode:#x}")
            for opcode in (0, 1, 2, 8, 9, 10)
        ),
        *(
            pytest.param(client_frame(b"x", opcode), id=f"reserved opcode {opcode:#x}")
            for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        ),
        *(
            pytest.param(bytes([first]) + client_frame(b"x")[1:], id=f"reserved bit {first:#x}")
            for first in (0xC1, 0xA1, 0x91, 0xC9, 0xAA, 0x98)
        ),
        *(
            pytest.param(client_frame(b"x", opcode, fin=False), id=f"fragmented {opcode:#x}")
            for opcode in (8, 9, 10)
        ),
        *(
            pytest.param(client_frame(b"\x03\xe8" + b"x" * 124, opcode), id=f"long {opcode:#x}")
            for opcode in (8, 9, 10)
        ),
        *(
            pytest.param(client_frame(struct.pack("!H", code), 8), id=f"close code {code}")
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
        ),
        pytest.param(client_frame(b"x", 0), id="continuation of nothing"),
        pytest.param(
            client_frame(b"x", 1, fin=False) + client_frame(b"y", 1), id="new message in another"
        ),
        pytest.param(
            client_frame(b"x", 1, fin=False) + client_frame(b"y", 2), id="binary message in another"
        ),
        pytest.param(
            client_frame(b"x", 1, fin=False) + client_frame(b"y", 0) + client_frame(b"z", 0),
            id="continuation of what has ended",
        ),
        pytest.param(client_frame(b"\x03", 8), id="close frame of one byte"),
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
        pytest.param(client_frame(b"\xc0\xaf"), id="overlong"),
        pytest.param(client_frame(b"\xed\xa0\x80"), id="surrogate"),
        pytest.param(client_frame(b"\xf4\x90\x80\x80"), id="beyond the last character"),
        pytest.param(client_frame(b"\xf0\x9f\x98"), id="cut at the end of the frame"),
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


async def test_the_answer_to_a_close_for_bad_text_ends_it_at_once() -> None:
    limits = PoolLimits(connection=ConnectionLimits(outbox=OutboxLimits(linger=10 * LAST_RESORT_S)))
    async with serving(limits) as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b"\xff"))
        assert await ada.close_code() == 1007
        await ada.send(client_frame((1007).to_bytes(2, "big"), opcode=8))
        await server.all_gone()
        assert server.closed() == {"invalid_data": 1}


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


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(struct.pack("!BBH", 0x81, 0xFE, 1001), id="16 bits"),
        pytest.param(struct.pack("!BBQ", 0x81, 0xFF, 1001), id="64 bits"),
        pytest.param(struct.pack("!BBQ", 0x82, 0xFF, 2**63 - 1), id="the longest there is"),
        pytest.param(struct.pack("!BBQ", 0x81, 0xFF, 2**63), id="longer than that"),
        pytest.param(struct.pack("!BBQ", 0x81, 0xFF, 2**64 - 1), id="all bits"),
    ],
)
async def test_the_announced_length_alone_is_enough_for_1009(head: bytes) -> None:
    transport = TransportLimits(max_message_bytes=500, hard_message_bytes=1000)
    limits = PoolLimits(connection=ConnectionLimits(transport=transport, outbox=QUICK_ENDS))
    async with serving(limits) as server, raw_client(server, "ada") as ada:
        await ada.send(head)
        await expect_end(ada, server, 1009, "message_too_big")


@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "a byte each"])
async def test_endless_fragments_are_a_flood_like_any_other(payload: bytes) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(payload, 1, fin=False))
        await ada.send(client_frame(payload, 0, fin=False) * 200)
        await expect_end(ada, server, 4429, "rate_limited")


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4999])
async def test_a_close_is_echoed_and_then_the_socket_is_closed(code: int) -> None:
    payload = struct.pack("!H", code) + "f\u00fcr heute".encode() + b"." * 113
    assert len(payload) == 125
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(payload, 8))
        assert await ada.frame() == (0x88, payload)
        await ada.end()
        await server.all_gone()
        assert server.closed() == {"peer_closed": 1}


async def test_a_close_between_fragments_is_a_close() -> None:
    close = client_frame(b"\x03\xe8", 8)
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b"x", 1, fin=False) + close + client_frame(b"y", 0))
        assert await ada.frame() == (0x88, b"\x03\xe8")
        await ada.end()
        await server.all_gone()
        assert server.closed() == {"peer_closed": 1}


async def test_a_close_without_a_code_is_echoed_without_one() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b"", 8))
        assert await ada.frame() == (0x88, b"")
        await ada.end()


async def test_nothing_after_a_close_is_answered_or_processed() -> None:
    close = client_frame(struct.pack("!H", 1000), 8)
    after = client_frame(an_update()) + client_frame(b"?", 9) + close + b"\xff\xff"
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(close + after)
        assert await ada.frame() == (0x88, struct.pack("!H", 1000))
        with pytest.raises(EOFError):
            await ada.frame()
        await server.all_gone()
        assert server.room.positions == []
        assert server.closed() == {"peer_closed": 1}


UNFINISHED = pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="between frames"),
        pytest.param(client_frame(an_update())[:1], id="in a head"),
        pytest.param(client_frame(an_update())[:-1], id="in a payload"),
        pytest.param(client_frame(b"half", 1, fin=False), id="in a message"),
    ],
)


@UNFINISHED
async def test_an_end_of_stream_without_a_close_frame_is_a_peer_that_is_gone(said: bytes) -> None:
    async with serving() as server:
        async with raw_client(server, "ada") as ada:
            await ada.send(said)
            await ada.stream.send_eof()
            await ada.end()
        await server.all_gone()
        assert server.closed() == {"peer_gone": 1}
        assert server.room.detached == ["ada"]
        assert server.room.positions == []


@UNFINISHED
async def test_a_reset_is_a_peer_that_is_gone(said: bytes) -> None:
    async with serving() as server:
        async with raw_client(server, "ada") as ada:
            await ada.send(said)
            linger = struct.pack("ii", 1, 0)
            ada.stream.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger)
        await server.all_gone()
        assert server.closed() == {"peer_gone": 1}
