"""Instants on the two clocks of a session. Pure, but for reading the wall clock."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct


class Moment(Struct, frozen=True, gc=False):
    """One instant on both clocks: the wall clock, for people, and Trio's, for measuring."""

    wall: datetime
    clock: float

    def wall_of(self, clock: float) -> datetime:
        """The wall time of an instant that was measured by Trio's clock."""
        return self.wall - timedelta(seconds=self.clock - clock)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)
