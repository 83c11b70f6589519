"""Servers started for a measurement: where they run, how they are broken and repaired, their end.

Every server's ``survives`` is shown here: the same tokens serve again after it.
"""

import os
import re
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from bench.driver.rest_probe import Probe
from bench.driver.usage import UsageMeter
from bench.procfs import cores, descendants, proportional_bytes
from bench.procfs import started as began
from bench.results import DisruptionKind
from bench.servers import STOP_S
from bench.targets import STARTABLE, NotServing, Target, started
from bench.targets.local import ROOT
from tests.contract.group import DEADLINE_S, UPGRADE, Group, assert_problem, create, phone
from tests.phones import Phone
from tests.redis_server import have_redis_or_skip, needs_redis
from tests.simulate.kit import until

pytestmark = pytest.mark.e2e


CALLS = {
    f"{method} {path}"
    for method, path in re.findall(
        r"^\| `(GET|POST|PATCH|DELETE)(?:`, `POST)? (/api/\S+)` \|",
        (ROOT / "docs/reference/rest.md").read_text(),
        re.MULTILINE,
    )
}
"""Of the page on the REST interface, each once."""
CONTRACT = {
    "POST /api/sessions",
    "GET /api/sessions/{id}",
    "DELETE /api/sessions/{id}",
    "POST /api/sessions/{id}/join",
    "GET /api/sessions/{id}/participants",
    "DELETE /api/sessions/{id}/participants/{user_id}",
}
"""What the comparators have too."""


@pytest.fixture(scope="module", params=STARTABLE)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    have_redis_or_skip(request.param)
    mine = cores()
    with started(request.param) as server:
        pids = server.pids()
        yield server
        pids = [*pids, *server.pids()]
    assert {pid: began(pid) for pid in pids} == dict.fromkeys(pids)
    assert cores() == mine


@pytest.fixture
async def http(target: Target) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=target.http_url, timeout=DEADLINE_S) as client:
        yield client


@pytest.fixture
async def group(http: httpx.AsyncClient) -> Group:
    return await create(http)


async def break_and_repair(target: Target, kind: DisruptionKind, group: Group) -> None:
    assert await trio.to_thread.run_sync(target.begin, kind, group.id)
    await trio.to_thread.run_sync(target.end, kind)


async def assert_heard(first: Phone, second: Phone, battery: int) -> None:
    await first.move(battery=battery)
    await second.until("location_update", battery=battery)


async def test_it_is_ready_and_known(target: Target, http: httpx.AsyncClient) -> None:
    assert (await http.get("/health/ready")).status_code == 200
    description = target.description
    assert STARTABLE[description.name] == description.title
    assert description.dialect == "plain"
    assert description.facts is not None
    assert len(programs(target.pids())) == description.facts.processes
    assert len(description.facts.services) == description.facts.processes - 1


def programs(pids: Sequence[int]) -> set[str]:
    """What runs there. Left out is the shell that waits, asleep, for the end of our server."""
    return {Path(f"/proc/{pid}/exe").resolve().name for pid in pids} - {
        Path("/bin/sh").resolve().name
    }


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_what_is_counted_of_a_server_is_counted_of_its_database_too(target: Target) -> None:
    services = {"locshare": {"postgres"}, "redis": {"redis-check-rdb", "redis-server"}}
    found = programs(target.pids())
    expected = services.get(target.description.name, set())
    assert bool(expected & found) == bool(expected)
    meter = UsageMeter(target.pids)
    usage = meter.usage(1)
    assert usage is not None
    assert usage.rss_start_bytes > sum(proportional_bytes(pid) or 0 for pid in target.pids()[1:])


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(cores()) < 2, reason="needs two cores to choose"
)
async def test_it_has_the_first_core_for_itself(target: Target) -> None:
    [place] = {frozenset(os.sched_getaffinity(pid)) for pid in target.pids()}
    assert len(place) == 1
    assert place.isdisjoint(cores())


