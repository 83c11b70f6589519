"""The scripts by themselves: that they are JavaScript, and what their modules decide."""

import json
import subprocess
from itertools import pairwise
from typing import Any

import pytest

from bench.scenarios import SCENARIOS as BENCH
from locshare.model.position import Position
from locshare.simulate.geo import Place, distance
from locshare.wire.messages import Leave
from locshare.wire.plain import PLAIN
from tests.bench.k6.kit import SCENARIOS, SCRIPTS, ask
from tests.node import NODE

FINISH_S = 90
"""Beyond the run itself, for joining and leaving."""
NOW = 1_772_366_400_000


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.js")), ids=lambda script: script.name)
def test_every_script_is_javascript(script: Any) -> None:
    done = subprocess.run(
        [NODE, "--check", str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_there_is_a_script_for_each_scenario() -> None:
    assert all((SCRIPTS / f"{scenario}.js").is_file() for scenario in SCENARIOS)


# --- messages ---------------------------------------------------------------------------------


def test_the_server_accepts_the_messages() -> None:
    position = "{lat: 52.5, lng: -0.1, accuracy: 5, timestamp: '2026-03-01T12:00:00.5Z'}"
    update = PLAIN.decode(ask("locshare.js", f"m.locationUpdate({position})"))
    assert isinstance(update, Position)
    assert (update.lat, update.lng, update.accuracy) == (52.5, -0.1, 5.0)
    assert PLAIN.decode(ask("locshare.js", "m.leave()")) == Leave()


@pytest.mark.parametrize(
    ("ws_url", "expected"),
    [("", "ws://a:1/ws"), ("wss://b", "wss://b/ws"), ("ws://127.0.0.1:9", "ws://127.0.0.1:9/ws")],
)
def test_the_socket_is_where_the_join_says_or_behind_another_front(
    ws_url: str, expected: str
) -> None:
    assert ask("locshare.js", f"m.socketUrl('ws://a:1/ws', {ws_url!r})") == expected


# --- people -----------------------------------------------------------------------------------


def walk(number: int, reports: int, step_ms: int) -> list[Any]:
    """Of the person ``number`` of a group."""
    made = f"new m.Walk(3, {number}, m.chance(7))"
    steps = f"Array.from({{length: {reports}}}, (_, k) => w.report({NOW} + k * {step_ms}))"
    found: list[Any] = ask("people.js", f"((w) => {steps})({made})")
    return found


@pytest.mark.parametrize("number", [0, 1, 5], ids=["walking", "driving", "stationary"])
def test_people_move_plausibly_and_never_report_the_same_place_twice(number: int) -> None:
    reports = walk(number, 600, 500)
    assert len({(report["lat"], report["lng"]) for report in reports}) == 600
    for report in reports[::50]:
        message = json.dumps({"type": "location_update", "data": report})
        assert isinstance(PLAIN.decode(message), Position)
    for one, other in pairwise(reports):
        way = distance(Place(one["lat"], one["lng"]), Place(other["lat"], other["lng"]))
        assert way == pytest.approx(one["speed"] * 0.5, abs=1.5)
    assert {report["heading"] is None for report in reports} == {number == 5}


def test_the_same_seed_goes_the_same_way() -> None:
    assert walk(0, 5, 2000) == walk(0, 5, 2000)


def test_visits_of_restless_people_are_in_order() -> None:
    churn = "{late: 0.3, early: 0.3, lossesPerHour: 60, shortest: 5, longest: 60}"
    expression = (
        f"((r) => Array.from({{length: 300}}, () => m.comesAndGoes(600, {churn}, r)))(m.chance(1))"
    )
    everybody = ask("people.js", expression)
    for visits in everybody:
        assert visits
        assert all(0 <= visit["arrives"] < 600 for visit in visits)
        for one, other in pairwise(visits):
            assert one["arrives"] < one["leaves"] < other["arrives"]
            assert 5 <= other["arrives"] - one["leaves"] <= 60
    staying = sum(visits[-1]["leaves"] is None for visits in everybody)
    assert 0.4 < staying / 300 < 0.8
    assert sum(map(len, everybody)) > 1_500


# --- plans ------------------------------------------------------------------------------------

DEFAULTS = "{sessions: 20, size: 50, interval: 2, duration: 600}"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (20, 50, 600)),
        ({"SCALE": 0.1}, (2, 50, 600)),
        ({"SCALE": 0.01}, (1, 10, 600)),
        ({"SCALE": 2}, (40, 50, 600)),
        ({"SESSIONS": 3, "SIZE": 7, "DURATION": "90s"}, (3, 7, 90)),
        ({"DURATION": "1h"}, (20, 50, 3600)),
        ({"DURATION": "1.5m"}, (20, 50, 90)),
    ],
)
def test_the_size_of_a_run_is_set_by_the_environment(
    settings: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    plan = ask("plan.js", f"m.planOf({DEFAULTS})", **settings)
    assert (plan["sessions"], plan["size"], plan["duration"]) == expected
    assert plan["people"] == plan["sessions"] * plan["size"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"SCALE": "many"}, "SCALE=many: must be a number from 0.001 to 1000"),
        ({"SIZE": "1"}, "SIZE=1: must be a number from 2 to"),
        ({"SIZE": "2.5"}, "SIZE=2.5: must be a whole number"),
        ({"DURATION": "soon"}, "DURATION=soon: must be a duration such as 90, 90s, 10m or 1h"),
        ({"HTTP_URL": "localhost"}, "HTTP_URL=localhost: must be like http://host:port"),
        ({"WS_URL": "http://x"}, "WS_URL=http://x: must be like ws://host:port"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_allowed(
    settings: dict[str, str], complaint: str
) -> None:
    with pytest.raises(RuntimeError, match=complaint):
        ask("plan.js", f"m.planOf({DEFAULTS})", **settings)


def test_the_limit_of_latency_is_that_of_the_criteria() -> None:
    limits = ask("plan.js", "[50, 500, 501, 1000, 2000].map(m.p95Limit)")
    assert limits == [500, 500, 300, 300, 200]


@pytest.mark.parametrize(
    ("scenario", "sessions", "people", "seconds"),
    [
        ("baseline", 1, 50, 600),
        ("storm", 20, 1000, 360),
        ("flood", 2, 100, 900),
        ("stress", 20, 1000, 1200),
        ("faults", 10, 500, 1800),
    ],
)
def test_each_scenario_is_as_large_and_as_long_as_it_should_be(
    scenario: str, sessions: int, people: int, seconds: int
) -> None:
    options = ask(f"{scenario}.js", "m.options")
    (run,) = options["scenarios"].values()
    assert run["vus"] == sessions
    assert int(run["maxDuration"].removesuffix("s")) > seconds
    limit = 500 if people <= 500 else 300
    assert options["thresholds"]["delivery_ms"] == [f"p(95)<{limit}"]
    assert options["thresholds"]["lost"] == ["rate<0.001"]
    assert options["thresholds"]["unexpected_disconnects"] == ["rate<0.01"]
    assert options["thresholds"]["recovery_ms"] == ["max<5000"]


def test_the_scripts_last_as_long_as_the_scenarios_of_the_bench() -> None:
    for scenario in SCENARIOS:
        [size] = BENCH[scenario].sizes
        run = ask(f"{scenario}.js", "m.options")
        (longest,) = (each["maxDuration"] for each in run["scenarios"].values())
        assert int(longest.removesuffix("s")) == size.duration_s + FINISH_S


def test_outages_that_were_announced_are_no_unexpected_ends() -> None:
    options = ask("faults.js", "m.options", OUTAGES=2)
    assert "unexpected_disconnects" not in options["thresholds"]
    assert options["thresholds"]["recovery_ms"] == ["max<5000"]
