"""The calls about sessions and participants: each field, each refusal."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from locshare.auth.tokens import TokenKeys
from tests.api.conftest import Api, FakeSessions, assert_problem, bearer

UNKNOWN = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"


# --- creating ---------------------------------------------------------------------------------


async def test_a_session_is_created_with_all_its_fields(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/sessions", json={"name": "Alps", "expires_in_minutes": 60})
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    created = answer.json()
    assert set(created) == {
        "session_id", "join_link", "expires_at", "name", "host_token", "host_key", "host_url",
    }  # fmt: skip
    assert created["host_url"] == f"{created['join_link']}#host={created['host_key']}"
    assert created["name"] == "Alps"
    assert created["join_link"] == f"https://where.example/join/{created['session_id']}"
    left = datetime.fromisoformat(created["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(minutes=60)


@pytest.mark.parametrize(
    "request_parts",
    [
        {},
        {"content": b""},
        {"content": b"", "headers": {"Content-Type": "application/json"}},
        {"json": {}},
        {"json": {"name": None}},
        {"json": {"name": "  \t "}},
        {"json": {"unknown": [1, {"deep": None}]}},
        {"content": b"{}", "headers": {"Content-Type": "application/json; charset=UTF-8"}},
        {"content": b"{}", "headers": {"Content-Type": "application/merge-patch+json"}},
    ],
)
async def test_everything_about_a_new_session_is_optional(
    client: httpx.AsyncClient, request_parts: dict[str, Any]
) -> None:
    answer = await client.post("/api/sessions", **request_parts)
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"] == "Amber Falcon"
    left = datetime.fromisoformat(answer.json()["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=359) < left <= timedelta(minutes=360)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Tour de Suisse \n", "Tour de Suisse"),
        ("北京 · मुंबई · القاهرة", "北京 · मुंबई · القاهرة"),
        ("👨‍👩‍👧‍👦 family", "👨‍👩‍👧‍👦 family"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("x" * 255, "x" * 255),
        ("𝄞" * 255, "𝄞" * 255),
        (" " * 300 + "x", "x"),
    ],
)
async def test_a_name_of_any_script_is_kept_trimmed(api: Api, given: str, kept: str) -> None:
    assert (await api.create(name=given))["name"] == kept


@pytest.mark.parametrize("minutes", [60, 61, 1439, 1440])
async def test_a_session_lasts_60_to_1440_minutes(api: Api, minutes: int) -> None:
    assert await api.create(expires_in_minutes=minutes)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"expires_in_minutes": 59}, ["expires_in_minutes"]),
        ({"expires_in_minutes": 1441}, ["expires_in_minutes"]),
        ({"expires_in_minutes": -1}, ["expires_in_minutes"]),
        ({"expires_in_minutes": 10**30}, ["expires_in_minutes"]),
        ({"expires_in_minutes": "360"}, ["expires_in_minutes"]),
        ({"expires_in_minutes": True}, ["expires_in_minutes"]),
        ({"expires_in_minutes": None}, ["expires_in_minutes"]),
        ({"expires_in_minutes": 90.5}, ["expires_in_minutes"]),
        ({"name": 7}, ["name"]),
        ({"name": ["Alps"]}, ["name"]),
        ({"name": "x" * 256}, ["name"]),
        ({"name": "a\x00b"}, ["name"]),
        ({"name": "a\nb"}, ["name"]),
        ({"name": "a\x7fb"}, ["name"]),
        ({"name": "a\u2028b"}, ["name"]),
        ({"name": "a\u202eb"}, ["name"]),
        ({"name": "\u200b"}, ["name"]),
        ({"name": 7, "expires_in_minutes": 1}, ["name", "expires_in_minutes"]),
        ([], [""]),
        ("text", [""]),
        (None, [""]),
        (7, [""]),
    ],
)
async def test_a_wrong_field_of_a_new_session_is_named(
    client: httpx.AsyncClient, body: Any, fields: list[str]
) -> None:
    answer = await client.post(
        "/api/sessions",
        content=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    problem = assert_problem(answer, 400, "VALIDATION_FAILED")
    assert [error["field"] for error in problem["errors"]] == fields
    assert all(error["message"].startswith("Expected") for error in problem["errors"])


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"{'name': 1}",
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b"[" * 16_000,
        b'{"a":' * 3_000,
        b"\x00",
        b"{}{}",
        b"NaN",
        b"\xef\xbb\xbf{}",
    ],
)
async def test_a_body_other_than_json_is_malformed(
    client: httpx.AsyncClient, content: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/api/sessions", content=content, headers=headers)
    assert_problem(answer, 400, "MALFORMED_JSON")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "text/json+json"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "\xff"},
        {},
    ],
)
async def test_a_body_that_does_not_call_itself_json_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = await client.post("/api/sessions", content=b"{}", headers=raw)
    assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


# --- describing -------------------------------------------------------------------------------


async def test_a_session_is_described_with_all_its_fields(
    api: Api, client: httpx.AsyncClient
) -> None:
    created = await api.create(name="Alps")
    await api.join(created["session_id"])
    answer = await client.get(f"/api/sessions/{created['session_id']}")
    assert answer.status_code == 200
    described = answer.json()
    assert datetime.fromisoformat(described.pop("created_at")) < datetime.now(UTC)
    assert described == {
        "id": created["session_id"],
        "name": "Alps",
        "expires_at": created["expires_at"],
        "participant_count": 1,
        "is_active": True,
        "locked": False,
    }


async def test_a_session_that_has_ended_is_described_as_not_active(
    api: Api, client: httpx.AsyncClient
) -> None:
    created = await api.create()
    path = f"/api/sessions/{created['session_id']}"
    await client.delete(path, headers=bearer(created["host_token"]))
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.json()["is_active"] is False


async def test_an_id_may_be_written_in_capitals(api: Api, client: httpx.AsyncClient) -> None:
    created = await api.create()
    answer = await client.get(f"/api/sessions/{created['session_id'].upper()}")
    assert answer.json()["id"] == created["session_id"]


# --- joining ----------------------------------------------------------------------------------


async def test_a_participant_joins_and_gets_a_token_of_their_own(
    api: Api, client: httpx.AsyncClient, manager: FakeSessions, tokens: TokenKeys
) -> None:
    created = await api.create()
    answer = await client.post(
        f"/api/sessions/{created['session_id']}/join",
        json={"display_name": " Ada ", "avatar_color": "#12abEF"},
    )
    assert answer.status_code == 201
    joined = answer.json()
    assert set(joined) == {
        "user_id", "websocket_token", "websocket_url", "display_name", "setup",
    }  # fmt: skip
    assert joined["display_name"] == "Ada"
    assert joined["websocket_url"] == "wss://live.where.example/ws"
    claims = tokens.verify(joined["websocket_token"])
    assert claims.user_id == joined["user_id"]
    assert str(claims.session_id) == created["session_id"]
    assert claims.role == "participant"
    expires_at = datetime.fromisoformat(created["expires_at"])
    assert timedelta(0) <= claims.expires_at - expires_at < timedelta(seconds=1)
    listed = await client.get(f"/api/sessions/{created['session_id']}/participants")
    (participant,) = listed.json()["participants"]
    assert participant["display_name"] == "Ada"
    assert participant["avatar_color"] == "#12abEF"


async def test_a_host_token_makes_the_participant_the_host(
    api: Api, manager: FakeSessions, tokens: TokenKeys
) -> None:
    created = await api.create()
    joined = await api.join(created["session_id"], headers=bearer(created["host_token"]))
    assert tokens.verify(joined["websocket_token"]).role == "host"
    assert manager.roles[joined["user_id"]] == "host"


async def test_without_a_colour_a_participant_gets_the_usual_one(
    api: Api, client: httpx.AsyncClient
) -> None:
    session = (await api.create())["session_id"]
    await api.join(session)
    await client.post(
        f"/api/sessions/{session}/join", json={"display_name": "Bo", "avatar_color": None}
    )
    answer = await client.get(f"/api/sessions/{session}/participants")
    colours = {person["avatar_color"] for person in answer.json()["participants"]}
    assert colours == {"#FF5733"}


async def test_a_session_without_participants_is_looked_up_once(
    api: Api, manager: FakeSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("join", "describe"):
        call = getattr(manager, name)

        async def noted(*args: Any, _name: str = name, _call: Any = call, **options: Any) -> Any:
            asked.append(_name)
            return await _call(*args, **options)

        monkeypatch.setattr(manager, name, noted)
    await api.join((await api.create())["session_id"])
    assert asked == ["join", "describe"], "describing what is not in memory reads the database"


@pytest.mark.parametrize("name", ["x", "x" * 100, "名" * 100, " " * 50 + "x" + " " * 50, "👩‍🚒"])
async def test_a_display_name_has_1_to_100_characters_after_trimming(api: Api, name: str) -> None:
    assert await api.join((await api.create())["session_id"], name)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["display_name"]),
        ({"display_name": ""}, ["display_name"]),
        ({"display_name": "   "}, ["display_name"]),
        ({"display_name": "\u3164"}, ["display_name"]),
        ({"display_name": "x" * 101}, ["display_name"]),
        ({"display_name": "x" + "\u200b" * 400}, ["display_name"]),
        ({"display_name": None}, ["display_name"]),
        ({"display_name": 7}, ["display_name"]),
        ({"display_name": "a\x00b"}, ["display_name"]),
        ({"display_name": "Ada", "avatar_color": "red"}, ["avatar_color"]),
        ({"display_name": "Ada", "avatar_color": "#12345"}, ["avatar_color"]),
        ({"display_name": "Ada", "avatar_color": "#1234567"}, ["avatar_color"]),
        ({"display_name": "Ada", "avatar_color": "#12345G"}, ["avatar_color"]),
        ({"display_name": "Ada", "avatar_color": "#123456\n"}, ["avatar_color"]),
        ({"display_name": "Ada", "avatar_color": "#١٢٣٤٥٦"}, ["avatar_color"]),
        ({"display_name": "Ada", "avatar_color": 123456}, ["avatar_color"]),
        ({"avatar_color": 1}, ["display_name", "avatar_color"]),
    ],
)
async def test_a_wrong_field_of_a_participant_is_named(
    api: Api, client: httpx.AsyncClient, body: Any, fields: list[str]
) -> None:
    session = (await api.create())["session_id"]
    answer = await client.post(f"/api/sessions/{session}/join", json=body)
    problem = assert_problem(answer, 400, "VALIDATION_FAILED")
    assert [error["field"] for error in problem["errors"]] == fields


async def test_joining_needs_a_body(api: Api, client: httpx.AsyncClient) -> None:
    session = (await api.create())["session_id"]
    problem = assert_problem(
        await client.post(f"/api/sessions/{session}/join"), 400, "VALIDATION_FAILED"
    )
    assert problem["errors"] == [{"field": "display_name", "message": "Required"}]


async def test_a_full_session_refuses_a_join(
    api: Api, client: httpx.AsyncClient, manager: FakeSessions
) -> None:
    manager.limit = 1
    session = (await api.create())["session_id"]
    await api.join(session)
    answer = await client.post(f"/api/sessions/{session}/join", json={"display_name": "Bo"})
    problem = assert_problem(answer, 409, "SESSION_FULL")
    assert "1 participants" in problem["detail"]


# --- participants -----------------------------------------------------------------------------


async def test_participants_are_listed_with_all_their_fields(
    api: Api, client: httpx.AsyncClient
) -> None:
    session = (await api.create())["session_id"]
    joined = await api.join(session)
    answer = await client.get(f"/api/sessions/{session}/participants")
    assert answer.status_code == 200
    (participant,) = answer.json()["participants"]
    assert set(participant) == {
        "user_id", "display_name", "avatar_color", "joined_at", "last_seen", "is_active", "online",
    }  # fmt: skip
    assert participant["user_id"] == joined["user_id"]
    assert participant["is_active"] is True
    assert participant["online"] is False


async def test_a_participant_may_remove_themselves(api: Api, client: httpx.AsyncClient) -> None:
    session = (await api.create())["session_id"]
    joined = await api.join(session)
    path = f"/api/sessions/{session}/participants/{joined['user_id']}"
    answer = await client.delete(path, headers=bearer(joined["websocket_token"]))
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    again = await client.delete(path, headers=bearer(joined["websocket_token"]))
    assert_problem(again, 404, "PARTICIPANT_NOT_FOUND")


@pytest.mark.parametrize("host_has_joined", [False, True])
async def test_a_host_may_remove_anyone(
    api: Api, client: httpx.AsyncClient, host_has_joined: bool
) -> None:
    created = await api.create()
    session, token = created["session_id"], created["host_token"]
    joined = await api.join(session)
    if host_has_joined:
        token = (await api.join(session, headers=bearer(token)))["websocket_token"]
    path = f"/api/sessions/{session}/participants/{joined['user_id']}"
    assert (await client.delete(path, headers=bearer(token))).json() == {"success": True}


@pytest.mark.parametrize("user_id", ["nobody", UNKNOWN, "x" * 1000, "%00", "%F0%9F%92%A9"])
async def test_an_unknown_participant_is_a_404(
    api: Api, client: httpx.AsyncClient, user_id: str
) -> None:
    created = await api.create()
    answer = await client.delete(
        f"/api/sessions/{created['session_id']}/participants/{user_id}",
        headers=bearer(created["host_token"]),
    )
    assert_problem(answer, 404, "PARTICIPANT_NOT_FOUND")


# --- ending -----------------------------------------------------------------------------------


async def test_a_host_ends_the_session_and_then_it_is_gone(
    api: Api, client: httpx.AsyncClient
) -> None:
    created = await api.create()
    joined = await api.join(created["session_id"])
    path = f"/api/sessions/{created['session_id']}"
    host = bearer(created["host_token"])
    answer = await client.delete(path, headers=host)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    for gone in (
        await client.delete(path, headers=host),
        await client.post(f"{path}/join", json={"display_name": "Bo"}),
        await client.get(f"{path}/participants"),
        await client.delete(f"{path}/participants/{joined['user_id']}", headers=host),
    ):
        assert_problem(gone, 410, "SESSION_ENDED")


# --- ids and tokens, the same for all calls -----------------------------------------------------

BY_ID = [("GET", ""), ("DELETE", ""), ("POST", "/join"), ("GET", "/participants"),
         ("DELETE", "/participants/someone")]  # fmt: skip
WITH_TOKEN = [("DELETE", ""), ("POST", "/join"), ("DELETE", "/participants/someone")]


@pytest.mark.parametrize(("method", "rest"), BY_ID)
@pytest.mark.parametrize(
    "session",
    ["1", "x", UNKNOWN[:-1], UNKNOWN + "0", UNKNOWN.replace("-", ""), f"{{{UNKNOWN}}}",
     f"urn:uuid:{UNKNOWN}", "%00", "..%2f", "'; DROP TABLE sessions; --", "é" * 36],
)  # fmt: skip
async def test_an_id_that_is_no_uuid_is_refused(
    client: httpx.AsyncClient, method: str, rest: str, session: str
) -> None:
    answer = await client.request(method, f"/api/sessions/{session}{rest}")
    if "%2f" in session:
        assert_problem(answer, 404, "NOT_FOUND")
    else:
        assert_problem(answer, 400, "INVALID_ID")


@pytest.mark.parametrize(("method", "rest"), BY_ID)
async def test_an_unknown_session_is_a_404(
    client: httpx.AsyncClient, tokens: TokenKeys, method: str, rest: str
) -> None:
    host = tokens.issue(
        session_id=UUID(UNKNOWN),
        user_id="host",
        role="host",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    headers = bearer(host) if (method, rest) in WITH_TOKEN else {}
    body: Any = {"json": {"display_name": "Ada"}} if method == "POST" else {}
    answer = await client.request(method, f"/api/sessions/{UNKNOWN}{rest}", headers=headers, **body)
    assert_problem(answer, 404, "SESSION_NOT_FOUND")


@pytest.mark.parametrize("rest", ["", "/participants/someone"])
async def test_without_a_token_nothing_is_deleted(
    api: Api, client: httpx.AsyncClient, rest: str
) -> None:
    session = (await api.create())["session_id"]
    answer = await client.delete(f"/api/sessions/{session}{rest}")
    assert_problem(answer, 401, "TOKEN_MISSING")
    assert answer.headers["www-authenticate"] == 'Bearer realm="locshare"'


@pytest.mark.parametrize(("method", "rest"), WITH_TOKEN)
@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer x", "Bearer a.b.c", "Bearer \xff\xfe",
     "Token x", "Bearer " + "A" * 4000],
)  # fmt: skip
async def test_a_foreign_token_is_a_401(
    api: Api, client: httpx.AsyncClient, method: str, rest: str, authorization: str
) -> None:
    session = (await api.create())["session_id"]
    headers = [(b"Authorization", authorization.encode("latin-1"))]
    body: Any = {"json": {"display_name": "Ada"}} if method == "POST" else {}
    answer = await client.request(method, f"/api/sessions/{session}{rest}", headers=headers, **body)
    assert_problem(answer, 401, "TOKEN_INVALID")
    assert answer.headers["www-authenticate"] == 'Bearer realm="locshare", error="invalid_token"'


@pytest.mark.parametrize(("method", "rest"), WITH_TOKEN)
async def test_a_token_of_another_key_session_time_or_role_is_refused(
    api: Api, client: httpx.AsyncClient, tokens: TokenKeys, method: str, rest: str
) -> None:
    created = await api.create()
    session = created["session_id"]
    claims = tokens.verify(created["host_token"])
    later = datetime.now(UTC) + timedelta(hours=1)
    earlier = datetime.now(UTC) - timedelta(hours=1)
    other_key = TokenKeys(b"another secret, another secret, another")

    def token(keys: TokenKeys, **changes: Any) -> str:
        arguments: dict[str, Any] = {
            "session_id": claims.session_id, "user_id": "x", "role": "host", "expires_at": later,
        }  # fmt: skip
        return keys.issue(**(arguments | changes))

    body: Any = {"json": {"display_name": "Ada"}} if method == "POST" else {}
    for wrong, status, code in (
        (token(other_key), 401, "TOKEN_INVALID"),
        (token(other_key, expires_at=earlier), 401, "TOKEN_INVALID"),
        (token(tokens, session_id=uuid4()), 403, "FORBIDDEN"),
        (token(tokens, role="participant"), 403, "FORBIDDEN"),
        (token(tokens, expires_at=earlier), 410, "SESSION_ENDED"),
    ):
        answer = await client.request(
            method, f"/api/sessions/{session}{rest}", headers=bearer(wrong), **body
        )
        problem = assert_problem(answer, status, code)
        assert wrong.split(".")[1] not in str(problem)


async def test_two_authorizations_are_none(api: Api, client: httpx.AsyncClient) -> None:
    created = await api.create()
    header = ("Authorization", f"Bearer {created['host_token']}")
    answer = await client.delete(f"/api/sessions/{created['session_id']}", headers=[header, header])
    assert_problem(answer, 401, "TOKEN_INVALID")


# --- devices and names ----------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["k" * 15, "k" * 65, "k" * 15 + "é", "k" * 16 + "\n", 1, []])
async def test_a_device_key_is_short_and_plain(
    api: Api, client: httpx.AsyncClient, key: object
) -> None:
    path = f"/api/sessions/{(await api.create())['session_id']}/join"
    answer = await client.post(path, json={"display_name": "Bo", "device_key": key})
    problem = assert_problem(answer, 400, "VALIDATION_FAILED")
    assert [each["field"] for each in problem["errors"]] == ["device_key"]


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ("A\u200bda\u2060", "Ada"), ("\u0301Ada", "Ada"), ("\u2800Ada", "Ada"),
        ("Z\u0300\u0301\u0302\u0303", "Z\u0300\u0301"),
        ("\u0645\u06cc\u200c\u0646\u0627", "\u0645\u06cc\u200c\u0646\u0627"),
    ],
)  # fmt: skip
async def test_invisible_characters_are_removed_from_names(
    api: Api, client: httpx.AsyncClient, wish: str, name: str
) -> None:
    created = (await client.post("/api/sessions", json={"name": wish})).json()
    assert created["name"] == name
    joined = await client.post(
        f"/api/sessions/{created['session_id']}/join", json={"display_name": wish}
    )
    assert joined.json()["display_name"] == name
