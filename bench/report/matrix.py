"""The weighted decision matrix: readings to scores, scores to means, means to a total.

Every mean is of rounded scores, so that the printed figures are all that is needed to check it.
What is missing is left out and never guessed; a mean over less than there is elsewhere is partial.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.anchors import weighted
from bench.report.inputs import ASPECTS, Aspect, Measure, Reading, subjects
from bench.results import Results


@dataclass(frozen=True, slots=True)
class Scored:
    """A reading and what it is worth."""

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
        """The mean of what is there."""
        return mean([None if each is None else each.score for each in self.readings.values()])

    @property
    def partial(self) -> bool:
        """True when something is missing."""
        return not self.readings or None in self.readings.values()


@dataclass(frozen=True, slots=True)
class AspectScore:
    """One aspect of one target."""

    aspect: Aspect
    measures: tuple[MeasureScore, ...]

    @property
    def score(self) -> float | None:
        """The mean of what is there."""
        return mean([each.score for each in self.measures])

    @property
    def partial(self) -> bool:
        """True when something is missing."""
        return any(each.partial for each in self.measures)


@dataclass(frozen=True, slots=True)
class TargetScore:
    """One column of the matrix."""

    target: str
    aspects: tuple[AspectScore, ...]

    @property
    def weight(self) -> int:
        """How much of the 100 was measured, at least in part."""
        return sum(weight for weight, _ in self._there())

    @property
    def total(self) -> float | None:
        """The weighted mean over what is there."""
        there = self._there()
        if not there:
            return None
        return weighted(there)

    @property
    def unweighted(self) -> float | None:
        """The plain mean, for whoever finds the weights wrong."""
        return mean([each.score for each in self.aspects])

    @property
    def partial(self) -> bool:
        """True when something is missing."""
        return any(each.partial for each in self.aspects)

    @property
    def arithmetic(self) -> str:
        """How the total comes about."""
        there = self._there()
        if not there:
            return "nothing was measured"
        terms = " + ".join(f"{weight} * {score:.2f}" for weight, score in there)
        return f"({terms}) / {self.weight} = {self.total:.2f}"

    def _there(self) -> list[tuple[int, float]]:
        return [(each.aspect.weight, each.score) for each in self.aspects if each.score is not None]


def mean(scores: Sequence[float | None]) -> float | None:
    """Of those that are not None, rounded; None when all are."""
    there = [each for each in scores if each is not None]
    return weighted([(1, each) for each in there]) if there else None


def scores(results: Results) -> list[TargetScore]:
    """Every target's column."""
    columns = subjects(results)
    found: dict[str, list[AspectScore]] = {each.name: [] for each in columns}
    for aspect in ASPECTS:
        measured: dict[str, list[MeasureScore]] = {each.name: [] for each in columns}
        for measure in aspect.measures:
            readings = {each.name: measure.read(each) for each in columns}
            keys = dict.fromkeys(key for each in readings.values() for key in each)
            for name, each in readings.items():
                scored = {key: _scored(measure, each.get(key)) for key in keys}
                measured[name].append(MeasureScore(measure, scored))
        for name, several in measured.items():
            found[name].append(AspectScore(aspect, tuple(several)))
    return [TargetScore(name, tuple(aspects)) for name, aspects in found.items()]


def _scored(measure: Measure, reading: Reading | None) -> Scored | None:
    if reading is None:
        return None
    value = reading.value
    return Scored(reading, 0.0 if value is None else measure.anchors.score(value))
