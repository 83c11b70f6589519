"""Messages of a session become a plain state."""

from datetime import UTC, datetime, timedelta

from locshare.client import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantPosition,
    ParticipantUpdated,
    ParticipantView,
    SessionUpdated,
    Snapshot,
)
from locshare.model.participant import You
from locshare.model.session import SessionView
from phone.feed import MOST_HAPPENINGS, Feed, Happening

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def snapshot(*people: str, at: datetime = NOW, where: tuple[str, ...] = ()) -> Snapshot:
    """``at`` is the server's clock."""
    return Snapshot(
        SessionView("s", "Alps", at, at + HOUR),
        You("me", "participant"),
        tuple(ParticipantView(each, each, "#1D4ED8", at, at, True, True) for each in people),
        tuple(ParticipantPosition(each, 1.0, 2.0, 8.0, at) for each in where),
        at,
        "",
        0,
    )


def feed(clock: float = 1000.0) -> Feed:
    return Feed("s", "Alps", clock, lambda: clock)


def order(one: Feed) -> list[str]:
    return [each.user_id for each in one.group(paused=False, watching=False, can_host=True).people]


def test_the_list_has_me_then_who_is_on_the_map_then_the_rest_by_name() -> None:
    one = feed()
    one.connected(snapshot("bob", "ada", "me", "zoe", where=("zoe",)), NOW)
    assert order(one) == ["me", "zoe", "ada", "bob"]


def test_who_holds_a_hosts_token_is_the_host_until_the_server_says_more() -> None:
    one = Feed("s", "Alps", 1000.0, lambda: 1000.0, hosts=True)
    assert one.group(paused=False, watching=False, can_host=True).is_host, "the menu would grow"
    one.connected(snapshot("me"), NOW)
    assert not one.is_host
    assert not feed().is_host


def test_the_time_that_is_left_is_the_servers_whatever_this_clock_says() -> None:
    one = feed(clock=5.0)
    one.connected(snapshot("me", at=NOW + 100 * HOUR), NOW)
    assert one.expires_at == 5.0 + 3600


def test_since_when_somebody_is_away_is_the_servers_too() -> None:
    one = feed(clock=5.0)
    one.connected(snapshot("me", "ada", at=NOW + 100 * HOUR), NOW)
    away = NOW + 100 * HOUR - timedelta(seconds=40)
    one.received(ParticipantUpdated("ada", False, away), one.server_time())
    one.received(ParticipantJoined("bob", "bob", "#1D4ED8"), one.server_time())
    people = one.group(paused=False, watching=False, can_host=True).people
    assert {each.user_id: each.last_seen for each in people} == {"me": 5, "ada": -35, "bob": 5}


def test_what_happened_without_a_connection_is_told_when_there_is_one_again() -> None:
    one = feed()
    one.connected(snapshot("me", "ada", "bob"), NOW)
    # Zoe came, Max came and went, Ada left, the session was locked.
    one.connected(snapshot("me", "bob", "zoe"), NOW)
    for event in (
        ParticipantJoined("zoe", "zoe", "#1D4ED8"),
        ParticipantJoined("max", "max", "#1D4ED8"),
        ParticipantLeft("max", "left"),
        ParticipantLeft("ada", "left"),
        SessionUpdated(True),
        ParticipantUpdated("zoe", True, NOW, "host"),
    ):
        one.missed(event)
    assert one.happenings == [
        Happening("notice.joined", "zoe"),
        Happening("notice.left", "ada"),
        Happening("notice.locked"),
        Happening("notice.host", "zoe"),
    ]


def test_where_somebody_was_stays_over_a_reconnect_and_goes_with_them() -> None:
    one = feed()
    one.connected(snapshot("me", "ada", "bob", where=("ada", "bob")), NOW)
    one.connected(snapshot("me", "ada"), NOW)  # a server that has restarted has no positions
    assert {*one._places} == {"ada"}
    one.received(ParticipantLeft("ada", "left"), NOW)
    assert one._places == {}
    assert one.happenings == [Happening("notice.left", "ada")]


def test_what_cannot_be_on_a_map_is_not_and_nobody_who_is_not_there() -> None:
    one = feed()
    one.received(ParticipantPosition("ada", 1.0, 2.0, 8.0, NOW), NOW)
    one.connected(snapshot("me", "ada"), NOW)
    for user_id, lat in (("ada", 91.0), ("ada", float("nan")), ("me", 1.0), ("ghost", 1.0)):
        one.received(ParticipantPosition(user_id, lat, 2.0, 8.0, NOW), NOW)
    assert one._places == {}
    one.received(ParticipantPosition("ada", 1.0, 2.0, -3.0, NOW, age_ms=7000), NOW)
    assert (one._places["ada"].at, one._places["ada"].accuracy) == (993.0, None)


def test_who_comes_and_goes_without_end_fills_nothing() -> None:
    one = feed()
    one.connected(snapshot("me"), NOW)
    for number in range(1000):
        one.received(ParticipantJoined(f"u{number}", "x" * 10_000, "#1D4ED8"), NOW)
        one.received(ParticipantLeft(f"u{number}", "left"), NOW)
    assert len(one.happenings) == MOST_HAPPENINGS
    assert max(len(each.name) for each in one.happenings) <= 100
    assert order(one) == ["me"]
