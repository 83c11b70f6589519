"""The fast router and Quart give the same responses."""

from typing import Any

import httpx
import pytest
import trio
import trio.testing

from locshare.api import ApiLimits
from locshare.session.errors import SessionOver, SessionUnavailable
from locshare.store.port import StoreUnavailable
from tests.api.conftest import Api, FakeSessions, MakeApp, assert_problem, client_of

JSON = {"Content-Type": "application/json"}
UNKNOWN = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"


def comparable(answer: httpx.Response) -> tuple[int, Any, dict[str, str]]:
    """Everything but the request's id."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, answer.json(), headers


@pytest.mark.outside_contract  # errors that this call does not have
@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (SessionOver(), 410),
        (SessionUnavailable(), 503),
        (StoreUnavailable(retry_after=7), 503),
        (trio.TooSlowError(), 503),
        (RuntimeError("unforeseen"), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_an_error_gets_the_same_response(
    api: Api, manager: FakeSessions, failure: Exception, status: int
) -> None:
    path = f"/api/sessions/{(await api.create())['session_id']}"
    manager.failure = failure
    fast, framework = [await api.client.get(each) for each in (path, f"{path}/participants")]
    assert fast.status_code == status
    assert comparable(fast) == comparable(framework)


@pytest.mark.parametrize("session", ["none", f"{UNKNOWN}0", f"{{{UNKNOWN}}}"])
async def test_a_wrong_id_gets_the_same_response(client: httpx.AsyncClient, session: str) -> None:
    path = f"/api/sessions/{session}"
    fast, framework = [await client.get(each) for each in (path, f"{path}/participants")]
    assert_problem(fast, 400, "INVALID_ID")
    assert comparable(fast) == comparable(framework)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b"{}", {}, 415),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Type": "application/json; charset=latin-1"}, 415),
        (b"{}", JSON | {"Content-Encoding": "gzip"}, 415),
        (b" " * 20_000, JSON, 413),
    ],
)
async def test_a_wrong_body_gets_the_same_response(
    api: Api, content: bytes, headers: dict[str, str], status: int
) -> None:
    path = f"/api/sessions/{(await api.create())['session_id']}/join"
    fast, framework = [
        await api.client.post(each, content=content, headers=headers)
        for each in (path, "/api/sessions")
    ]
    assert fast.status_code == status
    assert comparable(fast) == comparable(framework)


async def test_an_answer_that_takes_too_long_is_503(
    make_app: MakeApp, manager: FakeSessions, autojump_clock: trio.testing.MockClock
) -> None:
    async with client_of(make_app(limits=ApiLimits(answer_timeout_s=3))) as client:
        path = f"/api/sessions/{(await Api(client).create())['session_id']}"
        manager.gate = trio.Event()
        fast, framework = [await client.get(each) for each in (path, f"{path}/participants")]
    assert_problem(fast, 503, "UNAVAILABLE")
    assert comparable(fast) == comparable(framework)
    assert trio.current_time() == pytest.approx(6, abs=0.2)


async def test_other_methods_of_the_same_paths_are_answered(api: Api) -> None:
    path = f"/api/sessions/{(await api.create())['session_id']}"
    got, head = await api.client.get(path), await api.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(got.content))
    allowed = (await api.client.options(path)).headers["allow"]
    assert set(allowed.split(", ")) == {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH"}
    assert_problem(await api.client.put(f"{path}/join"), 405, "METHOD_NOT_ALLOWED")
    assert_problem(await api.client.post(f"{path}/join/"), 404, "NOT_FOUND")
