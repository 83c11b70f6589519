"""Rules for every path, method and response: problems, headers, origins, the log."""

import json
import re
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import structlog.testing
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from quart import Blueprint, Response

from locshare.api import RestApplication, create_app
from locshare.auth.tokens import TokenExpired, TokenInvalid, TokenKeys
from locshare.http.problems import ProblemCode
from locshare.session.errors import (
    ParticipantNotFound,
    SessionFull,
    SessionNotFound,
    SessionOver,
    SessionUnavailable,
)
from locshare.store.port import StoreUnavailable
from locshare.telemetry.metrics import exposition, new_registry
from tests.api.conftest import (
    SECRET,
    URLS,
    Api,
    FakeSessions,
    MakeApp,
    assert_problem,
    bearer,
    client_of,
)

SESSION = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"
ORIGIN = "https://other.example"


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/api/", "/api/sessions/", f"/api/sessions/{SESSION}/", "/api/nothing",
     f"/api/sessions/{SESSION}/nothing", f"/api/sessions/{SESSION}/participants/x/y",
     "/api//sessions", "/API/sessions", "/static/x", "/favicon.ico", "/ws", "/a%00b", "/%f0%9f"],
)  # fmt: skip
async def test_an_unknown_path_is_a_404(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"http://test{path}")
    assert_problem(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/sessions", "OPTIONS, POST"),
        ("HEAD", "/api/sessions", "OPTIONS, POST"),
        ("PUT", "/api/sessions", "OPTIONS, POST"),
        ("POST", f"/api/sessions/{SESSION}", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("GET", f"/api/sessions/{SESSION}/join", "OPTIONS, POST"),
        ("DELETE", f"/api/sessions/{SESSION}/participants", "GET, HEAD, OPTIONS"),
        ("GET", f"/api/sessions/{SESSION}/participants/x", "DELETE, OPTIONS, PATCH"),
        ("POST", "/health/live", "GET, HEAD, OPTIONS"),
        ("DELETE", "/metrics", "GET, HEAD, OPTIONS"),
        ("BREW", "/api/sessions", "OPTIONS, POST"),
        ("TRACE", "/health/ready", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_a_405_with_the_allowed_methods(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    if method != "HEAD":
        assert_problem(answer, 405, "METHOD_NOT_ALLOWED")


async def test_options_lists_the_allowed_methods(client: httpx.AsyncClient) -> None:
    answer = await client.options("/api/sessions")
    assert answer.status_code == 200
    assert set(answer.headers["allow"].split(", ")) == {"OPTIONS", "POST"}
    assert "access-control-allow-origin" not in answer.headers


async def test_every_answer_has_the_headers_of_data(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.get("/health/live"),
        await client.post("/api/sessions"),
        await client.get("/nowhere"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in answer.headers
        assert len(answer.headers["x-request-id"]) == 16


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.outside_contract  # errors that this call does not have
@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (SessionNotFound(), 404, "SESSION_NOT_FOUND", None),
        (ParticipantNotFound(), 404, "PARTICIPANT_NOT_FOUND", None),
        (SessionFull(50), 409, "SESSION_FULL", None),
        (SessionOver("expired"), 410, "SESSION_ENDED", None),
        (TokenExpired(), 410, "SESSION_ENDED", None),
        (TokenInvalid(), 401, "TOKEN_INVALID", None),
        (StoreUnavailable(retry_after=7), 503, "UNAVAILABLE", "7"),
        (StoreUnavailable(retry_after=0), 503, "UNAVAILABLE", "1"),
        (SessionUnavailable(), 503, "UNAVAILABLE", "1"),
        (trio.TooSlowError(), 503, "UNAVAILABLE", "5"),
    ],
)
async def test_each_error_of_the_sessions_has_its_status(
    client: httpx.AsyncClient,
    manager: FakeSessions,
    error: Exception,
    status: int,
    code: str,
    retry_after: str | None,
) -> None:
    manager.failure = error
    answer = await client.get(f"/api/sessions/{SESSION}")
    assert_problem(answer, status, code)
    assert answer.headers.get("retry-after") == retry_after


async def test_an_error_inside_a_group_has_its_status(
    client: httpx.AsyncClient, manager: FakeSessions
) -> None:
    manager.failure = ExceptionGroup("nursery", [SessionNotFound()])
    assert_problem(await client.get(f"/api/sessions/{SESSION}"), 404, "SESSION_NOT_FOUND")


@pytest.mark.parametrize(
    "failure", [RuntimeError("secret"), ExceptionGroup("nursery", [KeyError("secret")])]
)
async def test_an_unexpected_error_is_a_500_without_details_and_is_logged(
    client: httpx.AsyncClient, manager: FakeSessions, failure: Exception
) -> None:
    manager.failure = failure
    with structlog.testing.capture_logs() as logged:
        answer = await client.get(f"/api/sessions/{SESSION}")
    assert_problem(answer, 500, "INTERNAL_ERROR")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    failed, request = logged
    assert (failed["event"], failed["log_level"]) == ("request_failed", "error")
    assert (request["event"], request["status"]) == ("http_request", 500)
    assert failed["request_id"] == request["request_id"] == answer.headers["x-request-id"]
    manager.failure = None
    assert (await client.get("/health/live")).status_code == 200


# --- the log and the metrics ----------------------------------------------------------------------


async def test_the_log_has_one_line_per_request_without_anything_private(
    client: httpx.AsyncClient, api: Api
) -> None:
    created = await api.create(name="Secret tour")
    session, token = created["session_id"], created["host_token"]
    with structlog.testing.capture_logs() as logged:
        await client.get(f"/api/sessions/{session}?token={token}", headers=bearer(token))
        await client.get(f"/join/{token}")
        await client.request("STEAL", f"/{token}")
    first, second, third = logged
    assert first.pop("ms") >= 0
    assert len(first.pop("request_id")) == 16
    assert first == {
        "event": "http_request",
        "log_level": "info",
        "method": "GET",
        "route": "/api/sessions/<session>",
        "status": 200,
    }
    assert (second["route"], second["status"]) == ("unknown", 404)
    assert third["method"] == "other"
    shown = str(logged)
    for private in (token, session, "203.0.113.7", "Secret tour"):
        assert private not in shown


async def test_health_checks_do_not_fill_the_log(client: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as logged:
        await client.get("/health/live")
        await client.get("/metrics")
    assert [entry["log_level"] for entry in logged] == ["debug", "debug"]


async def test_requests_are_counted_by_method_route_and_status(
    client: httpx.AsyncClient, registry: CollectorRegistry
) -> None:
    await client.post("/api/sessions")
    await client.get(f"/api/sessions/{SESSION}")
    await client.request("BREW", "/x/y/z")
    text = exposition(registry).decode()
    for labels in (
        'method="POST",route="/api/sessions",status="201"',
        'method="GET",route="/api/sessions/<session>",status="404"',
        'method="other",route="unknown",status="404"',
    ):
        assert f"locshare_http_requests_total{{{labels}}} 1.0\n" in text
    assert 'locshare_http_request_seconds_count{route="/api/sessions"} 1.0\n' in text


async def test_a_first_failure_is_a_rise_of_a_counter(
    client: httpx.AsyncClient, registry: CollectorRegistry
) -> None:
    """Prometheus saw none in a counter that began at 1, and no alert fired."""
    await client.post("/api/sessions")
    text = exposition(registry).decode()
    for status in ("500", "503"):
        labels = f'method="POST",route="/api/sessions",status="{status}"'
        assert f"locshare_http_requests_total{{{labels}}} 0.0\n" in text


# --- origins ----------------------------------------------------------------------------------

PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


async def test_a_page_of_an_allowed_origin_may_use_the_api(make_app: MakeApp) -> None:
    async with client_of(make_app(allowed_origins=[ORIGIN])) as client:
        preflight = await client.options("/api/sessions", headers=PREFLIGHT)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == ORIGIN
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        for answer in (
            await client.post("/api/sessions", headers={"Origin": ORIGIN}),
            await client.post("/api/sessions", content=b"{", headers={"Origin": ORIGIN}),
        ):
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert answer.headers["vary"] == "Origin"
            assert "Retry-After" in answer.headers["access-control-expose-headers"]
            assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("allowed", "origin", "granted"),
    [
        ([], ORIGIN, False),
        ([ORIGIN], "https://other.example.evil", False),
        ([ORIGIN], "http://other.example", False),
        ([ORIGIN], "null", False),
        ([ORIGIN], "", False),
        (["*"], "https://anyone.example", True),
        (["capacitor://localhost"], "capacitor://localhost", True),
    ],
)
async def test_only_allowed_origins_are_granted_anything(
    make_app: MakeApp, allowed: list[str], origin: str, granted: bool
) -> None:
    async with client_of(make_app(allowed_origins=allowed)) as client:
        for answer in (
            await client.options("/api/sessions", headers=PREFLIGHT | {"Origin": origin}),
            await client.get("/health/live", headers={"Origin": origin}),
        ):
            assert ("access-control-allow-origin" in answer.headers) is granted


# --- arbitrary requests -----------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "expires_in_minutes", "display_name", "avatar_color"])
            | st.text(max_size=8),
            children,
            max_size=6,
        )
    ),
    max_leaves=12,
)
paths = st.lists(
    st.sampled_from(["api", "sessions", SESSION, "join", "participants", "health", "live", "", "."])
    | st.text(st.characters(codec="utf-8"), max_size=12),
    max_size=6,
).map(lambda parts: "/" + "/".join(parts))
methods = st.sampled_from(["GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS", "PATCH", "FOO"])


@pytest.mark.parametrize("host", [".", "a..b", "x" * 64])
async def test_a_host_that_is_no_name_is_a_bad_request(
    client: httpx.AsyncClient, host: str
) -> None:
    answer = await client.get("/health/live", headers={"Host": host})
    assert_problem(answer, 400, "BAD_REQUEST")


@cache
def served() -> RestApplication:
    """To make one takes longer than to ask it: all examples have the same."""
    return create_app(FakeSessions(), TokenKeys(SECRET), urls=lambda: URLS, registry=new_registry())


askers = (f"198.51.{number >> 8 & 255}.{number & 255}" for number in count())


def run_one(ask: Callable[[httpx.AsyncClient], Any]) -> httpx.Response:
    """Each from an address of its own: what another has asked for is no limit for it."""

    async def main() -> httpx.Response:
        async with client_of(served(), next(askers)) as client:
            answer: httpx.Response = await ask(client)
            return answer

    with structlog.testing.capture_logs() as logged:
        answer = trio.run(main)
    assert not [entry for entry in logged if entry["log_level"] == "error"]
    return answer


FUZZ = settings(max_examples=150)


@FUZZ
@given(body=json_values | st.fixed_dictionaries({"display_name": json_values}))
def test_any_json_makes_a_session_or_a_400(body: Any) -> None:
    answer = run_one(lambda client: client.post("/api/sessions", content=_json(body),
                     headers={"Content-Type": "application/json"}))  # fmt: skip
    assert answer.status_code in (201, 400)


@FUZZ
@given(body=st.binary(max_size=200))
def test_any_bytes_make_a_session_or_a_400(body: bytes) -> None:
    answer = run_one(lambda client: client.post("/api/sessions", content=body,
                     headers={"Content-Type": "application/json"}))  # fmt: skip
    assert answer.status_code in (201, 400)


@FUZZ
@given(name=st.text(max_size=120), colour=st.text(max_size=8) | st.none())
def test_any_names_make_a_participant_or_a_400(name: str, colour: str | None) -> None:
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        session = (await client.post("/api/sessions")).json()["session_id"]
        path = f"/api/sessions/{session}"
        answer = await client.post(
            f"{path}/join",
            content=_json({"display_name": name, "avatar_color": colour}),
            headers={"Content-Type": "application/json"},
        )
        if answer.status_code == 201:
            listed = await client.get(f"{path}/participants")
            shown = listed.json()["participants"][0]["display_name"]
            assert 1 <= len(shown) <= 100
            assert shown == shown.strip()
        return answer

    assert run_one(ask).status_code in (201, 400)


@FUZZ
@given(
    method=methods,
    path=paths,
    body=st.binary(max_size=50),
    headers=st.dictionaries(
        st.sampled_from(
            ["Authorization", "Content-Type", "Content-Encoding", "Origin", "Host", "Cookie",
             "X-Forwarded-For", "Accept", "Range", "If-None-Match", "Access-Control-Request-Method"]
        ),
        st.binary(max_size=30).filter(lambda value: not set(value) & set(b"\r\n\0")),
        max_size=4,
    ),
)  # fmt: skip
def test_no_request_at_all_makes_a_5xx(
    method: str, path: str, body: bytes, headers: dict[str, bytes]
) -> None:
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        url = "http://test" + quote(path, safe="/.%")
        raw = [(name.encode(), value) for name, value in headers.items()]
        return await client.request(method, url, content=body, headers=raw)

    answer = run_one(ask)
    assert answer.status_code < 500
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.headers["content-type"] == "application/problem+json"


@FUZZ
@given(authorization=st.text(max_size=80) | st.text(max_size=80).map("Bearer {}".format))
def test_no_authorization_that_we_did_not_give_is_accepted(authorization: str) -> None:
    value = authorization.encode("utf-8", "replace").translate(None, b"\r\n\0")

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.delete(f"/api/sessions/{SESSION}", headers=[(b"Authorization", value)])

    assert run_one(ask).status_code == 401


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


async def test_a_token_is_verified_before_anything_is_asked(
    client: httpx.AsyncClient, manager: FakeSessions, tokens: TokenKeys
) -> None:
    manager.failure = RuntimeError()
    answer = await client.delete(f"/api/sessions/{SESSION}", headers=bearer("x"))
    assert_problem(answer, 401, "TOKEN_INVALID")


def test_the_documentation_lists_every_code_with_its_status() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "rest.md").read_text()
    listed = re.findall(r"^\| (\d{3}) \| `([A-Z_]+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted((str(code.status), code.name) for code in ProblemCode)


async def test_pages_of_other_blueprints_keep_their_own_headers(make_app: MakeApp) -> None:
    pages = Blueprint("pages", "pages")

    @pages.get("/join/<session>")
    async def page(session: str) -> Response:
        headers = {"Cache-Control": "max-age=60", "Content-Security-Policy": "default-src 'self'"}
        return Response("<p>Hello</p>", content_type="text/html; charset=utf-8", headers=headers)

    async with client_of(make_app(blueprints=[pages])) as client:
        answer = await client.get(f"/join/{SESSION}")
        assert answer.text == "<p>Hello</p>"
        assert answer.headers["cache-control"] == "max-age=60"
        assert answer.headers["content-security-policy"] == "default-src 'self'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert_problem(await client.post(f"/join/{SESSION}"), 405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health/live", 200),
        ("/the%20map/a/health/live", 200),
        ("/the%20map/%61/health/live", 200),
        ("/the%20map/a/the%20map/a/health/live", 404),
        ("/the%20map/a%2Fhealth/live", 404),
        ("/the%20map/ab/health/live", 404),
        ("/the%20map/health/live", 404),
        ("/the%20map/a", 308),
        ("/the%20map/a/", 404),  # the page, where there is one
    ],
)
async def test_in_a_folder_it_is_served_with_the_folder_on_the_path_and_without(
    make_app: MakeApp, path: str, status: int
) -> None:
    async with client_of(make_app(prefix="/the map/a")) as client:
        answer = await client.get(path)
    assert answer.status_code == status
    if status == 308:
        assert answer.headers["location"] == "/the%20map/a/"


