"""Who is online, and what the others are sent about it. Pure: the time is given.

A member is online while connected, and for a while after a position that came without a connection.
One whose connection has ended stays online to the others for a grace period: phones change their
network, pages are reloaded, and a group does not want to hear of it. A connection within the grace
period is no event at all.

With a connection comes a state, as its client shows it: active, paused, hidden. It ends with the
connection, and a new one begins with the state that it names, else active.

Changes are rate-limited for each member (:mod:`locshare.session.rate_limits`): what the limit
delays is in ``table.presence_pending``, and only the newest is sent.
"""

from datetime import datetime
from typing import Final, final

from locshare.broadcast.addressed import EveryoneBut
from locshare.broadcast.receiver import Receiver
from locshare.model.events import ParticipantUpdated
from locshare.model.participant import PresenceState
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.rate_limits import NEVER_SEEN, ShownPresence
from locshare.session.table import SessionTable


@final
class PresenceRules:
    """The presence of one table's members. Everyone named to it is in the roster."""

    __slots__ = ("_limits", "_table")

    def __init__(self, table: SessionTable, limits: SessionLimits) -> None:
        self._table: Final = table
        self._limits: Final = limits

    # --- what happens -----------------------------------------------------------------------------

    def connected(self, user_id: str, moment: Moment, state: PresenceState = "active") -> None:
        """They have a new connection, which may replace one, in ``state``."""
        self._table.dropped.pop(user_id, None)
        self._set(user_id, state)
        self._show(user_id, moment)

    def disconnected(self, user_id: str, moment: Moment) -> None:
        """Their connection has ended: they stay online to the others for the grace period."""
        table = self._table
        table.states.pop(user_id, None)
        if self.shown(user_id).online and self._limits.offline_grace > 0:
            table.dropped[user_id] = moment.clock
        self._show(user_id, moment)

    def reported(self, user_id: str, moment: Moment) -> None:
        """A position arrived without a connection."""
        self._table.reported[user_id] = moment.clock
        self._show(user_id, moment)

    def set_state(self, receiver: Receiver, state: PresenceState, moment: Moment) -> None:
        """The client of ``receiver`` says what it is; ignored if that is not connected any more."""
        table, user_id = self._table, receiver.user_id
        if table.receivers.get(user_id) is not receiver or table.ended is not None:
            return
        self._set(user_id, state)
        self._show(user_id, moment)

    def _set(self, user_id: str, state: PresenceState) -> None:
        if state == "active":
            self._table.states.pop(user_id, None)
        else:
            self._table.states[user_id] = state

    def time_passed(self, moment: Moment) -> None:
        """:meth:`due` has come: take those offline whose last report is too old, or whose grace
        period has ended, and send what the rate limit allows now.
        """
        table, clock = self._table, moment.clock
        for user_id, at in tuple(table.reported.items()):
            if at + self._limits.online_after_report <= clock:
                del table.reported[user_id]
                table.active_at = clock
                self._show(user_id, moment)
        for user_id, at in tuple(table.dropped.items()):
            if at + self._limits.offline_grace <= clock:
                del table.dropped[user_id]
                self._show(user_id, moment)
        for user_id in tuple(table.presence_pending):
            self._show(user_id, moment)

    def due(self) -> float | None:
        """When :meth:`time_passed` has something to do; None while it has not."""
        table, limits = self._table, self._limits
        times = [table.presence[user_id].ready_at() for user_id in table.presence_pending]
        if table.reported:
            times.append(min(table.reported.values()) + limits.online_after_report)
        if table.dropped:
            times.append(min(table.dropped.values()) + limits.offline_grace)
        return min(times, default=None)

    def forget(self, user_id: str) -> None:
        """They have left."""
        table = self._table
        for entries in (table.presence, table.reported, table.dropped, table.states):
            entries.pop(user_id, None)
        table.presence_pending.discard(user_id)

    # --- what is shown ----------------------------------------------------------------------------

    def shown(self, user_id: str) -> ShownPresence:
        """What was sent to the others last."""
        return self._table.presence.get(user_id, NEVER_SEEN)

    def is_news_to_connect(self, user_id: str, moment: Moment, state: PresenceState) -> bool:
        """Whether :meth:`connected` will send the others an event now."""
        shown = self.shown(user_id)
        if (shown.online, shown.state) == (True, state):
            return False
        return shown.announce(True, state, moment.clock) is not None

    def last_seen(self, user_id: str, moment: Moment) -> datetime:
        """When they gave the last sign of life."""
        heard = self._table.last_heard.get(user_id)
        if heard is None:
            return self._table.roster[user_id].last_seen
        return moment.wall_of(heard)

    def _wanted(self, user_id: str, shown: ShownPresence) -> tuple[bool, PresenceState]:
        """What the others should be shown."""
        table = self._table
        if user_id in table.receivers:
            return True, table.states.get(user_id, "active")
        if user_id in table.dropped:
            return shown.online, shown.state
        return user_id in table.reported, "active"

    def _show(self, user_id: str, moment: Moment) -> None:
        """Send the others the presence of ``user_id``: now, delayed by the rate limit, or not at
        all if that is what they know.
        """
        table = self._table
        shown = self.shown(user_id)
        online, state = self._wanted(user_id, shown)
        if (online, state) == (shown.online, shown.state):
            table.presence_pending.discard(user_id)
            return
        after = shown.announce(online, state, moment.clock)
        if after is None:
            table.presence.setdefault(user_id, shown)
            table.presence_pending.add(user_id)
            return
        table.presence_pending.discard(user_id)
        table.presence[user_id] = after
        seen = moment.wall if online else self.last_seen(user_id, moment)
        table.queue_event(
            ParticipantUpdated(user_id, online, seen, state=state), EveryoneBut(user_id)
        )
