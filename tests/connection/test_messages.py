"""What a connection does with messages, errors and abuse, against two independent clients."""

import json
import os

import pytest
import trio
import trio.testing
from websockets.frames import Frame, Opcode

from locshare.broadcast.fanout import text_frame
from locshare.broadcast.outbox import Outbox
from locshare.connection.context import ConnectionLimits
from locshare.connection.pool import PoolLimits
from locshare.connection.rate_policy import RateLimits
from locshare.model.reasons import CloseReason
from locshare.session.errors import ParticipantNotFound, SessionOver, SessionUnavailable
from locshare.store.port import StoreUnavailable
from tests.connection.kit import (
    QUICK_ENDS,
    SNAPSHOT,
    SNAPSHOT_TEXT,
    Server,
    an_update,
    raw_client,
    raw_tcp,
    serving,
)
from tests.running import LAST_RESORT_S
from tests.sockets import Raw, SansIOClient, client_frame, request, trio_client

pytestmark = pytest.mark.usefixtures("read_each_way")


def limited(**rates: float) -> PoolLimits:
    limits = RateLimits(**rates)  # type: ignore[arg-type] # all fields are numbers
    return PoolLimits(
        drain_deadline=1.0, connection=ConnectionLimits(outbox=QUICK_ENDS, rates=limits)
    )


async def next_json(raw: Raw) -> dict[str, object]:
    first, payload = await raw.frame()
    assert first == 0x81
    message: dict[str, object] = json.loads(payload)
    return message


async def next_error(raw: Raw) -> object:
    message = await next_json(raw)
    assert message["type"] == "error"
    data = message["data"]
    assert isinstance(data, dict)
    return data["code"]


async def test_trio_websocket_clients_see_each_other_and_not_themselves() -> None:
    async with (
        serving() as server,
        trio_client(server.url("ada")) as ada,
        trio_client(server.url("bob")) as bob,
    ):
        assert await ada.get_message() == SNAPSHOT_TEXT
        assert await bob.get_message() == SNAPSHOT_TEXT
        await ada.send_message(an_update(lat=1.5).decode())
        moved = json.loads(await bob.get_message())
        assert moved["type"] == "location_update"
        assert moved["data"]["user_id"] == "ada"
        assert moved["data"]["lat"] == 1.5
        await ada.send_message('{"type": "ping"}')
        assert json.loads(await ada.get_message()) == {"type": "pong", "data": {}}


async def test_the_websockets_library_sees_a_flawless_server() -> None:
    async with serving() as server:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        async with stream:
            client = SansIOClient(stream, server.url("ada"))
            await client.connect()
            frame = await client.event()
            assert isinstance(frame, Frame)
            assert frame.data == SNAPSHOT
            client.protocol.send_ping(b"are you there")
            client.protocol.send_text(b'{"type": "ping", "data": {}}')
            await client.flush()
            pong, answer = await client.event(), await client.event()
            assert isinstance(pong, Frame)
            assert isinstance(answer, Frame)
            assert (pong.opcode, pong.data) == (Opcode.PONG, b"are you there")
            assert json.loads(bytes(answer.data)) == {"type": "pong", "data": {}}
            client.protocol.send_close(1000, "bye")
            await client.flush()
            close = await client.event()
            assert isinstance(close, Frame)
            assert close.opcode is Opcode.CLOSE
            with pytest.raises(EOFError):
                await client.event()
            assert client.protocol.close_code == 1000
        await server.all_gone()
        assert server.closed() == {"peer_closed": 1}


