"""The demo beside the real rooms of the server."""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import pytest
import trio
from structlog.testing import capture_logs

from locshare.client import Client, Live, Unreachable
from locshare.simulate import demo
from locshare.simulate.demo import run_demo
from locshare.simulate.geo import Place, distance
from locshare.simulate.people import PEOPLE, person
from tests.running import LAST_RESORT_S
from tests.simulate.kit import Server, serving, until

LINK = "https://map.example/join/"


async def a_visitor(server: Server, link: str, nursery: trio.Nursery) -> Live:
    """Somebody who has opened the link."""
    async with Client(server.addresses.http_url) as client:
        ticket = await client.join(link.removeprefix(LINK), "Visitor")
    live = Live(server.ws, ticket.websocket_token)
    await nursery.start(live.run)
    return live


async def test_the_link_is_announced_when_all_are_connected() -> None:
    async with serving() as server, trio.open_nursery() as nursery:
        link: str = await nursery.start(partial(run_demo, server.addresses, people=8))
        assert link.startswith(LINK)
        people = await server.manager.participants(UUID(link.removeprefix(LINK)))
        assert [each.display_name for each in people] == [each.name for each in PEOPLE[:8]]
        assert len({each.avatar_color for each in people}) == 8
        assert all(each.online for each in people)
        nursery.cancel_scope.cancel()


async def test_all_are_on_the_map_and_most_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo, "INTERVAL_S", 0.2)
    async with serving() as server, trio.open_nursery() as nursery:
        link: str = await nursery.start(partial(run_demo, server.addresses, people=8))
        visitor = await a_visitor(server, link, nursery)
        replica = visitor.replica
        assert replica is not None
        await until(lambda: len(replica.positions) == 8)
        first = dict(replica.positions)
        await until(lambda: all(replica.positions[who] != first[who] for who in first))
        moved = [
            who
            for who, was in first.items()
            if distance(
                Place(was.lat, was.lng),
                Place(replica.positions[who].lat, replica.positions[who].lng),
            )
            > 0.05
        ]
        assert len(moved) >= 6
        assert sum((each.speed or 0) > 5 for each in replica.positions.values()) >= 2
        nursery.cancel_scope.cancel()


async def test_one_participant_goes_offline_and_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "ONLINE_S", (0.2, 0.2))
    monkeypatch.setattr(demo, "OFFLINE_S", (0.2, 0.2))
    async with serving(offline_grace=0) as server, trio.open_nursery() as nursery:
        link: str = await nursery.start(partial(run_demo, server.addresses, people=4))
        visitor = await a_visitor(server, link, nursery)

        def online() -> list[str]:
            assert visitor.replica is not None
            people = visitor.replica.participants.values()
            return [each.display_name for each in people if each.online]

        await until(lambda: len(online()) == 4)
        assert PEOPLE[2].name not in online()
        await until(lambda: len(online()) == 5)
        nursery.cancel_scope.cancel()


async def test_a_session_that_ends_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo, "PAUSE_S", 0.0)
    links: list[str] = []
    with capture_logs() as lines:
        async with serving() as server, trio.open_nursery() as nursery:
            run = partial(run_demo, server.addresses, people=3, announce=links.append)
            first: str = await nursery.start(run)
            await server.manager.end(UUID(first.removeprefix(LINK)))
            await until(lambda: bool(links))
            assert links[0] != first
            people = await server.manager.participants(UUID(links[0].removeprefix(LINK)))
            assert [each.online for each in people] == [True, True, True]
            nursery.cancel_scope.cancel()
    told = [line for line in lines if line["event"].startswith("demo_")]
    assert [line["event"] for line in told] == [
        "demo_session", "demo_session_ended", "demo_session",
    ]  # fmt: skip
    assert all(len(line["session"]) == 8 for line in told)


async def test_the_demo_survives_a_restart_of_the_server() -> None:
    async with trio.open_nursery() as nursery:
        async with serving() as first:
            link: str = await nursery.start(partial(run_demo, first.addresses, people=3))
        async with serving(again=first) as second:
            session = UUID(link.removeprefix(LINK))

            def online() -> int:
                return second.connections().open

            await until(lambda: online() == 3)
            assert len(await second.manager.participants(session)) == 3
            nursery.cancel_scope.cancel()


async def test_a_first_session_that_cannot_be_made_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def at_once(call: Callable[[], Awaitable[object]]) -> object:
        return await call()

    monkeypatch.setattr(demo, "retry", at_once)
    async with serving() as server:
        pass
    with pytest.raises(Unreachable):
        await run_demo(server.addresses)


async def test_a_cancelled_demo_leaves_no_connection() -> None:
    async with serving() as server:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run_demo, server.addresses, people=3))
            assert server.connections().open == 3
            nursery.cancel_scope.cancel()
        with trio.fail_after(LAST_RESORT_S):
            await server.pool.wait_at_most(0)


def test_names_of_many_participants_are_distinct() -> None:
    assert len({person(number).name for number in range(45)}) == 45
    assert person(12).name == f"{PEOPLE[0].name} 2"
