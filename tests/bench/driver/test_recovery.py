"""When a disruption counts as over."""

import pytest

from bench.driver.recovery import EXCUSED_S, Recovery
from bench.driver.tracker import DeliveryTracker, Member, ReceivedPosition, Session
from bench.results import DisruptionKind

BEGAN = 100.0


class Scene:
    """Three members of a session, all connected when it breaks."""

    def __init__(self, kind: DisruptionKind = "kill_process") -> None:
        self.tracker = DeliveryTracker()
        session = Session("s")
        self.everyone = [self.tracker.member(session, each) for each in "abc"]
        self.tracker.count()
        for each in self.everyone:
            self.tracker.connected(each)
        self.numbers = iter(range(1, 1000))
        self.recovery = Recovery(kind, "", BEGAN, BEGAN, self.everyone)

    def lose(self, member: Member, at: float) -> None:
        self.tracker.ended(member, at)
        self.recovery.lost(member)

    def pass_on(self, sender: Member, at: float) -> None:
        """An update of ``sender`` that all others get a little later."""
        lng = float(next(self.numbers))
        self.tracker.sends(sender, 1.0, lng, at)
        for each in self.everyone:
            if each is not sender and each.connected:
                fresh = self.tracker.receives(
                    each, [ReceivedPosition(sender.user_id, 1.0, lng)], at + 0.01
                )
                self.recovery.deliveries(each, fresh, at + 0.01)

    def over(self) -> bool:
        return self.recovery.check(lambda _member: True)


def test_it_is_over_when_each_user_has_sent_and_received() -> None:
    scene = Scene()
    ada, bob, cyd = scene.everyone
    scene.pass_on(ada, BEGAN + 0.1)
    scene.pass_on(bob, BEGAN + 0.2)
    assert not scene.over()  # nobody knows of Cyd's
    scene.pass_on(cyd, BEGAN + 1.9)
    assert scene.over()
    # Ada received of Bob at 0.2 s, the last to hear of anybody; Cyd's was only not due before.
    assert scene.recovery.recovery_s == pytest.approx(0.21)


def test_a_lost_connection_must_be_reopened_and_its_updates_arrive() -> None:
    scene = Scene()
    ada, bob, cyd = scene.everyone
    scene.lose(cyd, BEGAN + 0.1)
    for each in (ada, bob):
        scene.pass_on(each, BEGAN + 0.2)
    assert not scene.over()
    scene.tracker.connected(cyd)
    scene.pass_on(ada, BEGAN + 1.0)
    assert not scene.over()
    scene.pass_on(cyd, BEGAN + 2.0)
    assert scene.over()
    assert scene.recovery.recovery_s == pytest.approx(2.01)


def test_an_update_from_before_the_disruption_proves_nothing() -> None:
    scene = Scene()
    for each in scene.everyone:
        scene.pass_on(each, BEGAN - 0.005)
    assert not scene.over()


def test_after_a_lost_first_update_recovery_lasts_until_one_arrives() -> None:
    scene = Scene()
    ada, bob, cyd = scene.everyone
    scene.tracker.sends(cyd, 1.0, 999.0, BEGAN + 0.05)  # gets to nobody
    for each in (ada, bob):
        scene.pass_on(each, BEGAN + 0.1)
    scene.pass_on(cyd, BEGAN + 2.0)
    assert scene.over()
    assert scene.recovery.recovery_s == pytest.approx(2.01)


def test_absent_and_lone_users_are_not_waited_for() -> None:
    scene = Scene()
    ada, *_ = scene.everyone
    assert scene.recovery.check(lambda member: member is ada)


def test_only_kinds_that_end_connections_excuse_ends_and_not_for_ever() -> None:
    assert Scene("kill_process").recovery.excuses(BEGAN + 1)
    assert not Scene("kill_process").recovery.excuses(BEGAN - 1)
    assert not Scene("kill_process").recovery.excuses(BEGAN + EXCUSED_S + 1)
    assert Scene("limit_descriptors").recovery.excuses(BEGAN + 1)  # the driver cuts some
    assert not Scene("crash_session").recovery.excuses(BEGAN + 1)
    over = Scene()
    for each in over.everyone:
        over.pass_on(each, BEGAN + 0.1)
    assert over.over()
    assert not over.recovery.excuses(BEGAN + 1)
