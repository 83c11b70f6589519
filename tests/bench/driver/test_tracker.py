"""The tracker of deliveries, step by step."""

import pytest

from bench.driver.tracker import IN_FLIGHT_S, DeliveryTracker, Member, ReceivedPosition, Session


class Scene:
    """Three members of one session and one of another, all connected, counted from the start."""

    def __init__(self) -> None:
        self.tracker = DeliveryTracker()
        session, other = Session("s1"), Session("s2")
        self.ada, self.bob, self.cyd = (self.tracker.member(session, each) for each in "abc")
        self.dan = self.tracker.member(other, "d")
        self.tracker.count()
        for each in self.tracker.members.values():
            self.tracker.connected(each)

    def send(self, member: Member, lng: float, at: float = 0.0) -> ReceivedPosition:
        self.tracker.sends(member, 1.0, lng, at)
        return ReceivedPosition(member.user_id, 1.0, lng)

    def receive(self, member: Member, *received: ReceivedPosition, now: float = 0.1) -> int:
        return len(self.tracker.receives(member, received, now))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_an_update_is_expected_once_by_each_other(scene: Scene) -> None:
    received = scene.send(scene.ada, 1.0)
    tracker = scene.tracker
    assert (tracker.sent, tracker.expected, tracker.lost) == (1, 2, 2)
    assert scene.receive(scene.bob, received) == scene.receive(scene.cyd, received) == 1
    assert (tracker.delivered, tracker.lost, tracker.stale_pairs()) == (2, 0, 0)
    assert tracker.take_latencies().count == 2


def test_a_duplicate_is_no_delivery(scene: Scene) -> None:
    received = scene.send(scene.ada, 1.0)
    assert scene.receive(scene.bob, received, received) == 1
    assert (scene.tracker.delivered, scene.tracker.repeated) == (1, 1)


def test_a_skipped_update_is_lost_until_it_comes_late(scene: Scene) -> None:
    first, second = scene.send(scene.ada, 1.0), scene.send(scene.ada, 2.0)
    scene.receive(scene.bob, second)
    assert (scene.tracker.delivered, scene.tracker.late) == (1, 0)
    assert scene.receive(scene.bob, first) == 1
    assert (scene.tracker.delivered, scene.tracker.late) == (2, 1)
    assert scene.receive(scene.bob, first) == 0
    assert scene.tracker.repeated == 1


def test_a_server_that_skips_older_updates_loses_but_leaves_no_stale_pair(scene: Scene) -> None:
    for lng in (1.0, 2.0):
        scene.send(scene.ada, lng)
    newest = scene.send(scene.ada, 3.0)
    for each in (scene.bob, scene.cyd):
        scene.receive(each, newest)
    assert (scene.tracker.lost, scene.tracker.stale_pairs()) == (4, 0)


def test_a_pair_is_stale_while_both_are_connected_and_the_last_update_is_missing(
    scene: Scene,
) -> None:
    received = scene.send(scene.ada, 1.0)
    scene.receive(scene.bob, received)
    assert scene.tracker.stale_pairs() == 1
    scene.tracker.ended(scene.cyd, 10.0)
    assert scene.tracker.stale_pairs() == 0


def test_positions_of_another_session_or_an_unknown_user_are_foreign(scene: Scene) -> None:
    received = scene.send(scene.dan, 1.0)
    assert scene.receive(scene.ada, received, ReceivedPosition("nobody", 1.0, 1.0)) == 0
    assert (scene.tracker.foreign, scene.tracker.delivered) == (2, 0)


def test_a_place_that_was_never_reported_is_not_recognised(scene: Scene) -> None:
    scene.send(scene.ada, 1.0)
    assert scene.receive(scene.bob, ReceivedPosition("a", 1.0, 1.000_01)) == 0
    assert scene.tracker.unrecognised == 1


def test_a_rounded_place_is_recognised_unless_two_are_as_near(scene: Scene) -> None:
    scene.send(scene.ada, 1.000_000_4)
    assert scene.receive(scene.bob, ReceivedPosition("a", 1.0, 1.0)) == 1
    scene.send(scene.ada, 1.000_000_3)
    assert scene.receive(scene.bob, ReceivedPosition("a", 1.0, 1.0)) == 0
    assert scene.tracker.unrecognised == 1


def test_updates_in_flight_to_an_ended_connection_are_not_expected(scene: Scene) -> None:
    scene.send(scene.ada, 1.0, at=10.0)
    scene.send(scene.ada, 2.0, at=10.0 + IN_FLIGHT_S)
    scene.tracker.ended(scene.bob, 10.1 + IN_FLIGHT_S)
    # Cyd's two, and Bob's first: that one had time enough.
    assert scene.tracker.expected == 3
    scene.send(scene.ada, 3.0, at=12.0)
    assert scene.tracker.expected == 4


def test_a_connection_that_ends_after_the_drain_excuses_no_loss(scene: Scene) -> None:
    scene.send(scene.ada, 1.0, at=10.0)
    scene.tracker.settle()
    scene.tracker.ended(scene.bob, 10.1)
    assert scene.tracker.lost == 2


def test_updates_from_before_a_connection_are_not_expected_on_it(scene: Scene) -> None:
    tracker = scene.tracker
    tracker.ended(scene.bob, 0.0)
    early = scene.send(scene.ada, 1.0)
    tracker.connected(scene.bob)
    assert tracker.expected == 1  # Cyd's
    assert tracker.stale_pairs() == 2
    assert scene.receive(scene.bob, early) == 0
    assert (tracker.early, tracker.delivered) == (1, 0)
    assert tracker.stale_pairs() == 1  # Bob has it all the same


def test_positions_of_a_snapshot_are_known_but_not_delivered(scene: Scene) -> None:
    tracker = scene.tracker
    tracker.ended(scene.bob, 0.0)
    old, new = scene.send(scene.ada, 1.0), scene.send(scene.ada, 2.0)
    scene.receive(scene.cyd, old, new)
    tracker.connected(scene.bob)
    tracker.snapshot(scene.bob, [old])
    assert tracker.stale_pairs() == 1
    tracker.snapshot(scene.bob, [new])
    assert tracker.stale_pairs() == 0
    assert tracker.delivered == 2
    tracker.snapshot(scene.bob, [scene.send(scene.dan, 5.0)])
    assert tracker.foreign == 1


def test_updates_before_the_measured_time_are_known_but_not_counted() -> None:
    tracker = DeliveryTracker()
    session = Session("s")
    ada, bob = tracker.member(session, "a"), tracker.member(session, "b")
    tracker.connected(ada)
    tracker.connected(bob)
    tracker.sends(ada, 1.0, 1.0, 0.0)
    tracker.count()
    tracker.receives(bob, [ReceivedPosition("a", 1.0, 1.0)], 0.1)
    assert (tracker.sent, tracker.expected, tracker.delivered) == (0, 0, 0)
    assert tracker.take_latencies().count == 0
    assert tracker.stale_pairs() == 0


def test_a_place_is_forgotten_after_a_few_hundred_updates(scene: Scene) -> None:
    first = scene.send(scene.ada, 1.0)
    for number in range(600):
        scene.send(scene.ada, 2.0 + number)
    assert scene.receive(scene.bob, first) == 0
    assert scene.tracker.unrecognised == 1
