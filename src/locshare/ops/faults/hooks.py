"""The dependencies of a server that fault injection can replace."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from locshare.connection.admission import SessionOpener
from locshare.session.moment import utc_now

Database: TypeAlias = Callable[[], AbstractAsyncContextManager[str]]
"""Opens the database for the duration of a block, which gets its URL."""


def _same_sessions(sessions: SessionOpener) -> SessionOpener:
    return sessions


def _same_database(database: Database) -> Database:
    return database


class Hooks(Struct, frozen=True):
    """The defaults inject nothing."""

    now: Callable[[], datetime] = utc_now
    """The wall clock of sessions and tokens."""
    database: Callable[[Database], Database] = _same_database
    """Wraps the way from the store to the database."""
    sessions: Callable[[SessionOpener], SessionOpener] = _same_sessions
    """Wraps the way from connections to sessions."""
