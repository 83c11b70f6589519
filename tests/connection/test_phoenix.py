"""Phoenix Channels on the real connection: pool, task, transport, outbox."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from locshare.broadcast.fanout import encode_frame
from locshare.connection.context import ConnectionLimits
from locshare.connection.dialect import Answer, Move, Reply, Subscribe, Unsubscribe
from locshare.connection.phoenix import PhoenixSocketDialect
from locshare.connection.pool import PoolLimits, ReconnectLimits
from locshare.connection.rate_policy import RateLimits
from locshare.connection.refusal import Refusal
from locshare.model.events import SessionEnded
from locshare.model.reasons import CloseReason
from locshare.session.errors import SessionOver, SessionUnavailable
from locshare.wire.dialects import InvalidMessage
from locshare.wire.phoenix import ARRAYS, OBJECTS, Serializer
from tests.connection.kit import (
    QUICK,
    QUICK_ENDS,
    SNAPSHOT,
    Rooms,
    Server,
    Tokens,
    raw_tcp,
    serving,
)
from tests.sockets import Raw, client_frame, request

pytestmark = pytest.mark.usefixtures("read_each_way")

ONE, TWO = f"location:{UUID(int=1)}", f"location:{UUID(int=2)}"
UPDATE = {"lat": 52.5, "lng": 13.4, "accuracy": 8, "timestamp": "2030-01-01T12:00:00Z"}
OK: dict[str, Any] = {"status": "ok", "response": {}}
NAMES = "join_ref", "ref", "topic", "event", "payload"


class Client:
    """``vsn`` 1.0.0 speaks objects, 2.0.0 arrays; five fields in the order of the latter here."""

    def __init__(self, raw: Raw, vsn: str) -> None:
        self.raw = raw
        self._arrays = vsn == "2.0.0"

    async def tell(self, *five: Any) -> None:
        message: Any = [*five] if self._arrays else dict(zip(NAMES, five, strict=True))
        await self.raw.send(client_frame(json.dumps(message).encode()))

    async def hear(self) -> list[Any]:
        first, payload = await self.raw.frame()
        assert first == 0x81
        message = json.loads(payload)
        assert isinstance(message, list) == self._arrays
        return message if self._arrays else [message[name] for name in NAMES]

    async def join(self, ref: Any, topic: str, token: str | None = None) -> None:
        await self.tell(ref, ref, topic, "phx_join", {} if token is None else {"token": token})
        joined = {"status": "joined", "session_id": topic.removeprefix("location:")}
        answer = {"status": "ok", "response": joined}
        assert await self.hear() == [ref, ref, topic, "phx_reply", answer]
        assert (await self.raw.frame())[1] == SNAPSHOT

    async def refused(self, ref: str, topic: str, token: str | None = None) -> str:
        """Join in vain; the reason."""
        await self.tell(ref, ref, topic, "phx_join", {} if token is None else {"token": token})
        join_ref, answered, about, event, payload = await self.hear()
        assert (join_ref, answered, about, event) == (ref, ref, topic, "phx_reply")
        assert payload["status"] == "error"
        reason: str = payload["response"]["reason"]
        return reason

    async def still_served(self) -> None:
        await self.tell(None, "h", "phoenix", "heartbeat", {})
        assert await self.hear() == [None, "h", "phoenix", "phx_reply", OK]


class World:
    def __init__(self, server: Server, rooms: Rooms) -> None:
        self.server = server
        self.first, self.second = rooms.of.values()

    @asynccontextmanager
    async def client(self, user: str = "1:ada", vsn: str = "2.0.0") -> AsyncIterator[Client]:
        async with raw_tcp(self.server) as raw:
            await raw.send(request(f"/socket/websocket?vsn={vsn}&token={user}"))
            head = await raw.head()
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"Sec-WebSocket-Protocol" not in head
            yield Client(raw, vsn)


@asynccontextmanager
async def a_world(limits: PoolLimits = QUICK) -> AsyncIterator[World]:
    rooms = Rooms()
    async with serving(limits, verifier=Tokens(), sessions=rooms) as server:
        yield World(server, rooms)


def connection_limits(**fields: Any) -> PoolLimits:
    return structs.replace(QUICK, connection=ConnectionLimits(outbox=QUICK_ENDS, **fields))


# --- a channel ------------------------------------------------------------------------------------


@pytest.mark.parametrize("vsn", ["1.0.0", "2.0.0"])
async def test_updates_go_both_ways_in_each_client_s_own_envelope(vsn: str) -> None:
    async with a_world() as world, world.client("1:ada", vsn) as ada, world.client("1:eve") as eve:
        await ada.join("7", ONE)
        await eve.join(3, ONE)
        await ada.tell("7", "12", ONE, "location_update", UPDATE)
        assert await ada.hear() == ["7", "12", ONE, "phx_reply", OK]
        assert await eve.hear() == [3, None, ONE, "location_update", UPDATE | {"user_id": "ada"}]
        await eve.tell(3, 4, ONE, "location_update", UPDATE | {"speed": 2})
        assert await eve.hear() == [3, 4, ONE, "phx_reply", OK]
        heard = await ada.hear()
        assert heard == ["7", None, ONE, "location_update", UPDATE | {"user_id": "eve", "speed": 2}]
        assert world.server.pool.statistics().messages_in["location_update"] == 2


async def test_an_update_without_a_ref_has_no_reply() -> None:
    async with a_world() as world, world.client() as client:
        await client.join("1", ONE)
        await client.tell("1", None, ONE, "location_update", UPDATE)
        await client.still_served()
        assert len(world.first.positions) == 1


@pytest.mark.parametrize("payload", [{}, None, {**UPDATE, "lat": 91}, {**UPDATE, "timestamp": 1}])
async def test_an_invalid_update_is_an_error_with_its_reason(payload: object) -> None:
    async with a_world() as world, world.client() as client:
        await client.join("1", ONE)
        await client.tell("1", "2", ONE, "location_update", payload)
        join_ref, ref, topic, event, answer = await client.hear()
        assert (join_ref, ref, topic, event) == ("1", "2", ONE, "phx_reply")
        assert answer["status"] == "error"
        assert answer["response"]["reason"] == "invalid_location_data"
        await client.tell("1", None, ONE, "location_update", payload)
        join_ref, ref, topic, event, answer = await client.hear()
        assert (join_ref, ref, topic, event) == ("1", None, ONE, "error")
        assert answer["reason"] == "invalid_location_data"
        assert world.first.positions == []


async def test_pings_and_heartbeats_are_answered() -> None:
    async with a_world() as world, world.client() as client:
        await client.still_served()
        await client.join("1", ONE)
        await client.tell("1", "2", ONE, "ping", {})
        assert await client.hear() == ["1", "2", ONE, "phx_reply", OK]
        await client.tell("1", None, ONE, "ping", {})
        assert await client.hear() == ["1", None, ONE, "pong", {}]
        assert world.server.pool.statistics().messages_in["ping"] == 3


async def test_leaving_the_channel_is_being_offline_and_not_leaving_the_session() -> None:
    async with a_world() as world, world.client() as client:
        await client.join("1", ONE)
        await client.tell("1", "2", ONE, "phx_leave", {})
        assert await client.hear() == ["1", "2", ONE, "phx_reply", OK]
        closed = await client.hear()
        assert closed == ["1", "1", ONE, "phx_close", {"reason": "peer_closed"}]
        assert (world.first.detached, world.first.left) == (["ada"], [])
        await client.tell("1", "3", ONE, "phx_leave", {})
        assert await client.hear() == ["1", "3", ONE, "phx_reply", OK]
        await client.join("4", ONE)


async def test_leaving_the_session_is_confirmed_and_ends_the_channel() -> None:
    async with a_world() as world, world.client() as client:
        await client.join("1", ONE)
        await client.tell("1", "2", ONE, "leave", {})
        assert await client.hear() == ["1", "2", ONE, "phx_reply", OK]
        assert await client.hear() == ["1", "1", ONE, "phx_close", {"reason": "left"}]
        assert world.first.left == ["ada"]
        await client.still_served()


@pytest.mark.parametrize(
    ("reason", "event"),
    [
        (CloseReason.SESSION_ENDED, "phx_close"),
        (CloseReason.REPLACED, "phx_close"),
        (CloseReason.FORBIDDEN, "phx_close"),
        (CloseReason.OVERLOADED, "phx_error"),
        (CloseReason.INTERNAL_ERROR, "phx_error"),
    ],
)
async def test_a_channel_that_the_session_ends_is_joined_again_where_that_can_succeed(
    reason: CloseReason, event: str
) -> None:
    async with a_world() as world, world.client() as client:
        await client.join("5", ONE)
        receiver = world.first.receivers["ada"]
        receiver.send_event(encode_frame(SessionEnded("expired"), receiver.dialect))
        receiver.close(reason)
        assert await client.hear() == ["5", None, ONE, "session_ended", {"reason": "expired"}]
        assert await client.hear() == ["5", "5", ONE, event, {"reason": reason.label}]
        await client.tell("5", "6", ONE, "location_update", UPDATE)
        unmatched = {"status": "error", "response": {"reason": "unmatched topic"}}
        assert await client.hear() == ["5", "6", ONE, "phx_reply", unmatched]
        assert world.server.pool.statistics().messages_in["bad"] == 0


@pytest.mark.parametrize(
    ("failure", "event"),
    [
        (SessionOver(), ["1", "1", ONE, "phx_close", {"reason": "session_ended"}]),
        (SessionUnavailable(), ["1", "1", ONE, "phx_error", {"reason": "overloaded"}]),
    ],
)
async def test_an_update_that_the_session_does_not_take_ends_the_channel(
    failure: Exception, event: list[object]
) -> None:
    async with a_world() as world, world.client() as client:
        await client.join("1", ONE)
        world.first.fail_update = failure
        await client.tell("1", "2", ONE, "location_update", UPDATE)
        assert await client.hear() == event
        await client.still_served()


# --- joins ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "token", "reason"),
    [
        (ONE, "forged", "unauthorized"),
        (ONE, "2:bob", "unauthorized"),
        (TWO, None, "unauthorized"),
        (ONE, "1:removed", "unauthorized"),
        (ONE, "1:no-session", "session_not_found"),
        ("location:nothing", None, "session_not_found"),
        ("location:" + "-" * 200 + UUID(int=1).hex, None, "session_not_found"),
        (ONE, "1:over", "session_ended"),
        (ONE, "1:no-store", "unavailable"),
        ("room:1", None, "unmatched topic"),
        ("", None, "unmatched topic"),
    ],
)
async def test_a_join_is_refused_with_a_reason_and_the_socket_lives_on(
    topic: str, token: str | None, reason: str
) -> None:
    async with a_world() as world, world.client() as client:
        assert await client.refused("1", topic, token) == reason
        await client.still_served()
        await client.join("2", ONE)


async def test_a_join_with_a_payload_that_is_no_object_is_invalid() -> None:
    async with a_world() as world, world.client() as client:
        await client.tell("1", "1", ONE, "phx_join", [])
        assert (await client.hear())[4]["response"]["reason"] == "invalid_message"
        assert world.first.receivers == {}


async def test_a_socket_has_room_for_twenty_channels() -> None:
    assert ConnectionLimits().max_subscriptions == 20
    async with a_world(connection_limits(max_subscriptions=1)) as world, world.client() as client:
        await client.join("1", ONE)
        assert await client.refused("2", TWO, "2:bob") == "full"
        await client.tell("1", "3", ONE, "location_update", UPDATE)
        assert await client.hear() == ["1", "3", ONE, "phx_reply", OK]


async def test_joining_too_often_is_refused_with_the_token_of_the_upgrade_also() -> None:
    limits = structs.replace(QUICK, reconnects=ReconnectLimits(burst=2))
    async with a_world(limits) as world, world.client() as client:  # the upgrade is the first
        for ref in "12":  # and counts for the first join
            await client.join(ref, ONE)
            await client.tell(ref, None, ONE, "phx_leave", {})
            assert (await client.hear())[3] == "phx_close"
        assert await client.refused("3", ONE) == "rate_limited"


async def test_a_second_join_of_a_topic_closes_the_first_channel() -> None:
    async with a_world() as world, world.client() as client:
        await client.join("1", ONE)
        first = world.first.receivers["ada"]
        await client.tell("8", "8", ONE, "phx_join", {})
        assert await client.hear() == ["1", "1", ONE, "phx_close", {"reason": "replaced"}]
        assert (await client.hear())[:4] == ["8", "8", ONE, "phx_reply"]
        assert (await client.raw.frame())[1] == SNAPSHOT
        assert (first.closed, world.first.detached) == (True, ["ada"])
        await client.tell("8", "9", ONE, "location_update", UPDATE)
        assert await client.hear() == ["8", "9", ONE, "phx_reply", OK]
        await client.tell("10", "10", ONE, "phx_join", {"token": "forged"})
        assert (await client.hear())[:4] == ["8", "8", ONE, "phx_close"]
        assert (await client.hear())[4]["response"]["reason"] == "unauthorized"
        assert world.first.receivers == {}


async def test_messages_with_the_ref_of_an_earlier_join_are_ignored() -> None:
    async with a_world() as world, world.client() as client:
        await client.join("4", ONE)
        for event in ("location_update", "phx_leave", "leave", "ping", "no such event"):
            await client.tell("3", "5", ONE, event, UPDATE)
        await client.still_served()
        assert world.first.positions == []
        assert not world.first.receivers["ada"].closed
        await client.tell(4, "6", ONE, "location_update", UPDATE)  # the number is the same one
        assert await client.hear() == [4, "6", ONE, "phx_reply", OK]
        await client.tell(None, "7", ONE, "location_update", UPDATE)
        assert await client.hear() == [None, "7", ONE, "phx_reply", OK]


async def test_one_socket_has_several_sessions() -> None:
    async with a_world() as world, world.client() as both, world.client("2:eve") as eve:
        await both.join("1", ONE)
        await both.join("2", TWO, "2:bob")
        await eve.join("1", TWO)
        await eve.tell("1", None, TWO, "location_update", UPDATE)
        assert await both.hear() == ["2", None, TWO, "location_update", UPDATE | {"user_id": "eve"}]
        await both.tell("1", "3", ONE, "phx_leave", {})
        assert [(await both.hear())[3] for _ in range(2)] == ["phx_reply", "phx_close"]
        await both.tell("2", "4", TWO, "location_update", UPDATE)
        assert await both.hear() == ["2", "4", TWO, "phx_reply", OK]
        assert await eve.hear() == ["1", None, TWO, "location_update", UPDATE | {"user_id": "bob"}]


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "event", "reason"),
    [
        (ONE, "shout", "unknown_type"),
        ("phoenix", "shout", "unknown_type"),
        (TWO, "location_update", "unmatched topic"),
    ],
)
async def test_a_push_that_nobody_knows_is_answered(topic: str, event: str, reason: str) -> None:
    async with a_world() as world, world.client() as client:
        await client.join("1", ONE)
        await client.tell("1", "2", topic, event, UPDATE)
        answer = (await client.hear())[4]
        assert (answer["status"], answer["response"]["reason"]) == ("error", reason)
        await client.still_served()


async def test_what_cannot_be_read_is_an_error_of_the_socket() -> None:
    async with a_world() as world, world.client() as client:
        await client.join("1", ONE)
        for frame in (
            client_frame(b"no JSON"),
            client_frame(b"{}"),
            client_frame(b"\x00", 2),
            client_frame(json.dumps(["1", "2", ONE, "ping", "x" * 5000]).encode()),
        ):
            await client.raw.send(frame)
        heard = [await client.hear() for _ in range(4)]
        assert [message[:4] for message in heard] == [[None, None, "phoenix", "error"]] * 4
        assert [message[4]["reason"] for message in heard] == [
            "invalid_message", "invalid_message", "binary_not_supported", "message_too_large",
        ]  # fmt: skip
        await client.still_served()


async def test_over_the_rate_one_push_gets_an_error_and_the_newest_position_is_held(
    mock_clock: trio.testing.MockClock,
) -> None:
    rates = RateLimits(position_rate=20, position_burst=1)
    async with a_world(connection_limits(rates=rates)) as world, world.client() as client:
        await client.join("1", ONE)
        for ref in ("2", "3", "4"):
            await client.tell("1", ref, ONE, "location_update", UPDATE | {"lat": int(ref)})
        assert await client.hear() == ["1", "2", ONE, "phx_reply", OK]
        answer = await client.hear()
        assert answer[:2] == ["1", "3"]
        assert answer[4]["response"]["reason"] == "rate_limited"
        await trio.testing.wait_all_tasks_blocked(0.01)
        mock_clock.jump(0.1)
        while len(world.first.positions) < 2:
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert [position.lat for _, position in world.first.positions] == [2, 4]


async def test_a_join_that_the_rate_drops_leaves_the_channel_as_it_was() -> None:
    rates = RateLimits(message_rate=0.001, message_burst=2)
    async with a_world(connection_limits(rates=rates)) as world, world.client() as client:
        await client.join("1", ONE)
        await client.tell("1", "2", ONE, "location_update", UPDATE)
        assert await client.hear() == ["1", "2", ONE, "phx_reply", OK]
        await client.tell("3", "3", ONE, "phx_join", {})
        assert (await client.hear())[4]["response"]["reason"] == "rate_limited"
        world.first.receivers["ada"].close(CloseReason.SESSION_ENDED)
        assert (await client.hear())[:4] == ["1", "1", ONE, "phx_close"]


async def test_a_flood_before_any_join_keeps_the_participant_away_for_a_while() -> None:
    rates = RateLimits(message_rate=1, message_burst=20, excess_forgiven=0.1, excess_tolerated=5)
    async with a_world(connection_limits(rates=rates)) as world:
        async with world.client() as client:
            await client.raw.send(client_frame(b"", 9) * 50)
            assert await client.raw.close_code() == 4429
        async with raw_tcp(world.server) as raw:
            await raw.send(request("/ws?token=1:ada"))
            assert (await raw.head()).startswith(b"HTTP/1.1 429 ")


@pytest.mark.parametrize("query", ["vsn=3.0.0&token=1:ada", "vsn=2.0.0", "vsn=2.0.0&token=forged"])
async def test_a_refused_upgrade_is_a_status(query: str) -> None:
    status = {"3.0": b"400", "2.0": b"401"}[query[4:7]]
    async with a_world() as world, raw_tcp(world.server) as raw:
        await raw.send(request(f"/socket/websocket?{query}"))
        assert (await raw.head()).startswith(b"HTTP/1.1 " + status)
        await world.server.all_gone()


async def test_a_browser_with_an_unknown_version_gets_a_close_code() -> None:
    headers = ["Origin: http://a", "Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.MTphZGE"]
    async with a_world() as world, raw_tcp(world.server) as raw:
        await raw.send(request("/socket/websocket?vsn=3.0.0", headers=headers))
        assert b"Sec-WebSocket-Protocol: phoenix\r\n" in await raw.head() + b"\r\n"
        assert await raw.close_code() == 4400


async def test_the_token_in_the_subprotocol_admits() -> None:
    headers = ["Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.MTphZGE"]
    async with a_world() as world, raw_tcp(world.server) as raw:
        await raw.send(request("/socket/websocket?vsn=2.0.0", headers=headers))
        assert b"Sec-WebSocket-Protocol: phoenix" in await raw.head()
        await Client(raw, "2.0.0").join("1", ONE)


# --- without a socket -----------------------------------------------------------------------------


def read_frame(frame: bytes) -> Any:
    """The JSON in one text frame of less than 64 KiB."""
    return json.loads(frame[4 if frame[1] == 126 else 2 :])


def test_every_refusal_has_a_reason_that_the_protocol_names() -> None:
    documented = {
        "unauthorized", "session_not_found", "session_ended", "full", "rate_limited", "unavailable",
    }  # fmt: skip
    found = set()
    for each in Refusal:
        dialect = PhoenixSocketDialect(ARRAYS)
        dialect.receive(json.dumps(["1", "1", ONE, "phx_join", {}]))
        found.add(read_frame(dialect.refused(ONE, each))[4]["response"]["reason"])
    assert found == documented


def test_the_end_of_a_channel_is_written_once() -> None:
    dialect = PhoenixSocketDialect(ARRAYS)
    dialect.receive(json.dumps(["1", "1", ONE, "phx_join", {}]))
    dialect.subscribed(ONE)
    assert dialect.ended(ONE, CloseReason.REPLACED)
    assert dialect.ended(ONE, CloseReason.REPLACED) == b""


REFS = st.none() | st.sampled_from(["1", "2"]) | st.integers(0, 3)
PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([UPDATE]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
MESSAGES = st.tuples(
    REFS,
    REFS,
    st.sampled_from([ONE, TWO, "phoenix", "location:", ""]) | st.text(max_size=5),
    st.sampled_from(
        ["phx_join", "phx_leave", "heartbeat", "location_update", "ping", "leave", "phx_reply"]
    ),
    PAYLOADS,
)


@given(st.lists(MESSAGES, max_size=8), st.sampled_from([ARRAYS, OBJECTS]))
def test_whatever_is_sent_each_answer_repeats_the_refs_of_its_message(
    messages: list[tuple[Any, ...]], serializer: Serializer
) -> None:
    dialect = PhoenixSocketDialect(serializer)
    for five in messages:
        join_ref, ref, topic, _, _ = five
        frame = b""
        try:
            written = [*five] if serializer is ARRAYS else dict(zip(NAMES, five, strict=True))
            effect = dialect.receive(json.dumps(written))
        except InvalidMessage as error:
            frame = dialect.error(error.code, error.text)
            assert frame
        else:
            match effect:
                case Subscribe():
                    frame = dialect.subscribed(effect.topic)
                case Answer() | Reply() | Unsubscribe() | Move():
                    frame = effect.frame
        if frame:
            answer = read_frame(frame)
            values = answer if serializer is ARRAYS else [answer[name] for name in NAMES]
            assert values[1:3] == [ref, topic]
            if ref is not None:
                assert (values[0], values[3]) == (join_ref, "phx_reply")
