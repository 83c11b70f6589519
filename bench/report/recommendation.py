"""Which target the results speak for, by a rule that is written in docs/benchmarks.md. Pure.

1. Who fails a criterion is out.
2. Of the others the highest total of the decision matrix wins, if it leads the next by
   :data:`CLEAR_LEAD` or more.
3. A narrower lead counts when the total with equal weights has the same order; otherwise none is
   recommended, and both are named.
4. When all are out none is recommended, and the one that fails least is named.
5. A recommendation is provisional when anything behind it is: a short form, a criterion or an
   aspect that was not measured, a single target.
6. It is robust when doubling the weight of any one aspect leaves it as it is.
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
    totals: Sequence[TargetScore], findings: Mapping[str, Sequence[Finding]]
) -> Recommendation:
    """``findings`` has those of every target, one for each of CRITERIA, in their order."""
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
    first, *others = sorted(able, key=_total, reverse=True)
    doubts = tuple(_doubts(first, len(totals), findings[first.target]))
    if not others:
        why = "It alone was measured" if len(totals) == 1 else "It alone keeps every criterion"
        return Recommendation(
            first.target, f"{first.target} is recommended. {why}.", tuple(reasons), doubts
        )
    second = others[0]
    lead = round(_total(first) - _total(second), 2)
    reasons.append(
        f"{first.target} has {_total(first):.2f} of 10 in the decision matrix, {second.target} "
        f"{_total(second):.2f}: a lead of {lead:.2f}"
    )
    agrees = (first.unweighted or 0) > (second.unweighted or 0)
    if lead < CLEAR_LEAD and not agrees:
        answer = (
            f"No server is recommended: {first.target} and {second.target} are within "
            f"{CLEAR_LEAD:g} points, and equal weights turn the order round."
        )
        return Recommendation(None, answer, tuple(reasons), doubts)
    if lead < CLEAR_LEAD:
        reasons.append("equal weights give the same order, so the narrow lead counts")
    tips = tuple(
        f"{aspect} (then {winner})"
        for aspect, winner in _doubled(able)
        if winner not in (None, first.target)
    )
    return Recommendation(
        first.target, f"{first.target} is recommended.", tuple(reasons), doubts, tips
    )


def _total(score: TargetScore) -> float:
    return -1.0 if score.total is None else score.total


def _failed(findings: Sequence[Finding]) -> list[str]:
    """In full forms only: a short form is no proof of a failure either."""
    return [
        criterion.title
        for criterion, finding in zip(CRITERIA, findings, strict=True)
        if finding.verdict is Verdict.FAIL and not finding.short
    ]


def _doubts(first: TargetScore, targets: int, findings: Sequence[Finding]) -> Iterator[str]:
    judged = list(zip(CRITERIA, findings, strict=True))
    if short := [criterion.title for criterion, each in judged if each.short]:
        yield f"judged by short forms, which are no proof: {', '.join(short)}"
    missing = [criterion.title for criterion, each in judged if each.verdict is _NOT]
    if missing:
        yield f"not measured: {', '.join(missing)}"
    if first.partial:
        yield "its score is partial"
    if targets == 1:
        yield "there is nothing to compare it with"


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
