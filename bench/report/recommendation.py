"""Which target the results speak for, by a rule that is written in docs/benchmarks.md. Pure.

1. Who fails a criterion is out.
2. Of the others the highest total of the decision matrix wins, if it leads each by
   :data:`CLEAR_LEAD` or more.
3. A narrower lead counts when the total with equal weights has the same order; otherwise none is
   recommended, and those are named.
4. While an aspect of one of several has not been measured none is recommended: their totals are of
   different things, or of stated facts only.
5. When all are out none is recommended, and the one that fails least is named.
6. A recommendation is provisional when anything behind it is: a short form, a criterion, a scenario
   or a value that was not measured, of any that it compares; a disturbed machine; a single target.
7. It is robust when doubling the weight of any one aspect leaves it as it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.report.criteria import CRITERIA, Finding, Verdict
from bench.report.matrix import TargetScore, weighted

CLEAR_LEAD = 0.25
"""Of 10 points: as much as one measure of five moves by when it is two and a half times as good."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """``target`` is None when none is recommended."""

    target: str | None
    answer: str
    """One sentence."""
    reasons: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    """What makes it provisional; empty: nothing does."""
    tips: tuple[str, ...] = ()
    """Aspects whose doubled weight would change it."""


def recommend(
    totals: Sequence[TargetScore],
    findings: Mapping[str, Sequence[Finding]],
    reservations: Sequence[str] = (),
) -> Recommendation:
    """``findings`` has those of every target, one for each of CRITERIA, in their order;
    ``reservations`` are doubts about the results as a whole.
    """
    failed = {each.target: _failed(findings[each.target]) for each in totals}
    scored = [each for each in totals if each.total is not None]
    able = [each for each in scored if not failed[each.target]]
    reasons = [f"{target} fails {', '.join(titles)}" for target, titles in failed.items() if titles]
    if not scored:
        return Recommendation(None, "Nothing was measured, so nothing is recommended.", ())
    if not able:
        fewest = min(scored, key=lambda each: (len(failed[each.target]), -_total(each)))
        few = len(failed[fewest.target])
        answer = (
            "No server is recommended: each fails a criterion. "
            f"{fewest.target} fails the fewest, {few}."
        )
        return Recommendation(None, answer, tuple(reasons))
    first, *others = sorted(able, key=_order, reverse=True)
    doubts = (*_doubts(first, able, findings), *reservations)
    if len(totals) == 1:
        doubts = (*doubts, "there is nothing to compare it with")
    if not others:
        why = "It alone was measured" if len(totals) == 1 else "It alone keeps every criterion"
        return Recommendation(
            first.target, f"{first.target} is recommended. {why}.", tuple(reasons), doubts
        )
    if unmeasured := _unmeasured(able):
        answer = (
            "No server is recommended yet: the matrix cannot compare them without "
            f"{_listed(unmeasured)}."
        )
        return Recommendation(None, answer, tuple(reasons), doubts)
    second = others[0]
    reasons.append(
        f"{first.target} has {_total(first):.2f} of 10 in the decision matrix, {second.target} "
        f"{_total(second):.2f}: a lead of {_lead(first, second):.2f}"
    )
    close = [each for each in others if _lead(first, each) < CLEAR_LEAD]
    level = [each.target for each in close if not _leads_by_equal_weights_too(first, each)]
    if level:
        answer = (
            f"No server is recommended: {_listed([first.target, *level])} are within "
            f"{CLEAR_LEAD:g} points, and equal weights do not give the same order."
        )
        return Recommendation(None, answer, tuple(reasons), doubts)
    if close:
        reasons.append("equal weights give the same order, so the narrow lead counts")
    tips = tuple(
        f"{aspect} (then {winner or 'nobody leads'})"
        for aspect, winner in _doubled(able)
        if winner != first.target
    )
    return Recommendation(
        first.target, f"{first.target} is recommended.", tuple(reasons), doubts, tips
    )


def _total(score: TargetScore) -> float:
    return -1.0 if score.total is None else score.total


def _order(score: TargetScore) -> tuple[float, float]:
    """Of two that are level the same one comes first, wherever they stand."""
    return _total(score), score.unweighted or 0.0


def _lead(first: TargetScore, other: TargetScore) -> float:
    return round(_total(first) - _total(other), 2)


def _leads_by_equal_weights_too(first: TargetScore, other: TargetScore) -> bool:
    return _lead(first, other) > 0 and (first.unweighted or 0.0) > (other.unweighted or 0.0)


def _unmeasured(able: Sequence[TargetScore]) -> list[str]:
    """The aspects that one of them, or all, have no score in."""
    return [
        columns[0].aspect.title
        for columns in zip(*(each.aspects for each in able), strict=True)
        if any(each.score is None for each in columns)
    ]


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _failed(findings: Sequence[Finding]) -> list[str]:
    """In full forms only: a short form is no proof of a failure either."""
    return [
        criterion.title
        for criterion, finding in zip(CRITERIA, findings, strict=True)
        if finding.verdict is Verdict.FAIL and not finding.short
    ]


def _doubts(
    first: TargetScore, able: Sequence[TargetScore], findings: Mapping[str, Sequence[Finding]]
) -> Iterator[str]:
    """Of the first, then of those that it is compared with: with more measured they might lead."""
    for each in (first, *(other for other in able if other is not first)):
        of = "" if len(able) == 1 else f"{each.target}: "
        judged = list(zip(CRITERIA, findings[each.target], strict=True))
        if short := [criterion.title for criterion, finding in judged if finding.short]:
            yield f"{of}judged by short forms, which are no proof: {', '.join(short)}"
        missing = [criterion.title for criterion, finding in judged if finding.verdict is _NOT]
        if missing:
            yield f"{of}not measured: {', '.join(missing)}"
        if without := dict.fromkeys(name for _, finding in judged for name in finding.without):
            yield f"{of}judged without {', '.join(without)}"
        if each.partial:
            yield f"{of}its score is partial"


_NOT = Verdict.NOT_MEASURED


def _doubled(able: Sequence[TargetScore]) -> Iterator[tuple[str, str | None]]:
    """For every aspect the winner when its weight counts twice; None: a tie."""
    for doubled in able[0].aspects:
        title = doubled.aspect.title
        sums = {
            each.target: weighted(
                [
                    (part.aspect.weight * (1 + (part.aspect.title == title)), part.score)
                    for part in each.aspects
                    if part.score is not None
                ]
            )
            for each in able
        }
        best = max(sums.values())
        winners = [target for target, value in sums.items() if value == best]
        yield title, winners[0] if len(winners) == 1 else None
