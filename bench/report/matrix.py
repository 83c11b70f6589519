"""The weighted decision matrix: readings to scores, scores to means, means to a total.

A value scores from 0 to 10 between two anchors. Every mean is of rounded scores, so that the
printed figures are all that is needed to check it. What is missing is left out and never guessed; a
mean over less than another target has is partial.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from math import inf, log10
from typing import NamedTuple

from bench.report import fmt
from bench.report.criteria import FAULTS, p95, undisturbed
from bench.report.runs import of, steps
from bench.results import Facts, Results, Run

BEST = 10.0
_PRINTED = Decimal("0.01")


class Reading(NamedTuple):
    """One value. None scores 0: an expected event did not happen, which ``text`` names."""

    value: float | None
    text: str


Readings = Mapping[str, Reading]
"""By their origin, such as a step of the ladder. A measure's score is the mean of theirs."""


class Subject(NamedTuple):
    """The input of the measures. ``top`` is the number of people of the highest step of the ladder
    at which every target's CPU and memory were measured; None when there is none.
    """

    name: str
    facts: Facts | None
    runs: Sequence[Run]
    top: int | None


@dataclass(frozen=True, slots=True)
class Measure:
    """``ten`` and better scores 10, ``zero`` and worse scores 0. Between them each tenfold counts
    the same (``log``, both anchors more than 0), or each unit.
    """

    title: str
    ten: float
    zero: float
    text: Callable[[float], str]
    rule: str
    """Where the readings come from."""
    read: Callable[[Subject], Readings]
    log: bool = True

    def score(self, value: float | None) -> float:
        """From 0 to 10, rounded."""
        if value is None:
            return 0.0
        if self.log:
            value = max(value, min(self.ten, self.zero))
            share = log10(self.zero / value) / log10(self.zero / self.ten)
        else:
            share = (self.zero - value) / (self.zero - self.ten)
        return rounded(BEST * min(max(share, 0.0), 1.0))


@dataclass(frozen=True, slots=True)
class Aspect:
    """``weight`` is of 100."""

    title: str
    weight: int
    measures: tuple[Measure, ...]
    remark: str = ""


def rounded(value: float | Decimal) -> float:
    """As printed, halves up, so that the printed digits suffice to check the sums."""
    return float(Decimal(value).quantize(_PRINTED, ROUND_HALF_UP))


def weighted(terms: Sequence[tuple[int, float]]) -> float:
    """The rounded mean by weight, in decimal arithmetic, as with pencil and paper."""
    total = sum((weight * Decimal(str(score)) for weight, score in terms), Decimal())
    return rounded(total / sum(weight for weight, _ in terms))


def mean(scores: Iterable[float | None]) -> float | None:
    """Of those that are not None, rounded; None when all are."""
    there = [(1, each) for each in scores if each is not None]
    return weighted(there) if there else None


# --- what is read -----------------------------------------------------------------------------


def _steps(
    read: Callable[[Run], float | None], text: Callable[[float], str], *, top: bool = False
) -> Callable[[Subject], Readings]:
    """A reading of each step of the ladder, or of the top step only."""

    def found(subject: Subject) -> Iterator[tuple[int, Reading]]:
        for run in steps(subject.runs):
            if (not top or run.people == subject.top) and (value := read(run)) is not None:
                yield run.people, Reading(value, text(value))

    return lambda subject: _by_step(found(subject))


def _latency(subject: Subject) -> Readings:
    return _by_step(
        (
            run.people,
            Reading(
                sample.value, "nothing arrived" if sample.value is None else fmt.ms(sample.value)
            ),
        )
        for run in steps(subject.runs)
        for sample in p95(run)
    )


