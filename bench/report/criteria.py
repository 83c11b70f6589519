"""Pass or fail: each criterion selects the runs that it is judged by, and the worst sample decides.

Disruptions lose updates and connections, so loss and disconnects are judged by undisturbed runs,
and recovery by the others. Of the ladder, steps up to 2,000 people count, the highest for which
there is a latency limit; higher ones serve to find the limit.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf

from bench.report import fmt
from bench.report.forms import LADDER, shortness
from bench.results import Run

UNDISTURBED = ("baseline", "storm", "flood", "stress", "town", LADDER)
LATENCY_LIMITS = ((500, 500.0), (1_000, 300.0), (2_000, 200.0))
"""Number of people, and the limit of their p95 in milliseconds."""
MOST_PEOPLE = LATENCY_LIMITS[-1][0]
RECOVERY_LIMIT_S = 5.0
FAULTS = "faults"
LOSSY = "lossy"
_SLOWEST = 0.05
"""The share that a p95 leaves out."""
_NEARLY = 0.02
"""Sessions are of equal size, so a step of 500 people may have 490 to 510."""


class Verdict(Enum):
    """The outcome of a criterion."""

    PASS = "pass"
    FAIL = "fail"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value. None, the worst, is an expected event that did not happen."""

    value: float | None
    where: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A criterion's verdict on one target."""

    verdict: Verdict
    worst: Sample | None = None
    """The deciding sample; None when nothing was measured."""
    caveats: tuple[str, ...] = ()
    """Limits of the verdict, for the reader."""
    short: bool = False
    """Judged by a short form: no proof."""
    without: tuple[str, ...] = ()
    """The criterion's scenarios that were not measured."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """Passed when every sample of every selected run is less than ``limit``."""

    title: str
    limit: float
    limit_text: str
    judged_by: str
    select: Callable[[Sequence[Run]], list[Run]]
    samples: Callable[[Run], Iterator[Sample]]
    text: Callable[[float], str]
    """Formats a value."""
    scenarios: tuple[str, ...] = ()
    """Which should all have been run."""


def judge(criterion: Criterion, runs: Sequence[Run]) -> Finding:
    """The verdict on one target, whose runs are ``runs``."""
    selected = criterion.select(runs)
    samples = [(sample, run) for run in selected for sample in criterion.samples(run)]
    if not samples:
        return Finding(Verdict.NOT_MEASURED)
    worst = max((sample for sample, _ in samples), key=_badness)
    verdict = Verdict.PASS if _badness(worst) < criterion.limit else Verdict.FAIL
    judged = list({id(run): run for _, run in samples}.values())
    caveats = [text for run in judged for text in _caveats(run)]
    there = {run.scenario for run in judged}
    missing = tuple(name for name in criterion.scenarios if name not in there)
    if missing:
        caveats.append(f"judged without {', '.join(missing)}, not measured")
    short = any(map(shortness, judged))
    return Finding(verdict, worst, tuple(dict.fromkeys(caveats)), short, missing)


def _badness(sample: Sample) -> float:
    return inf if sample.value is None else sample.value


def _caveats(run: Run) -> Iterator[str]:
    short = shortness(run)
    if short:
        yield f"{where(run)}: a short form, which is no proof ({short})"
    missing = run.refused + run.join_failures
    if missing:
        yield (
            f"{where(run)}: {fmt.plural(missing, 'join or connection', 'joins or connections')}"
            " never came about, and what did not is in no other figure"
        )


def where(run: Run) -> str:
    """The run's scenario, with its people where that is not one size."""
    return f"{LADDER}, {run.people:,} people" if run.scenario == LADDER else run.scenario


# --- which runs ---------------------------------------------------------------------------------


def undisturbed(runs: Sequence[Run]) -> list[Run]:
    """Those without disruptions; of the ladder those up to MOST_PEOPLE."""
    return [
        run
        for run in runs
        if run.scenario in UNDISTURBED
        and not run.disruptions
        and not (run.scenario == LADDER and run.people > MOST_PEOPLE * (1 + _NEARLY))
    ]


def _of(scenario: str) -> Callable[[Sequence[Run]], list[Run]]:
    return lambda runs: [run for run in runs if run.scenario == scenario]


def _step(people: int) -> Callable[[Sequence[Run]], list[Run]]:
    """The steps with ``people``; without any, those that would have as many at full scale."""

    def near(value: float) -> bool:
        return abs(value - people) <= people * _NEARLY

    def select(runs: Sequence[Run]) -> list[Run]:
        steps = [run for run in runs if run.scenario == LADDER]
        return [run for run in steps if near(run.people)] or [
            run for run in steps if near(run.people / run.scale)
        ]

    return select


