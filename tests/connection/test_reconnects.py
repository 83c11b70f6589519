"""How often one participant may connect, without sockets."""

from locshare.connection.reconnects import ReconnectLimits, Reconnects

LIMITS = ReconnectLimits(rate=0.5, burst=3.0, penalty=10.0, remembered=4)


def test_some_at_once_and_then_a_steady_few() -> None:
    record = Reconnects(LIMITS)
    assert [record.take("ada", 0.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert [record.take("ada", 0.5 * n) for n in range(1, 41)].count(True) == 10


def test_a_pause_gives_back_no_more_than_the_burst() -> None:
    record = Reconnects(LIMITS)
    assert record.take("ada", 0.0)
    assert [record.take("ada", 1000.0) for _ in range(4)] == [True] * 3 + [False]


def test_one_does_not_pay_for_another() -> None:
    record = Reconnects(LIMITS)
    for _ in range(5):
        record.take("ada", 0.0)
    assert record.take("bob", 0.0)


def test_whoever_flooded_stays_away_for_the_penalty_and_no_longer() -> None:
    record = Reconnects(LIMITS)
    record.penalise("ada", 100.0)
    assert not record.take("ada", 109.9)
    assert record.take("ada", 110.0)
    assert not record.take("ada", 110.0)


def test_the_one_not_seen_for_longest_is_forgotten() -> None:
    record = Reconnects(LIMITS)
    for name in ("ada", "bob", "carl", "dora"):
        record.penalise(name, 0.0)
    assert not record.take("ada", 1.0)
    record.take("eve", 1.0)
    assert len(record) == 4
    assert record.take("bob", 1.0), "forgotten"
    assert not record.take("ada", 1.0), "remembered: seen since"
