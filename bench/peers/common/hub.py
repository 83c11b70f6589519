"""The connections of this process, by session and participant."""

from collections.abc import Iterator, Mapping

from bench.peers.common.connection import REPLACED, SESSION_ENDED, Close, Connection
from bench.peers.common.messages import EndReason, event


class Hub:
    """No method blocks."""

    def __init__(self) -> None:
        self._sessions: dict[str, dict[str, Connection]] = {}

    def add(self, connection: Connection) -> Connection | None:
        """Register a connection; the participant's previous one is closed and returned."""
        session = self._sessions.setdefault(connection.session_id, {})
        older = session.get(connection.user_id)
        session[connection.user_id] = connection
        if older is not None:
            older.close(REPLACED)
        return older

    def remove(self, connection: Connection) -> bool:
        """False when it was not registered, or has been replaced."""
        session = self._sessions.get(connection.session_id, {})
        if session.get(connection.user_id) is not connection:
            return False
        del session[connection.user_id]
        if not session:
            del self._sessions[connection.session_id]
        return True

    def has(self, session_id: str, user_id: str | None = None) -> bool:
        """Whether anyone, or this participant, is connected here."""
        session = self._sessions.get(session_id, {})
        return bool(session) if user_id is None else user_id in session

    def of(self, session_id: str) -> Mapping[str, Connection]:
        """Those of a session, by participant."""
        return self._sessions.get(session_id, {})

    def send(self, session_id: str, text: str, but: str = "") -> None:
        """To all of a session but one."""
        for user_id, connection in self.of(session_id).items():
            if user_id != but:
                connection.send(text)

    def close(self, session_id: str, user_id: str, close: Close, spare: str = "") -> None:
        """Close the connection of one participant, unless it is that with the id ``spare``."""
        connection = self._sessions.get(session_id, {}).get(user_id)
        if connection is not None and connection.id != spare:
            connection.close(close)
            self.remove(connection)

    def end(self, session_id: str, reason: EndReason) -> None:
        """Announce the end of a session, and close its connections."""
        text = event("session_ended", reason=reason)
        for connection in self._sessions.pop(session_id, {}).values():
            connection.send(text)
            connection.close(SESSION_ENDED)

    def __iter__(self) -> Iterator[Connection]:
        for session in self._sessions.values():
            yield from session.values()