async def test_leaving_tells_the_session_and_closes_with_1000() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b'{"type": "leave"}'))
        assert await ada.close_code() == 1000
        await ada.end()
        await server.all_gone()
        assert server.room.left == ["ada"]
        assert server.room.detached == ["ada"]
        assert server.closed() == {"left": 1}
        assert server.pool.statistics().messages_in == {
            "location_update": 0, "ping": 0, "leave": 1, "set_pace": 0, "presence": 0, "bad": 0,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (client_frame(b'{"type": "ping"}', opcode=2), "BINARY_NOT_SUPPORTED"),
        (client_frame(b"not json"), "INVALID_MESSAGE"),
        (client_frame(b"[]"), "INVALID_MESSAGE"),
        (client_frame(b'{"type": "dance"}'), "UNKNOWN_TYPE"),
        (client_frame(an_update(lat=91)), "INVALID_LOCATION"),
        (client_frame(b"x" * 4200), "MESSAGE_TOO_LARGE"),
    ],
)
async def test_a_wrong_message_is_answered_and_the_connection_lives_on(
    frame: bytes, code: str
) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(frame)
        assert await next_error(ada) == code
        await ada.send(client_frame(b'{"type": "ping"}'))
        assert (await next_json(ada))["type"] == "pong"


async def test_a_message_of_exactly_the_limit_is_accepted() -> None:
    body = b'{"type": "ping", "more": ""}'
    payload = body.replace(b'""', b'"' + b"x" * (4096 - len(body)) + b'"')
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(payload))
        assert (await next_json(ada))["type"] == "pong"


async def test_a_client_that_sends_only_unknown_types_stays_connected() -> None:
    dance = client_frame(b'{"type": "dance", "data": {}}')
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(dance * 30 + client_frame(b'{"type": "ping"}'))
        codes = [json.loads((await ada.frame())[1])["data"].get("code") for _ in range(31)]
        assert codes == ["UNKNOWN_TYPE"] * 30 + [None]


async def test_twenty_bad_messages_in_a_row_close_with_4400() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b"?") * 20)
        assert await ada.close_code() == 4400
        await ada.end()
        await server.all_gone()
        assert server.closed() == {"bad_request": 1}


async def test_a_good_message_ends_a_run_of_bad_ones() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(
            client_frame(b"?") * 15 + client_frame(an_update()) + client_frame(b"?") * 15
        )
        for _ in range(30):
            assert await next_error(ada) == "INVALID_MESSAGE"
        assert server.closed() == {}


async def test_positions_over_the_rate_are_dropped_with_one_warning_and_then_closed_with_4429() -> (
    None
):
    limits = limited(position_rate=0.001, position_burst=2, excess_tolerated=10, excess_forgiven=0)
    async with serving(limits) as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(an_update()) * 12)
        assert await next_error(ada) == "RATE_LIMITED"
        await ada.send(client_frame(an_update()) * 1)
        assert await ada.close_code() == 4429
        await server.all_gone()
        assert len(server.room.positions) == 2
        assert server.pool.statistics().rate_limited == 11
        assert server.closed() == {"rate_limited": 1}


def queued(count: int) -> bytes:
    """As many positions as waited in a tunnel, one a second, oldest first."""
    return b"".join(
        client_frame(an_update(lat=number, timestamp=f"2026-03-01T12:00:{number:02}Z"))
        for number in range(count)
    )


