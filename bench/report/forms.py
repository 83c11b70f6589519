"""The full form of each scenario, and how a run falls short of it: short forms prove nothing."""

from dataclasses import dataclass

from bench.results import Run

LADDER = "ladder"


@dataclass(frozen=True, slots=True)
class FullForm:
    """The minimum. ``people`` is None where any number will do."""

    people: int | None
    duration_s: float


FULL_FORMS = {
    "baseline": FullForm(50, 600),
    "storm": FullForm(1_000, 360),
    "flood": FullForm(100, 900),
    "stress": FullForm(1_000, 1_200),
    "town": FullForm(1_000, 300),
    LADDER: FullForm(None, 60),
    "faults": FullForm(500, 1_800),
    "lossy": FullForm(50, 60),
}
"""In the order of the report."""


def shortness(run: Run) -> str | None:
    """How ``run`` falls short of the full form of its scenario; None when it does not. Unknown
    scenarios are judged by their scale only.
    """
    form = FULL_FORMS.get(run.scenario, FullForm(None, 0))
    found = []
    if run.scale != 1:
        found.append(f"scale {run.scale:g}")
    if form.people is not None and run.people < form.people:
        found.append(f"{run.people:,} people instead of {form.people:,}")
    if run.duration_s < form.duration_s:
        found.append(f"{run.duration_s:g} s instead of {form.duration_s:g} s")
    return ", ".join(found) or None
