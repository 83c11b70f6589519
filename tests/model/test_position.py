"""Positions: which age is worth sending, and what others see of a report."""

from datetime import UTC, datetime

import msgspec
import pytest

from locshare.model.position import HeldPosition, ParticipantPosition, Position

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
REPORT = Position(52.5, 13.4, None, NOON, speed=1.5, age_ms=400)


@pytest.mark.parametrize(
    ("clock", "age_ms"), [(10.0, None), (10.999, None), (11.0, 1000), (40.5, 30_500), (9.0, None)]
)
def test_the_age_of_a_fix_is_left_out_below_a_second(clock: float, age_ms: int | None) -> None:
    assert HeldPosition(REPORT, arrived=10.4, taken=10.0).age_ms(clock) == age_ms


def test_others_see_every_field_of_a_report_and_the_servers_age_of_it() -> None:
    seen = ParticipantPosition.of("ada", REPORT, 1_500)
    assert (seen.user_id, seen.age_ms) == ("ada", 1_500)
    for field in {each.name for each in msgspec.structs.fields(Position)} - {"age_ms"}:
        assert getattr(seen, field) == getattr(REPORT, field)


def test_the_age_that_the_sender_gave_is_not_passed_on() -> None:
    assert ParticipantPosition.of("ada", REPORT).age_ms is None


def test_unknown_fields_are_left_out_but_for_the_accuracy() -> None:
    assert set(msgspec.to_builtins(Position(1.0, 2.0, None, NOON))) == {
        "lat", "lng", "accuracy", "timestamp",
    }  # fmt: skip
