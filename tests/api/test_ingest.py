"""The calls by which positions come without a WebSocket: tokens, bodies, limits, refusals."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from locshare.api import ApiLimits
from locshare.auth.tokens import TokenKeys
from locshare.model.rate import Rate
from locshare.session.errors import SessionUnavailable
from locshare.store.port import StoreUnavailable
from tests.api.conftest import Api, FakeSessions, MakeApp, assert_problem, bearer, client_of

PLACE = {"lat": 47.5, "lng": 8.5, "timestamp": "2026-03-01T12:00:00Z"}

Reporter = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def session(api: Api) -> str:
    created = await api.create()
    session_id: str = created["session_id"]
    return session_id


@pytest.fixture
async def token(api: Api, session: str) -> str:
    joined = await api.join(session)
    token: str = joined["websocket_token"]
    return token


@pytest.fixture
def report(client: httpx.AsyncClient, session: str, token: str) -> Reporter:
    async def report(body: Any = PLACE, **headers: str) -> httpx.Response:
        return await client.post(
            f"/api/sessions/{session}/positions", json=body, headers=bearer(token) | headers
        )

    return report


async def test_a_position_reaches_the_session(report: Reporter, manager: FakeSessions) -> None:
    answer = await report()
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    ((_, position),) = manager.reports
    assert (position.lat, position.lng) == (47.5, 8.5)


async def test_of_a_queue_only_the_newest_reaches_the_session(
    report: Reporter, manager: FakeSessions
) -> None:
    older = {"lat": 1, "lng": 1, "timestamp": "2026-03-01T11:00:00Z"}
    assert (await report({"positions": [older, PLACE, older]})).status_code == 200
    assert [position.lat for _, position in manager.reports] == [47.5]


async def test_a_wrong_position_is_a_problem_that_names_the_field(
    report: Reporter, manager: FakeSessions
) -> None:
    problem = assert_problem(await report({"lat": 91, "lng": 0}), 400, "VALIDATION_FAILED")
    assert [wrong["field"] for wrong in problem["errors"]] == ["lat"]
    assert manager.reports == []


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "MALFORMED_JSON"),
        (b"", "application/json", 400, "MALFORMED_JSON"),
        (b"lat=1&lng=2", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b" " * 20_000, "application/json", 413, "BODY_TOO_LARGE"),
    ],
)
async def test_a_body_that_is_no_report_is_refused(
    client: httpx.AsyncClient,
    session: str,
    token: str,
    content: bytes,
    content_type: str,
    status: int,
    code: str,
) -> None:
    answer = await client.post(
        f"/api/sessions/{session}/positions",
        content=content,
        headers=bearer(token) | {"Content-Type": content_type},
    )
    assert_problem(answer, status, code)


async def test_a_report_needs_the_token_of_a_participant_of_this_session(
    client: httpx.AsyncClient, api: Api, session: str, token: str
) -> None:
    path = f"/api/sessions/{session}/positions"
    other = await api.create()
    assert_problem(await client.post(path, json=PLACE), 401, "TOKEN_MISSING")
    assert_problem(
        await client.post(path, json=PLACE, headers=bearer("x.y.z")), 401, "TOKEN_INVALID"
    )
    assert_problem(
        await client.post(path, json=PLACE, headers=bearer(other["host_token"])), 403, "FORBIDDEN"
    )
    elsewhere = f"/api/sessions/{other['session_id']}/positions"
    assert_problem(
        await client.post(elsewhere, json=PLACE, headers=bearer(other["host_token"])),
        403,
        "FORBIDDEN",
    )
    assert_problem(
        await client.post("/api/sessions/x/positions", json=PLACE, headers=bearer(token)),
        400,
        "INVALID_ID",
    )


async def test_one_who_left_or_was_removed_is_refused(
    client: httpx.AsyncClient, session: str, token: str, report: Reporter, tokens: TokenKeys
) -> None:
    user_id = tokens.verify(token).user_id
    left = await client.delete(
        f"/api/sessions/{session}/participants/{user_id}", headers=bearer(token)
    )
    assert left.status_code == 200
    assert_problem(await report(), 403, "FORBIDDEN")


async def test_a_session_that_has_ended_is_gone(
    report: Reporter, manager: FakeSessions, session: str
) -> None:
    (known,) = manager._sessions
    await manager.end(known)
    assert_problem(await report(), 410, "SESSION_ENDED")


@pytest.mark.parametrize("failure", [SessionUnavailable(), StoreUnavailable("away", 3)])
async def test_what_cannot_be_taken_now_may_come_later(
    report: Reporter, manager: FakeSessions, failure: Exception
) -> None:
    manager.failure = failure
    answer = await report()
    assert_problem(answer, 503, "UNAVAILABLE")
    assert int(answer.headers["retry-after"]) >= 1


async def test_reports_are_limited_for_each_participant(make_app: MakeApp) -> None:
    app = make_app(limits=ApiLimits(report=Rate(per_second=0.01, burst=2)))
    async with client_of(app) as client:
        api = Api(client)
        session = (await api.create())["session_id"]
        ada, bo = [(await api.join(session))["websocket_token"] for _ in range(2)]

        async def status(token: str) -> int:
            path = f"/api/sessions/{session}/positions"
            return (await client.post(path, json=PLACE, headers=bearer(token))).status_code

        assert [await status(ada) for _ in range(3)] == [200, 200, 429]
        assert await status(bo) == 200, "another participant behind the same address"


async def test_reports_count_among_the_calls_of_an_address_before_the_token_is_read(
    make_app: MakeApp,
) -> None:
    app = make_app(limits=ApiLimits(read=Rate(per_second=0.01, burst=1)))
    async with client_of(app) as client:
        path = f"/api/sessions/{uuid4()}/positions"
        answers = [await client.post(path, json=PLACE, headers=bearer("x")) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [401, 429]


# --- OsmAnd, Traccar Client, GPSLogger --------------------------------------------------------

TRACCAR = {
    "location": {
        "timestamp": "2026-03-01T11:59:30.000Z",
        "coords": {"latitude": 47.5, "longitude": 8.5, "accuracy": 5, "speed": 1},
        "battery": {"level": 0.5},
    }
}


async def test_osmand_reports_by_a_query_a_form_and_json(
    client: httpx.AsyncClient, token: str, manager: FakeSessions
) -> None:
    place = {"id": token, "lat": "47.5", "lon": "8.5"}
    answers = [
        await client.get("/api/osmand", params=place),
        await client.post("/api/osmand", params=place),
        await client.post("/api/osmand", data=place),
        await client.post("/api/osmand", json=TRACCAR | {"device_id": token}),
        await client.post("/api/osmand", json=TRACCAR, headers=bearer(token)),
        await client.get("/api/osmand", params=place | {"id": "van"}, headers=bearer(token)),
    ]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert [(position.lat, position.lng) for _, position in manager.reports] == [(47.5, 8.5)] * 6


async def test_who_only_looks_at_an_address_of_osmand_reports_nothing(
    client: httpx.AsyncClient, token: str, manager: FakeSessions
) -> None:
    place = {"id": token, "lat": "47.5", "lon": "8.5"}
    assert (await client.head("/api/osmand", params=place)).status_code == 200
    assert manager.reports == []
    await client.get("/api/osmand", params=place)
    assert len(manager.reports) == 1


async def test_osmand_without_a_fix_reports_nothing_and_is_not_sent_again(
    client: httpx.AsyncClient, token: str, manager: FakeSessions
) -> None:
    answer = await client.get("/api/osmand", params={"id": token, "batt": "50"})
    assert answer.status_code == 200
    assert manager.reports == []


async def test_osmand_needs_a_token_of_a_participant(
    client: httpx.AsyncClient, api: Api, manager: FakeSessions
) -> None:
    place = {"lat": "47.5", "lon": "8.5"}
    host = (await api.create())["host_token"]
    assert_problem(await client.get("/api/osmand", params=place), 401, "TOKEN_MISSING")
    wrong = await client.get("/api/osmand", params=place | {"id": "123456"})
    assert_problem(wrong, 401, "TOKEN_INVALID")
    assert_problem(await client.get("/api/osmand", params=place | {"id": host}), 403, "FORBIDDEN")
    assert manager.reports == []


async def test_osmand_refuses_what_is_wrong_and_what_is_too_large(
    client: httpx.AsyncClient, token: str
) -> None:
    wrong = await client.get("/api/osmand", params={"id": token, "lat": "91", "lon": "0"})
    problem = assert_problem(wrong, 400, "VALIDATION_FAILED")
    assert [each["field"] for each in problem["errors"]] == ["lat"]
    assert_problem(await client.post("/api/osmand", content=b"{"), 400, "MALFORMED_JSON")
    large = await client.post("/api/osmand", content=b"x" * 20_000)
    assert_problem(large, 413, "BODY_TOO_LARGE")


async def test_a_token_in_a_query_is_in_no_log_and_in_no_answer(
    client: httpx.AsyncClient, token: str, capfd: pytest.CaptureFixture[str]
) -> None:
    good = await client.get("/api/osmand", params={"id": token, "lat": "1", "lon": "2"})
    bad = await client.get("/api/osmand", params={"id": token, "lat": token, "lon": "2"})
    assert (good.status_code, bad.status_code) == (200, 400)
    written = "".join(capfd.readouterr())
    assert "/api/osmand" in written
    assert token not in written + good.text + bad.text


async def test_osmand_counts_by_the_same_limit_as_other_reports(make_app: MakeApp) -> None:
    app = make_app(limits=ApiLimits(report=Rate(per_second=0.01, burst=1)))
    async with client_of(app) as client:
        api = Api(client)
        session = (await api.create())["session_id"]
        token = (await api.join(session))["websocket_token"]
        path = f"/api/sessions/{session}/positions"
        assert (await client.post(path, json=PLACE, headers=bearer(token))).status_code == 200
        limited = await client.get("/api/osmand", params={"id": token, "lat": "1", "lon": "2"})
        assert_problem(limited, 429, "RATE_LIMITED")


# --- OwnTracks --------------------------------------------------------------------------------

LOCATION = {"_type": "location", "lat": 47.5, "lon": 8.5, "tst": 1772366370, "acc": 5, "tid": "ad"}


async def test_owntracks_reports_and_is_shown_the_others(
    client: httpx.AsyncClient, api: Api, session: str, token: str, manager: FakeSessions
) -> None:
    bo = await api.join(session, "Bo")
    alone = await client.post("/api/owntracks", json=LOCATION, auth=("ada", token))
    assert (alone.status_code, alone.json()) == (200, [])
    answer = await client.post(
        "/api/owntracks", json=LOCATION | {"lat": 1}, auth=("", bo["websocket_token"])
    )
    location, card = answer.json()
    assert (location["lat"], card["name"], card["tid"]) == (47.5, "Ada", "Ad")
    assert [position.lat for _, position in manager.reports] == [47.5, 1]


@pytest.mark.parametrize("content", [b"", b'{"_type": "lwt", "tst": 1}', b"{}"])
async def test_owntracks_is_answered_with_an_empty_array_to_every_other_message(
    client: httpx.AsyncClient, token: str, manager: FakeSessions, content: bytes
) -> None:
    answer = await client.post("/api/owntracks", content=content, auth=("ada", token))
    assert (answer.status_code, answer.json()) == (200, [])
    assert answer.headers["content-type"] == "application/json"
    assert manager.reports == []


async def test_owntracks_needs_a_token_as_its_password(
    client: httpx.AsyncClient, api: Api, token: str
) -> None:
    host = (await api.create())["host_token"]

    async def answer(authorization: str | None) -> httpx.Response:
        headers = {} if authorization is None else {"Authorization": authorization}
        return await client.post("/api/owntracks", json=LOCATION, headers=headers)

    assert_problem(await answer(None), 401, "TOKEN_MISSING")
    for wrong in ("Basic", "Basic !", "Basic YWRh", "Basic /w==", "Basic YWRhOngueS56", "Digest x"):
        assert_problem(await answer(wrong), 401, "TOKEN_INVALID")
    assert (await answer(f"Bearer {token}")).status_code == 200
    refused = await client.post("/api/owntracks", json=LOCATION, auth=("ada", host))
    assert_problem(refused, 403, "FORBIDDEN")


async def test_owntracks_is_refused_what_is_wrong(client: httpx.AsyncClient, token: str) -> None:
    async def answer(content: bytes) -> httpx.Response:
        return await client.post("/api/owntracks", content=content, auth=("ada", token))

    assert_problem(await answer(b"{"), 400, "MALFORMED_JSON")
    assert_problem(await answer(b'{"_type": "location"}'), 400, "VALIDATION_FAILED")
    assert_problem(await answer(b" " * 20_000), 413, "BODY_TOO_LARGE")
