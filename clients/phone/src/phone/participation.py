"""This device in one session: its connection, as a Trio task, and the feed that it fills."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, final
from urllib.parse import quote

import trio

from locshare.client import (
    ApiProblem,
    ClientError,
    Live,
    NotConnected,
    ParticipantView,
    Position,
    PresenceState,
    ServerMessage,
    Snapshot,
    Watcher,
)
from locshare.client import End as ConnectionEnd
from locshare.client.live import Opener
from locshare.model.events import Event
from locshare.model.join_link import link_segment
from locshare.model.reasons import CloseReason
from phone.api import api_of
from phone.clock import now
from phone.feed import Feed
from phone.phoenix import Known, PhoenixOpener
from phone.settings import Membership
from phone.view import End, Link

GRACE_S: Final = 60.0
"""After the session's time is up: its server, if it can be reached, says so itself."""
FIRST_S: Final = 600.0
"""How long a session is tried at least that was never connected to, whatever its time: the clock of
this device may be wrong, and the first connection says what is left.
"""
CHECK_S: Final = 15.0
LEAVE_S: Final = 3.0
"""How long leaving waits for the server; what it does not hear, its clock ends."""


@final
class Participation(Watcher):
    """``changed`` is called when the feed has. All methods but :meth:`run` and :meth:`leave` are
    called from the loop's thread while no Trio task runs, or from Trio.
    """

    def __init__(self, membership: Membership, changed: Callable[[], None]) -> None:
        self.membership = membership
        self.feed = Feed(
            membership.session_id,
            membership.name,
            membership.expires_at,
            now,
            hosts=bool(membership.host_token),
        )
        self._changed = changed
        opener: Opener | None = None
        self._has_wishes = membership.backend.dialect == "locshare"
        """Whether the server knows pace and presence."""
        if not self._has_wishes:
            opener = PhoenixOpener(membership.backend, self._known())
        self.live = Live(membership.websocket_url, membership.token, watcher=self, opener=opener)
        self._position: Position | None = None
        self._pace_s: float | None = None
        self._presence: PresenceState = "paused" if membership.paused else "active"
        self._woken = trio.Event()
        self._scope: trio.CancelScope | None = None

    @property
    def link_key(self) -> str:
        """Of the link that lets people in now; empty for the session's first one."""
        replica = self.feed.replica
        key = replica.session.link_key if replica is not None else None
        return key if isinstance(key, str) else ""

    @property
    def join_link(self) -> str:
        """What to pass on: a host may have replaced the link that this device came by."""
        mine, key = self.membership, self.link_key
        if not key:
            return mine.join_link
        return f"{mine.backend.url}/join/{link_segment(mine.session_id, key)}"

    @property
    def host_link(self) -> str:
        """With which the same person is the host on another device; empty without a key for it."""
        key = self.membership.host_key
        return f"{self.join_link}#host={quote(key, safe='')}" if key else ""

    # --- what the connection tells, in Trio -----------------------------------------------------

    def connected(self, snapshot: Snapshot) -> None:
        """See :meth:`Watcher.connected`."""
        self.feed.connected(snapshot, datetime.now(UTC))
        self._changed()

    def missed(self, event: Event) -> None:
        """See :meth:`Watcher.missed`."""
        self.feed.missed(event)

    def received(self, message: ServerMessage) -> None:
        """See :meth:`Watcher.received`."""
        self.feed.received(message, self.feed.server_time())
        self._changed()

    def disconnected(self, cause: ClientError, retry_in: float | None) -> None:  # noqa: ARG002
        """See :meth:`Watcher.disconnected`."""
        if retry_in is not None:
            self.feed.link = Link("waiting", now() + retry_in)
            self._changed()

    # --- the task -------------------------------------------------------------------------------

    async def run(self) -> End:
        """Stay connected, send what is given. Returns why it is over. Cancellation closes the
        connection, and the participant stays in the session.
        """
        if self._has_wishes:
            await self.live.set_presence(self._presence)
        causes: list[ClientError] = []
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            nursery.start_soon(self._send)
            nursery.start_soon(self._end_in_time, nursery.cancel_scope, causes)
            causes.append(await self.live.run())
            nursery.cancel_scope.cancel()
        # None after stop().
        return self.end_of(
            causes[0] if causes else NotConnected(ConnectionEnd.of(CloseReason.LEFT.code))
        )

    async def _end_in_time(self, scope: trio.CancelScope, causes: list[ClientError]) -> None:
        """A session whose server is out of reach ends with its time: nobody's position is asked for
        on and on in a pocket.
        """
        least = now() + FIRST_S
        while True:
            await trio.sleep(CHECK_S)
            end = self.feed.expires_at + GRACE_S
            if self.feed.replica is None:
                end = max(end, least)
            if self.feed.link.state != "live" and now() >= end:
                causes.append(NotConnected(ConnectionEnd.of(CloseReason.SESSION_ENDED.code)))
                scope.cancel()
                return

    def stop(self) -> None:
        """Close the connection. Called in Trio."""
        if self._scope is not None:
            self._scope.cancel()

    async def leave(self) -> bool:
        """Leave for good, also while the connection is away. Whether the server has heard it: if it
        is out of reach, the others see this device age.
        """
        with trio.move_on_after(LEAVE_S):
            if self._has_wishes and await self.live.leave():
                return True
            mine = self.membership
            try:
                async with api_of(mine.backend) as api:
                    await api.remove(mine.session_id, mine.user_id, mine.token)
            except ApiProblem as error:
                return error.status in _BY_STATUS  # it knows this participant no more
            except ClientError:
                return False
            return True
        return False

    def give(self, position: Position | None) -> None:
        """Send ``position``; None forgets what was given. Called in Trio."""
        self._position = position
        if position is None:
            self.live.forget_position()
        self._wake()

    def wish(self, pace_s: float, presence: PresenceState) -> None:
        """How often to receive, and what the others are shown. Called in Trio."""
        self._pace_s, self._presence = pace_s, presence
        self._wake()

    def _wake(self) -> None:
        self._woken.set()

    async def _send(self) -> None:
        said: tuple[float | None, PresenceState] = None, self._presence
        while True:
            await self._woken.wait()
            self._woken = trio.Event()
            if self._has_wishes and self._presence != said[1]:
                await self.live.set_presence(self._presence)
            if self._has_wishes and self._pace_s is not None and self._pace_s != said[0]:
                await self.live.set_pace(self._pace_s)
            said = self._pace_s, self._presence
            position, self._position = self._position, None
            if position is not None:
                await self.live.send_position(position)

    # --- its end --------------------------------------------------------------------------------

    def end_of(self, cause: ClientError) -> End:
        """What to say about ``cause``, which is final."""
        mine = self.membership
        kind = "failed"
        if isinstance(cause, NotConnected):
            kind = _BY_REASON.get(cause.end.reason, kind) if cause.end.reason else kind
        elif isinstance(cause, ApiProblem):
            kind = _BY_STATUS.get(cause.status, kind)
        text = f"end.{kind}.text"
        replica = self.feed.replica
        if kind == "ended" and replica is not None and replica.ended is not None:
            text = f"end.{replica.ended}"
        again = self.join_link if kind in ("left", "removed", "replaced", "failed") else ""
        return End(mine.session_id, f"end.{kind}", text, again)

    def _known(self) -> Known:
        mine = self.membership

        async def participants() -> tuple[ParticipantView, ...]:
            async with api_of(mine.backend) as api:
                return await api.participants(mine.session_id)

        expires_at = datetime.fromtimestamp(mine.expires_at, UTC)
        return Known(mine.session_id, mine.user_id, mine.name, expires_at, participants)


_BY_REASON: Final = {
    CloseReason.LEFT: "left",
    CloseReason.SESSION_ENDED: "ended",
    CloseReason.FORBIDDEN: "removed",
    CloseReason.BAD_TOKEN: "removed",
    CloseReason.NOT_FOUND: "unknown",
    CloseReason.REPLACED: "replaced",
}
_BY_STATUS: Final = {401: "removed", 403: "removed", 404: "unknown", 410: "ended"}