def _by_step(found: Iterable[tuple[int, Reading]]) -> Readings:
    """Of a step that was repeated the median, of two the larger value: never the last to come."""
    times: dict[int, list[Reading]] = {}
    for people, reading in found:
        times.setdefault(people, []).append(reading)
    return {
        f"{people:,} people": sorted(readings, key=_size)[len(readings) // 2]
        for people, readings in times.items()
    }


def _size(reading: Reading) -> float:
    return inf if reading.value is None else reading.value


def _ratio(
    some: Callable[[Run], int], whole: Callable[[Run], int]
) -> Callable[[Subject], Readings]:
    """Of all undisturbed runs together."""

    def read(subject: Subject) -> Readings:
        runs = undisturbed(subject.runs)
        part, total = sum(map(some, runs)), sum(map(whole, runs))
        if not total:
            return {}
        return {"": Reading(part / total, f"{fmt.percent(part / total)} ({part:,} of {total:,})")}

    return read


def _stale(subject: Subject) -> Readings:
    faults = [run for run in subject.runs if run.scenario == FAULTS]
    runs = [run for run in (*undisturbed(subject.runs), *faults) if run.expected]
    pairs, people = sum(run.stale_pairs for run in runs), sum(run.people for run in runs)
    if not people:
        return {}
    return {"": Reading(pairs / people, f"{_pairs(pairs / people)} ({pairs:,} for {people:,})")}


def _recovery(subject: Subject) -> Readings:
    """The longest of each kind; None when one did not recover."""
    found: dict[str, Reading] = {}
    disruptions = [
        each for run in subject.runs if run.scenario == FAULTS for each in run.disruptions
    ]
    for kind, title in fmt.DISRUPTIONS.items():
        times = [each.recovery_s for each in disruptions if each.kind == kind]
        known = [each for each in times if each is not None]
        if len(known) < len(times):
            found[title] = Reading(None, "did not recover in the run")
        elif known:
            found[title] = Reading(max(known), fmt.seconds(max(known)))
    return found


def _fact(count: Callable[[Facts], int]) -> Callable[[Subject], Readings]:
    def read(subject: Subject) -> Readings:
        if subject.facts is None:
            return {}
        return {"": Reading(count(subject.facts), f"{count(subject.facts):,}")}

    return read


def _per_delivery(run: Run) -> float | None:
    return run.usage.us_per_delivery if run.usage else None


def _per_core(run: Run) -> float | None:
    return run.people / run.usage.cpu_share if run.usage and run.usage.cpu_share > 0 else None


def _memory(run: Run) -> float | None:
    peak = run.usage.rss_peak_bytes if run.usage and run.people else 0
    return peak / run.people / 1024 if peak else None


def _pairs(value: float) -> str:
    return f"{fmt.number(value)} per person"


def _kib(value: float) -> str:
    return f"{fmt.fine(value)} KiB"


def _people(value: float) -> str:
    return f"{value:,.0f} people"


_QUIET = "all runs together that loss is judged by"
_TOP = "the highest step of the ladder at which every target was measured"
_LADDER = "each step of the ladder"

ASPECTS = (
    Aspect(
        "Performance",
        30,
        (
            Measure(
                "p95 latency", 10, 1_000, fmt.ms,
                f"{_LADDER}; 100 ms, half of the points, is what people take for at once", _latency,
            ),
            Measure(
                "CPU per delivered update", 1, 100, fmt.us, _LADDER,
                _steps(_per_delivery, fmt.us),
            ),
        ),
    ),
    Aspect(
        "Reliability",
        25,
        (
            Measure(
                "lost updates", 1e-5, 1e-1, fmt.percent, _QUIET,
                _ratio(lambda run: run.lost, lambda run: run.expected),
            ),
            Measure(
                "stale pairs at the end", 0.001, 1, _pairs, "the same runs and faults, per person",
                _stale,
            ),
            Measure(
                "recovery", 0.5, 50, fmt.seconds,
                "the longest of each kind of disruption in faults", _recovery,
            ),
            Measure(
                "unexpected disconnects", 1e-4, 1, fmt.percent, f"{_QUIET}, of all connections",
                _ratio(lambda run: run.disconnects, lambda run: run.connections),
            ),
        ),
    ),
    Aspect(
        "Development experience",
        20,
        (
            Measure(
                "lines of code", 300, 30_000, fmt.whole, "stated",
                _fact(lambda facts: facts.lines_of_code),
            ),
            Measure(
                "dependencies", 1, 100, fmt.whole, "stated",
                _fact(lambda facts: facts.dependencies),
            ),
        ),
        remark="Lines and dependencies are a poor proxy for what it is like to work on a program: "
        "they say nothing of its clarity, its tests, its errors or its documentation.",
    ),
    Aspect(
        "Operations",
        15,
        (
            Measure(
                "services to run beside it", 0, 5, fmt.whole, "stated; each costs two points",
                _fact(lambda facts: len(facts.services)), log=False,
            ),
            Measure(
                "processes", 1, 100, fmt.whole, "stated", _fact(lambda facts: facts.processes)
            ),
        ),
        remark="What a target is made to survive is listed above, but scored only as far as it was "
        "measured, under reliability.",
    ),
    Aspect(
        "Cost",
        10,
        (
            Measure(
                "people per core", 10_000, 100, _people, f"people by CPU share at {_TOP}",
                _steps(_per_core, _people, top=True),
            ),
            Measure(
                "memory per person", 10, 1_000, _kib,
                f"peak of all its processes by people, at {_TOP}", _steps(_memory, _kib, top=True),
            ),
        ),
    ),
)  # fmt: skip


# --- scores -----------------------------------------------------------------------------------


class Scored(NamedTuple):
    """A reading and its score."""

    reading: Reading
    score: float


@dataclass(frozen=True, slots=True)
class MeasureScore:
    """One measure of one target. ``readings`` has an entry for everything that any target has; None
    is not measured here.
    """

    measure: Measure
    readings: dict[str, Scored | None]

    @property
    def score(self) -> float | None:
        return mean(each and each.score for each in self.readings.values())

    @property
    def partial(self) -> bool:
        return not self.readings or None in self.readings.values()


@dataclass(frozen=True, slots=True)
class AspectScore:
    """One aspect of one target."""

    aspect: Aspect
    measures: tuple[MeasureScore, ...]

    @property
    def score(self) -> float | None:
        return mean(each.score for each in self.measures)

    @property
    def partial(self) -> bool:
        return any(each.partial for each in self.measures)


@dataclass(frozen=True, slots=True)
class TargetScore:
    """One column of the matrix."""

    target: str
    aspects: tuple[AspectScore, ...]

    @property
    def weight(self) -> int:
        """How much of the 100 was measured, at least in part."""
        return sum(weight for weight, _ in self._measured())

    @property
    def total(self) -> float | None:
        measured = self._measured()
        return weighted(measured) if measured else None

    @property
    def unweighted(self) -> float | None:
        """The plain mean, for readers who disagree with the weights."""
        return mean(each.score for each in self.aspects)

    @property
    def partial(self) -> bool:
        return any(each.partial for each in self.aspects)

    @property
    def arithmetic(self) -> str:
        """The calculation of the total."""
        terms = " + ".join(f"{weight} * {score:.2f}" for weight, score in self._measured())
        return f"({terms}) / {self.weight} = {self.total:.2f}" if terms else "nothing was measured"

    def _measured(self) -> list[tuple[int, float]]:
        return [(each.aspect.weight, each.score) for each in self.aspects if each.score is not None]


def scores(results: Results) -> list[TargetScore]:
    """Every target's column."""
    top = _top_step(results)
    subjects = [
        Subject(target.name, target.facts, of(target.name, results.runs), top)
        for target in results.targets
    ]
    columns: list[list[AspectScore]] = [[] for _ in subjects]
    for aspect in ASPECTS:
        rows = [_measure_scores(measure, subjects) for measure in aspect.measures]
        for column, measures in zip(columns, zip(*rows, strict=True), strict=False):
            column.append(AspectScore(aspect, measures))
    return [
        TargetScore(subject.name, tuple(column))
        for subject, column in zip(subjects, columns, strict=True)
    ]


def _measure_scores(measure: Measure, subjects: Sequence[Subject]) -> list[MeasureScore]:
    readings = [measure.read(each) for each in subjects]
    keys = dict.fromkeys(key for each in readings for key in each)

    def scored(reading: Reading | None) -> Scored | None:
        return None if reading is None else Scored(reading, measure.score(reading.value))

    return [
        MeasureScore(measure, {key: scored(each.get(key)) for key in keys}) for each in readings
    ]


def _top_step(results: Results) -> int | None:
    """See :class:`Subject`. A target without any measured step is left out."""
    measured = [
        {run.people for run in steps(of(target.name, results.runs)) if run.usage is not None}
        for target in results.targets
    ]
    return max(set.intersection(*filter(None, measured)), default=None) if any(measured) else None