@pytest.mark.parametrize("variable", ["QUART_DEBUG", "FLASK_DEBUG", "QUART_ENV"])
async def test_no_variable_of_the_framework_makes_it_show_its_errors(
    make_app: MakeApp, manager: FakeSessions, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    app = make_app()
    assert not app.debug
    manager.failure = RuntimeError("secret")
    async with client_of(app) as client:
        answer = await client.get(f"/api/sessions/{SESSION}/participants")
    assert_problem(answer, 500, "INTERNAL_ERROR")
    assert "secret" not in answer.text


async def test_no_answer_sets_a_cookie_and_no_cookie_changes_one(client: httpx.AsyncClient) -> None:
    for path in ("/health/live", "/nowhere", f"/api/sessions/{SESSION}"):
        plain = await client.get(path)
        with_cookie = await client.get(path, headers={"Cookie": "session=eyJ9.x; a=b"})
        for answer in (plain, with_cookie):
            assert "set-cookie" not in answer.headers
        assert (plain.status_code, plain.content) == (with_cookie.status_code, with_cookie.content)


@pytest.mark.parametrize(
    "headers",
    [{"X-HTTP-Method-Override": "DELETE"}, {"X-Method-Override": "DELETE"},
     {"X-Original-URL": "/metrics"}, {"X-Rewrite-URL": "/metrics"},
     {"X-Forwarded-Prefix": "/x"}, {"X-Forwarded-Host": "evil.example"}],
)  # fmt: skip
async def test_no_header_overrides_method_or_path(
    api: Api, client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    created = await api.create()
    path = f"/api/sessions/{created['session_id']}"
    token = bearer(created["host_token"])
    assert (await client.post(path, headers=token | headers)).status_code == 405
    assert (await client.get(path, headers=token | headers)).json()["id"] == created["session_id"]
