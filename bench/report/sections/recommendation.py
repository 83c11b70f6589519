"""The recommendation, and what it does not rest on."""

from collections.abc import Mapping, Sequence

from bench.report.blocks import Block, Items, Paragraph, Section
from bench.report.criteria import Finding
from bench.report.matrix import TargetScore
from bench.report.recommendation import recommend
from bench.report.reservations import reservations
from bench.results import Results

_RULE = (
    "The rule: who fails a criterion in its full form is out; of the others the highest total of "
    "the decision matrix wins, a lead of less than 0.25 points only when equal weights give the "
    "same order, and none while an aspect has not been measured. Nobody's opinion enters, and "
    "nobody's circumstances either."
)
_JUDGED = (
    "Not in it, because it cannot be measured here: what a team knows, what a service costs where "
    "you rent it, what a migration disturbs. docs/decision.md has these as judgements, each marked "
    "as one."
)


def recommendation(
    results: Results, totals: Sequence[TargetScore], findings: Mapping[str, Sequence[Finding]]
) -> Section:
    """By the rule."""
    found = recommend(totals, findings, reservations(results))
    provisional = "Provisionally: " if found.target and found.doubts else ""
    blocks: list[Block] = [Paragraph(provisional + found.answer)]
    if found.reasons:
        blocks.append(Items(found.reasons, "Why"))
    if found.doubts:
        blocks.append(Items(found.doubts, "Provisional, because", warning=True))
    if found.target and found.tips:
        blocks.append(Items(found.tips, "With twice its weight another would win"))
    elif found.target and len(totals) > 1:
        blocks.append(Paragraph("Doubling the weight of any one aspect leaves it as it is."))
    return Section(
        "recommendation", "Recommendation", (*blocks, Paragraph(_RULE), Paragraph(_JUDGED))
    )
