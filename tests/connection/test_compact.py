"""The compact dialect on real connections into a real session, beside plain and Phoenix clients."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
import trio

from locshare.auth.tokens import TokenInvalid
from locshare.broadcast.fanout import binary_frame, encode_flush
from locshare.broadcast.outbox import OutboxLimits
from locshare.connection.context import ConnectionLimits
from locshare.connection.pool import PoolLimits
from locshare.connection.transport_limits import TransportLimits
from locshare.model.position import HeldPosition, Position
from locshare.session.limits import SessionLimits
from locshare.wire.compact import COMPACT, TYPES
from locshare.wire.dialects import Shorthand
from tests.connection.kit import SNAPSHOT, Claims, Server, an_update, raw_tcp, serving
from tests.running import LAST_RESORT_S
from tests.session.kit import LIMITS, START, House, house
from tests.sockets import Raw, client_frame, request
from tests.wire.compact_kit import Reader

pytestmark = pytest.mark.usefixtures("read_each_way")

PROTOCOL = f"Sec-WebSocket-Protocol: {COMPACT.name}"
FIX_MS = 1_772_366_400_000  # START


class Tokens:
    """`session:user`."""

    def verify(self, token: str) -> Claims:
        session, separator, user_id = token.partition(":")
        if not separator:
            raise TokenInvalid("not one of ours")
        return Claims(user_id, UUID(session))


class Phone:
    """A compact client, which reads as the documentation says."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.lats: dict[str, float] = {}
        self._reader = Reader()

    async def tell(self, *message: object) -> None:
        await self.raw.send(client_frame(msgspec.msgpack.encode(message), 2))

    async def move(self, lat: float) -> None:
        await self.tell(1, round(lat * 1e7), 134_050_000, FIX_MS, 8)

    async def hear(self) -> tuple[str, Any]:
        first, payload = await self.raw.frame()
        assert first == 0x82
        kind, data = self._reader.read(payload)
        if kind == TYPES["location_update"]:
            self.lats |= {each["user_id"]: each["lat"] for each in data}
        return next(name for name, number in TYPES.items() if number == kind), data

    async def until(self, wanted: str) -> Any:
        while True:
            kind, data = await self.hear()
            if kind == wanted:
                return data

    async def sees(self, user_id: str, lat: float) -> None:
        while self.lats.get(user_id) != lat:
            await self.hear()


class World:
    """A session of the real manager behind real sockets."""

    def __init__(self, home: House, server: Server, session: UUID) -> None:
        self.home = home
        self.server = server
        self.session = session

    async def upgraded(self, raw: Raw, target: str, headers: Sequence[str] = ()) -> bytes:
        await raw.send(request(target, headers=headers))
        head = await raw.head()
        assert head.startswith(b"HTTP/1.1 101 ")
        return head

    @asynccontextmanager
    async def phone(self, user_id: str) -> AsyncIterator[tuple[Phone, dict[str, int]]]:
        """A compact client and the numbers that its snapshot announces."""
        async with raw_tcp(self.server) as raw:
            head = await self.upgraded(raw, f"/ws?token={self.session}:{user_id}", [PROTOCOL])
            assert PROTOCOL.encode() in head
            phone = Phone(raw)
            kind, snapshot = await phone.hear()
            assert kind == "session_state"
            yield phone, {each["user_id"]: each["number"] for each in snapshot["participants"]}

    @asynccontextmanager
    async def plain(self, user_id: str) -> AsyncIterator[Raw]:
        async with raw_tcp(self.server) as raw:
            await self.upgraded(raw, f"/ws?token={self.session}:{user_id}")
            assert json.loads((await raw.frame())[1])["type"] == "session_state"
            yield raw

    @asynccontextmanager
    async def phoenix(self, user_id: str) -> AsyncIterator[Raw]:
        async with raw_tcp(self.server) as raw:
            token = f"{self.session}:{user_id}"
            await self.upgraded(raw, f"/socket/websocket?vsn=2.0.0&token={token}")
            join = ["1", "1", f"location:{self.session}", "phx_join", {}]
            await raw.send(client_frame(json.dumps(join).encode()))
            await heard(raw, lambda message: message[3] == "session_state")
            yield raw


async def heard(raw: Raw, is_it: Any) -> Any:
    """The first message of JSON that is it."""
    while True:
        first, payload = await raw.frame()
        assert first == 0x81
        if is_it(message := json.loads(payload)):
            return message


@asynccontextmanager
async def a_world(limits: SessionLimits | None = None) -> AsyncIterator[World]:
    async with (
        house(limits or LIMITS) as home,
        serving(verifier=Tokens(), sessions=home.manager) as server,
    ):
        yield World(home, server, await home.session())


async def test_compact_plain_and_phoenix_clients_see_each_other_in_one_session() -> None:
    async with a_world() as world:
        ada, bo, cy = [await world.home.join(world.session, name) for name in ("Ada", "Bo", "Cy")]
        async with (
            world.phone(ada) as (compact, numbers),
            world.plain(bo) as plain,
            world.phoenix(cy) as phoenix,
        ):
            assert numbers == {ada: 0, bo: 1, cy: 2}
            await compact.move(52.5)
            told = await heard(plain, lambda message: message["type"] == "location_update")
            update = json.loads(an_update(52.5))["data"]
            update |= {"user_id": ada, "timestamp": "2026-03-01T12:00:00Z"}
            update.pop("age_ms", None)
            told["data"].pop("age_ms", None)
            assert told["data"] == update
            told = await heard(phoenix, lambda message: message[3] == "location_update")
            told[4].pop("age_ms", None)
            assert told[4] == update
            await plain.send(client_frame(an_update(1.5, timestamp=START.isoformat())))
            await compact.sees(bo, 1.5)
            push = json.loads(an_update(2.5, timestamp=START.isoformat()))["data"]
            message = ["1", "2", f"location:{world.session}", "location_update", push]
            await phoenix.send(client_frame(json.dumps(message).encode()))
            await compact.sees(cy, 2.5)
            assert ada not in compact.lats, "alone in its flush, a sender does not get it back"


