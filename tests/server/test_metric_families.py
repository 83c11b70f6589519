"""Every number that a room counts has a public name, once."""

from typing import Any

from msgspec import structs

from locshare.broadcast.flush_controller import LoopStatistics
from locshare.connection.counters import ConnectionStatistics
from locshare.http import ServerStatistics
from locshare.server.metric_families import (
    connection_families,
    families,
    http_families,
    loop_families,
    session_families,
)
from locshare.session.counters import SessionStatistics
from locshare.store.postgres import StoreStatistics
from locshare.telemetry.metrics import Registry


def numbered(kind: type) -> Any:
    """A snapshot in which every field has another value: its place, counted from 1."""
    values = {}
    for place, field in enumerate(structs.fields(kind), start=1):
        values[field.name] = {"one": place} if _is_mapping(field.type) else place
    return kind(**values)


def _is_mapping(kind: object) -> bool:
    return "Mapping" in str(kind) or "dict" in str(kind)


class Sources:
    http = staticmethod(lambda: numbered(ServerStatistics))
    sessions = staticmethod(lambda: numbered(SessionStatistics))
    connections = staticmethod(lambda: numbered(ConnectionStatistics))
    loop = staticmethod(lambda: numbered(LoopStatistics))
    database = staticmethod(lambda: numbered(StoreStatistics))


def test_each_figure_of_a_room_is_shown_exactly_once() -> None:
    for kind, show in (
        (SessionStatistics, session_families),
        (ConnectionStatistics, connection_families),
        (LoopStatistics, loop_families),
        (ServerStatistics, http_families),
    ):
        shown = [sample.value for each in show(numbered(kind)) for sample in each.samples]
        assert sorted(shown) == list(range(1, len(structs.fields(kind)) + 1)), kind.__name__


def test_all_families_go_into_one_exposition() -> None:
    registry = Registry()
    registry.collect(lambda: families(Sources()))
    text = registry.exposition().decode()
    assert "\nlocshare_sessions 1\n" in f"\n{text}"
    assert 'locshare_messages_received_total{type="one"}' in text
    assert 'locshare_store_waiting{kind="last_seen"} 4' in text
