"""The recommendation, by the rule that is written down."""

from collections.abc import Sequence

import pytest

from bench.report.criteria import CRITERIA, Finding, Sample, Verdict
from bench.report.matrix import (
    ASPECTS,
    AspectScore,
    Measure,
    MeasureScore,
    Reading,
    Scored,
    TargetScore,
)
from bench.report.recommendation import CLEAR_LEAD, Recommendation, recommend

PASS = Finding(Verdict.PASS, Sample(1.0, "baseline"))
FAIL = Finding(Verdict.FAIL, Sample(9.0, "baseline"))
SHORT_FAIL = Finding(Verdict.FAIL, Sample(9.0, "baseline"), short=True)
ALL_PASS = [PASS] * len(CRITERIA)


def target(name: str, *scores: float | None) -> TargetScore:
    """With these scores of the aspects, in order; the last is repeated."""
    full = [*scores, *[scores[-1]] * (len(ASPECTS) - len(scores))]
    return TargetScore(
        name,
        tuple(
            AspectScore(aspect, (_scored(aspect.measures[0], score),))
            for aspect, score in zip(ASPECTS, full, strict=True)
        ),
    )


def _scored(measure: Measure, score: float | None) -> MeasureScore:
    return MeasureScore(measure, {"": None if score is None else Scored(Reading(1, "1"), score)})


def found(targets: Sequence[TargetScore], **findings: Sequence[Finding]) -> Recommendation:
    return recommend(
        targets, {each.target: findings.get(each.target, ALL_PASS) for each in targets}
    )


def failing(*places: int, by: Finding = FAIL) -> list[Finding]:
    return [by if place in places else PASS for place in range(len(CRITERIA))]


def test_the_highest_total_of_those_that_fail_nothing_is_recommended() -> None:
    best = found([target("a", 6.0), target("b", 7.0)])
    assert best.target == "b"
    assert best.answer == "b is recommended."
    assert best.reasons == ("b has 7.00 of 10 in the decision matrix, a 6.00: a lead of 1.00",)
    assert best.doubts == best.tips == ()


def test_who_fails_a_criterion_is_out_whatever_its_total() -> None:
    best = found([target("a", 6.0), target("b", 9.0)], b=failing(0))
    assert best.target == "a"
    assert best.answer == "a is recommended. It alone keeps every criterion."
    assert best.reasons == (f"b fails {CRITERIA[0].title}",)


def test_when_all_fail_none_is_recommended_and_the_least_failing_is_named() -> None:
    best = found([target("a", 9.0), target("b", 6.0)], a=failing(0, 1), b=failing(2))
    assert best.target is None
    assert best.answer.endswith("b fails the fewest, 1.")


def test_a_narrow_lead_counts_only_when_equal_weights_agree() -> None:
    narrow = [target("a", 6.0), target("b", 6.0 + CLEAR_LEAD - 0.01)]
    assert found(narrow).target == "b"
    # The first aspect weighs more than a fifth, so what it gives is worth less with equal weights.
    turned = found([target("a", 7.0, 6.0), target("b", 6.0, 6.3)])
    assert turned.target is None
    assert "a and b are within 0.25 points" in turned.answer


def test_a_failure_in_a_short_form_is_a_doubt_and_excludes_nobody() -> None:
    best = found([target("a", 6.0), target("b", 9.0)], b=failing(0, by=SHORT_FAIL))
    assert best.target == "b"
    assert best.doubts == (f"b: judged by short forms, which are no proof: {CRITERIA[0].title}",)


def test_what_was_not_measured_makes_it_provisional() -> None:
    missing = [Finding(Verdict.NOT_MEASURED), *ALL_PASS[1:]]
    best = found([target("a", None, 6.0)], a=missing)
    assert best.target == "a"
    assert best.doubts == (
        f"not measured: {CRITERIA[0].title}",
        "its score is partial",
        "there is nothing to compare it with",
    )


def test_what_was_not_measured_of_another_makes_it_provisional_too() -> None:
    """With it the other might lead."""
    missing = [Finding(Verdict.NOT_MEASURED), *ALL_PASS[1:]]
    best = found([target("a", 6.0), target("b", 5.0)], b=missing)
    assert best.target == "a"
    assert best.doubts == (f"b: not measured: {CRITERIA[0].title}",)


def test_a_criterion_that_some_scenarios_are_missing_from_makes_it_provisional() -> None:
    without = [*ALL_PASS[1:], Finding(Verdict.PASS, PASS.worst, without=("storm", "town"))]
    best = found([target("a", 6.0), target("b", 5.0)], a=without)
    assert best.doubts == ("a: judged without storm, town",)


def test_reservations_about_the_results_make_it_provisional() -> None:
    both = [target("a", 6.0), target("b", 5.0)]
    best = recommend(both, {"a": ALL_PASS, "b": ALL_PASS}, ["a storm blew"])
    assert (best.target, best.doubts) == ("a", ("a storm blew",))


def test_none_of_several_is_recommended_while_an_aspect_of_one_was_not_measured() -> None:
    """Its total is of other things, or of what is stated: the fewest lines of code would win."""
    best = found([target("a", None, 9.0), target("b", 2.0)])
    assert best.target is None
    assert best.answer.endswith(f"cannot compare them without {ASPECTS[0].title}.")
    out = found([target("a", None, 9.0), target("b", 2.0)], a=failing(0))
    assert out.target == "b"


@pytest.mark.parametrize("names", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_everyone_within_the_narrow_lead_is_looked_at_wherever_they_stand(
    names: tuple[str, ...],
) -> None:
    """``c`` is third in the weighted order, and first with equal weights."""
    every = {"a": (7.0, 6.0), "b": (7.0, 5.9), "c": (5.8, 6.4)}
    best = found([target(name, *every[name]) for name in names])
    assert best.target is None
    assert "a and c are within 0.25 points" in best.answer


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_of_two_that_are_level_none_is_recommended(names: tuple[str, ...]) -> None:
    best = found([target(name, 6.0) for name in names])
    assert best.target is None
    assert "within 0.25 points" in best.answer


def test_an_aspect_whose_doubled_weight_makes_them_level_is_named() -> None:
    first, second = ASPECTS[0].weight, ASPECTS[1].weight
    assert (first, second) == (30, 25)
    # 30 * 1 against 25 * 0.6: with twice the second weight they are level.
    best = found([target("a", 6.0, 5.0, 5.0), target("b", 5.0, 5.6, 5.0)])
    assert best.target == "a"
    assert best.tips == (f"{ASPECTS[1].title} (then nobody leads)",)


def test_aspects_that_would_turn_it_round_are_named() -> None:
    best = found([target("a", 10.0, 2.5, 8.0), target("b", 6.0, 8.0, 7.0)])
    assert best.target == "a"
    assert best.tips == ("Reliability (then b)",)


@pytest.mark.parametrize("targets", [[], [target("a", None)]])
def test_without_a_measurement_nothing_is_recommended(targets: list[TargetScore]) -> None:
    best = found(targets)
    assert best.target is None
    assert best.answer == "Nothing was measured, so nothing is recommended."