async def test_of_forty_positions_at_once_the_newest_arrives_and_the_old_end_is_dropped(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with (
        serving() as server,
        raw_client(server, "ada") as ada,
        trio_client(server.url("bob")) as bob,
    ):
        assert await bob.get_message() == SNAPSHOT_TEXT
        await ada.send(queued(40))
        assert await next_error(ada) == "RATE_LIMITED"
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(1.0)
        seen: list[float] = []
        with trio.fail_after(LAST_RESORT_S):
            while not seen or seen[-1] < 39:
                seen.append(json.loads(await bob.get_message())["data"]["lat"])
        assert seen == [*range(20), 39]


async def test_a_newer_position_that_passes_takes_the_place_of_the_one_that_is_held(
    mock_clock: trio.testing.MockClock,
) -> None:
    """The loop was busy: when it comes round the held one is due, and a newer one has come."""
    limits = limited(position_rate=1.0, position_burst=1.0)
    async with serving(limits) as server, raw_client(server, "ada") as ada:
        await ada.send(queued(2))
        assert await next_error(ada) == "RATE_LIMITED"
        await trio.testing.wait_all_tasks_blocked()
        newest = queued(3)[len(queued(2)) :]
        assert os.write(ada.stream.socket.fileno(), newest) == len(newest)
        mock_clock.jump(10.0)
        while len(server.room.positions) < 2:
            await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(10.0)
        await trio.testing.wait_all_tasks_blocked()
        assert [position.lat for _, position in server.room.positions] == [0, 2]


async def test_a_position_that_is_held_still_goes_on_when_its_sender_closes() -> None:
    limits = limited(position_rate=0.001, position_burst=2)
    async with serving(limits) as server, raw_client(server, "ada") as ada:
        await ada.send(queued(5) + client_frame(b"\x03\xe8", opcode=8))
        assert await ada.close_code() == 1000
        await server.all_gone()
        assert [position.lat for _, position in server.room.positions] == [0, 1, 4]


async def test_protocol_pings_count_as_messages() -> None:
    limits = limited(message_rate=0.001, message_burst=5, excess_tolerated=5, excess_forgiven=0)
    async with serving(limits) as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b"", opcode=9) * 11)
        assert await ada.close_code() == 4429


async def test_what_came_before_the_peers_close_in_one_segment_still_counts() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(an_update()) + client_frame(b"\x03\xe8", opcode=8))
        assert await ada.close_code() == 1000
        await server.all_gone()
        assert [user for user, _ in server.room.positions] == ["ada"]


async def test_what_comes_after_our_close_is_ignored() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        await ada.send(client_frame(b'{"type": "leave"}') + client_frame(an_update()))
        assert await ada.close_code() == 1000
        await ada.send(client_frame(an_update()))
        await ada.end()
        await server.all_gone()
        assert server.room.positions == []


async def test_a_replaced_connection_that_never_answers_is_gone_after_the_linger() -> None:
    async with serving() as server, raw_client(server, "ada") as older:
        with trio.fail_after(LAST_RESORT_S):
            async with raw_client(server, "ada"):
                assert await older.close_code() == 4409
                await server.all_gone(but=1)
                assert server.closed() == {"replaced": 1}


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (SessionOver("expired"), 4410, "session_ended"),
        (ZeroDivisionError("at 52.52"), 1011, "internal_error"),
    ],
)
async def test_what_goes_wrong_in_the_session_ends_this_connection_with_its_code(
    error: Exception, code: int, reason: str
) -> None:
    async with serving() as server, raw_client(server, "ada") as ada, raw_client(server, "bob"):
        server.room.fail_update = error
        await ada.send(client_frame(an_update()))
        assert await ada.close_code() == code
        await ada.end()
        await server.all_gone(but=1)
        assert server.closed() == {reason: 1}
        assert "bob" in server.room.receivers, "nobody else notices"
        assert server.room.detached == ["ada"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SessionOver(), 4410),
        (ParticipantNotFound(), 4403),
        (SessionUnavailable(), 1013),
        (StoreUnavailable(), 1013),
    ],
)
async def test_a_session_that_cannot_be_attached_to_closes_with_its_code(
    error: Exception, code: int
) -> None:
    async with serving() as server, raw_tcp(server) as raw:
        server.room.fail_attach = error
        await raw.send(request("/ws?token=ada"))
        await raw.head()
        assert await raw.close_code() == code
        await server.all_gone()
        assert server.room.detached == ["ada"]


async def test_a_drain_of_the_outbox_that_crashes_ends_its_own_connection_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def crash(_self: Outbox) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Outbox, "_drain", crash)
    async with (
        serving() as server,
        raw_client(server, "stuck", receive_buffer=4096),
        raw_client(server, "bob") as bob,
    ):
        receiver = server.room.receivers["stuck"]
        while not server.pool.statistics().blocked:
            receiver.send_event(text_frame(b"x" * 10_000))
        await server.all_gone(but=1)
        assert server.closed() == {"internal_error": 1}
        await bob.send(client_frame(b'{"type": "ping"}'))
        assert (await next_json(bob))["type"] == "pong"
        assert server.pool.statistics().crashes == 1


