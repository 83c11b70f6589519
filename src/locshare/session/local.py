"""What one process holds of a session it runs, besides the session's state."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, final

import trio

from locshare.actors import MailboxHeir, Ref


@final
class LocalState:
    """The life of a session in this process. A session that moves leaves it behind."""

    __slots__ = (
        "asleep", "changing", "gave_up", "heir", "incarnations", "starting", "supervisor",
        "use_count", "waiters",
    )  # fmt: skip

    def __init__(self) -> None:
        self.heir: Final = MailboxHeir()
        self.changing: Final = trio.Lock()
        """Held from the write of a change to its command, so that of two changes at once the later
        one is the last in the store and in the table alike."""
        self.incarnations = 0
        self.supervisor: Ref | None = None
        self.starting = False
        self.gave_up = False
        """The supervisor has spent its restart budget."""
        self.use_count = 0
        """Calls and connections that hold the table: while there is one, it does not sleep."""
        self.asleep = False
        """Put to sleep: no caller holds the table."""
        self.waiters: Final = trio.lowlevel.ParkingLot()
        """Callers that wait for the next incarnation, or for the end."""

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Count a caller that holds the table for the time of the block."""
        self.use_count += 1
        try:
            yield
        finally:
            self.use_count -= 1

    @property
    def supervised(self) -> bool:
        """Whether there is a supervisor that starts the next incarnation."""
        return self.supervisor is not None and self.supervisor.alive
