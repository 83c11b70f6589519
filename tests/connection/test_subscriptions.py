"""Any number of subscriptions on one socket, with a dialect of these tests that names them.

Everything but the dialect is the real connection: pool, task, transport, outbox.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
import trio
import trio.testing
from msgspec import structs

from locshare.broadcast.backlog import Topic
from locshare.broadcast.fanout import Flush, text_frame
from locshare.broadcast.outbox import OutboxLimits
from locshare.connection.context import ConnectionLimits
from locshare.connection.dialect import (
    DEFAULT_DIALECTS,
    Answer,
    Effect,
    LeaveSession,
    Move,
    Subscribe,
    Unsubscribe,
)
from locshare.connection.pool import PoolLimits, ReconnectLimits
from locshare.connection.rate_policy import RateLimits
from locshare.connection.refusal import Refusal
from locshare.connection.transport_limits import TransportLimits
from locshare.model.position import ParticipantPosition, Position
from locshare.model.reasons import CloseReason
from locshare.session.errors import ParticipantNotFound, SessionOver
from locshare.wire.dialects import Dialect, InvalidMessage, Shorthand
from locshare.wire.messages import ErrorCode, ServerMessage
from locshare.wire.plain import PLAIN
from tests.connection.kit import (
    QUICK,
    QUICK_ENDS,
    SNAPSHOT,
    Rooms,
    Server,
    Tokens,
    an_update,
    raw_tcp,
    serving,
)
from tests.sockets import Raw, client_frame, request

pytestmark = pytest.mark.usefixtures("read_each_way")

NAME = "test.several"


@dataclass(unsafe_hash=True)
class Tagged:
    """`[topic, type, data]`: equal for equal topics, so that their subscribers share a frame."""

    topic: Topic
    name: str = NAME
    binary: bool = False
    encode_batch: None = None

    def in_session(self, _shorthand: Shorthand) -> "Tagged":
        return self

    def encode(self, message: ServerMessage) -> bytes:
        plain = json.loads(PLAIN.encode(message))
        return json.dumps([self.topic, plain["type"], plain["data"]]).encode()

    def encode_position(self, user_id: str, position: Position, age_ms: int | None) -> bytes:
        return self.encode(ParticipantPosition.of(user_id, position, age_ms))


class Several:
    """Client: `[topic, event, payload]` with join, part, leave, move and ping."""

    label: Final = "plain"
    subscribes_at_once = False
    reads_binary = False

    def receive(self, message: str | bytes) -> Effect:
        topic, event, payload = json.loads(message)
        match event:
            case "join":
                return Subscribe(topic, payload)
            case "part":
                return Unsubscribe(topic, say(topic, "parted"))
            case "leave":
                return LeaveSession(topic)
            case "ping":
                return Answer(say(topic, "pong"))
            case "move":
                update = PLAIN.decode(an_update(lat=payload))
                assert isinstance(update, Position)
                return Move(topic, update)
        raise InvalidMessage("UNKNOWN_TYPE", "no such event")

    def written(self, topic: Topic) -> Dialect:
        return Tagged(topic)

    def error(self, code: ErrorCode, text: str) -> bytes:
        return say(None, "error", code)

    def subscribed(self, topic: Topic) -> bytes:
        return say(topic, "joined")

    def refused(self, topic: Topic, refusal: Refusal) -> bytes:
        return say(topic, "refused", refusal.code)

    def ended(self, topic: Topic, reason: CloseReason) -> bytes:
        return say(topic, "ended", reason.label)


def say(topic: Topic, event: str, payload: object = None) -> bytes:
    return text_frame(json.dumps([topic, event, payload]).encode())


class Client:
    def __init__(self, raw: Raw) -> None:
        self.raw = raw

    async def tell(self, topic: str, event: str, payload: object = None) -> None:
        await self.raw.send(client_frame(json.dumps([topic, event, payload]).encode()))

    async def hear(self) -> Any:
        first, payload = await self.raw.frame()
        assert first == 0x81
        return json.loads(payload)

    async def join(self, topic: str, token: str | None) -> None:
        await self.tell(topic, "join", token)
        assert await self.hear() == [topic, "joined", None]
        assert (await self.raw.frame())[1] == SNAPSHOT

    async def position(self) -> tuple[str, str, float]:
        """Topic, user and latitude of the next position."""
        topic, event, data = await self.hear()
        assert event == "location_update"
        return topic, data["user_id"], data["lat"]

    async def still_served(self) -> None:
        await self.tell("-", "ping")
        assert await self.hear() == ["-", "pong", None]


class World:
    def __init__(self, server: Server, rooms: Rooms) -> None:
        self.server = server
        self.first, self.second = rooms.of.values()

    @asynccontextmanager
    async def client(self, admitted_as: str = "1:ada") -> AsyncIterator[Client]:
        async with raw_tcp(self.server, receive_buffer=4096) as raw:
            headers = [f"Sec-WebSocket-Protocol: {NAME}"]
            await raw.send(request(f"/ws?token={admitted_as}", headers=headers))
            assert f"Sec-WebSocket-Protocol: {NAME}".encode() in await raw.head()
            yield Client(raw)

    @asynccontextmanager
    async def in_both(self) -> AsyncIterator[Client]:
        """A client of both sessions: as ada in the first, as bob in the second."""
        async with self.client() as client:
            await client.join("one", "1:ada")
            await client.join("two", "2:bob")
            yield client


@asynccontextmanager
async def a_world(limits: PoolLimits = QUICK) -> AsyncIterator[World]:
    rooms = Rooms()
    dialects = {**DEFAULT_DIALECTS, NAME: Several}
    async with serving(limits, verifier=Tokens(), sessions=rooms, dialects=dialects) as server:
        yield World(server, rooms)


async def test_a_socket_serves_two_sessions_and_each_position_names_its_own() -> None:
    async with a_world() as world, world.in_both() as both, world.client("1:eve") as eve:
        await eve.join("a", "1:eve")
        await both.tell("one", "move", 11)
        assert await eve.position() == ("a", "ada", 11)
        await both.tell("two", "move", 22)
        await eve.tell("a", "move", 33)
        assert await both.position() == ("one", "eve", 33)
        assert [position.lat for _, position in world.first.positions] == [11, 33]
        assert [(user, position.lat) for user, position in world.second.positions] == [("bob", 22)]
        assert world.server.pool.statistics().opened == 2, "two sockets, three subscriptions"


async def test_after_one_subscription_is_given_up_the_other_goes_on() -> None:
    async with a_world() as world, world.in_both() as both:
        gone, left = world.first.receivers["ada"], world.second.receivers["bob"]
        await both.tell("one", "part")
        assert await both.hear() == ["one", "parted", None]
        assert await both.hear() == ["one", "ended", "peer_closed"]
        assert (gone.closed, left.closed) == (True, False)
        assert (world.first.detached, world.second.detached) == (["ada"], [])
        gone.send_event(say("one", "too late"))
        gone.send_positions(Flush({"eve": say("one", "too late")}))
        left.send_event(say("two", "news"))
        assert await both.hear() == ["two", "news", None]
        await both.tell("two", "move", 5)
        await both.still_served()
        await both.tell("one", "move", 5)
        assert await both.hear() == [None, "error", "INVALID_MESSAGE"]
        assert len(world.second.positions) == 1


async def test_the_end_of_one_session_ends_its_subscription_only() -> None:
    async with a_world() as world, world.in_both() as both:
        receiver = world.first.receivers["ada"]
        receiver.close(CloseReason.SESSION_ENDED)
        receiver.close(CloseReason.REPLACED)
        assert world.first.detached == [], "the session is not called back from its own call"
        assert await both.hear() == ["one", "ended", "session_ended"]
        await trio.testing.wait_all_tasks_blocked()
        assert (world.first.detached, world.second.detached) == (["ada"], [])
        await both.still_served()
        assert not world.second.receivers["bob"].closed


async def test_a_session_that_is_over_when_a_position_comes_ends_its_subscription_only() -> None:
    async with a_world() as world, world.in_both() as both:
        world.first.fail_update = SessionOver()
        await both.tell("one", "move", 1)
        assert await both.hear() == ["one", "ended", "session_ended"]
        await both.tell("two", "move", 2)
        await both.still_served()
        assert len(world.second.positions) == 1


async def test_a_session_that_is_over_when_its_participant_leaves_ends_its_subscription_only() -> (
    None
):
    async with a_world() as world, world.in_both() as both:
        world.first.fail_leave = SessionOver()
        await both.tell("one", "leave")
        assert await both.hear() == ["one", "ended", "session_ended"]
        await both.still_served()


async def test_a_session_that_refuses_its_participant_ends_the_subscription() -> None:
    async with a_world() as world, world.client() as client:
        world.first.fail_attach = ParticipantNotFound()
        await client.tell("one", "join", "1:ada")
        assert await client.hear() == ["one", "joined", None]
        assert await client.hear() == ["one", "ended", "forbidden"]
        await client.still_served()


async def test_leaving_one_session_does_not_leave_the_other() -> None:
    async with a_world() as world, world.in_both() as both:
        await both.tell("one", "leave")
        assert await both.hear() == ["one", "ended", "left"]
        await both.still_served()
        assert (world.first.left, world.second.left) == (["ada"], [])


async def test_closing_the_socket_ends_every_subscription_and_is_counted_once() -> None:
    async with a_world() as world:
        async with world.in_both() as both:
            receivers = world.first.receivers["ada"], world.second.receivers["bob"]
            await both.raw.send(client_frame(b"\x03\xe8", 8))
            assert await both.raw.close_code() == 1000
            await both.raw.end()
        await world.server.all_gone()
        assert all(receiver.closed for receiver in receivers)
        assert (world.first.detached, world.second.detached) == (["ada"], ["bob"])
        assert world.server.closed() == {"peer_closed": 1}


async def test_our_close_ends_every_subscription() -> None:
    async with a_world() as world:
        async with world.in_both() as both:
            (connection,) = world.server.pool._connections()
            connection.close(CloseReason.RESTART)
            assert await both.raw.close_code() == 1012
        await world.server.all_gone()
        assert (world.first.detached, world.second.detached) == (["ada"], ["bob"])
        assert world.server.closed() == {"restart": 1}


async def test_a_crash_of_the_connection_ends_every_subscription() -> None:
    async with a_world() as world:
        async with world.in_both() as both:
            receivers = world.first.receivers["ada"], world.second.receivers["bob"]
            world.first.fail_update = RuntimeError("a bug")
            await both.tell("one", "move", 1)
            assert await both.raw.close_code() == 1011
            assert all(receiver.closed for receiver in receivers)
        await world.server.all_gone()
        assert world.server.closed() == {"internal_error": 1}


async def test_every_held_position_is_handed_on_when_the_client_closes() -> None:
    rates = RateLimits(position_rate=0.001, position_burst=1)
    limits = structs.replace(QUICK, connection=ConnectionLimits(outbox=QUICK_ENDS, rates=rates))
    async with a_world(limits) as world:
        async with world.in_both() as both:
            moves = [["one", "move", 1], ["one", "move", 2], ["two", "move", 3]]
            frames = [client_frame(json.dumps(move).encode()) for move in moves]
            await both.raw.send(b"".join(frames) + client_frame(b"\x03\xe8", 8))
            assert await both.raw.close_code() == 1000
        await world.server.all_gone()
        assert [position.lat for _, position in world.first.positions] == [1, 2]
        assert [position.lat for _, position in world.second.positions] == [3]


async def test_a_slow_reader_loses_the_socket_with_everything_on_it() -> None:
    limits = PoolLimits(
        connection=ConnectionLimits(
            transport=TransportLimits(send_buffer_bytes=4096),
            outbox=OutboxLimits(linger=0.1, max_bytes=20_000),
        )
    )
    async with a_world(limits) as world, world.in_both():
        one, two = world.first.receivers["ada"], world.second.receivers["bob"]
        while not one.closed:
            one.send_event(text_frame(b"x" * 100))
        assert two.closed
        await world.server.all_gone()
        assert world.server.closed() == {"too_slow": 1}
        assert (world.first.detached, world.second.detached) == (["ada"], ["bob"])


async def test_while_the_socket_is_full_one_session_does_not_replace_a_position_of_another() -> (
    None
):
    """The same person may be in both, by the same id."""
    limits = PoolLimits(
        connection=ConnectionLimits(transport=TransportLimits(send_buffer_bytes=4096))
    )
    async with a_world(limits) as world, world.in_both() as both:
        one, two = world.first.receivers["ada"], world.second.receivers["bob"]
        filler = 0
        while not world.server.pool.statistics().blocked:
            one.send_event(say("one", "filler", "x" * 1000))
            filler += 1
        for version in range(3):
            one.send_positions(Flush({"eve": say("one", "position", version)}))
            two.send_positions(Flush({"eve": say("two", "position", version)}))
        for _ in range(filler):
            assert (await both.hear())[1] == "filler"
        assert await both.hear() == ["one", "position", 2]
        assert await both.hear() == ["two", "position", 2]


async def test_a_refused_subscription_is_answered_and_the_socket_lives_on() -> None:
    limits = PoolLimits(
        connection=ConnectionLimits(outbox=QUICK_ENDS, max_subscriptions=1), drain_deadline=1.0
    )
    async with a_world(limits) as world, world.client() as client:
        await client.tell("x", "join", "forged")
        assert await client.hear() == ["x", "refused", "TOKEN_INVALID"]
        await client.tell("x", "join", "1:over")
        assert await client.hear() == ["x", "refused", "SESSION_ENDED"]
        await client.join("x", "1:ada")
        await client.tell("y", "join", "2:bob")
        assert await client.hear() == ["y", "refused", "OVERLOADED"]
        await client.still_served()
        assert world.second.receivers == {}


async def test_subscribing_too_often_is_refused() -> None:
    limits = structs.replace(QUICK, reconnects=ReconnectLimits(burst=2))
    async with a_world(limits) as world, world.client() as client:  # the upgrade counts too
        await client.join("x", "1:ada")
        await client.tell("y", "join", "1:ada")
        assert await client.hear() == ["y", "refused", "RATE_LIMITED"]


async def test_of_positions_over_the_rate_the_newest_of_each_subscription_is_held(
    mock_clock: trio.testing.MockClock,
) -> None:
    rates = RateLimits(position_rate=20, position_burst=1)
    limits = structs.replace(QUICK, connection=ConnectionLimits(outbox=QUICK_ENDS, rates=rates))
    async with a_world(limits) as world, world.in_both() as both, world.client("1:eve") as eve:
        await eve.join("a", "1:eve")
        await eve.join("b", "2:eve")
        moves = [["one", "move", 1], ["two", "move", 2], ["one", "move", 3], ["two", "move", 4]]
        frames = [client_frame(json.dumps(move).encode()) for move in moves]
        await both.raw.send(b"".join(frames))
        heard = [await eve.position()]
        for _ in range(2):
            await trio.testing.wait_all_tasks_blocked(0.01)
            mock_clock.jump(0.051)
            heard.append(await eve.position())
        assert heard == [("a", "ada", 1), ("b", "bob", 4), ("a", "ada", 3)]


async def test_the_token_of_the_upgrade_can_be_subscribed_to_without_another() -> None:
    async with a_world() as world, world.client("2:bob") as client:
        await client.still_served()
        assert world.second.receivers == {}, "nothing is subscribed to yet"
        await client.join("mine", None)
        assert list(world.second.receivers) == ["bob"]


async def test_a_topic_that_is_joined_again_is_the_new_subscription() -> None:
    async with a_world() as world, world.client() as client:
        await client.join("x", "1:ada")
        await client.tell("x", "join", "2:bob")
        assert await client.hear() == ["x", "ended", "replaced"]
        assert await client.hear() == ["x", "joined", None]
        assert (await client.raw.frame())[1] == SNAPSHOT
        assert (world.first.detached, list(world.second.receivers)) == (["ada"], ["bob"])


async def test_a_subscription_that_is_opened_while_the_socket_closes_is_given_up() -> None:
    async with a_world() as world:
        async with world.client() as client:
            hold = world.second.hold_open = trio.Event()
            await client.tell("two", "join", "2:bob")
            await trio.testing.wait_all_tasks_blocked()
            (connection,) = world.server.pool._connections()
            connection.close(CloseReason.RESTART)
            hold.set()
            assert await client.raw.close_code() == 1012
        await world.server.all_gone()
        assert world.second.detached == ["bob"]


async def test_a_message_for_what_is_not_subscribed_is_a_bad_one() -> None:
    async with a_world() as world, world.client() as client:
        for event in ("move", "leave"):
            await client.tell("nowhere", event, 1)
            assert await client.hear() == [None, "error", "INVALID_MESSAGE"]
        await client.tell("nowhere", "part")
        await client.still_served()
        assert world.server.pool.statistics().messages_in["bad"] == 2


async def test_a_flood_keeps_every_participant_of_the_socket_away_for_a_while() -> None:
    rates = RateLimits(message_rate=1, message_burst=20, excess_forgiven=0.1, excess_tolerated=5)
    limits = PoolLimits(
        connection=ConnectionLimits(outbox=QUICK_ENDS, rates=rates), drain_deadline=1.0
    )
    async with a_world(limits) as world:
        async with world.in_both() as both:
            await both.raw.send(client_frame(b"", 9) * 50)
            assert await both.raw.close_code() == 4429
        for token in ("1:ada", "2:bob"):
            async with raw_tcp(world.server) as raw:
                await raw.send(request(f"/ws?token={token}"))
                assert (await raw.head()).startswith(b"HTTP/1.1 429 ")


async def test_a_plain_socket_beside_it_has_its_one_subscription_at_once() -> None:
    async with a_world() as world, raw_tcp(world.server) as raw:
        await raw.send(request("/ws?token=2:bob"))
        assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
        assert (await raw.frame())[1] == SNAPSHOT
        world.second.receivers["bob"].close(CloseReason.SESSION_ENDED)
        assert await raw.close_code() == 4410


class Binary(Several):
    """The same in binary messages, both ways."""

    reads_binary = True

    def receive(self, message: str | bytes) -> Effect:
        if isinstance(message, str):
            raise InvalidMessage("INVALID_MESSAGE", "only binary frames are")
        return super().receive(message)

    def written(self, topic: Topic) -> Dialect:
        return Tagged(topic, binary=True)


async def test_a_binary_dialect_reads_and_writes_binary_frames_and_refuses_text() -> None:
    rooms = Rooms()
    async with (
        serving(QUICK, verifier=Tokens(), sessions=rooms, dialects={NAME: Binary}) as server,
        World(server, rooms).client() as client,
        World(server, rooms).client("1:eve") as eve,
    ):
        for who, token in ((client, "1:ada"), (eve, "1:eve")):
            await who.raw.send(client_frame(json.dumps(["x", "join", token]).encode(), 2))
            assert await who.hear() == ["x", "joined", None]
            assert (await who.raw.frame())[1] == SNAPSHOT
        await client.raw.send(client_frame(json.dumps(["x", "move", 12]).encode(), 2))
        first, payload = await eve.raw.frame()
        assert (first, json.loads(payload)[2]["lat"]) == (0x82, 12)
        await eve.tell("x", "move", 1)
        assert await eve.hear() == [None, "error", "INVALID_MESSAGE"]
