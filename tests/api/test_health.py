"""Liveness, readiness and metrics."""

import itertools
from collections.abc import Iterable, Iterator

import httpx
import pytest
import structlog.testing
import trio
import trio.testing
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from locshare.api import Check, scrapes, when
from locshare.store.port import StoreUnavailable
from locshare.telemetry.metrics import CONTENT_TYPE
from tests.api.conftest import MakeApp, client_of


async def fine() -> None:
    await trio.lowlevel.checkpoint()


async def away() -> None:
    await trio.lowlevel.checkpoint()
    raise StoreUnavailable


async def broken() -> None:
    raise RuntimeError("broken")


async def test_liveness_does_not_depend_on_readiness(make_app: MakeApp) -> None:
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
    assert trio.current_time() == pytest.approx(1.0, abs=0.1)


async def test_metrics_are_shown_in_the_text_format(
    client: httpx.AsyncClient, registry: CollectorRegistry
) -> None:
    Gauge("locshare_sessions", "Live sessions.", registry=registry).set(3)
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert "locshare_sessions 3.0\n" in answer.text


TOOK_S = 0.005


@pytest.fixture
def slow(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the metrics were collected; each time seems to take 5 ms."""
    collected: list[float] = []
    instants = itertools.count(step=TOOK_S)
    monkeypatch.setattr(scrapes, "perf_counter", lambda: next(instants))

    class Slow(Collector):
        def collect(self) -> Iterator[Metric]:
            collected.append(trio.current_time())
            yield GaugeMetricFamily("collected", "How often.", len(collected))

        def describe(self) -> Iterable[Metric]:
            return ()

    registry.register(Slow())
    return collected


async def test_a_flood_of_scrapes_takes_a_tenth_of_the_time_and_no_answer_is_stale(
    client: httpx.AsyncClient, slow: list[float], autojump_clock: trio.testing.MockClock
) -> None:
    answers: list[str] = []

    async def scrape() -> None:
        answers.append((await client.get("/metrics")).text)

    await scrape()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(scrape)
    assert len(slow) == 2
    assert slow[1] - slow[0] == pytest.approx(9 * TOOK_S, abs=0.001)
    assert ["collected 2.0\n" in each for each in answers] == [False, *[True] * 20]


async def test_a_scrape_in_which_the_process_was_suspended_holds_the_next_one_up_for_seconds(
    client: httpx.AsyncClient,
    slow: list[float],
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instants = itertools.count(step=60.0)
    monkeypatch.setattr(scrapes, "perf_counter", lambda: next(instants))
    await client.get("/metrics")
    await client.get("/metrics")
    assert slow[1] - slow[0] == pytest.approx(scrapes.LONGEST_S, abs=0.1)


async def test_a_scrape_that_is_given_up_leaves_the_others_their_answer(
    client: httpx.AsyncClient, slow: list[float], autojump_clock: trio.testing.MockClock
) -> None:
    await client.get("/metrics")
    answers: list[int] = []
    impatience = trio.CancelScope()

    async def scrape(scope: trio.CancelScope) -> None:
        with scope:
            answers.append((await client.get("/metrics")).status_code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(scrape, impatience)
        nursery.start_soon(scrape, trio.CancelScope())
        await trio.sleep(0.001)
        impatience.cancel()
    assert answers == [200]
    assert len(slow) == 2


async def test_a_flood_of_questions_is_one_at_a_time_and_no_answer_is_stale(
    make_app: MakeApp,
) -> None:
    rounds: list[trio.Event] = []

    async def check() -> None:
        assert all(each.is_set() for each in rounds), "the one before has not ended"
        rounds.append(trio.Event())
        with trio.CancelScope(shield=True):
            await rounds[-1].wait()

    statuses: list[int] = []

    async def ask() -> None:
        statuses.append((await client.get("/health/ready")).status_code)

    async with client_of(make_app(checks={"database": check})) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            assert len(rounds) == 1
            for _ in range(5):
                nursery.start_soon(ask)  # during a round, whose checks may have returned already
            await trio.testing.wait_all_tasks_blocked()
            rounds[0].set()
            await trio.testing.wait_all_tasks_blocked()
            assert len(rounds) == 2, "one more for all who came meanwhile"
            assert len(statuses) == 1
            rounds[1].set()
        assert statuses == [200] * 10
        assert len(rounds) == 2


async def test_a_client_that_gives_up_asking_leaves_the_others_their_answer(
    make_app: MakeApp,
) -> None:
    gate = trio.Event()
    asked = 0

    async def check() -> None:
        nonlocal asked
        asked += 1
        await gate.wait()

    impatience = trio.CancelScope()
    answers: list[httpx.Response] = []

    async def ask(scope: trio.CancelScope) -> None:
        with scope:
            answers.append(await client.get("/health/ready"))

    app = make_app(checks={"database": check})
    async with client_of(app) as client, trio.open_nursery() as nursery:
        nursery.start_soon(ask, impatience)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask, trio.CancelScope())
        await trio.testing.wait_all_tasks_blocked()
        assert asked == 1
        impatience.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert asked == 2
        gate.set()
    assert [answer.status_code for answer in answers] == [200]
