"""Every number that a room counts has a public name, once."""

from pathlib import Path
from typing import Any

from msgspec import structs
from prometheus_client.core import Metric, Sample
from prometheus_client.parser import text_string_to_metric_families

from locshare.broadcast.flush_controller import LoopStatistics
from locshare.connection.counters import ConnectionStatistics
from locshare.http import HttpMetrics, ServerStatistics
from locshare.server.metric_families import (
    TreeStatistics,
    connection_families,
    http_families,
    loop_families,
    room_sources,
    session_families,
)
from locshare.session.counters import SessionStatistics
from locshare.session.sizes import Waiting
from locshare.store.statistics import StoreStatistics
from locshare.telemetry.histogram import Distribution
from locshare.telemetry.metrics import RoomCollector, exposition, new_registry


def numbered(kind: type) -> Any:
    """A snapshot in which every field has another value: its place, counted from 1."""
    values: dict[str, object] = {}
    for place, field in enumerate(structs.fields(kind), start=1):
        if field.type is Distribution:
            values[field.name] = Distribution((1.0,), (place, 0), 0.0)
        elif field.type is Waiting:
            values[field.name] = Waiting(place, 0, 0, 0)
        else:
            values[field.name] = {"one": place} if _is_mapping(field.type) else place
    return kind(**values)


def counts(family: Metric) -> list[Sample]:
    """Of a histogram only how many it has; nothing of the mailboxes but how many there are."""
    if family.type == "histogram":
        return [sample for sample in family.samples if sample.name.endswith("_count")]
    return [] if family.name.startswith("locshare_mailbox_") else list(family.samples)


def _is_mapping(kind: object) -> bool:
    return "Mapping" in str(kind) or "dict" in str(kind)


SOURCES = room_sources(
    http=lambda: numbered(ServerStatistics),
    sessions=lambda: numbered(SessionStatistics),
    connections=lambda: numbered(ConnectionStatistics),
    loop=lambda: numbered(LoopStatistics),
    store=lambda: numbered(StoreStatistics),
    tree=lambda: TreeStatistics(3, {"store": 1}, {("store", "crash"): 2}),
    data_dir=Path(),
    max_sessions=7,
)


def test_each_count_of_a_room_is_shown_exactly_once() -> None:
    for kind, show in (
        (SessionStatistics, session_families),
        (ConnectionStatistics, connection_families),
        (LoopStatistics, loop_families),
        (ServerStatistics, http_families),
    ):
        shown = [sample.value for each in show(numbered(kind)) for sample in counts(each)]
        assert sorted(shown) == list(range(1, len(structs.fields(kind)) + 1)), kind.__name__


def test_all_families_go_into_one_scrape_that_can_be_read_each_name_once() -> None:
    registry = new_registry()
    RoomCollector(registry, SOURCES)
    HttpMetrics(registry).requests.labels("GET", "/", "200").inc()
    families = list(text_string_to_metric_families(exposition(registry).decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }
    assert values["locshare_sessions",] == 1
    assert values["locshare_messages_received_total", "one"] > 0
    assert values["locshare_store_waiting", "last_seen"] == 4
    assert values["locshare_http_requests_total", "GET", "/", "200"] == 1
    assert all(family.documentation for family in families)
