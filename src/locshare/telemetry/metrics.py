"""Metrics for Prometheus, rendered by prometheus_client.

Rooms keep plain integers and publish them as ``statistics()`` structs: on the way of a position,
counting is an addition on a slot, without a lock or a lookup of labels. A :class:`RoomCollector`
makes families of those structs at scrape time. HTTP requests take a millisecond each; they are
counted by the library's own ``Counter`` and ``Histogram`` (:mod:`locshare.http.access`).

:func:`exposition` does not await, so all values of one scrape are of one moment. Labels come from
closed sets (reasons, routes, statuses), never from clients: no session, participant, position,
token or path is ever a label.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final, TypeVar

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    GCCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from locshare.telemetry.histogram import Distribution
from locshare.telemetry.unexpected import log_unexpected

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
LATENCY_BUCKETS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Seconds; the usual answer takes one millisecond, the slowest possible one ten seconds."""

Source = Callable[[], Iterable[Metric]]
Value = float | Mapping[str, float]
F = TypeVar("F", CounterMetricFamily, GaugeMetricFamily)

# No gauge with the time of creation beside each counter and histogram.
disable_created_metrics()  # type: ignore[no-untyped-call]


def new_registry() -> CollectorRegistry:
    """Of one program, or of one test. Knows the process already."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """Everything, in the text format (:data:`CONTENT_TYPE`)."""
    return generate_latest(registry)


class RoomCollector(Collector):
    """Asks each of ``sources`` at every scrape.

    Sources are quick and do not await. A source that fails is logged and counted, and hides none of
    the others.
    """

    def __init__(self, registry: CollectorRegistry, sources: Iterable[Source]) -> None:
        self._sources = tuple(sources)
        registry.register(self)
        self._failures = Counter(  # after the sources: a scrape shows its own failures
            "locshare_collect_failures_total",
            "Sources of metrics that failed during a scrape.",
            registry=registry,
        )

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        for source in self._sources:
            try:
                yield from source()
            except Exception as error:  # noqa: BLE001 - it must not hide the other sources
                log_unexpected("collect_failed", error)
                self._failures.inc()


def counter(name: str, about: str, value: Value, label: str = "reason") -> CounterMetricFamily:
    """A family with one value, or with one per value of ``label``."""
    return _family(CounterMetricFamily, name, about, value, label)


def gauge(name: str, about: str, value: Value, label: str = "reason") -> GaugeMetricFamily:
    """A family with one value, or with one per value of ``label``."""
    return _family(GaugeMetricFamily, name, about, value, label)


def histogram(name: str, about: str, value: Distribution) -> HistogramMetricFamily:
    """A family of one histogram."""
    *counts, above = accumulate(value.counts)
    buckets = [(str(bound), n) for bound, n in zip(value.bounds, counts, strict=True)]
    return HistogramMetricFamily(name, about, [*buckets, ("+Inf", above)], value.total)


def info(name: str, about: str, value: Mapping[str, str]) -> InfoMetricFamily:
    """A family whose labels say what does not change while the process runs; always 1."""
    return InfoMetricFamily(name, about, dict(value))


def _family(kind: type[F], name: str, about: str, value: Value, label: str) -> F:
    if not isinstance(value, Mapping):
        return kind(name, about, value=value)
    family = kind(name, about, labels=(label,))
    for key, number in value.items():
        family.add_metric((key,), number)
    return family


def interpreter_families() -> Iterator[Metric]:
    """What resident memory does not show: the allocator keeps the pages of freed objects."""
    yield gauge(
        "python_allocated_blocks",
        "Memory blocks that objects hold now.",
        sys.getallocatedblocks(),
    )
