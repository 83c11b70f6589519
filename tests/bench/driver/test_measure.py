"""What the driver finds out about a server that does one thing wrong: each figure counts what it
says, and nothing else is counted.
"""

import pytest

from bench.driver import crowd, virtual_user
from bench.driver.measure import measure
from bench.errors import NotServing
from bench.results import Dialect, Run
from tests.bench.misbehaving_server import (
    Misbehaviour,
    NullObserver,
    Stay,
    misbehaving_server,
    plan,
)
from tests.running import LAST_RESORT_S, given_more_time

CLEAN = ("lost", "stale_pairs", "foreign", "refused", "disconnects", "join_failures")
BOTH: tuple[Dialect, ...] = ("plain", "phoenix")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server does not do is waited for a little less."""
    monkeypatch.setattr(crowd, "IDLE_S", 0.2)
    monkeypatch.setattr(crowd, "TICK_S", 0.2)


def wrong_figures(run: Run) -> set[str]:
    return {name for name in CLEAN if getattr(run, name)}


def has_remark(run: Run, text: str) -> bool:
    return any(text in each for each in run.remarks)


@pytest.mark.parametrize("dialect", BOTH)
@given_more_time
def test_a_good_server_loses_nothing(times: int, dialect: Dialect) -> None:
    with misbehaving_server(dialect=dialect) as server:
        watcher = NullObserver()
        run = measure(server, plan((4, 3), times=times), watcher)
    assert wrong_figures(run) == set()
    assert run.people == run.connections == 7
    assert run.sessions == 2
    assert run.sent > 20
    assert 2 * run.sent < run.expected < 3 * run.sent  # two or three others each
    assert run.delivered == run.expected == run.delivery.count
    assert sum(count for _, count in run.delivery.histogram) == run.delivered
    assert (
        0 < run.delivery.p50_ms <= run.delivery.p95_ms <= run.delivery.max_ms < LAST_RESORT_S * 1000
    )
    assert run.connect is not None
    assert run.connect.count == 7
    assert run.reconnect is None
    assert run.usage is None  # it has no process of its own
    assert run.remarks == ()
    assert run.moments[0].connected == 7
    assert run.moments[0].delivered > 10
    assert watcher.moments[-1][1].target == "misbehaving"


@pytest.mark.parametrize("dialect", BOTH)
@given_more_time
def test_a_server_with_unusual_but_legal_ways_loses_nothing(times: int, dialect: Dialect) -> None:
    with misbehaving_server(Misbehaviour(loose=True), dialect) as server:
        run = measure(server, plan(times=times), NullObserver())
    assert wrong_figures(run) == set()
    assert run.delivered > 20
    assert run.remarks == ()


@pytest.mark.parametrize("dialect", BOTH)
@given_more_time
def test_every_lost_delivery_is_counted(times: int, dialect: Dialect) -> None:
    with misbehaving_server(Misbehaviour(lose_every=5), dialect) as server:
        run = measure(server, plan((4,), times=times), NullObserver())
    assert wrong_figures(run) <= {"lost", "stale_pairs"}
    assert run.lost == run.expected - run.delivered
    assert run.lost == pytest.approx(run.expected / 5, abs=2 + run.expected / 50)


@given_more_time
def test_duplicates_hide_no_loss(times: int) -> None:
    with misbehaving_server(Misbehaviour(lose_every=5, repeat=True)) as server:
        run = measure(server, plan((4,), times=times), NullObserver())
    assert run.lost == pytest.approx(run.expected / 5, abs=2 + run.expected / 50)
    assert has_remark(run, "updates arrived twice")


@given_more_time
def test_an_overtaken_update_is_delivered_and_remarked(times: int) -> None:
    with misbehaving_server(Misbehaviour(overtake=True)) as server:
        run = measure(server, plan((3,), times=times), NullObserver())
    # The last of a sender may wait for one that never comes.
    assert run.lost <= 3 * 2
    assert has_remark(run, "after a newer one")


@given_more_time
def test_a_receiver_without_the_newest_update_is_a_stale_pair(times: int) -> None:
    with misbehaving_server(Misbehaviour(keep_last=True)) as server:
        run = measure(server, plan((3,), times=times), NullObserver())
    assert run.stale_pairs == 6
    # The last one of each sender; those that were sent before the measuring are made up for.
    assert run.lost == 6


@given_more_time
def test_positions_from_another_session_are_foreign(times: int) -> None:
    with misbehaving_server(Misbehaviour(mix=True)) as server:
        run = measure(server, plan((2, 2), times=times), NullObserver())
    assert wrong_figures(run) == {"foreign"}
    assert run.foreign >= 2 * run.sent
    assert run.delivered == run.expected == run.sent


@given_more_time
def test_an_echo_of_the_own_update_is_ignored(times: int) -> None:
    with misbehaving_server(Misbehaviour(echo=True)) as server:
        run = measure(server, plan((2,), times=times), NullObserver())
    assert wrong_figures(run) == set()
    assert run.delivered == run.expected == run.sent
    assert run.remarks == ()


@given_more_time
def test_a_delay_of_the_server_is_in_the_latency(times: int) -> None:
    with misbehaving_server(Misbehaviour(delay_s=0.03)) as server:
        run = measure(server, plan((2,), interval_s=0.2, times=times), NullObserver())
    assert run.delivery.p50_ms >= 30


@given_more_time
def test_coordinates_with_six_places_are_recognised(times: int) -> None:
    with misbehaving_server(Misbehaviour(decimals=6)) as server:
        run = measure(server, plan(times=times), NullObserver())
    assert wrong_figures(run) == set()
    assert run.delivered > 20


@given_more_time
def test_a_position_that_was_never_reported_is_no_delivery(times: int) -> None:
    with misbehaving_server(Misbehaviour(invent=True)) as server:
        run = measure(server, plan(times=times), NullObserver())
    assert run.delivered == 0
    assert run.lost == run.expected > 20
    assert has_remark(run, "that their sender has not reported")


@pytest.mark.parametrize("dialect", BOTH)
@given_more_time
def test_error_messages_of_the_server_are_remarked(times: int, dialect: Dialect) -> None:
    with misbehaving_server(Misbehaviour(complain=True), dialect) as server:
        run = measure(server, plan(times=times), NullObserver())
    assert wrong_figures(run) == set()
    assert has_remark(run, "too many")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (Misbehaviour(hang_up_after=4), "without a close frame"),
        (Misbehaviour(close_after=4, close_code=1011), "closed with 1011"),
    ],
    ids=["hung up", "closed"],
)
@given_more_time
def test_an_unexpected_end_is_a_disconnect_and_the_user_reconnects(
    times: int, wrong: Misbehaviour, reason: str
) -> None:
    with misbehaving_server(wrong) as server:
        run = measure(server, plan((3,), duration_s=1.2, times=times), NullObserver())
    assert wrong_figures(run) == {"disconnects"}
    assert run.disconnects == 3
    assert run.connections == 6
    assert run.reconnect is not None
    assert run.reconnect.count == 3
    assert run.reconnect.p50_ms >= 250  # the back-off of a phone
    assert has_remark(run, reason)


@given_more_time
def test_a_user_does_not_reconnect_after_a_final_close(times: int) -> None:
    with misbehaving_server(Misbehaviour(close_after=2, close_code=4410)) as server:
        run = measure(server, plan((3,), times=times), NullObserver())
    assert run.disconnects == run.connections == 3
    assert has_remark(run, "3 users gave up")


@given_more_time
def test_a_refused_upgrade_is_counted_and_tried_again(times: int) -> None:
    with misbehaving_server(Misbehaviour(refuse_first=2)) as server:
        run = measure(server, plan((3,), measured_from_s=0.6, times=times), NullObserver())
    assert wrong_figures(run) == {"refused"}
    assert run.refused == 2
    assert run.connections == 3
    assert has_remark(run, "503")


@given_more_time
def test_a_connection_without_a_first_message_counts_as_refused(
    times: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(virtual_user, "CONNECT_TIMEOUT_S", 0.3)
    with misbehaving_server(Misbehaviour(mute=True)) as server:
        run = measure(server, plan((2,), duration_s=0.9, times=times), NullObserver())
    assert run.refused >= 2
    assert run.connections == run.sent == 0
    assert run.connect is None
    assert has_remark(run, "no answer within 0.3 s")


@given_more_time
def test_failed_joins_are_counted_and_the_others_are_measured(times: int) -> None:
    with misbehaving_server(Misbehaviour(fail_joins=1)) as server:
        run = measure(server, plan((3,), times=times), NullObserver())
    assert wrong_figures(run) == {"join_failures"}
    assert run.connections == 2
    assert run.delivered == run.sent


def test_a_server_without_a_successful_join_is_not_measured() -> None:
    with (
        misbehaving_server(Misbehaviour(fail_joins=3)) as server,
        pytest.raises(NotServing, match="none of 3 people could join"),
    ):
        measure(server, plan((3,)), NullObserver())


@pytest.mark.parametrize("dialect", BOTH)
@given_more_time
def test_visits_come_and_go_without_a_disconnect(times: int, dialect: Dialect) -> None:
    visits = Stay(0.0, 0.2), Stay(0.3, 0.5, gracefully=False), Stay(0.6, 0.8)
    with misbehaving_server(dialect=dialect) as server:
        run = measure(
            server, plan((3,), duration_s=0.9, visits=visits, times=times), NullObserver()
        )
        left = len(server.left)
    assert wrong_figures(run) == set()
    assert run.connections == 9
    assert run.connect is not None
    assert run.connect.count == 9
    assert left == 3  # the last visit ends before the run: for good


@pytest.mark.parametrize("dialect", BOTH)
@given_more_time
def test_heartbeats_keep_a_quiet_connection(
    times: int, dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(dialect, monkeypatch)
    with misbehaving_server(dialect=dialect) as server:
        run = measure(server, plan((1,), interval_s=9, duration_s=1.2, times=times), NullObserver())
        beats = server.heartbeats
    assert beats >= 2
    assert wrong_figures(run) == set()
    assert run.connections == 1


@pytest.mark.parametrize("dialect", BOTH)
@given_more_time
def test_a_connection_without_an_answer_to_a_heartbeat_is_closed(
    times: int, dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(dialect, monkeypatch)
    with misbehaving_server(Misbehaviour(deaf=True), dialect) as server:
        run = measure(server, plan((1,), interval_s=9, duration_s=1.2, times=times), NullObserver())
    assert wrong_figures(run) == {"disconnects"}
    assert has_remark(run, "nothing received for")


def quicken(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = (
        "bench.driver.plain.PlainAdapter"
        if dialect == "plain"
        else "bench.driver.phoenix.PhoenixAdapter"
    )
    monkeypatch.setattr(f"{adapter}.heartbeat_s", 0.2)
    monkeypatch.setattr(virtual_user, "HEARTBEAT_TIMEOUT_S", 0.2)
