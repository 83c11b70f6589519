"""What Prometheus reads of a registry, and that one failing source hides no other."""

import math
from collections.abc import Iterator

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from locshare.telemetry.metrics import (
    RoomCollector,
    Source,
    counter,
    exposition,
    gauge,
    interpreter_families,
    new_registry,
)


def scraped(registry: CollectorRegistry) -> dict[str, float]:
    """Every sample by its name and the values of its labels, as Prometheus reads them."""
    return {
        "/".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(exposition(registry).decode())
        for sample in family.samples
    }


def registry_of(*sources: Source) -> CollectorRegistry:
    registry = CollectorRegistry()
    RoomCollector(registry, sources)
    return registry


def test_sources_are_asked_at_every_scrape() -> None:
    seen = 0

    def source() -> Iterator[Metric]:
        nonlocal seen
        seen += 1
        yield gauge("seen", "Scrapes.", seen)
        yield counter("closed_total", "Closed.", {"left": 2, "silent": 1})

    registry = registry_of(source)
    assert scraped(registry)["seen"] == 1
    assert scraped(registry) == {
        "seen": 2, "closed_total/left": 2, "closed_total/silent": 1,
        "locshare_collect_failures_total": 0,
    }  # fmt: skip


def test_a_family_is_shown_with_help_and_type() -> None:
    registry = registry_of(lambda: [counter("x_total", "a\\b\nc", {'q"u\\o\nte': 4})])
    assert exposition(registry).decode().splitlines()[:3] == [
        r"# HELP x_total a\\b\nc",
        "# TYPE x_total counter",
        r'x_total{reason="q\"u\\o\nte"} 4.0',
    ]


def test_a_source_that_fails_is_counted_and_hides_nothing_else() -> None:
    def broken() -> Iterator[Metric]:
        yield gauge("before", "Before.", 1)
        raise RuntimeError

    registry = registry_of(broken, lambda: [gauge("after", "After.", 0)])
    with structlog.testing.capture_logs() as logged:
        values = scraped(registry)
    assert values == {"before": 1, "after": 0, "locshare_collect_failures_total": 1}
    assert [entry["event"] for entry in logged] == ["collect_failed"]


def test_counters_and_histograms_show_no_time_of_creation() -> None:
    registry = CollectorRegistry()
    Counter("a_total", "A.", registry=registry).inc()
    Histogram("b_seconds", "B.", buckets=(1,), registry=registry).observe(0.5)
    assert scraped(registry) == {
        "a_total": 1, "b_seconds_bucket/1.0": 1, "b_seconds_bucket/+Inf": 1,
        "b_seconds_count": 1, "b_seconds_sum": 0.5,
    }  # fmt: skip


def test_the_process_is_described() -> None:
    values = scraped(new_registry())
    assert values["process_cpu_seconds_total"] > 0
    assert values["process_start_time_seconds"] > 1_700_000_000
    assert values["process_resident_memory_bytes"] > 1_000_000
    assert values["process_open_fds"] > 2
    assert values["process_max_fds"] > 3
    assert scraped(registry_of(interpreter_families))["python_allocated_blocks"] > 10_000


@given(label=st.text(), value=st.floats())
def test_whatever_the_label_and_value_a_scrape_can_be_read(label: str, value: float) -> None:
    text = exposition(registry_of(lambda: [gauge("g", "G.", {label: value}, label="l")])).decode()
    (family, _) = text_string_to_metric_families(text)
    (sample,) = family.samples
    assert sample.value == pytest.approx(value, nan_ok=True) or math.isinf(value)
    if not label.endswith("\\"):  # the parser's own fault; Prometheus reads it
        assert len(sample.labels) == 1
