"""Caveats of a run, for the reader. Pure."""

from collections import Counter
from collections.abc import Iterator

from bench.driver.connection_stats import ConnectionStats
from bench.driver.tracker import DeliveryTracker
from bench.procfs import DISTURBED, TOO_BUSY
from bench.results import Usage
from bench.stats import percent

_MOST = 3


def remarks(
    tracker: DeliveryTracker, stats: ConnectionStats, usage: Usage | None, generator_share: float
) -> Iterator[str]:
    """One line each."""
    if generator_share > TOO_BUSY:
        yield (
            f"the driver used {percent(generator_share)} of a core: the latencies are partly its "
            "own"
        )
    if usage is not None and (usage.others_share or 0) > DISTURBED:
        others = percent(usage.others_share)
        yield f"other processes took {others} of a core: the latencies are disturbed"
    counted = {
        "updates arrived twice": tracker.repeated,
        "updates arrived after a newer one of the same sender": tracker.late,
        "positions arrived that their sender has not reported": tracker.unrecognised,
        "updates were not sent because the socket did not take the one before": stats.blocked,
        "users gave up: the server said not to reconnect": stats.gave_up,
        "closes were not answered": stats.unanswered,
    }
    for what, number in counted.items():
        if number:
            yield f"{number:,} {what}"
    yield from _most("error messages, or unreadable ones", stats.complaints)
    yield from _most("connections ended or were refused", stats.reasons)


def _most(what: str, reasons: Counter[str]) -> Iterator[str]:
    if reasons:
        named = "; ".join(f"{why} ({count:,})" for why, count in reasons.most_common(_MOST))
        more = len(reasons) - _MOST
        yield f"{what}: {named}" + (f"; and {more} more reasons" if more > 0 else "")
