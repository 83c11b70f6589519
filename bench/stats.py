"""Percentiles, and tables of them. Pure."""

from collections.abc import Mapping, Sequence


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of ``ordered`` (ascending) that at least ``share`` of them do not exceed; 0.0
    when there are none.
    """
    if not ordered:
        return 0.0
    rank = -int(-share * len(ordered) // 1)  # the ceiling
    return ordered[min(max(rank, 1), len(ordered)) - 1]


def summary(values: Sequence[float], unit: float = 1e-3) -> dict[str, float]:
    """p50, p95, p99 and max of ``values`` in seconds, as multiples of ``unit`` seconds."""
    ordered = sorted(values)
    return {
        name: round(percentile(ordered, share) / unit, 3)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


def table(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Named summaries as rows of text."""
    lines = [f"{'milliseconds':<27}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}"]
    for name, figures in rows.items():
        lines.append(f"{name:<27}" + "".join(f"{value:>9.2f}" for value in figures.values()))
    return lines


def percent(share: float | None) -> str:
    """A share of a core, for people."""
    return "?" if share is None else f"{share:.0%}"
