"""No error gets its text, which may quote a request, into the log."""

from typing import Any

import pytest
import structlog.testing
import trio

from tests.api.conftest import FakeSessions, MakeApp, client_of
from tests.http.serving import connect, read_to_end, serving

SECRET = "Ada eyJhbGciOi 52.516272"


@pytest.mark.parametrize("path", ["/api/sessions/{id}", "/api/sessions/{id}/participants"])
@pytest.mark.parametrize(
    "failure",
    [ValueError(SECRET), ExceptionGroup(SECRET, [KeyError(SECRET)])],
    ids=["one", "group"],
)
async def test_no_error_of_a_handler_gets_its_text_into_the_log(
    make_app: MakeApp, manager: FakeSessions, path: str, failure: Exception
) -> None:
    manager.failure = failure
    with structlog.testing.capture_logs() as logged:
        async with client_of(make_app(checks={"broken": _fail})) as client:
            url = path.format(id="6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11")
            assert (await client.get(url)).status_code == 500
            assert (await client.get("/health/ready")).status_code == 503
    assert [entry["event"] for entry in logged if entry["log_level"] == "error"] == [
        "request_failed",
        "check_failed",
    ]
    assert SECRET not in str(logged)


async def _fail() -> None:
    raise RuntimeError(SECRET)


async def test_no_error_below_the_application_gets_its_text_into_the_log() -> None:
    async def broken(_scope: Any, _receive: Any, send: Any) -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError(SECRET)

    with structlog.testing.capture_logs() as logged:
        async with serving(broken) as server, await connect(server) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await read_to_end(stream)
    (entry,) = [entry for entry in logged if entry["log_level"] == "error"]
    assert (entry["event"], entry["error"]) == ("http_application_failed", "ValueError")
    assert SECRET not in str(logged)
