"""What this server promises beyond what the comparators do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.conftest import SEATS
from tests.contract.group import UPGRADE, Group, assert_problem, bearer, pair, phone
from tests.phones import BERLIN

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("server", ["locshare"], indirect=True)]

UNKNOWN_FIELDS: dict[str, Any] = {
    "accuracy": -1,
    "speed": -1,
    "heading": -1,
    "battery": "full",
    "altitude": float("nan"),
    "age_ms": 1e30,
}


async def test_an_optional_field_that_makes_no_sense_is_unknown_and_the_position_stands(
    group: Group,
) -> None:
    async with pair(group) as (ada, first, _, second):
        for number, (field, value) in enumerate(UNKNOWN_FIELDS.items()):
            await first.move(lat=number, **{field: value})
            seen = await second.until("location_update", lat=number)
            assert seen.get(field) is None, field
        await first.move(**dict.fromkeys(UNKNOWN_FIELDS))
        seen = await second.until("location_update", lat=BERLIN["lat"])
        assert {name: value for name, value in seen.items() if value is not None} == {
            "user_id": ada.user_id, "lat": BERLIN["lat"], "lng": BERLIN["lng"],
            "timestamp": BERLIN["timestamp"],
        }  # fmt: skip
        assert await first.until_pong() == []


def ago(seconds: float) -> str:
    """A time, as a phone writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


async def test_everyone_gets_the_age_of_the_fix_and_the_newest_fix_wins(group: Group) -> None:
    late = await group.join("Late")
    async with pair(group) as (_, first, _, second):
        await first.move(lat=1, timestamp=ago(300))
        old = await second.until("location_update", lat=1)
        assert 299_000 < old["age_ms"] < 330_000
        await first.move(lat=2, timestamp=ago(0))
        assert "age_ms" not in await second.until("location_update", lat=2)
        await first.move(lat=3, timestamp=ago(60))
        await first.move(lat=4, timestamp=ago(3600))
        await first.until_pong()
        async with phone(late) as third:
            assert [each["lat"] for each in third.snapshot["positions"]] == [2]
        await first.move(lat=5, timestamp=ago(-1), age_ms=20_000)
        assert 20_000 <= (await second.until("location_update", lat=5))["age_ms"] < 50_000


# --- pace, presence, coming back ------------------------------------------------------------------


async def test_a_client_with_a_pace_hears_the_newest_and_events_at_once(group: Group) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo")
    async with phone(ada) as first, phone(bo.asking(pace=60)) as second:
        await first.until("participant_updated", user_id=bo.user_id, online=True)
        for number in range(8):
            await first.move(lat=number)
        assert await first.until_pong() == []
        await group.join("Late")
        heard = []
        while "participant_joined" not in heard:
            heard.append((await second.next())["type"])
        await second.send("set_pace", {"interval_s": 1})
        while (await second.next())["data"].get("lat") != 7:
            heard.append("location_update")
        assert heard.count("location_update") <= 2, "few of eight"
        await second.send("set_pace", {"interval_s": 61})
        refused = await second.until("error")
        assert refused["code"] == "INVALID_MESSAGE"
        await second.send("set_pace", {"interval_s": 0})
        await second.until_pong()
        await first.move(lat=-1)
        await second.until("location_update", lat=-1)


async def test_the_others_see_what_a_client_says_that_its_person_does(group: Group) -> None:
    late = await group.join("Late")
    async with pair(group) as (_, first, bo, second):
        await second.send("presence", {"state": "hidden"})
        await first.until("participant_updated", user_id=bo.user_id, state="hidden")
        async with phone(late) as third:
            shown = {each["user_id"]: each.get("state") for each in third.snapshot["participants"]}
            assert shown[bo.user_id] == "hidden"
        async with phone(bo.asking(presence="hidden")) as again:
            assert again.snapshot["you"]["user_id"] == bo.user_id
            await again.send("presence", {"state": "active"})
            told = await first.until("participant_updated", user_id=bo.user_id)
            assert "state" not in told, "the new connection in the same state was no event"