async def test_a_crash_is_logged_without_the_text_of_its_exception(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        server.room.fail_update = ZeroDivisionError("at 52.521918")
        await ada.send(client_frame(an_update(lat=52.521918)))
        assert await ada.close_code() == 1011
        await ada.end()
        await server.all_gone()
        assert server.pool.statistics().crashes == 1
    logged = capsys.readouterr().out
    assert "connection_crashed" in logged
    assert "ZeroDivisionError" in logged
    assert "52.52" not in logged


async def test_a_session_that_makes_an_update_wait_holds_up_this_connection_only() -> None:
    async with (
        serving() as server,
        raw_client(server, "ada") as ada,
        raw_client(server, "bob") as bob,
    ):
        hold = server.room.hold_update = trio.Event()
        await ada.send(client_frame(an_update()) + client_frame(b'{"type": "ping"}'))
        await bob.send(client_frame(b'{"type": "ping"}'))
        assert (await next_json(bob))["type"] == "pong"
        assert server.pool.statistics().messages_in["ping"] == 1
        hold.set()
        assert (await next_json(ada))["type"] == "pong"


async def test_a_close_reaches_a_connection_that_waits_for_its_session() -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        server.room.hold_update = trio.Event()
        await ada.send(client_frame(an_update()))
        await trio.testing.wait_all_tasks_blocked()
        server.room.receivers["ada"].close(CloseReason.SESSION_ENDED)
        assert await ada.close_code() == 4410
        await server.all_gone()


async def test_what_came_is_counted_by_kind_also_when_it_was_dropped() -> None:
    limits = limited(position_rate=0.001, position_burst=2)
    async with serving(limits) as server, raw_client(server, "ada") as ada:
        ping = client_frame(b'{"type": "ping"}')
        pace = client_frame(b'{"type": "set_pace", "data": {"interval_s": 5}}')
        shown = client_frame(b'{"type": "presence", "data": {"state": "paused"}}')
        await ada.send(client_frame(an_update()) * 3 + ping * 2 + client_frame(b"?") + pace)
        await ada.send(shown * 2 + ping)
        for kind in ("error", "pong", "pong", "error", "pong"):
            assert (await next_json(ada))["type"] == kind
        statistics = server.pool.statistics()
        assert statistics.messages_in == {
            "location_update": 3, "ping": 3, "leave": 0, "set_pace": 1, "presence": 2, "bad": 1,
        }  # fmt: skip
        assert (statistics.rate_limited, statistics.opened, statistics.accepted) == (1, 1, 1)
        assert (statistics.open, statistics.handshakes) == (1, 0)
        assert statistics.dialects == {"none": 0, "plain": 1, "compact": 0, "phoenix": 0}
        assert {code: n for code, n in statistics.errors.items() if n} == {"INVALID_MESSAGE": 1}


async def test_every_end_is_counted_once(nursery: trio.Nursery) -> None:
    async with serving() as server:
        await _one_of_each(server)
        await server.all_gone()
        statistics = server.pool.statistics()
        assert sum(statistics.closed.values()) == statistics.opened == 3
        assert statistics.received["plain"] == statistics.bytes_in > 0
        assert statistics.sent["plain"] == statistics.bytes_out > 0
        assert sum(statistics.upgrades.counts) == sum(statistics.lifetimes.counts) == 3


async def _one_of_each(server: Server) -> None:
    async with raw_client(server, "ada") as ada:
        await ada.send(client_frame(b'{"type": "leave"}'))
        await ada.end()
    async with raw_client(server, "bob") as bob:
        await bob.send(client_frame(b"\x03\xe8", opcode=8))
        await bob.end()
    async with raw_client(server, "carl"):
        pass
