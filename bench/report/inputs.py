"""What the decision matrix is made of: five aspects, their measures, and where each is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.report import words
from bench.report.anchors import Anchors
from bench.report.criteria import FAULTS, p95, undisturbed
from bench.report.runs import of, steps
from bench.results import Disruption, Facts, Results, Run


@dataclass(frozen=True, slots=True)
class Reading:
    """One value. None scores 0: what was waited for did not come, and ``text`` says what."""

    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A target as the measures see it. ``top`` is how many people the highest step of the ladder
    had at which processor and memory of every target were measured; None when there is none.
    """

    name: str
    facts: Facts | None
    runs: Sequence[Run]
    top: int | None


Readings = Mapping[str, Reading]
"""By what they are of, such as a step of the ladder. A measure's score is their scores' mean."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of an aspect."""

    title: str
    anchors: Anchors
    text: Callable[[float], str]
    rule: str
    """Where the readings come from."""
    read: Callable[[Subject], Readings]


@dataclass(frozen=True, slots=True)
class Aspect:
    """Its score is the mean of its measures' scores. ``weight`` is of 100."""

    title: str
    weight: int
    measures: tuple[Measure, ...]
    remark: str = ""


def subjects(results: Results) -> list[Subject]:
    """Every target."""
    top = top_step(results)
    return [
        Subject(target.name, target.facts, of(target.name, results.runs), top)
        for target in results.targets
    ]


def top_step(results: Results) -> int | None:
    """See :class:`Subject`. A target of which nothing of the kind was measured is left out."""
    measured = [
        {run.people for run in steps(of(target.name, results.runs)) if run.usage is not None}
        for target in results.targets
    ]
    return max(set.intersection(*filter(None, measured)), default=None) if any(measured) else None


# --- performance --------------------------------------------------------------------------------


def _latency(subject: Subject) -> Readings:
    return {
        _people(run): Reading(
            sample.value, "nothing arrived" if sample.value is None else words.ms(sample.value)
        )
        for run in steps(subject.runs)
        for sample in p95(run)
    }


def _per_delivery(subject: Subject) -> Readings:
    return {
        _people(run): Reading(cost, _us(cost))
        for run in steps(subject.runs)
        if run.usage is not None and (cost := run.usage.us_per_delivery) is not None
    }


def _people(run: Run) -> str:
    return f"{run.people:,} people"


def _us(value: float) -> str:
    return f"{words.fine(value)} µs"


# --- reliability --------------------------------------------------------------------------------


def _loss(subject: Subject) -> Readings:
    runs = undisturbed(subject.runs)
    return _ratio(sum(run.lost for run in runs), sum(run.expected for run in runs))


def _disconnects(subject: Subject) -> Readings:
    runs = undisturbed(subject.runs)
    return _ratio(sum(run.disconnects for run in runs), sum(run.connections for run in runs))


def _ratio(some: int, whole: int) -> Readings:
    if not whole:
        return {}
    share = some / whole
    return {"": Reading(share, f"{words.percent(share)} ({some:,} of {whole:,})")}


def _stale(subject: Subject) -> Readings:
    runs = [run for run in (*undisturbed(subject.runs), *_faults(subject)) if run.expected]
    people = sum(run.people for run in runs)
    if not people:
        return {}
    pairs = sum(run.stale_pairs for run in runs)
    return {"": Reading(pairs / people, f"{_pairs(pairs / people)} ({pairs:,} for {people:,})")}


def _pairs(value: float) -> str:
    return f"{words.number(value)} per person"


def _recovery(subject: Subject) -> Readings:
    found: dict[str, list[Disruption]] = {}
    for run in _faults(subject):
        for each in run.disruptions:
            found.setdefault(words.DISRUPTIONS[each.kind], []).append(each)
    return {kind: _longest(found[kind]) for kind in words.DISRUPTIONS.values() if kind in found}


