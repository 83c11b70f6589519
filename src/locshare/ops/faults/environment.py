"""The environment of one server that faults act on: its clock, fault points and database."""

from datetime import datetime, timedelta
from typing import Final, final

from locshare.ops.faults.fault_points import FaultPoints, SessionsWithFaults
from locshare.ops.faults.hooks import Hooks
from locshare.ops.faults.relay import Relay
from locshare.session.moment import utc_now


@final
class Faults:
    """State of all faults outside the actors. The parts of the server take :attr:`hooks` when they
    are made; :class:`locshare.ops.faults.injector.Injector` changes what the hooks do.
    """

    def __init__(self) -> None:
        self.skew = timedelta()
        """Added to the wall clock."""
        self.relay: Final = Relay()
        self.points: Final = FaultPoints()
        self.hooks: Final = Hooks(
            now=self._now,
            database=self.relay.around,
            sessions=lambda sessions: SessionsWithFaults(sessions, self.points),
        )

    def _now(self) -> datetime:
        return utc_now() + self.skew

    def clear(self) -> None:
        """Remove all faults."""
        self.skew = timedelta()
        self.relay.restore()
        self.points.clear()
