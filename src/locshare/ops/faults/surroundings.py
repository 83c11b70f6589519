"""What is around the actors of one server, and obeys: its clock, its wires, its database."""

from datetime import datetime, timedelta
from typing import Final, final

from locshare.ops.faults.links import WiredSessions, Wires
from locshare.ops.faults.relay import Relay
from locshare.ops.faults.seams import Seams
from locshare.session.moment import utc_now


@final
class Faults:
    """Makes a server that can be broken: its :attr:`seams` are given to the parts when they are
    made, and :class:`locshare.ops.faults.injector.Injector` breaks them.
    """

    def __init__(self) -> None:
        self.skew = timedelta()
        """How far the wall clock is off."""
        self.relay: Final = Relay()
        self.wires: Final = Wires()
        self.seams: Final = Seams(
            now=self._now,
            database=self.relay.around,
            sessions=lambda sessions: WiredSessions(sessions, self.wires),
        )

    def _now(self) -> datetime:
        return utc_now() + self.skew

    def clear(self) -> None:
        """As if nothing had been done."""
        self.skew = timedelta()
        self.relay.restore()
        self.wires.clear()