def _longest(disruptions: Sequence[Disruption]) -> Reading:
    longest = 0.0
    for each in disruptions:
        if each.recovery_s is None:
            return Reading(None, "did not recover in the run")
        longest = max(longest, each.recovery_s)
    return Reading(longest, words.seconds(longest))


def _faults(subject: Subject) -> list[Run]:
    return [run for run in subject.runs if run.scenario == FAULTS]


# --- cost ---------------------------------------------------------------------------------------


def _per_core(subject: Subject) -> Readings:
    return {
        _people(run): Reading(run.people / share, f"{run.people / share:,.0f} people")
        for run in _top(subject)
        if run.usage is not None and (share := run.usage.cpu_share) > 0
    }


def _memory(subject: Subject) -> Readings:
    return {
        _people(run): Reading(each, _kib(each))
        for run in _top(subject)
        if run.usage is not None and (each := run.usage.rss_peak_bytes / run.people / 1024) > 0
    }


def _kib(value: float) -> str:
    return f"{words.fine(value)} KiB"


def _top(subject: Subject) -> list[Run]:
    return [run for run in steps(subject.runs) if run.people == subject.top and run.people]


# --- stated facts -------------------------------------------------------------------------------


def _fact(count: Callable[[Facts], int]) -> Callable[[Subject], Readings]:
    def read(subject: Subject) -> Readings:
        if subject.facts is None:
            return {}
        value = count(subject.facts)
        return {"": Reading(value, f"{value:,}")}

    return read


_QUIET = "all runs together that loss is judged by"
_TOP = "the highest step of the ladder at which every target was measured"

ASPECTS = (
    Aspect(
        "Performance",
        30,
        (
            Measure(
                "p95 latency",
                Anchors(10, 1_000),
                words.ms,
                "each step of the ladder; 100 ms, half of the points, is what people take for at "
                "once",
                _latency,
            ),
            Measure(
                "CPU per delivered update",
                Anchors(1, 100),
                _us,
                "each step of the ladder",
                _per_delivery,
            ),
        ),
    ),
    Aspect(
        "Reliability",
        25,
        (
            Measure("lost updates", Anchors(1e-5, 1e-1), words.percent, _QUIET, _loss),
            Measure(
                "stale pairs at the end",
                Anchors(0.001, 1),
                _pairs,
                "the same runs and faults, per person",
                _stale,
            ),
            Measure(
                "recovery",
                Anchors(0.5, 50),
                words.seconds,
                "the longest of each kind of disruption in faults",
                _recovery,
            ),
            Measure(
                "unexpected disconnects",
                Anchors(1e-4, 1),
                words.percent,
                f"{_QUIET}, of all connections",
                _disconnects,
            ),
        ),
    ),
    Aspect(
        "Development experience",
        20,
        (
            Measure(
                "lines of code",
                Anchors(300, 30_000),
                words.whole,
                "stated",
                _fact(lambda facts: facts.lines_of_code),
            ),
            Measure(
                "dependencies",
                Anchors(1, 100),
                words.whole,
                "stated",
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
                "services to run beside it",
                Anchors(0, 5, log=False),
                words.whole,
                "stated; each costs two points",
                _fact(lambda facts: len(facts.services)),
            ),
            Measure(
                "processes",
                Anchors(1, 100),
                words.whole,
                "stated",
                _fact(lambda facts: facts.processes),
            ),
        ),
        remark="What a target says it survives is printed above but scored only as far as it was "
        "measured, under reliability.",
    ),
    Aspect(
        "Cost",
        10,
        (
            Measure(
                "people per core",
                Anchors(10_000, 100),
                lambda value: f"{value:,.0f} people",
                f"people by CPU share at {_TOP}",
                _per_core,
            ),
            Measure(
                "memory per person",
                Anchors(10, 1_000),
                _kib,
                f"peak of all its processes by people, at {_TOP}",
                _memory,
            ),
        ),
    ),
)
