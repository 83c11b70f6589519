"""What features keep of sleeping sessions, in the memory of this process. Bounded."""

from collections import OrderedDict
from typing import Final, final
from uuid import UUID

from locshare.session.features.feature import Parts

MAX_SESSIONS: Final = 10_000


@final
class KeptParts:
    """The session that fell asleep longest ago gives way."""

    def __init__(self) -> None:
        self._of: OrderedDict[UUID, Parts] = OrderedDict()

    def __len__(self) -> int:
        return len(self._of)

    def get(self, session_id: UUID) -> Parts:
        """What is kept of a session; empty if nothing is."""
        return self._of.get(session_id, {})

    def put(self, session_id: UUID, parts: Parts) -> None:
        """A session falls asleep."""
        self._of.pop(session_id, None)
        if parts:
            self._of[session_id] = parts
        if len(self._of) > MAX_SESSIONS:
            self._of.popitem(last=False)

    def forget(self, session_id: UUID) -> None:
        """A session is awake, or has ended."""
        self._of.pop(session_id, None)
