"""Reads sessions from the store, once for all callers that ask at the same time. Starts nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import final
from uuid import UUID

import trio

from locshare.session.errors import SessionNotFound, SessionOver
from locshare.session.features.feature_set import FeatureSet
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.rules import SessionRules
from locshare.session.single_flight import SingleFlight
from locshare.session.table import SessionTable
from locshare.store.port import SessionRecord, Store, StoredSession, StoreUnavailable


@final
class SessionLoader:
    """``now`` is the wall clock, in UTC."""

    def __init__(
        self,
        store: Store,
        limits: SessionLimits,
        now: Callable[[], datetime],
        features: FeatureSet,
    ) -> None:
        self._store = store
        self._features = features
        self._limits = limits
        self._now = now
        self._up_since = now()
        self._loads: SingleFlight[StoredSession | None] = SingleFlight(StoreUnavailable)

    async def load(self, session_id: UUID) -> StoredSession:
        """The rows of a session that is not in memory, so that nobody writes for it: a read that
        began before this call may answer it. Raises SessionNotFound, StoreUnavailable.
        """
        return _found(
            await self._loads.run(session_id, partial(self._store.load_session, session_id))
        )

    async def load_now(self, session_id: UUID) -> StoredSession:
        """As :meth:`load`, also of a session in memory: all that was written before is in it."""
        return _found(await self._store.load_session(session_id))

    def check_live(self, session: SessionRecord) -> None:
        """Raise SessionOver if the session has ended, or is due to end."""
        now = self._now()
        if not session.is_active:
            raise SessionOver
        if session.expires_at <= now:
            raise SessionOver("expired")
        if session.last_activity < self.inactive_before():
            raise SessionOver("inactive")

    def is_live(self, session: SessionRecord) -> bool:
        """Whether :meth:`check_live` finds nothing."""
        try:
            self.check_live(session)
        except SessionOver:
            return False
        return True

    def inactive_before(self) -> datetime:
        """A session that was last active before this is inactive. While the server has been up for
        less than that, none is: nobody could connect.
        """
        earliest = self._now() - timedelta(seconds=self._limits.inactive_after)
        return earliest if self._up_since < earliest else datetime.min.replace(tzinfo=UTC)

    def view(self, stored: StoredSession) -> SessionTable:
        """The table that a session would have if it were started now. For reading only."""
        table = SessionTable(stored, trio.current_time())
        moment = Moment(self._now(), trio.current_time())
        SessionRules(table, self._limits, self._features).release_unused_seats(moment)
        return table


def _found(stored: StoredSession | None) -> StoredSession:
    if stored is None:
        raise SessionNotFound
    return stored