async def test_who_comes_back_is_told_what_they_missed(group: Group) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo")
    async with phone(ada) as first:
        async with phone(bo) as second:
            known = second.snapshot
            await first.until("participant_updated", user_id=bo.user_id, online=True)
        late = await group.join("Late")
        await group.http.patch(group.path, json={"locked": True}, headers=group.host)
        await first.until("session_updated")
        point = f"{known['epoch']}.{known['seq']}"
        async with phone(bo.asking(resume=point)) as second:
            snapshot = second.snapshot
            assert (snapshot["resumed"], snapshot["epoch"]) == (True, known["epoch"])
            told = [(each["type"], each["data"].get("user_id")) for each in snapshot["missed"]]
            assert told == [("participant_joined", late.user_id), ("session_updated", None)]
            assert [each["data"]["seq"] for each in snapshot["missed"]] == [
                known["seq"] + 1,
                known["seq"] + 2,
            ]
        async with phone(bo.asking(resume="nonsense")) as second:
            assert second.snapshot["resumed"] is False
            assert "missed" not in second.snapshot


# --- the host's means -----------------------------------------------------------------------------


async def test_the_host_comes_back_with_the_link_and_locks_the_session(group: Group) -> None:
    key = group.created["host_url"].partition("#host=")[2]
    assert key == group.created["host_key"]
    answer = await group.http.post(f"{group.path}/host", json={"host_key": key})
    assert answer.status_code == 200
    host = bearer(answer.json()["host_token"])
    wrong = await group.http.post(f"{group.path}/host", json={"host_key": key[::-1]})
    assert_problem(wrong, 403, "FORBIDDEN")
    async with pair(group) as (ada, first, bo, second):
        assert first.snapshot["session"]["locked"] is False
        changed = await group.http.patch(group.path, json={"locked": True}, headers=host)
        assert (changed.status_code, changed.json()["locked"]) == (200, True)
        for each in (first, second):
            await each.until("session_updated", locked=True)
        refused = await group.http.post(f"{group.path}/join", json={"display_name": "Cy"})
        assert_problem(refused, 409, "SESSION_LOCKED")
        async with phone(bo) as again:
            assert again.snapshot["session"]["locked"] is True
        assert_problem(
            await group.http.patch(group.path, json={"locked": False}, headers=ada.headers),
            403,
            "FORBIDDEN",
        )


async def test_the_host_finds_room_in_a_session_that_is_full(group: Group) -> None:
    people = [await group.join(f"Person {number}") for number in range(SEATS)]
    full = await group.http.post(f"{group.path}/join", json={"display_name": "Late"})
    assert_problem(full, 409, "SESSION_FULL")
    async with phone(await group.join("Host", headers=group.host)) as host:
        assert len(host.snapshot["participants"]) == len(people) + 1


async def test_a_token_of_a_removed_participant_is_refused(group: Group) -> None:
    second_host = await group.join("Second host", headers=group.host)
    ada = await group.join("Ada")
    answer = await group.http.delete(
        f"{group.path}/participants/{second_host.user_id}?ban=true", headers=group.host
    )
    assert answer.status_code == 200
    gone = second_host.headers
    for refused in (
        await group.http.delete(group.path, headers=gone),
        await group.http.patch(group.path, json={"locked": True}, headers=gone),
        await group.http.delete(f"{group.path}/participants/{ada.user_id}", headers=gone),
        await group.http.post(f"{group.path}/join", json={"display_name": "X"}, headers=gone),
    ):
        assert_problem(refused, 403, "FORBIDDEN")
    assert_problem(
        await group.http.get(
            second_host.url.replace("ws:", "http:"),
            params={"token": second_host.token},
            headers=UPGRADE,
        ),
        403,
        "NOT_A_PARTICIPANT",
    )
    banned = await group.http.post(f"{group.path}/join", json={"display_name": "Again"})
    assert_problem(banned, 403, "BANNED")
    assert list(await group.participants()) == [ada.user_id]


async def test_names_that_look_alike_are_distinguished(group: Group) -> None:
    names = ["Ada", "A\u200bda", "\u0410da", "ADA\u200f"]
    for name in names:
        await group.join(name)
    found = [each["display_name"] for each in (await group.participants()).values()]
    assert found == ["Ada", "Ada 2", "\u0410da 3", "ADA 4"]
