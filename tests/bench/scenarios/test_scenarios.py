"""What the scenarios ask of people, in their long and short forms."""

from itertools import pairwise
from typing import get_args

import pytest

from bench.results import DisruptionKind
from bench.scenarios import SCENARIOS, Options
from bench.scenarios.scenario import groups
from bench.targets import parse
from tests.bench.misbehaving_server import misbehaving_server

ALL = sorted(SCENARIOS)
FORMS = [Options(), Options(short=True), Options(short=True, scale=0.1), Options(scale=0.2)]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("options", FORMS[1:])
def test_each_makes_sense_in_every_form(name: str, options: Options) -> None:
    scenario = SCENARIOS[name]
    for plan in scenario.plans(options):
        assert plan.scenario == name
        assert plan.people == sum(map(len, plan.sessions)) > 1
        assert all(1 < len(session) <= 50 for session in plan.sessions)
        assert f"{plan.people:,} people" in plan.title
        assert plan.scale == options.scale
        over = plan.measured_from_s + plan.duration_s
        for session in plan.sessions:
            for person in session:
                arrivals = [visit.arrives_s for visit in person.visits]
                assert arrivals == sorted(arrivals)
                assert 0 <= arrivals[0] < over


@pytest.mark.parametrize(
    ("name", "people", "sessions", "interval_s", "duration_s"),
    [
        ("baseline", [50], [1], 2.0, 600),
        ("storm", [1_000], [20], 2.0, 360),
        ("flood", [100], [2], 0.5, 900),
        ("stress", [1_000], [20], 2.0, 1_200),
        ("ladder", [100, 500, 1_000, 2_000], [2, 10, 20, 40], 2.0, 60),
        ("faults", [500], [10], 2.0, 1_800),
        ("lossy", [50], [1], 2.0, 60),
    ],
)
def test_the_long_forms_are_what_is_promised(
    name: str, people: list[int], sessions: list[int], interval_s: float, duration_s: float
) -> None:
    plans = SCENARIOS[name].plans(Options())
    assert [plan.people for plan in plans] == people
    assert [len(plan.sessions) for plan in plans] == sessions
    assert {(plan.interval_s, plan.duration_s) for plan in plans} == {(interval_s, duration_s)}
    assert {plan.disruptions for plan in plans} == {name == "faults"}


def test_the_short_forms_of_all_take_two_minutes_at_a_server_where_nothing_is_waited_for() -> None:
    plans = [plan for each in SCENARIOS.values() for plan in each.plans(Options(short=True))]
    assert sum(plan.measured_from_s + plan.duration_s for plan in plans) < 130
    assert sum(plan.waits_s for plan in plans) <= 53
    assert all(plan.goodbye_s <= 1 for plan in plans)


def test_the_storm_comes_in_a_minute_stays_for_five_and_goes_within_ten_seconds() -> None:
    (plan,) = SCENARIOS["storm"].plans(Options())
    assert plan.duration_s - 60 == 300
    arrivals = [person.visits[0].arrives_s for session in plan.sessions for person in session]
    assert 59 < max(arrivals) < 60
    assert plan.measured_from_s == 0
    assert plan.goodbye_s == 10


def test_nobody_under_stress_is_away_for_more_than_a_minute() -> None:
    (plan,) = SCENARIOS["stress"].plans(Options())
    gaps = [
        later.arrives_s - earlier.leaves_s
        for session in plan.sessions
        for person in session
        for earlier, later in pairwise(person.visits)
        if earlier.leaves_s is not None
    ]
    assert 5 <= min(gaps) <= max(gaps) <= 60


def test_a_town_has_mostly_small_groups_and_some_crowds() -> None:
    (plan,) = SCENARIOS["town"].plans(Options())
    sizes = [len(session) for session in plan.sessions]
    assert sum(sizes) == 1_000
    assert min(sizes) == 2
    assert sum(size <= 4 for size in sizes) > len(sizes) / 2
    assert 30 < max(sizes) <= 50


def test_people_come_back_and_leave_early_only_under_stress_and_in_town() -> None:
    for name, scenario in SCENARIOS.items():
        (plan, *_) = scenario.plans(Options(short=True))
        visits = [person.visits for session in plan.sessions for person in session]
        restless = any(len(each) > 1 for each in visits)
        early = any(each[-1].leaves_s is not None for each in visits)
        assert (restless, early) == (name in ("stress", "town"),) * 2


def test_the_duration_can_be_replaced_and_the_seed_decides() -> None:
    def arrivals(seed: int) -> list[float]:
        (plan,) = SCENARIOS["stress"].plans(Options(short=True, duration_s=7, seed=seed))
        assert plan.duration_s == 7
        return [person.visits[0].arrives_s for session in plan.sessions for person in session]

    assert arrivals(1) == arrivals(1) != arrivals(2)


@pytest.mark.parametrize(
    ("options", "message"),
    [(Options(scale=0), "scale 0"), (Options(duration_s=0.5), "duration 0.5")],
)
def test_what_makes_no_sense_is_refused(options: Options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SCENARIOS["baseline"].plans(options)


@pytest.mark.parametrize(
    ("people", "scale", "found"),
    [
        (50, 1, (1, 50)),
        (50, 0.01, (1, 2)),
        (100, 1.5, (3, 50)),
        (1_000, 0.1, (2, 50)),
        (51, 1, (2, 26)),
    ],
)
def test_groups_are_of_fifty_at_most(people: int, scale: float, found: tuple[int, int]) -> None:
    assert groups(people, scale) == found


KINDS: tuple[DisruptionKind, ...] = get_args(DisruptionKind)


@pytest.mark.parametrize("name", [each for each in ALL if each != "lossy"])  # has its own tests
def test_the_network_of_any_target_can_be_cut_in_faults_and_nowhere_else(name: str) -> None:
    with misbehaving_server() as server:
        target = parse(f"one={server.http_url},dialect=plain")
        with SCENARIOS[name].around(target, 1) as found:
            possible = [each for each in KINDS if found.can(each)]
    assert possible == (["cut_network"] if name == "faults" else [])
