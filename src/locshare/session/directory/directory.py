"""Where each session is. The one place that decides which process owns a session.

Today every session belongs to this process. When several processes share the sessions, the owner of
an id comes from a lease, and only the function given as ``owner_of`` changes: every read of a table
and every write to the store for a session asks here first.

A table is kept here from the start of its session until the session ends or sleeps, as an ETS table
is kept by its heir: crashes of the session's actor do not reach it.

Invariant: a session that has not ended has at most one table, and no other process writes for it.
"""

from collections.abc import Callable, Hashable, KeysView
from typing import Final, final
from uuid import UUID

from msgspec import Struct

from locshare.actors import ActorRef, Registry
from locshare.session.commands import SessionCast
from locshare.session.errors import SessionElsewhere
from locshare.session.table import SessionTable
from locshare.supervisor import DynamicSupervisorRef

SESSIONS: Final = "sessions"
"""The name of the dynamic supervisor under which the sessions run."""


class Owner(Struct, frozen=True):
    """A process that runs sessions, by the name that the other processes know it by."""

    name: str


THIS_PROCESS: Final = Owner("this process")


def always_this_process(_session_id: UUID) -> Owner:
    """The owner of every session while one process runs them all."""
    return THIS_PROCESS


@final
class SessionDirectory:
    """``names`` is the registry in which the session actors and the dynamic supervisor are."""

    def __init__(
        self,
        names: Registry[Hashable],
        owner_of: Callable[[UUID], Owner] = always_this_process,
    ) -> None:
        self.names: Final = names
        self._owner_of = owner_of
        self._tables: dict[UUID, SessionTable] = {}

    # --- ownership --------------------------------------------------------------------------------

    def owner_of(self, session_id: UUID) -> Owner:
        """The process that may run the session and write for it."""
        return self._owner_of(session_id)

    def owns(self, session_id: UUID) -> bool:
        """Whether that is this process."""
        return self.owner_of(session_id) == THIS_PROCESS

    def check_owned(self, session_id: UUID) -> None:
        """Raise SessionElsewhere if another process owns the session."""
        owner = self.owner_of(session_id)
        if owner != THIS_PROCESS:
            raise SessionElsewhere(owner.name)

    # --- the sessions of this process -------------------------------------------------------------

    def find(self, session_id: UUID) -> SessionTable | None:
        """The table of a session in memory; None if the session sleeps, has ended or never was.
        Raises SessionElsewhere.
        """
        self.check_owned(session_id)
        return self._tables.get(session_id)

    def add(self, table: SessionTable) -> None:
        """Keep ``table`` as that of its session."""
        self._tables[table.session.id] = table

    def remove(self, table: SessionTable) -> None:
        """Forget ``table``, unless its session has another one by now."""
        if self.holds(table):
            del self._tables[table.session.id]

    def holds(self, table: SessionTable) -> bool:
        """Whether ``table`` is that of its session."""
        return self._tables.get(table.session.id) is table

    def ids(self) -> KeysView[UUID]:
        """The sessions in memory; a live view."""
        return self._tables.keys()

    def tables(self) -> tuple[SessionTable, ...]:
        """Their tables, now."""
        return tuple(self._tables.values())

    def actor(self, session_id: UUID) -> ActorRef[SessionCast] | None:
        """The living actor of a session; None between two incarnations."""
        return self.names.lookup(session_id)

    def supervisor(self) -> DynamicSupervisorRef | None:
        """The dynamic supervisor of the sessions; None while it is restarted."""
        ref = self.names.lookup(SESSIONS)
        return ref if isinstance(ref, DynamicSupervisorRef) else None


def short_id(session_id: UUID) -> str:
    """Enough of an id for logs. A whole id is a join link."""
    return str(session_id)[:8]
