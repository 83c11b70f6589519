"""Alive, ready, and the figures."""

import httpx
import pytest
import structlog.testing
import trio
import trio.testing

from locshare.api import Check, when
from locshare.api.health import CHECK_TIMEOUT_S
from locshare.metrics import CONTENT_TYPE, Registry
from locshare.store.port import StoreUnavailable
from tests.api.conftest import MakeApp, client_of


async def fine() -> None:
    await trio.lowlevel.checkpoint()


async def away() -> None:
    await trio.lowlevel.checkpoint()
    raise StoreUnavailable


async def broken() -> None:
    raise RuntimeError("broken")


async def test_it_lives_whatever_is_not_ready(make_app: MakeApp) -> None:
    async with client_of(make_app(checks={"store": away})) as client:
        answer = await client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_without_checks_it_is_ready(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "checks": {}})


@pytest.mark.parametrize(
    ("check", "state"),
    [(away, "failed"), (broken, "failed"), (when(lambda: False), "failed"),
     (trio.sleep_forever, "too_slow")],
)  # fmt: skip
async def test_one_failing_check_makes_it_not_ready(
    make_app: MakeApp, check: Check, state: str, autojump_clock: trio.testing.MockClock
) -> None:
    checks = {"store": check, "other": fine, "listening": when(lambda: True)}
    with structlog.testing.capture_logs() as logged:
        async with client_of(make_app(checks=checks)) as client:
            answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json() == {
        "status": "unavailable",
        "checks": {"store": state, "other": "ok", "listening": "ok"},
    }
    assert "broken" not in answer.text
    assert [entry["event"] for entry in logged if entry["log_level"] == "error"] == (
        ["check_failed"] if check is broken else []
    )


async def test_checks_are_asked_at_once_with_one_deadline(
    make_app: MakeApp, autojump_clock: trio.testing.MockClock
) -> None:
    checks = {f"check {number}": trio.sleep_forever for number in range(5)}
    async with client_of(make_app(checks=checks)) as client:
        await client.get("/health/ready")
    assert trio.current_time() == pytest.approx(CHECK_TIMEOUT_S, abs=0.1)


async def test_metrics_are_shown_in_the_text_format(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.gauge("locshare_sessions", "Live sessions.").set(3)
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert "locshare_sessions 3\n" in answer.text
