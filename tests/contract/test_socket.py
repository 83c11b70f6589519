"""The plain WebSocket dialect (docs/reference/protocol.md), the same for every server."""

import json
from typing import Any

import httpx
import pytest
import trio_websocket

from tests.contract.group import UPGRADE, Group, Person, assert_problem, create, pair, phone
from tests.contract.test_rest import run_out
from tests.phones import BERLIN, Phone
from tests.sockets import trio_client

pytestmark = pytest.mark.e2e


# --- connecting -------------------------------------------------------------------------------


@pytest.mark.parametrize("in_query", [True, False])
async def test_the_snapshot_comes_first_and_is_complete(group: Group, in_query: bool) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo", headers=group.host)
    async with phone(ada) as first, phone(bo, token_in_query=in_query) as second:
        await second.move(speed=22.5, heading=270)
        await first.until("location_update")
        late = await group.join("Late")
        async with phone(late) as third:
            snapshot = third.snapshot
            assert set(snapshot) == {
                "session", "you", "participants", "positions", "server_time", "epoch", "seq",
            }  # fmt: skip
            assert snapshot["session"]["id"] == group.id
            assert snapshot["session"]["name"] == "Alps"
            assert snapshot["session"]["expires_at"] == group.created["expires_at"]
            assert snapshot["you"] == {"user_id": late.user_id, "role": "participant"}
            assert {each["user_id"]: each["online"] for each in snapshot["participants"]} == {
                ada.user_id: True,
                bo.user_id: True,
                late.user_id: True,
            }
            assert snapshot["positions"] == [
                BERLIN | {"user_id": bo.user_id, "speed": 22.5, "heading": 270}
            ]
        assert second.snapshot["you"]["role"] == "host"


async def test_the_token_given_as_a_subprotocol_is_not_repeated(group: Group) -> None:
    async with phone(await group.join()) as connected:
        assert connected.socket.subprotocol == "locshare.v1"


async def test_a_refused_upgrade_gets_a_status(group: Group) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo")

    async def assert_refused(token: str | None, status: int, code: str) -> None:
        url = ada.url.replace("ws:", "http:")
        query = {} if token is None else {"token": token}
        assert_problem(await group.http.get(url, params=query, headers=UPGRADE), status, code)

    await assert_refused(None, 401, "TOKEN_MISSING")
    await assert_refused("nonsense", 401, "TOKEN_INVALID")
    await assert_refused(run_out(ada.token), 410, "SESSION_ENDED")
    await group.http.delete(f"{group.path}/participants/{bo.user_id}", headers=group.host)
    await assert_refused(bo.token, 403, "NOT_A_PARTICIPANT")
    await group.end()
    await assert_refused(ada.token, 410, "SESSION_ENDED")


async def test_a_refused_browser_gets_a_close_code(group: Group, http: httpx.AsyncClient) -> None:
    ada = await group.join()
    for token, code in (("nonsense", 4401), (run_out(ada.token), 4410)):
        async with trio_client(
            f"{ada.url}?token={token}", extra_headers=[(b"Origin", b"https://where.example")]
        ) as socket:
            with pytest.raises(trio_websocket.ConnectionClosed):
                await socket.get_message()
            assert socket.closed is not None
            assert socket.closed.code == code


async def test_a_newer_connection_of_the_same_participant_replaces_the_older(
    group: Group,
) -> None:
    async with pair(group) as (ada, first, _, second), phone(ada) as newer:
        assert await first.closed() == 4409
        await newer.move()
        assert (await second.until("location_update"))["user_id"] == ada.user_id
        # Ada was online all the time.
        assert await second.until_pong() == []
        assert (await group.participants())[ada.user_id]["online"]


# --- updates ----------------------------------------------------------------------------------


