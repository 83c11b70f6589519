"""Counting, and the text that Prometheus reads."""

import re
from collections.abc import Iterator

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st

from locshare.telemetry import metrics
from locshare.telemetry.metrics import Family, Registry, Sample


def lines(registry: Registry) -> list[str]:
    return registry.exposition().decode().splitlines()


def test_a_counter_is_shown_with_help_and_type() -> None:
    registry = Registry()
    counter = registry.counter("locshare_updates_total", "Position updates.")
    counter.add()
    counter.add(2)
    counter.value += 1
    assert lines(registry)[:3] == [
        "# HELP locshare_updates_total Position updates.",
        "# TYPE locshare_updates_total counter",
        "locshare_updates_total 4",
    ]


def test_a_gauge_goes_up_and_down() -> None:
    registry = Registry()
    gauge = registry.gauge("locshare_sessions", "Live sessions.")
    gauge.set(3)
    gauge.add(-0.5)
    assert "locshare_sessions 2.5" in lines(registry)


def test_the_buckets_of_a_histogram_are_cumulative_and_include_their_bound() -> None:
    registry = Registry()
    histogram = registry.histogram("locshare_wait_seconds", "Waiting.", bounds=(0.1, 1))
    for value in (0.05, 0.1, 0.2, 5):
        histogram.observe(value)
    assert lines(registry)[1:7] == [
        "# TYPE locshare_wait_seconds histogram",
        'locshare_wait_seconds_bucket{le="0.1"} 2',
        'locshare_wait_seconds_bucket{le="1"} 3',
        'locshare_wait_seconds_bucket{le="+Inf"} 4',
        "locshare_wait_seconds_sum 5.35",
        "locshare_wait_seconds_count 4",
    ]


def test_each_combination_of_label_values_has_a_child_of_its_own() -> None:
    registry = Registry()
    requests = registry.counters("requests_total", "Requests.", "method", "status")
    requests.of("GET", "200").add()
    requests.of("GET", "404").add()
    requests.of("GET", "200").add()
    assert requests.of("GET", "200") is requests.of("GET", "200")
    assert lines(registry)[2:4] == [
        'requests_total{method="GET",status="200"} 2',
        'requests_total{method="GET",status="404"} 1',
    ]


def test_a_labelled_histogram_keeps_its_labels_beside_le() -> None:
    registry = Registry()
    registry.histograms("t_seconds", "Time.", "route", bounds=(1,)).of("/x").observe(0.5)
    assert 't_seconds_bucket{route="/x",le="1"} 1' in lines(registry)
    assert 't_seconds_count{route="/x"} 1' in lines(registry)


def test_label_values_and_help_are_escaped() -> None:
    registry = Registry()
    registry.counters("x_total", "a\\b\nc", "label").of('q"u\\o\nte').add()
    assert lines(registry)[0] == r"# HELP x_total a\\b\nc"
    assert lines(registry)[2] == r'x_total{label="q\"u\\o\nte"} 1'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1e6, "1000000"), (0.1, "0.1"), (-2.0, "-2"), (2.0**60, "1.152921504606847e+18"),
        (float("inf"), "+Inf"), (float("-inf"), "-Inf"), (float("nan"), "NaN"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_prometheus_reads_them(value: float, text: str) -> None:
    registry = Registry()
    registry.gauge("g", "g").set(value)
    assert f"g {text}" in lines(registry)


def test_callbacks_are_asked_at_every_scrape() -> None:
    registry = Registry()
    seen = 0

    def collect() -> Iterator[Family]:
        nonlocal seen
        seen += 1
        yield metrics.gauge("seen", "Scrapes.", seen)
        yield metrics.counter("closed_total", "Closed.", {"left": 2, "silent": 1})

    registry.collect(collect)
    assert "seen 1" in lines(registry)
    text = lines(registry)
    assert "seen 2" in text
    assert 'closed_total{reason="left"} 2' in text
    assert 'closed_total{reason="silent"} 1' in text


def test_a_callback_that_fails_is_counted_and_hides_nothing_else() -> None:
    registry = Registry()

    def broken() -> Iterator[Family]:
        yield metrics.gauge("before", "Before.", 1)
        raise RuntimeError

    registry.collect(broken)
    registry.gauge("after", "After.")
    with structlog.testing.capture_logs() as logged:
        text = lines(registry)
    assert {"before 1", "after 0", "locshare_collect_failures_total 1"} <= set(text)
    assert [entry["event"] for entry in logged] == ["collect_failed"]


def test_a_family_of_two_sources_has_one_help() -> None:
    registry = Registry()
    for reason in ("a", "b"):
        family = Family("x_total", "counter", "X.", (Sample(1, {"reason": reason}),))
        registry.collect((family,).__iter__)
    text = lines(registry)
    assert text.count("# HELP x_total X.") == 1
    assert text[2:4] == ['x_total{reason="a"} 1', 'x_total{reason="b"} 1']


def test_names_are_unique_and_well_formed() -> None:
    registry = Registry()
    registry.counter("x_total", "X.")
    with pytest.raises(ValueError, match="already"):
        registry.counter("x_total", "X.")
    for name in ("x", "1_total", "a b_total", ""):
        with pytest.raises(ValueError, match="no name for a counter"):
            registry.counter(name, "X.")
    with pytest.raises(ValueError, match="no name for a gauge"):
        registry.gauge("g_total", "G.")
    for label in ("le", "__x", "a-b"):
        with pytest.raises(ValueError, match="label"):
            registry.counters("y_total", "Y.", label)


def test_a_child_needs_a_value_for_every_label() -> None:
    with pytest.raises(ValueError, match="method, status"):
        Registry().counters("y_total", "Y.", "method", "status").of("GET")


@pytest.mark.parametrize("bounds", [(), (1, 1), (2, 1), (1, float("inf"))])
def test_the_bounds_of_a_histogram_are_finite_and_ascending(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        Registry().histogram("h", "H.", bounds)


def test_the_process_tells_of_itself() -> None:
    registry = Registry()
    registry.collect(metrics.process_families)
    values = dict(line.split(" ") for line in lines(registry) if not line.startswith("#"))
    assert float(values["process_cpu_seconds_total"]) > 0
    assert float(values["process_start_time_seconds"]) > 1_700_000_000
    assert float(values["process_max_fds"]) > 3


LINE = re.compile(
    r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-z]+="([^"\\\n]|\\["\\n])*"\})? (NaN|[+-]Inf|[-+0-9.e]+)'
)


@given(label=st.text(), value=st.floats())
def test_whatever_the_label_a_sample_is_one_line_that_can_be_read(label: str, value: float) -> None:
    registry = Registry()
    registry.collect(lambda: [metrics.gauge("g", "G.", {label: value}, label="l")])
    text = registry.exposition().decode("utf-8", "surrogatepass").split("\n")
    assert text[0] == "# HELP g G."
    assert LINE.fullmatch(text[2])
    assert text[3].startswith("# HELP locshare_collect_failures_total")
