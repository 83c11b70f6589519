"""The REST contract (docs/reference/rest.md), the same for every server."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest

from bench.targets import Target
from tests.contract.conftest import SEATS, SECRET
from tests.contract.group import UNKNOWN, Group, assert_problem, bearer, create

pytestmark = pytest.mark.e2e


def run_out(token: str) -> str:
    """The same token, but that its time is over."""
    claims = jwt.decode(token, options={"verify_signature": False})
    claims["exp"] = int((datetime.now(UTC) - timedelta(minutes=1)).timestamp())
    return jwt.encode(claims, SECRET, headers=jwt.get_unverified_header(token))


# --- sessions ---------------------------------------------------------------------------------


async def test_a_session_is_created_with_all_its_fields(
    http: httpx.AsyncClient, server: Target
) -> None:
    answer = await http.post("/api/sessions", json={"name": " Alps ", "expires_in_minutes": 60})
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    created = answer.json()
    assert set(created) >= {"session_id", "join_link", "expires_at", "name", "host_token"}
    assert str(UUID(created["session_id"])) == created["session_id"]
    assert created["name"] == "Alps"
    assert created["join_link"] == f"{server.http_url}/join/{created['session_id']}"
    left = datetime.fromisoformat(created["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(minutes=60)


@pytest.mark.parametrize("body", [None, {}, {"name": None}, {"name": "  "}, {"unknown": [1]}])
async def test_everything_about_a_new_session_is_optional(
    http: httpx.AsyncClient, body: Any
) -> None:
    answer = await http.post("/api/sessions", **({} if body is None else {"json": body}))
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"]
    left = datetime.fromisoformat(answer.json()["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=359) < left <= timedelta(minutes=360)


async def test_a_session_is_described(group: Group) -> None:
    await group.join()
    answer = await group.http.get(group.path)
    assert answer.status_code == 200
    told = answer.json()
    expires_at = datetime.fromisoformat(told["expires_at"])
    assert expires_at - datetime.fromisoformat(told["created_at"]) == timedelta(minutes=360)
    assert expires_at == datetime.fromisoformat(group.created["expires_at"])
    assert (told["id"], told["name"]) == (group.id, "Alps")
    assert (told["participant_count"], told["is_active"]) == (1, True)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"expires_in_minutes": 59}, ["expires_in_minutes"]),
        ({"expires_in_minutes": 1441}, ["expires_in_minutes"]),
        ({"expires_in_minutes": "360"}, ["expires_in_minutes"]),
        ({"name": 7, "expires_in_minutes": 1}, ["name", "expires_in_minutes"]),
        ({"name": "x" * 256}, ["name"]),
        ({"name": "a\nb"}, ["name"]),
        ([], [""]),
    ],
)
async def test_a_wrong_field_of_a_new_session_is_named(
    http: httpx.AsyncClient, body: Any, fields: list[str]
) -> None:
    answer = await http.post("/api/sessions", json=body)
    problem = assert_problem(answer, 400, "VALIDATION_FAILED")
    assert [error["field"] for error in problem["errors"]] == fields
    assert all(error["message"].startswith("Expected") for error in problem["errors"])


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "MALFORMED_JSON"),
        (b"\xff", "application/json", 400, "MALFORMED_JSON"),
        (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"name": "' + b"x" * 20_000 + b'"}', "application/json", 413, "BODY_TOO_LARGE"),
    ],
)
async def test_a_body_that_is_none_is_refused(
    http: httpx.AsyncClient, content: bytes, media_type: str, status: int, code: str
) -> None:
    answer = await http.post("/api/sessions", content=content, headers={"Content-Type": media_type})
    assert_problem(answer, status, code)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/sessions/{id}"),
        ("POST", "/api/sessions/{id}/join"),
        ("GET", "/api/sessions/{id}/participants"),
    ],
)
async def test_an_unknown_session_is_not_found_and_a_wrong_id_refused(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    options: dict[str, Any] = {"json": {"display_name": "Ada"}} if method == "POST" else {}
    answer = await http.request(method, path.format(id=UNKNOWN), **options)
    assert_problem(answer, 404, "SESSION_NOT_FOUND")
    answer = await http.request(method, path.format(id="alps"), **options)
    assert_problem(answer, 400, "INVALID_ID")


async def test_unknown_paths_and_wrong_methods_are_refused(http: httpx.AsyncClient) -> None:
    assert_problem(await http.get("/api/nothing"), 404, "NOT_FOUND")
    answer = await http.get("/api/sessions")
    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in answer.headers["allow"]


async def test_liveness_and_readiness_are_reported(http: httpx.AsyncClient) -> None:
    live = await http.get("/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    ready = await http.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")


# --- participants -----------------------------------------------------------------------------


async def test_a_join_returns_a_token_and_is_listed(group: Group) -> None:
    ada = await group.join(" Ada ", body={"avatar_color": "#3366ff"})
    bo = await group.join("Bō 🏍")
    assert "token" not in ada.url
    listed = await group.participants()
    assert list(listed) == [ada.user_id, bo.user_id]
    first = listed[ada.user_id]
    assert set(first) == {
        "user_id", "display_name", "avatar_color", "joined_at", "last_seen", "is_active", "online",
    }  # fmt: skip
    assert (first["display_name"], first["avatar_color"]) == ("Ada", "#3366ff")
    assert (first["is_active"], first["online"]) == (True, False)
    joined = datetime.now(UTC) - datetime.fromisoformat(first["joined_at"])
    assert timedelta(0) <= joined < timedelta(seconds=30)
    assert (listed[bo.user_id]["display_name"], listed[bo.user_id]["avatar_color"]) == (
        "Bō 🏍",
        "#FF5733",
    )


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["display_name"]),
        ({"display_name": " "}, ["display_name"]),
        ({"display_name": "x" * 101}, ["display_name"]),
        ({"display_name": "Ada", "avatar_color": "red"}, ["avatar_color"]),
    ],
)
async def test_a_wrong_field_of_a_join_is_named(
    group: Group, body: dict[str, str], fields: list[str]
) -> None:
    answer = await group.http.post(f"{group.path}/join", json=body)
    problem = assert_problem(answer, 400, "VALIDATION_FAILED")
    assert [error["field"] for error in problem["errors"]] == fields


async def test_a_full_session_refuses_joins_until_a_participant_leaves(group: Group) -> None:
    people = [await group.join() for _ in range(SEATS)]
    body = {"display_name": "Late"}
    assert_problem(await group.http.post(f"{group.path}/join", json=body), 409, "SESSION_FULL")
    place = f"{group.path}/participants/{people[0].user_id}"
    assert (await group.http.delete(place, headers=people[0].headers)).status_code == 200
    assert (await group.http.post(f"{group.path}/join", json=body)).status_code == 201
    assert (await group.http.get(group.path)).json()["participant_count"] == SEATS


async def test_people_remove_themselves_and_only_the_host_removes_others(group: Group) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo")
    place = f"{group.path}/participants/{bo.user_id}"
    assert_problem(await group.http.delete(place), 401, "TOKEN_MISSING")
    assert_problem(await group.http.delete(place, headers=ada.headers), 403, "FORBIDDEN")
    removed = await group.http.delete(place, headers=group.host)
    assert (removed.status_code, removed.json()) == (200, {"success": True})
    again = await group.http.delete(place, headers=group.host)
    assert_problem(again, 404, "PARTICIPANT_NOT_FOUND")
    own = f"{group.path}/participants/{ada.user_id}"
    assert (await group.http.delete(own, headers=ada.headers)).status_code == 200
    assert await group.participants() == {}


async def test_a_join_with_the_hosts_token_is_a_host(group: Group) -> None:
    host = await group.join("Host", headers=group.host)
    assert (await group.http.delete(group.path, headers=host.headers)).status_code == 200


# --- tokens and ends --------------------------------------------------------------------------


async def test_a_token_that_is_none_is_refused_with_a_challenge(group: Group) -> None:
    for headers, code in (
        ({}, "TOKEN_MISSING"),
        (bearer("nonsense"), "TOKEN_INVALID"),
        ({"Authorization": "Basic QTpC"}, "TOKEN_INVALID"),
        (bearer(jwt.encode({"sub": "x"}, "another secret " * 3)), "TOKEN_INVALID"),
    ):
        answer = await group.http.delete(group.path, headers=headers)
        assert_problem(answer, 401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_of_another_session_or_of_no_host_does_not_end_one(
    http: httpx.AsyncClient, group: Group
) -> None:
    other = await create(http)
    ada = await group.join()
    for headers in (other.host, ada.headers):
        answer = await http.delete(group.path, headers=headers)
        assert_problem(answer, 403, "FORBIDDEN")
    assert_problem(
        await http.post(f"{group.path}/join", json={"display_name": "Bo"}, headers=other.host),
        403,
        "FORBIDDEN",
    )


async def test_an_expired_token_means_that_the_session_is_over(group: Group) -> None:
    over = bearer(run_out(group.created["host_token"]))
    assert_problem(await group.http.delete(group.path, headers=over), 410, "SESSION_ENDED")


async def test_an_ended_session_is_described_and_refuses_joins(group: Group) -> None:
    ended = await group.http.delete(group.path, headers=group.host)
    assert (ended.status_code, ended.json()) == (200, {"success": True})
    told = await group.http.get(group.path)
    assert (told.status_code, told.json()["is_active"]) == (200, False)
    join = await group.http.post(f"{group.path}/join", json={"display_name": "Late"})
    assert_problem(join, 410, "SESSION_ENDED")
    listed = await group.http.get(f"{group.path}/participants")
    assert_problem(listed, 410, "SESSION_ENDED")
    again = await group.http.delete(group.path, headers=group.host)
    assert_problem(again, 410, "SESSION_ENDED")
