"""Pace, presence and coming back on real sockets into a real session, in each dialect."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing
from msgspec import structs

from locshare.model.position import Position
from tests.connection.kit import an_update, raw_tcp
from tests.connection.test_compact import PROTOCOL, Phone, World, a_world, heard
from tests.session.kit import LIMITS, START
from tests.sockets import Raw, client_frame


class Client:
    """One way to say and hear the same: type and data."""

    def __init__(self, world: World, raw: Raw) -> None:
        self.world, self.raw = world, raw

    async def tell(self, kind: str, **data: Any) -> None:
        raise NotImplementedError

    async def hear(self) -> tuple[str, Any]:
        raise NotImplementedError

    async def until(self, wanted: str, **fields: Any) -> Any:
        while True:
            kind, data = await self.hear()
            if kind == wanted and (kind == "location_update" or fields.items() <= data.items()):
                return data


class Plain(Client):
    async def tell(self, kind: str, **data: Any) -> None:
        await self.raw.send(client_frame(json.dumps({"type": kind, "data": data}).encode()))

    async def hear(self) -> tuple[str, Any]:
        first, payload = await self.raw.frame()
        assert first == 0x81
        message = json.loads(payload)
        return message["type"], message["data"]


class Channel(Client):
    async def tell(self, kind: str, **data: Any) -> None:
        message = ["1", "7", f"location:{self.world.session}", kind, data]
        await self.raw.send(client_frame(json.dumps(message).encode()))

    async def hear(self) -> tuple[str, Any]:
        message = await heard(self.raw, lambda each: each[3] != "phx_reply")
        return message[3], message[4]


class Compact(Client):
    def __init__(self, world: World, raw: Raw) -> None:
        super().__init__(world, raw)
        self.phone = Phone(raw)

    async def tell(self, kind: str, **data: Any) -> None:
        if kind == "set_pace":
            await self.phone.tell(11, data["interval_s"])
        else:
            await self.phone.tell(13, ("active", "paused", "hidden").index(data["state"]))

    async def hear(self) -> tuple[str, Any]:
        return await self.phone.hear()


@asynccontextmanager
async def connected(
    world: World, how: type[Client], user_id: str, query: str = ""
) -> AsyncIterator[tuple[Client, Any]]:
    """A client and its snapshot. ``query`` as of the upgrade; a channel says it in its join."""
    token = f"{world.session}:{user_id}"
    async with raw_tcp(world.server) as raw:
        if how is Channel:
            await world.upgraded(raw, f"/socket/websocket?vsn=2.0.0&token={token}")
            wishes = dict(each.split("=") for each in query.split("&") if each)
            join = ["1", "1", f"location:{world.session}", "phx_join", wishes]
            await raw.send(client_frame(json.dumps(join).encode()))
        else:
            headers = [PROTOCOL] if how is Compact else []
            await world.upgraded(raw, f"/ws?token={token}&{query}", headers)
        client = how(world, raw)
        kind, snapshot = await client.hear()
        assert kind == "session_state"
        yield client, snapshot


DIALECTS = pytest.mark.parametrize("how", [Plain, Compact, Channel])


@DIALECTS
async def test_everyone_sees_what_a_client_shows_of_itself(how: type[Client]) -> None:
    async with a_world() as world:
        ada, *others = [
            await world.home.join(world.session, name) for name in ("Ada", "B", "C", "D")
        ]
        late = await world.home.join(world.session, "Late")
        async with (
            connected(world, Plain, others[0]) as (plain, _),
            connected(world, Compact, others[1]) as (compact, _),
            connected(world, Channel, others[2]) as (channel, _),
            connected(world, how, ada) as (client, _),
        ):
            for state in ("paused", "hidden"):
                await client.tell("presence", state=state)
                for each in (plain, compact, channel):
                    told = await each.until("participant_updated", user_id=ada, state=state)
                    assert told["online"] is True
                async with connected(world, Plain, late) as (_, snapshot):
                    shown = {p["user_id"]: p.get("state") for p in snapshot["participants"]}
                    assert shown[ada] == state
            await client.tell("presence", state="active")
            for each in (plain, compact, channel):
                told = await each.until("participant_updated", user_id=ada)
                while told.get("state") is not None:
                    told = await each.until("participant_updated", user_id=ada)
                assert "state" not in told, "absent means active"


@DIALECTS
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_client_with_a_pace_gets_the_newest_of_each_in_few_writes_and_events_at_once(
    how: type[Client], at_once: bool, mock_clock: trio.testing.MockClock
) -> None:
    async with a_world() as world:
        ada, bo, eve = [await world.home.join(world.session, name) for name in ("Ada", "Bo", "Eve")]
        async with (
            connected(world, Plain, ada) as (first, _),
            connected(world, Plain, bo) as (second, _),
            connected(world, how, eve, "pace=0.5" if at_once else "") as (client, _),
        ):
            if not at_once:
                await client.tell("set_pace", interval_s=0.5)
            table = world.home.table(world.session)
            while not table.paced:
                await trio.lowlevel.checkpoint()
            before = world.server.pool.statistics().writes
            for step in range(20):
                for each in (first, second):
                    # By the session itself, without the socket's rate in between.
                    await each.raw.send(
                        client_frame(an_update(step / 10, timestamp=START.isoformat()))
                    )
            await world.home.join(world.session, "Late")
            found: dict[str, float] = {}
            order: list[str] = []

            async def listen() -> None:
                while True:
                    kind, data = await client.hear()
                    order.append(kind)
                    if kind == "location_update":
                        rows = data if isinstance(data, list) else [data]
                        found.update({each["user_id"]: round(each["lat"], 3) for each in rows})

            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen)
                await trio.testing.wait_all_tasks_blocked(0.01)
                assert "participant_joined" in order, "no time has passed"
                jumps = 0
                while sorted(found.values()) != [1.9, 1.9]:
                    jumps += 1
                    assert jumps < 100, found
                    mock_clock.jump(0.1)
                    await trio.testing.wait_all_tasks_blocked(0.01)
                nursery.cancel_scope.cancel()
            assert set(found) == {ada, bo}
            instants = jumps * 0.1 / 0.5 + 2
            assert order.count("location_update") <= 2 * instants, "each person once at each"
            assert world.server.pool.statistics().writes > before


@DIALECTS
async def test_a_sender_whom_nobody_sees_is_asked_to_slow_down_until_somebody_comes(
    how: type[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locshare.session.actor.SETTLE_S", 0.05)
    async with a_world() as world:
        ada, eve = [await world.home.join(world.session, name) for name in ("Ada", "Eve")]
        async with connected(world, how, ada) as (client, _):
            asked = await client.until("pace")
            assert (asked["interval_s"], asked["min_distance_m"]) == (15.0, 0.0)
            async with connected(world, Plain, eve):
                asked = await client.until("pace")
                assert (asked["interval_s"], asked["min_distance_m"]) == (0.0, 0.0)


# --- coming back ----------------------------------------------------------------------------------


def missed(snapshot: Any) -> list[tuple[str, Any]]:
    """Type and data of each event that a client was told it missed, in any dialect."""
    assert snapshot["resumed"] is True
    found = []
    for each in snapshot["missed"]:
        kind, data = (each["type"], each["data"]) if isinstance(each, dict) else each
        found.append((str(NAMES.get(kind, kind)), data))
    return found


NAMES: dict[Any, str] = {6: "participant_joined", 7: "participant_updated", 8: "participant_left"}


@DIALECTS
async def test_a_client_that_comes_back_is_told_what_it_missed_in_order(how: type[Client]) -> None:
    async with a_world() as world:
        ada, eve = [await world.home.join(world.session, name) for name in ("Ada", "Eve")]
        async with connected(world, Plain, ada):
            async with connected(world, how, eve) as (_, snapshot):
                point = f"{snapshot['epoch']}.{snapshot['seq']}"
            late = await world.home.join(world.session, "Late")
            async with connected(world, Plain, late):
                pass
            await world.home.manager.remove(world.session, late)
            async with connected(world, how, eve, f"resume={point}") as (_, snapshot):
                told = missed(snapshot)
                about = [(kind, data.get("user_id")) for kind, data in told if "user_id" in data]
                assert [kind for kind, user_id in about if user_id == late] == [
                    "participant_joined", "participant_updated", "participant_left",
                ]  # fmt: skip
                seqs = [data["seq"] for _, data in told]
                assert seqs == sorted(set(seqs))
                assert seqs[-1] <= snapshot["seq"]
                assert {p["user_id"] for p in snapshot["participants"]} == {ada, eve}
                if how is Compact:
                    assert all("number" in data for kind, data in told if "joined" in kind)
            async with connected(
                world, how, eve, f"resume={snapshot['epoch']}.{snapshot['seq']}"
            ) as (
                _,
                again,
            ):
                assert missed(again) == [], "nothing happened since"


@DIALECTS
@pytest.mark.parametrize("wish", ["x", "x.1", "", "1.", ".1", "epoch.99999999999999999999"])
async def test_a_resume_that_cannot_be_is_no_refusal(how: type[Client], wish: str) -> None:
    async with a_world() as world:
        eve = await world.home.join(world.session, "Eve")
        async with connected(world, how, eve, f"resume={wish}") as (_, snapshot):
            # An empty parameter of a query is as none.
            assert snapshot.get("resumed") in ((False, None) if not wish else (False,))
            assert "missed" not in snapshot


@DIALECTS
async def test_a_crash_of_the_session_keeps_the_epoch_and_what_was_missed(
    how: type[Client],
) -> None:
    async with a_world() as world:
        eve = await world.home.join(world.session, "Eve")
        async with connected(world, how, eve) as (_, before):
            pass
        await world.home.crash(world.session)
        await world.home.join(world.session, "Late")
        point = f"{before['epoch']}.{before['seq']}"
        async with connected(world, how, eve, f"resume={point}") as (_, after):
            assert after["epoch"] == before["epoch"]
            assert [kind for kind, _ in missed(after)] == ["participant_joined"]


async def test_a_drop_within_the_grace_period_is_no_news_and_a_longer_one_is(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with a_world(structs.replace(LIMITS, offline_grace=0.5)) as world:
        ada, eve = [await world.home.join(world.session, name) for name in ("Ada", "Eve")]
        table = world.home.table(world.session)
        async with connected(world, Plain, ada) as (client, _):
            async with connected(world, Compact, eve):
                await client.until("participant_updated", user_id=eve, online=True)
            known = table.seq
            while not table.dropped:
                await trio.lowlevel.checkpoint()
            async with connected(world, Compact, eve) as (_, snapshot):
                assert snapshot["seq"] == known, "no event at all"
            while not table.dropped:
                await trio.lowlevel.checkpoint()
            mock_clock.jump(0.6)
            gone = await client.until("participant_updated")
            assert (gone["user_id"], gone["online"]) == (eve, False), "the next that they hear"


async def test_two_sessions_on_one_socket_have_each_their_pace_and_their_state() -> None:
    async with a_world() as world:
        home, one, two = world.home, world.session, await world.home.session()
        ada = {session: await home.join(session, "Ada") for session in (one, two)}
        eve = {session: await home.join(session, "Eve") for session in (one, two)}
        async with raw_tcp(world.server) as raw:
            await world.upgraded(raw, f"/socket/websocket?vsn=2.0.0&token={one}:{eve[one]}")
            for ref, session, wish in (
                ("1", one, {"pace": 60}),
                ("2", two, {"presence": "paused"}),
            ):
                join = {"token": f"{session}:{eve[session]}", **wish}
                message = [ref, ref, f"location:{session}", "phx_join", join]
                await raw.send(client_frame(json.dumps(message).encode()))
                await heard(raw, lambda each: each[3] == "session_state")
            assert set(home.table(one).paced) == {eve[one]}
            assert home.table(two).paced == {}
            assert (home.table(one).states, home.table(two).states) == ({}, {eve[two]: "paused"})
            for session in (one, two):
                link = await home.manager.open(session, ada[session])
                await link.update(Position(7.0, 8.0, 5.0, START))
                link.detach()
            moved = await heard(raw, lambda each: each[3] == "location_update")
            assert moved[2] == f"location:{two}", "the other waits for its pace"