async def test_it_takes_more_people_than_a_group_has(target: Target, group: Group) -> None:
    for _ in range(60):
        await group.join()


async def test_a_pause_holds_it_up_and_loses_nobody(target: Target, group: Group) -> None:
    async with phone(await group.join()) as first, phone(await group.join()) as second:
        assert "SIGSTOP" in await trio.to_thread.run_sync(target.begin, "pause_process", group.id)
        await first.move(battery=1)
        with trio.move_on_after(0.3):
            await second.until("location_update")
            raise AssertionError("it was not paused")
        await trio.to_thread.run_sync(target.end, "pause_process")
        await second.until("location_update", battery=1)


async def test_after_a_kill_it_is_there_again_with_what_it_keeps(
    target: Target, group: Group
) -> None:
    ada, bo = await group.join("Ada"), await group.join("Bo")
    before = set(target.pids())
    await break_and_repair(target, "kill_process", group)
    assert set(target.pids()) != before
    assert target.description.facts is not None
    if "kill_process" in target.description.facts.survives:
        async with phone(ada) as first, phone(bo) as second:
            await assert_heard(first, second, 2)
    else:
        url = ada.url.replace("ws:", "http:")
        answer = await group.http.get(url, params={"token": ada.token}, headers=UPGRADE)
        assert_problem(answer, 404, "SESSION_NOT_FOUND")


@pytest.mark.parametrize("target", ["locshare"], indirect=True)
async def test_a_crash_of_a_session_is_not_noticed_by_its_people(
    target: Target, group: Group
) -> None:
    async with phone(await group.join()) as first, phone(await group.join()) as second:
        detail = await trio.to_thread.run_sync(target.begin, "crash_session", group.id)
        assert "crashed" in detail
        await assert_heard(first, second, 3)
        await trio.to_thread.run_sync(target.end, "crash_session")
    with pytest.raises(NotServing, match="not injected"):
        await trio.to_thread.run_sync(
            target.begin, "crash_session", "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"
        )


@pytest.mark.parametrize("target", ["locshare"], indirect=True)
async def test_without_its_database_a_live_session_goes_on(target: Target, group: Group) -> None:
    async with phone(await group.join()) as first, phone(await group.join()) as second:
        await trio.to_thread.run_sync(target.begin, "cut_database", group.id)
        assert (await group.http.post("/api/sessions", json={})).status_code == 503
        await assert_heard(first, second, 4)
        await trio.to_thread.run_sync(target.end, "cut_database")
        await create(group.http)


@pytest.mark.parametrize("target", ["redis"], indirect=True)
async def test_without_redis_a_session_stands_still(target: Target, group: Group) -> None:
    async with phone(await group.join()) as first, phone(await group.join()) as second:
        assert "Redis" in await trio.to_thread.run_sync(target.begin, "cut_database", group.id)
        await first.move(battery=5)
        with trio.move_on_after(0.3):
            await second.until("location_update")
            raise AssertionError("it does not need Redis")
        await trio.to_thread.run_sync(target.end, "cut_database")
        await second.until("location_update", battery=5)


async def test_with_a_quarter_of_a_core_it_goes_on(target: Target, group: Group) -> None:
    async with phone(await group.join()) as first, phone(await group.join()) as second:
        detail = await trio.to_thread.run_sync(target.begin, "limit_cpu", group.id)
        assert detail == "no more than 25% of a core for the server's process"
        for battery in range(10, 15):
            await assert_heard(first, second, battery)
        await trio.to_thread.run_sync(target.end, "limit_cpu")
        await assert_heard(first, second, 15)


async def test_with_no_more_memory_its_people_notice_nothing(target: Target, group: Group) -> None:
    async with phone(await group.join()) as first, phone(await group.join()) as second:
        before = target.pids()[0]
        await trio.to_thread.run_sync(target.begin, "limit_memory", group.id)
        limited, hard = resource.prlimit(before, resource.RLIMIT_AS)
        assert limited != hard
        await assert_heard(first, second, 16)
        await trio.to_thread.run_sync(target.end, "limit_memory")
        assert resource.prlimit(before, resource.RLIMIT_AS) == (hard, hard)
        await assert_heard(first, second, 17)


