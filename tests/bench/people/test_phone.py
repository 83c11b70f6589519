"""What phones report: near the truth, as far off as they admit, and never the same place twice."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import get_args

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.people.phone import TOLD_APART_S, NoisyPhone
from locshare.model.position import ParticipantPosition, Position
from locshare.simulate.cities import CITIES, City
from locshare.simulate.geo import Place, distance
from locshare.simulate.movement import FASTEST_M_S, Fix, Kind, journey
from locshare.wire.plain import PLAIN, encode_for_server

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = st.sampled_from(get_args(Kind))
IN_CITIES = st.sampled_from(list(CITIES.values()))
SEEDS = st.integers(0, 10**9)
START = st.floats(0, 7200)
GAPS = st.lists(st.floats(0.5, 4), min_size=2, max_size=200)


class Nailed:
    """Somebody who does not move at all."""

    def __init__(self, place: Place) -> None:
        self._fix = Fix(place, 0.0, None)

    def at(self, seconds: float) -> Fix:
        return self._fix


def place(report: Position) -> Place:
    return Place(report.lat, report.lng)


def reports(phone: NoisyPhone, start: float, gaps: list[float]) -> list[tuple[float, Position]]:
    times = [start]
    for gap in gaps:
        times.append(times[-1] + gap)
    return [(time, phone.position(time, NOW)) for time in times]


@given(KINDS, IN_CITIES, SEEDS, START)
@settings(max_examples=60)
def test_a_report_is_off_by_less_than_it_admits(
    kind: Kind, city: City, seed: int, start: float
) -> None:
    going = journey(kind, city, seed)
    phone = NoisyPhone(going, seed)
    for step in range(50):
        report = phone.position(start + 2 * step, NOW)
        assert distance(place(report), going.at(start + 2 * step).place) <= (report.accuracy or 0.0)


@given(KINDS, IN_CITIES, SEEDS, START, GAPS)
@settings(max_examples=60)
def test_no_phone_moves_faster_than_possible_within_its_accuracy(
    kind: Kind, city: City, seed: int, start: float, gaps: list[float]
) -> None:
    found = reports(NoisyPhone(journey(kind, city, seed), seed), start, gaps)
    for (earlier, one), (later, other) in pairwise(found):
        possible = FASTEST_M_S[kind] * 1.01 * (later - earlier)
        assert distance(place(one), place(other)) <= possible + (one.accuracy or 0.0) + (
            other.accuracy or 0.0
        )


@given(KINDS, IN_CITIES, SEEDS, START, GAPS)
@settings(max_examples=60)
def test_no_two_reports_of_one_phone_are_of_the_same_place(
    kind: Kind, city: City, seed: int, start: float, gaps: list[float]
) -> None:
    found = reports(NoisyPhone(journey(kind, city, seed), seed), start, gaps)
    assert found[-1][0] - found[0][0] < TOLD_APART_S
    keys = {(report.lat, report.lng) for _, report in found}
    assert len(keys) == len(found)
    assert all(key == (round(key[0], 7), round(key[1], 7)) for key in keys)


@given(
    st.builds(Place, st.floats(-90, 90), st.floats(-180, 180)), SEEDS, START,
    st.integers(1, 1_000),
)  # fmt: skip
@example(Place(90, 180), 1, 0.0, 1_000)
@example(Place(-90, -180), 2, 0.0, 1_000)
def test_a_still_phone_anywhere_on_earth_never_repeats_a_place(
    where: Place, seed: int, start: float, count: int
) -> None:
    phone = NoisyPhone(Nailed(where), seed)
    found = reports(phone, start, [0.5] * count)
    assert len({(report.lat, report.lng) for _, report in found}) == count + 1
    for _, report in found[:20]:
        decoded = PLAIN.decode(encode_for_server(report))
        assert decoded == report


@given(SEEDS, START)
@settings(max_examples=30)
def test_a_still_phone_wanders_slowly_and_stays_near(seed: int, start: float) -> None:
    where = Place(52.5, 13.4)
    found = reports(NoisyPhone(Nailed(where), seed), start, [2.0] * 100)
    ways = [distance(place(one), place(other)) for (_, one), (_, other) in pairwise(found)]
    assert all(0 < way < 6 for way in ways)
    assert all(distance(place(report), where) <= (report.accuracy or 0.0) for _, report in found)


def test_accuracy_is_mostly_good_and_sometimes_bad() -> None:
    accuracies = [
        NoisyPhone(Nailed(Place(0, 0)), seed).position(second, NOW).accuracy or 0.0
        for seed in range(100)
        for second in range(0, 1800, 20)
    ]
    assert min(accuracies) >= 3
    assert max(accuracies) <= 40
    bad = sum(accuracy > 18 for accuracy in accuracies) / len(accuracies)
    assert 0.03 < bad < 0.2


@given(KINDS, IN_CITIES, SEEDS, START)
@settings(max_examples=40)
def test_a_place_is_the_same_after_it_went_over_the_wire(
    kind: Kind, city: City, seed: int, start: float
) -> None:
    """The sender's place can be looked up by what its receivers get."""
    sent = NoisyPhone(journey(kind, city, seed), seed).position(start, NOW)
    taken = PLAIN.decode(encode_for_server(sent))
    assert isinstance(taken, Position)
    passed_on = PLAIN.encode(ParticipantPosition.of("someone", taken))
    got = msgspec.json.decode(passed_on)["data"]
    assert (got["lat"], got["lng"]) == (sent.lat, sent.lng)


@given(KINDS, IN_CITIES, SEEDS, st.lists(START, min_size=1, max_size=10))
@settings(max_examples=30)
def test_a_report_depends_on_seed_and_time_only(
    kind: Kind, city: City, seed: int, times: list[float]
) -> None:
    one, other = (NoisyPhone(journey(kind, city, seed), seed) for _ in range(2))
    asked = {time: one.position(time, NOW) for time in times}
    assert asked == {time: other.position(time, NOW) for time in sorted(times)}