async def test_pings_errors_and_leaving_are_as_in_the_plain_dialect() -> None:
    async with a_world() as world:
        ada, bo = [await world.home.join(world.session, name) for name in ("Ada", "Bo")]
        async with world.phone(ada) as (phone, _), world.phone(bo) as (other, _):
            await phone.tell(2)
            assert await phone.until("pong") == {}
            for message, code in (([7], "UNKNOWN_TYPE"), ([1, None], "INVALID_LOCATION")):
                await phone.tell(*message)
                assert (await phone.until("error"))["code"] == code
            await phone.raw.send(client_frame(b"[2]"))
            assert (await phone.until("error"))["code"] == "INVALID_MESSAGE"
            await phone.tell(3)
            assert await other.until("participant_left") == {
                "user_id": ada,
                "reason": "left",
                "seq": 5,
            }
            assert await phone.raw.close_code() == 1000


async def test_numbers_and_the_time_base_survive_a_crash_of_the_session() -> None:
    async with a_world() as world:
        ada, bo = [await world.home.join(world.session, name) for name in ("Ada", "Bo")]
        async with world.phone(ada) as (first, numbers), world.phone(bo) as (second, _):
            await world.home.crash(world.session)
            await first.move(1.5)
            await second.move(2.5)
            await first.sees(bo, 2.5)
            await second.sees(ada, 1.5)
            cy = await world.home.join(world.session, "Cy")
            joined = await first.until("participant_joined")
            assert (joined["user_id"], joined["number"]) == (cy, 2)
            async with world.phone(cy) as (third, later):
                assert later == numbers | {cy: 2}
                await third.move(3.5)
                await first.sees(cy, 3.5)
            assert world.home.manager.statistics().restarts == 1


async def test_a_number_is_never_given_to_another_participant() -> None:
    async with a_world(SessionLimits(max_participants=5, kept_events=3)) as world:
        ada = await world.home.join(world.session, "Ada")
        seen: set[int] = set()
        async with world.phone(ada) as (phone, numbers):
            for turn in range(4):
                other = await world.home.join(world.session, "Bo")
                number = (await phone.until("participant_joined"))["number"]
                assert number not in {*seen, *numbers.values()}
                seen.add(number)
                async with world.phone(other) as (guest, _):
                    await guest.move(turn)
                    await phone.sees(other, turn)
                    await guest.tell(3)
                    assert (await phone.until("participant_left"))["user_id"] == other
                if turn % 2:
                    await world.home.crash(world.session)
        table = world.home.table(world.session)
        joined = table.log.joined()
        assert len(joined) <= 1
        assert len(table.numbers) <= 2 + len(joined), "those of former members are forgotten"


async def test_a_slow_receiver_that_reads_again_has_everyone_s_newest_position_and_all_events() -> (
    None
):
    limits = PoolLimits(
        drain_deadline=1.0,
        connection=ConnectionLimits(
            transport=TransportLimits(send_buffer_bytes=4096), outbox=OutboxLimits(linger=0.2)
        ),
    )
    users = [f"u{n}" for n in range(40)]
    dialect = COMPACT.in_session(
        Shorthand(datetime(2030, 1, 1, tzinfo=UTC), {user: n for n, user in enumerate(users)})
    )

    def flush_of(number: int, who: Sequence[str] = users) -> Any:
        at = HeldPosition(
            Position(number / 1000, 2.0, None, datetime(2030, 1, 1, tzinfo=UTC)), 0.0, 0.0
        )
        return encode_flush(dict.fromkeys(who, at), 0.0, dialect)

    async with (
        serving(limits) as server,
        raw_tcp(server, receive_buffer=4096) as raw,
    ):
        await raw.send(request("/ws?token=slow", headers=[PROTOCOL]))
        await raw.head()
        assert await raw.frame() == (0x81, SNAPSHOT)
        receiver = server.room.receivers["slow"]
        number = 0
        while not server.pool.statistics().blocked:
            number += 1
            receiver.send_positions(flush_of(number))
        for event in range(10):
            number += 1
            receiver.send_positions(flush_of(number))
            receiver.send_event(binary_frame(msgspec.msgpack.encode((100, event))))
        number += 1
        receiver.send_positions(flush_of(number, users[:20]))  # the others moved before
        receiver.send_event(binary_frame(msgspec.msgpack.encode((100, "last"))))
        waiting = server.pool.statistics().backlog_bytes
        assert waiting < 60 * (128 + 40) + 8192, "one frame for each participant and event"

        newest: dict[int, int] = {}
        events: list[object] = []
        with trio.fail_after(LAST_RESORT_S):
            while "last" not in events:
                first, payload = await raw.frame()
                assert first == 0x82
                kind, data = msgspec.msgpack.decode(payload)
                if kind == 100:
                    events.append(data)
                    continue
                for row in data:
                    assert row[1] >= newest.get(row[0], 0), "never an older one"
                    newest[row[0]] = row[1]
        assert events == [*range(10), "last"]
        assert newest == {n: (number if n < 20 else number - 1) * 10_000 for n in range(len(users))}
        receiver.send_positions(flush_of(number + 1))
        _, payload = await raw.frame()
        assert len(msgspec.msgpack.decode(payload)[1]) == len(users), "one frame per flush again"
