"""What the parts of a server are given from outside, where faults can be let in."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from locshare.connection.admission import Sessions
from locshare.session.moment import utc_now

Database: TypeAlias = Callable[[], AbstractAsyncContextManager[str]]
"""Makes the database be there for the time of a block, and tells its URL."""


def _as_they_are(sessions: Sessions) -> Sessions:
    return sessions


def _as_it_is(database: Database) -> Database:
    return database


class Seams(Struct, frozen=True):
    """The defaults let nothing in."""

    now: Callable[[], datetime] = utc_now
    """The wall clock of sessions and tokens."""
    database: Callable[[Database], Database] = _as_it_is
    """What stands between the store and the database."""
    sessions: Callable[[Sessions], Sessions] = _as_they_are
    """What stands between connections and the sessions."""
