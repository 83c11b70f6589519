"""What this server promises beyond what the comparators do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.kit import BERLIN, Group, pair, phone

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("server", ["locshare"], indirect=True)]

UNKNOWN_FIELDS: dict[str, Any] = {
    "accuracy": -1,
    "speed": -1,
    "heading": -1,
    "battery": "full",
    "altitude": float("nan"),
    "age_ms": 1e30,
}


async def test_an_optional_field_that_makes_no_sense_is_unknown_and_the_position_stands(
    group: Group,
) -> None:
    async with pair(group) as (ada, first, _, second):
        for number, (field, value) in enumerate(UNKNOWN_FIELDS.items()):
            await first.move(lat=number, **{field: value})
            seen = await second.until("location_update", lat=number)
            assert seen.get(field) is None, field
        await first.move(**dict.fromkeys(UNKNOWN_FIELDS))
        seen = await second.until("location_update", lat=BERLIN["lat"])
        assert {name: value for name, value in seen.items() if value is not None} == {
            "user_id": ada.user_id, "lat": BERLIN["lat"], "lng": BERLIN["lng"],
            "timestamp": BERLIN["timestamp"],
        }  # fmt: skip
        assert await first.until_pong() == []


def ago(seconds: float) -> str:
    """A time, as a phone writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


async def test_everyone_is_told_the_age_of_the_fix_and_the_newest_fix_wins(group: Group) -> None:
    late = await group.join("Late")
    async with pair(group) as (_, first, _, second):
        await first.move(lat=1, timestamp=ago(300))
        old = await second.until("location_update", lat=1)
        assert 299_000 < old["age_ms"] < 330_000
        await first.move(lat=2, timestamp=ago(0))
        assert "age_ms" not in await second.until("location_update", lat=2)
        await first.move(lat=3, timestamp=ago(60))
        await first.move(lat=4, timestamp=ago(3600))
        await first.until_pong()
        async with phone(late) as third:
            assert [each["lat"] for each in third.snapshot["positions"]] == [2]
        await first.move(lat=5, timestamp=ago(-1), age_ms=20_000)
        assert 20_000 <= (await second.until("location_update", lat=5))["age_ms"] < 50_000
