"""The official Phoenix client from npm, unchanged, against the real program."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from locshare.client import COMPACT_DIALECT, SessionUpdated, connect
from tests.contract.group import Group, Person, assert_problem, create, phone
from tests.npm import CLIENTS, installed
from tests.official_phoenix import OfficialClient
from tests.phones import BERLIN, on_time
from tests.program import Program, data_directory, running_program
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e

BOTH = pytest.mark.parametrize("vsn", ["1.0.0", "2.0.0"])


@pytest.fixture(scope="module")
def modules() -> Path:
    return installed(CLIENTS)


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with data_directory() as folder, running_program({"LOCSHARE_DATA_DIR": str(folder)}) as started:
        yield started


@pytest.fixture
async def group(program: Program) -> AsyncIterator[Group]:
    async with httpx.AsyncClient(base_url=program.http_url, timeout=LAST_RESORT_S) as http:
        yield await create(http)


def topic_of(group: Group) -> str:
    return f"location:{group.id}"


class Client:
    """The official client, waited for in a thread."""

    def __init__(self, official: OfficialClient) -> None:
        self._official = official
        self.push = official.push

    async def hears(self, what: str) -> list[Any]:
        """The next thing of this kind, without its name."""
        return (await trio.to_thread.run_sync(self._official.hears, what))[1:]

    async def hears_of(self, what: str, **data: object) -> Any:
        """The data of the next thing of this kind in which these fields have these values."""
        while True:
            found = (await self.hears(what))[0]
            if data.items() <= found.items():
                return found


@asynccontextmanager
async def official(
    modules: Path, person: Person, topic: str, **options: object
) -> AsyncIterator[Client]:
    address = person.url.removesuffix("/ws") + "/socket"
    made = OfficialClient(modules, address, person.token, topic, **options)
    try:
        yield Client(made)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(made.close)


@BOTH
async def test_a_phoenix_client_and_a_plain_one_see_each_other(
    modules: Path, group: Group, vsn: str
) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo")
    async with (
        phone(bo) as plain,
        official(modules, ada, topic_of(group), vsn=vsn, firstRef=40) as client,
    ):
        answer, _ = await client.hears("joined")
        assert answer == {"status": "joined", "session_id": group.id}
        (snapshot,) = await client.hears("session_state")
        assert snapshot["you"] == {"user_id": ada.user_id, "role": "participant"}
        await plain.until("participant_updated", user_id=ada.user_id, online=True)

        await plain.move()
        (seen,) = await client.hears("location_update")
        assert on_time(seen) == BERLIN | {"user_id": bo.user_id}
        client.push("location_update", BERLIN | {"speed": 3})
        assert await client.hears("pushed") == ["location_update", {}]
        seen = await plain.until("location_update")
        assert seen == BERLIN | {"speed": 3, "user_id": ada.user_id}

        client.push("location_update", BERLIN | {"lat": 91})
        (refused,) = await client.hears("push refused")
        assert refused["reason"] == "invalid_location_data"
        client.push("ping", {})
        assert await client.hears("pushed") == ["ping", {}]
        for _ in range(2):
            (beat,) = await client.hears("heartbeat answered")
            assert beat["status"] == "ok"

        client.push("leave")
        await client.hears("left")
        client.push("join", {}, topic_of(group))
        await client.hears("joined")
        assert await plain.until_pong() == [], "so short an absence is no news"


@BOTH
async def test_after_a_restart_of_the_server_it_joins_again_by_itself(
    modules: Path, program: Program, group: Group, vsn: str
) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo")
    async with official(modules, ada, topic_of(group), vsn=vsn) as client:
        _, first = await client.hears("joined")
        await trio.to_thread.run_sync(program.stop)
        assert await client.hears("socket closed") == [1012]
        await trio.to_thread.run_sync(program.start)
        _, second = await client.hears("joined")
        assert first != second
        async with phone(bo) as plain:
            await client.hears_of("participant_updated", user_id=bo.user_id, online=True)
            await plain.move()
            (seen,) = await client.hears("location_update")
            assert on_time(seen) == BERLIN | {"user_id": bo.user_id}
            client.push("location_update", BERLIN)
            assert await client.hears("pushed") == ["location_update", {}]
            await plain.until("location_update", user_id=ada.user_id)


async def test_a_new_link_is_told_in_every_dialect_and_holds_over_a_crash(
    modules: Path, program: Program, group: Group
) -> None:
    ada, bo, cy = [await group.join(name) for name in ("Ada", "Bo", "Cy")]
    async with (
        phone(bo) as plain,
        connect(cy.url, cy.token) as compact,
        official(modules, ada, topic_of(group)) as client,
    ):
        assert compact.dialect == COMPACT_DIALECT
        (snapshot,) = await client.hears("session_state")
        for each in (snapshot["session"], plain.snapshot["session"]):
            assert "link_key" not in each, "as before there were new links"
        answer = await group.http.post(f"{group.path}/link", headers=group.host)
        assert answer.status_code == 200
        key = answer.json()["link_key"]
        assert (await client.hears_of("session_updated", link_key=key))["locked"] is False
        await plain.until("session_updated", link_key=key)
        async for message in compact:
            if isinstance(message, SessionUpdated):
                assert message.link_key == key
                break

        await trio.to_thread.run_sync(program.kill)
        await trio.to_thread.run_sync(program.start)
        (snapshot,) = await client.hears("session_state")
        assert snapshot["session"]["link_key"] == key
    async with httpx.AsyncClient(base_url=program.http_url, timeout=LAST_RESORT_S) as http:
        for old in ({}, {"link_key": key[::-1]}):
            refused = await http.post(f"{group.path}/join", json={"display_name": "Di"} | old)
            assert_problem(refused, 403, "LINK_REPLACED")
        body = {"display_name": "Di", "link_key": key}
        assert (await http.post(f"{group.path}/join", json=body)).status_code == 201
        svg = await http.get(f"{group.path}/link.svg", params={"link_key": key})
        assert svg.headers["content-type"] == "image/svg+xml"


async def test_the_end_of_the_session_closes_the_channel_for_good(
    modules: Path, group: Group
) -> None:
    ada = await group.join("Ada")
    async with official(modules, ada, topic_of(group)) as client:
        await client.hears("joined")
        await group.end()
        (ended,) = await client.hears("session_ended")
        assert ended["reason"] == "ended_by_host"
        assert await client.hears("closed") == [{"reason": "session_ended"}]
        await client.hears("heartbeat answered")  # the socket lives on
        client.push("join", {}, topic_of(group))
        (refused,) = await client.hears("join refused")
        assert refused["reason"] == "session_ended"


async def test_one_socket_joins_several_sessions_each_with_its_token(
    modules: Path, group: Group
) -> None:
    other = await create(group.http)
    ada, same, bo = await group.join("Ada"), await other.join("Ada"), await other.join("Bo")
    async with official(modules, ada, topic_of(group)) as client, phone(bo) as plain:
        await client.hears("joined")
        client.push("join", {}, topic_of(other))
        (refused,) = await client.hears("join refused")
        assert refused["reason"] == "unauthorized"
        client.push("join", {"token": same.token}, topic_of(other))
        answer, _ = await client.hears("joined")
        assert answer["session_id"] == other.id
        client.push("location_update", BERLIN, topic_of(other))
        await plain.until("location_update", user_id=same.user_id)


async def test_a_participant_that_connects_elsewhere_takes_the_channel_over(
    modules: Path, group: Group
) -> None:
    ada = await group.join("Ada")
    async with official(modules, ada, topic_of(group)) as client:
        await client.hears("joined")
        async with phone(ada) as plain:
            assert await client.hears("closed") == [{"reason": "replaced"}]
            await client.hears("heartbeat answered")  # and does not take it back
            await plain.until_pong()


async def test_the_token_may_be_in_the_subprotocol(modules: Path, group: Group) -> None:
    ada = await group.join("Ada")
    async with official(modules, ada, topic_of(group), tokenInHeader=True) as client:
        await client.hears("joined")


async def test_a_version_that_is_not_served_is_a_socket_error(modules: Path, group: Group) -> None:
    ada = await group.join("Ada")
    async with official(modules, ada, topic_of(group), vsn="3.0.0") as client:
        await client.hears("socket error")


async def test_what_the_client_sends_of_an_earlier_join_is_ignored(
    modules: Path, group: Group
) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo")
    async with official(modules, ada, topic_of(group), firstRef=7) as client, phone(bo) as plain:
        _, join_ref = await client.hears("joined")
        stale = f'["1","900","{topic_of(group)}","phx_leave",{{}}]'
        client.push("raw", stale)
        client.push("location_update", BERLIN)
        assert await client.hears("pushed") == ["location_update", {}]
        await plain.until("location_update", user_id=ada.user_id)
        assert int(join_ref) > 7


@BOTH
async def test_a_second_join_of_a_topic_closes_the_first_channel(
    modules: Path, group: Group, vsn: str
) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo")
    topic = topic_of(group)
    async with official(modules, ada, topic, vsn=vsn) as client, phone(bo) as plain:
        _, first = await client.hears("joined")
        client.push("join", {}, topic)  # this client leaves its first channel by itself
        _, second = await client.hears("joined")
        assert first != second
        client.push("location_update", BERLIN)
        assert await client.hears("pushed") == ["location_update", {}]
        await plain.until("location_update", user_id=ada.user_id)

        join: dict[str, object] = {"topic": topic, "event": "phx_join", "payload": {}}
        join |= {"ref": "900", "join_ref": "900"}
        if vsn == "2.0.0":
            raw = json.dumps(
                [join[key] for key in ("join_ref", "ref", "topic", "event", "payload")]
            )
        else:
            raw = json.dumps(join)
        client.push("raw", raw)  # one that does not
        assert await client.hears("closed") == [{"reason": "replaced"}]
        await client.hears("heartbeat answered")


async def test_one_socket_has_room_for_twenty_topics(modules: Path, group: Group) -> None:
    others = [await create(group.http) for _ in range(20)]
    people = [await each.join("Ada") for each in others]
    ada = await group.join("Ada")
    async with official(modules, ada, topic_of(group)) as client:
        joined = {(await client.hears("joined"))[0]["session_id"]}
        for other, person in zip(others[:-1], people, strict=False):
            client.push("join", {"token": person.token}, topic_of(other))
            joined.add((await client.hears("joined"))[0]["session_id"])
        assert joined == {group.id, *(other.id for other in others[:-1])}
        client.push("join", {"token": people[-1].token}, topic_of(others[-1]))
        (refused,) = await client.hears("join refused")
        assert refused["reason"] == "full"
        client.push("leave", None, topic_of(others[0]))
        await client.hears("left")
        await client.hears("joined")  # it tries again by itself, and there is room


@BOTH
async def test_a_topic_that_is_no_session_is_refused(modules: Path, group: Group, vsn: str) -> None:
    ada = await group.join("Ada")
    async with official(modules, ada, "room:lobby", vsn=vsn) as client:
        (refused,) = await client.hears("join refused")
        assert refused["reason"] == "unmatched topic"
        client.push("join", {}, topic_of(group))
        await client.hears("joined")


@BOTH
async def test_a_phoenix_client_chooses_and_comes_back_as_any_other(
    modules: Path, group: Group, vsn: str
) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo")
    topic = topic_of(group)
    async with official(modules, ada, topic, vsn=vsn) as client, phone(bo) as plain:
        (state,) = await client.hears("session_state")
        client.push("presence", {"state": "hidden"})
        assert await client.hears("pushed") == ["presence", {}]
        await plain.until("participant_updated", user_id=ada.user_id, state="hidden")
        client.push("set_pace", {"interval_s": 61})
        (refused,) = await client.hears("push refused")
        assert refused["reason"] == "invalid_message"
        client.push("set_pace", {"interval_s": 60})
        assert await client.hears("pushed") == ["set_pace", {}]

        client.push("leave")
        await client.hears("left")
        locked = await group.http.patch(group.path, json={"locked": True}, headers=group.host)
        assert locked.status_code == 200
        client.push("join", {"resume": f"{state['epoch']}.{state['seq']}"}, topic)
        (back,) = await client.hears("session_state")
        assert back["resumed"] is True
        assert back["session"]["locked"] is True
        assert [each["type"] for each in back["missed"]] == ["session_updated"]
        assert state["seq"] < back["missed"][0]["data"]["seq"] <= back["seq"]