async def test_without_descriptors_the_connected_go_on_and_others_come_later(
    target: Target, group: Group
) -> None:
    late = await group.join()
    async with phone(await group.join()) as first, phone(await group.join()) as second:
        await trio.to_thread.run_sync(target.begin, "limit_descriptors", group.id)
        with pytest.raises(httpx.TransportError):
            async with httpx.AsyncClient(base_url=target.http_url, timeout=0.3) as another:
                await another.get("/health/live")
        await assert_heard(first, second, 18)
        await trio.to_thread.run_sync(target.end, "limit_descriptors")
        async with phone(late) as third:
            await assert_heard(first, third, 19)


async def test_a_server_that_died_of_a_limit_is_started_again(target: Target, group: Group) -> None:
    await trio.to_thread.run_sync(target.begin, "limit_memory", group.id)
    pid = target.pids()[0]
    os.kill(pid, signal.SIGKILL)
    await until(lambda: began(pid) is None)
    await trio.to_thread.run_sync(target.end, "limit_memory")
    assert (await group.http.get("/health/ready")).status_code == 200


async def test_the_probe_makes_every_call_that_a_server_has(target: Target) -> None:
    probe = Probe(target.http_url)
    for _ in range(2 * len(CALLS) + 4):
        await trio.to_thread.run_sync(probe.step, time.monotonic())
    probe.close()
    calls = probe.calls()
    assert {each.call: each.failed for each in calls if each.failed} == {}
    assert all(each.latencies.count for each in calls)
    expected = CALLS if target.description.name == "locshare" else CONTRACT
    assert {each.call for each in calls} == {*expected, "GET /health/ready"}


@pytest.mark.parametrize("kind", ["drop_clients", "cut_network"])
async def test_a_dropped_client_reconnects(
    target: Target, group: Group, kind: DisruptionKind
) -> None:
    assert not target.can(kind)  # others do that
    with pytest.raises(NotServing, match=kind):
        target.begin(kind, group.id)
    assert target.description.facts is not None
    assert kind in target.description.facts.survives
    ada, bo = await group.join("Ada"), await group.join("Bo")
    async with phone(ada) as second:
        async with phone(bo) as lost:
            await lost.move(battery=6)
            await second.until("location_update")
            await lost.socket._stream.aclose()  # without a word, as a network does it
        async with phone(bo) as first:
            assert [each["battery"] for each in first.snapshot["positions"]] == [6]
            await assert_heard(first, second, 7)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("locshare", "kill_process"),
        ("locshare", "pause_process"),
        ("inprocess", "pause_process"),
        ("inprocess", "limit_cpu"),
        pytest.param("redis", "cut_database", marks=needs_redis),
    ],
)
def test_what_was_broken_and_not_repaired_is_ended_too(name: str, kind: DisruptionKind) -> None:
    with started(name, pin=False) as server:
        pids = {*server.pids(), *(each for pid in server.pids() for each in descendants(pid))}
        server.begin(kind, "")
        broke = time.monotonic()
    assert {pid: began(pid) for pid in pids} == dict.fromkeys(pids)
    assert time.monotonic() - broke < STOP_S  # nobody was waited for in vain


def test_another_name_cannot_be_started() -> None:
    with (
        pytest.raises(ValueError, match="'nginx' can be started; allowed are locshare, redis"),
        started("nginx"),
    ):
        pass


def test_without_redis_the_error_tells_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotServing, match="apt install redis-server"), started("redis"):
        pass


def test_a_server_that_does_not_come_up_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"PYTHONPATH": "/nowhere", "PYTHONSAFEPATH": "1"}
    start = partial(started, "inprocess", environment=environment)
    with pytest.raises(NotServing, match=r"ended with 1:\n.*No module named"), start():
        pass