# --- which values -------------------------------------------------------------------------------


def p95(run: Run) -> Iterator[Sample]:
    """Of deliveries. A run that should have had some but did not has a sample of None."""
    if run.delivery.count:
        yield Sample(run.delivery.p95_ms, where(run))
    elif run.expected:
        yield Sample(None, f"{where(run)}: nothing arrived")


def _loss(run: Run) -> Iterator[Sample]:
    if run.expected:
        yield Sample(run.loss_share, where(run))


def _disconnects(run: Run) -> Iterator[Sample]:
    if run.connections:
        yield Sample(run.disconnect_share, where(run))


def _stale(run: Run) -> Iterator[Sample]:
    if run.expected:
        yield Sample(run.stale_pairs, where(run))


def _recoveries(run: Run) -> Iterator[Sample]:
    for each in run.disruptions:
        what = f"{fmt.DISRUPTIONS[each.kind]} at {each.at_s:g} s"
        lasted = "" if each.recovery_s is not None else ": did not recover in the run"
        yield Sample(each.recovery_s, what + lasted)


def _down(run: Run) -> Iterator[Sample]:
    if (up := run.uptime_share) is not None:
        yield Sample(1 - up, where(run))


def _rest(run: Run) -> Iterator[Sample]:
    for each in run.rest:
        place = f"{each.call}, {where(run)}"
        calls = each.latencies.count + each.failed
        if not each.latencies.count and each.failed:
            yield Sample(None, f"{place}: never succeeded")
        elif each.failed > calls * _SLOWEST:  # then the 95th of a hundred did not succeed
            yield Sample(None, f"{place}: {each.failed:,} of {calls:,} failed")
        elif calls:
            yield Sample(each.latencies.p95_ms, place)


def _latency(people: int, limit_ms: float) -> Criterion:
    return Criterion(
        title=f"{people:,} people: p95 latency",
        limit=limit_ms,
        limit_text=f"< {limit_ms:g} ms",
        judged_by=f"the step of the ladder with {people:,} people",
        select=_step(people),
        samples=p95,
        text=fmt.ms,
    )


_QUIET = f"each of baseline, storm, flood, stress, town and the ladder up to {MOST_PEOPLE:,} people"

CRITERIA = (
    *(_latency(people, limit_ms) for people, limit_ms in LATENCY_LIMITS),
    Criterion(
        title="recovery",
        limit=RECOVERY_LIMIT_S,
        limit_text=f"< {RECOVERY_LIMIT_S:g} s",
        judged_by="each disruption of faults; one that was not recovered from in the run fails",
        select=_of(FAULTS),
        samples=_recoveries,
        text=fmt.seconds,
    ),
    Criterion(
        title="lost updates",
        limit=0.001,
        limit_text="< 0.1 %",
        judged_by=_QUIET,
        select=undisturbed,
        samples=_loss,
        text=fmt.percent,
        scenarios=UNDISTURBED,
    ),
    Criterion(
        title="unexpected disconnects",
        limit=0.01,
        limit_text="< 1 %",
        judged_by=_QUIET,
        select=undisturbed,
        samples=_disconnects,
        text=fmt.percent,
        scenarios=UNDISTURBED,
    ),
    Criterion(
        title="uptime",
        limit=0.001,
        limit_text="> 99.9 %",
        judged_by=f"{_QUIET}, as the share of people's time",
        select=undisturbed,
        samples=_down,
        text=lambda down: f"{fmt.percent(down)} down",
        scenarios=UNDISTURBED,
    ),
    Criterion(
        title="REST calls: p95",
        limit=100,
        limit_text="< 100 ms",
        judged_by=f"every call that the server has, in {_QUIET}",
        select=undisturbed,
        samples=_rest,
        text=fmt.ms,
        scenarios=UNDISTURBED,
    ),
    Criterion(
        title="lossy network: p95 latency",
        limit=2_000,
        limit_text="< 2,000 ms",
        judged_by="lossy",
        select=_of(LOSSY),
        samples=p95,
        text=fmt.ms,
    ),
    Criterion(
        title="lossy network: stale pairs at the end",
        limit=1,
        limit_text="none",
        judged_by="lossy",
        select=_of(LOSSY),
        samples=_stale,
        text=fmt.whole,
    ),
)