async def test_an_update_reaches_everyone_else_as_it_was_sent(group: Group) -> None:
    late = await group.join("Late")
    async with pair(group) as (ada, first, bo, second), phone(late) as third:
        whole = {"altitude": -3.5, "speed": 1.25, "heading": 359.5, "battery": 80}
        await first.move(**whole)
        expected = BERLIN | whole | {"user_id": ada.user_id}
        assert await second.until("location_update") == expected
        assert await third.until("location_update") == expected
        # The next thing that the first hears of a position is another's.
        await second.move(lat=-90, lng=180, speed=None)
        heard = await first.until("location_update")
        # What is unknown is passed on as null or not at all.
        assert {"speed": None} | heard == BERLIN | {
                "user_id": bo.user_id, "lat": -90, "lng": 180, "speed": None,
            }  # fmt: skip


async def test_the_last_of_many_updates_arrives(group: Group) -> None:
    async with pair(group) as (_, first, _, second):
        for number in range(15):
            await first.move(battery=number)
        await second.until("location_update", battery=14)


async def test_two_sessions_never_mix(http: httpx.AsyncClient, group: Group) -> None:
    other = await create(http)
    async with pair(group) as (_, first, bo, second), pair(other) as (_, third, dee, fourth):
        await first.move(battery=1)
        await third.move(battery=2)
        assert (await second.until("location_update"))["battery"] == 1
        assert (await fourth.until("location_update"))["battery"] == 2
        await second.move(battery=3)
        await fourth.move(battery=4)
        seen = await first.until("location_update")
        assert (seen["battery"], seen["user_id"]) == (3, bo.user_id)
        seen = await third.until("location_update")
        assert (seen["battery"], seen["user_id"]) == (4, dee.user_id)
        for each in (first, second, third, fourth):
            assert await each.until_pong() == []


async def test_a_reconnect_gets_a_snapshot_with_the_last_positions(group: Group) -> None:
    async with pair(group) as (ada, first, bo, second):
        await first.move(battery=1)
        await first.move(battery=2)
        await second.until("location_update", battery=2)
        await first.socket.aclose()
        async with phone(ada) as again:
            assert again.snapshot["positions"] == [BERLIN | {"battery": 2, "user_id": ada.user_id}]
            online = {each["user_id"]: each["online"] for each in again.snapshot["participants"]}
            assert online == {ada.user_id: True, bo.user_id: True}
            heard = [each["data"]["online"] for each in await second.until_pong()]
            assert heard in ([], [False, True]), "so short an absence may be no news"


# --- who is there -----------------------------------------------------------------------------


async def test_a_join_connect_and_disconnect_are_sent_to_the_others(group: Group) -> None:
    async with phone(await group.join("Ada")) as first:
        bo = await group.join("Bo", body={"avatar_color": "#3366ff"})
        joined = await first.next()
        assert joined["type"] == "participant_joined"
        assert joined["data"].items() >= {
            "user_id": bo.user_id, "display_name": "Bo", "avatar_color": "#3366ff",
        }.items()  # fmt: skip
        async with phone(bo):
            updated = await first.next()
            assert updated["type"] == "participant_updated"
            assert set(updated["data"]) >= {"user_id", "online", "last_seen"}
            assert (updated["data"]["user_id"], updated["data"]["online"]) == (bo.user_id, True)
            assert (await group.participants())[bo.user_id]["online"]
        gone = await first.next()
        assert gone["type"] == "participant_updated"
        assert (gone["data"]["user_id"], gone["data"]["online"]) == (bo.user_id, False)
        assert not (await group.participants())[bo.user_id]["online"]


async def test_a_leave_is_final(group: Group) -> None:
    async with pair(group) as (ada, first, bo, second):
        await second.move()
        await first.until("location_update")
        await second.send("leave")
        assert await second.closed() == 1000
        await first.until("participant_left", user_id=bo.user_id, reason="left")
        assert list(await group.participants()) == [ada.user_id]
        async with phone(await group.join("Late")) as third:
            assert third.snapshot["positions"] == []


