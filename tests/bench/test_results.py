"""What is computed from results."""

from msgspec.structs import replace

from bench.results import Moment
from tests.bench.report.synthetic import run


def second(connected: int, wanted: int | None = 10, due: int = 9, delivered: int = 9) -> Moment:
    return Moment(
        at_s=1,
        connected=connected,
        sent=1,
        delivered=delivered,
        disconnects=0,
        wanted=wanted,
        due=due,
    )


def test_uptime_is_the_share_of_the_time_that_people_were_due_to_be_connected() -> None:
    assert run(moments=(second(10), second(10))).uptime_share == 1
    assert run(moments=(second(10), second(5))).uptime_share == 0.75
    assert run(moments=(second(0, wanted=0), second(2, wanted=2))).uptime_share == 1


def test_a_second_in_which_nothing_came_of_what_was_due_is_down_for_everybody() -> None:
    paused = second(10, delivered=0)
    assert run(moments=(second(10), paused)).uptime_share == 0.5
    assert run(moments=(second(10), replace(paused, due=0))).uptime_share == 1


def test_those_who_are_connected_and_not_due_make_up_for_nobody() -> None:
    """Somebody who is leaving is still connected for a moment."""
    assert run(moments=(second(12), second(8))).uptime_share == 0.9


def test_without_moments_there_is_no_uptime() -> None:
    assert run().uptime_share is None
    assert run(moments=(second(9, wanted=None),)).uptime_share is None
