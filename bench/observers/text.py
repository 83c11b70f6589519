"""The figures of a run as text. Pure."""

from collections.abc import Iterator

from bench.driver.progress import RunStatus
from bench.results import Moment, Run
from bench.stats import percent

_MIB = 2**20


def figures(moment: Moment, standing: RunStatus) -> Iterator[tuple[str, str]]:
    """Name and value of each, of the last second where it is a rate."""
    yield "connected", f"{moment.connected:,} of {standing.people:,}"
    yield "sent/s", f"{moment.sent:,}"
    yield "delivered/s", f"{moment.delivered:,}"
    yield "p95", _ms(moment.p95_ms)
    yield "lost", f"{max(standing.lost, 0):,}"
    yield "disconnects", f"{standing.disconnects:,}"
    yield "server CPU", percent(moment.cpu_share)
    yield "RSS", "?" if moment.rss_bytes is None else f"{moment.rss_bytes / _MIB:,.0f} MiB"
    yield "driver CPU", percent(standing.generator_share)
    yield "left", f"{standing.left_s:.0f} s"


def summary(run: Run) -> str:
    """A run in one line."""
    delivery, usage = run.delivery, run.usage
    timed = (delivery.p50_ms, delivery.p95_ms, delivery.p99_ms) if delivery.count else (None,) * 3
    parts = [
        "p50 {}, p95 {}, p99 {}".format(*map(_ms, timed)),
        f"{run.delivered:,} of {run.expected:,} delivered ({run.loss_share:.3%} lost)",
        f"{run.stale_pairs:,} stale pairs",
        f"{run.disconnects:,} disconnects",
    ]
    if run.foreign:
        parts.append(f"{run.foreign:,} foreign")
    if run.refused or run.join_failures:
        parts.append(f"{run.refused:,} refused, {run.join_failures:,} joins failed")
    if usage is not None:
        parts.append(f"server {percent(usage.cpu_share)} of a core")
    recoveries = [each.recovery_s for each in run.disruptions]
    if recoveries:
        known = [each for each in recoveries if each is not None]
        slowest = f"{max(known):.2f} s" if known else "none"
        parts.append(f"recovered {len(known)} of {len(recoveries)} times (slowest {slowest})")
    return "; ".join(parts)


def _ms(value: float | None) -> str:
    return "—" if value is None else f"{value:,.1f} ms"