async def test_a_removal_closes_the_connection_and_is_sent_to_the_others(group: Group) -> None:
    async with pair(group) as (_, first, bo, second):
        await group.http.delete(f"{group.path}/participants/{bo.user_id}", headers=group.host)
        assert await second.closed() == 4403
        await first.until("participant_left", user_id=bo.user_id, reason="removed")


async def test_the_end_of_a_session_is_sent_to_all_and_closes_them(group: Group) -> None:
    async with pair(group) as (_, first, _, second):
        await group.end()
        for each in (first, second):
            await each.until("session_ended", reason="ended_by_host")
            assert await each.closed() == 4410


# --- what a client may say --------------------------------------------------------------------


WRONG: dict[str, tuple[str | bytes, str, str]] = {
    "no JSON": ("{", "INVALID_MESSAGE", ""),
    "no object": ("[]", "INVALID_MESSAGE", ""),
    "no type": ('{"data": {}}', "INVALID_MESSAGE", "type"),
    "unknown type": ('{"type": "dance", "data": {}}', "UNKNOWN_TYPE", "type"),
    "no data": ('{"type": "location_update"}', "INVALID_MESSAGE", "data"),
    "data of a wrong type": ('{"type": "location_update", "data": 7}', "INVALID_MESSAGE", "data"),
    "binary": (b"{}", "BINARY_NOT_SUPPORTED", ""),
    "too large": (json.dumps({"type": "ping", "data": {"x": "x" * 5000}}), "MESSAGE_TOO_LARGE", ""),
}
WRONG_FIELDS: dict[str, Any] = {
    "lat": 90.001,
    "lng": -180.5,
    "timestamp": "yesterday",
}


async def assert_goes_on(first: Phone, second: Phone) -> None:
    """The connection lives."""
    await first.move(unknown="is ignored", battery=1)
    seen = await second.until("location_update")
    assert seen == BERLIN | {"user_id": seen["user_id"], "battery": 1}


async def test_a_message_that_is_none_gets_an_error(group: Group) -> None:
    async with pair(group) as (_, first, _, second):
        for name, (message, code, named) in WRONG.items():
            await first.send_raw(message)
            error = await first.until("error")
            assert set(error) == {"code", "message"}
            assert error["code"] == code, name
            assert named in error["message"], name
        await assert_goes_on(first, second)


async def test_a_wrong_field_of_an_update_is_named_without_its_value(group: Group) -> None:
    async with pair(group) as (_, first, _, second):
        for field, value in WRONG_FIELDS.items():
            await first.move(**{field: value})
            error = await first.until("error")
            assert error["code"] == "INVALID_LOCATION", field
            assert field in error["message"]
            assert str(value) not in error["message"]
        for field in ("lat", "lng", "timestamp"):
            rest = {key: value for key, value in BERLIN.items() if key != field}
            await first.send("location_update", rest)
            error = await first.until("error")
            assert error["code"] == "INVALID_LOCATION", field
            assert field in error["message"]
        await assert_goes_on(first, second)


async def test_a_ping_is_answered(group: Group) -> None:
    async with phone(await group.join()) as connected:
        assert await connected.until_pong() == []
        await connected.send_raw('{"type": "ping"}')
        assert await connected.next() == {"type": "pong", "data": {}}


async def test_a_message_far_too_large_closes_the_connection(group: Group) -> None:
    async with phone(await group.join()) as connected:
        await connected.send_raw("x" * 70_000)
        assert await connected.closed() == 1009


async def test_a_token_is_that_of_one_participant(group: Group) -> None:
    people: list[Person] = [await group.join("Ada"), await group.join("Ada")]
    assert people[0].user_id != people[1].user_id
    async with phone(people[0]) as first, phone(people[1]) as second:
        assert first.snapshot["you"]["user_id"] == people[0].user_id
        assert second.snapshot["you"]["user_id"] == people[1].user_id
