"""The scripts' own code against the real rooms of the server, on real sockets. Only k6 is not real:
its three modules are stand-ins on what node has.
"""

from collections import Counter
from typing import Any

import pytest
import trio

from locshare.model.position import Position
from locshare.wire.messages import Leave
from locshare.wire.plain import PLAIN
from tests.bench.k6.kit import run_script
from tests.simulate.kit import Server, serving, until

Settings = dict[str, object]

# The interval is longer than the longest flush window: nothing may be left out for a newer one.
SHORT: Settings = {"INTERVAL": 0.3, "DURATION": 1.2}
SIZES: dict[str, Settings] = {
    "baseline": {"SIZE": 6},
    "storm": {"SESSIONS": 3, "SIZE": 5},
    "flood": {"SESSIONS": 2, "SIZE": 5},
    "stress": {"SESSIONS": 2, "SIZE": 6, "LOSSES_PER_HOUR": 2000},
    "faults": {"SESSIONS": 2, "SIZE": 5, "DROP_EVERY": 0.5, "DROP_SHARE": 0.4},
}


def where(server: Server) -> Settings:
    return {"HTTP_URL": server.addresses.http_url, "WS_URL": server.addresses.ws_url}


def broken(found: dict[str, Any]) -> list[str]:
    """The thresholds that were not kept, but for those of time, which a busy machine may break."""
    broken = [each for each, kept in found["thresholds"].items() if not kept]
    return [each for each in broken if "_ms:" not in each]


def messages(found: dict[str, Any]) -> Counter[str]:
    """What was sent, by kind. Fails for what the server's decoder does not take."""
    return Counter(type(PLAIN.decode(frame)).__name__ for frame in found["frames"])


@pytest.mark.parametrize("scenario", SIZES)
async def test_a_scenario_keeps_its_thresholds_and_leaves_nothing(scenario: str) -> None:
    for longer in (1, 5, 25):  # on a busy machine it takes a while until it has happened
        async with serving() as server:
            settings = where(server) | SHORT | SIZES[scenario] | {"DURATION": 1.2 * longer}
            found = await run_script(scenario, settings)
            statistics = server.connections()
        if not broken(found):
            break
    assert broken(found) == []
    assert statistics.open == 0
    sessions = found["scenario"]["vus"]
    assert [each["method"] for each in found["requests"]].count("DELETE") == sessions
    sent, metrics = messages(found), found["metrics"]
    assert metrics["sent"]["sum"] == sent[Position.__name__]
    # The end of the session may overtake whoever leaves just before.
    left, ended = (statistics.closed.get(reason, 0) for reason in ("left", "session_ended"))
    assert 0 < left <= sent[Leave.__name__] <= left + ended
    assert metrics["delivered"]["sum"] == metrics["delivery_ms"]["samples"] > 0
    assert metrics["error_messages"]["samples"] == 0


async def test_every_update_reaches_every_other_person() -> None:
    """Of four people who are all there from the start, each gets what three others send."""
    at_once: Settings = {"SESSIONS": 2, "SIZE": 4, "RAMP": 0.01, "DURATION": 2.4}
    async with serving() as server:
        found = await run_script("storm", where(server) | SHORT | at_once)
    sent, delivered = (found["metrics"][name]["sum"] for name in ("sent", "delivered"))
    early = 2 * 8  # while not everybody is connected yet
    assert sent > early
    assert (sent - early) * 3 <= delivered <= sent * 3
    assert found["metrics"]["lost"] == {"samples": delivered, "sum": 0, "rate": 0}


async def test_what_does_not_arrive_is_lost() -> None:
    """The account is worth something only if it can come out wrong."""
    async with serving() as server:
        found = await run_script(
            "baseline", where(server) | SHORT | {"SIZE": 6, "PATIENCE": 0.5}, swallow=10
        )
    assert found["metrics"]["lost"]["rate"] == pytest.approx(0.1, abs=0.05)
    assert {"lost: rate<0.001", "stale_pairs: count==0"} <= set(broken(found))


async def test_what_was_lost_is_not_forgiven_when_the_connection_ends_later() -> None:
    """All connections end again and again, the last time just before the end."""
    drops: Settings = {"SESSIONS": 1, "SIZE": 6, "DROP_EVERY": 0.5, "DROP_SHARE": 1}
    settings = SHORT | drops | {"DURATION": 2.3, "PATIENCE": 0.1}
    async with serving() as server:
        found = await run_script("faults", where(server) | settings, swallow=10)
    assert found["metrics"]["recoveries"]["sum"] >= 6
    assert found["metrics"]["lost"]["rate"] > 0.05


async def test_a_restart_of_the_server_is_recovered_from() -> None:
    settings: Settings = {"SESSIONS": 1, "SIZE": 4, "INTERVAL": 0.3, "DURATION": 3}
    settings |= {"DROP_EVERY": 60, "OUTAGES": 1}
    found: dict[str, Any] = {}

    async def run(server: Server) -> None:
        found.update(await run_script("faults", where(server) | settings))

    async with trio.open_nursery() as nursery:
        async with serving() as first:
            nursery.start_soon(run, first)
            await until(lambda: first.connections().open == 4)
            await trio.sleep(0.3)
        async with serving(again=first):
            await until(lambda: bool(found))
    metrics = found["metrics"]
    assert metrics["unexpected_disconnects"]["sum"] == metrics["recoveries"]["sum"] == 4
    assert metrics["recovery_ms"]["samples"] == 4
    assert broken(found) == []


async def test_without_a_server_the_thresholds_are_broken() -> None:
    nowhere: Settings = {"HTTP_URL": "http://127.0.0.1:1", "SIZE": 2, "DURATION": 0.2}
    found = await run_script("baseline", nowhere)
    assert {"create_failed: rate==0", "delivered: count>0"} <= set(broken(found))
