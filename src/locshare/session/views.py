"""What the members of a session are shown of it: snapshots and lists. Pure: the time is given, and
nothing is changed but that events which are too old are dropped.
"""

from typing import Final, final

from msgspec import UNSET

from locshare.model.events import Event, missed
from locshare.model.participant import ParticipantView, PresenceState, Role, You
from locshare.model.position import LocatedMember, ParticipantPosition
from locshare.model.session import SessionView, Snapshot
from locshare.session.event_log import parse_resume
from locshare.session.features.feature import Core
from locshare.session.features.feature_set import FeatureSet
from locshare.session.features.roster import ROSTER
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.presence import PresenceRules
from locshare.session.table import SessionTable


def core_of(table: SessionTable, limits: SessionLimits) -> Core:
    """What a feature sees of ``table``."""
    return Core(
        table.roster,
        table.lapsed,
        table.reservations.values(),
        table.online,
        table.positions,
        limits,
    )


@final
class SessionViews:
    """The views of one table."""

    __slots__ = ("_features", "_limits", "_presence", "_table")

    def __init__(
        self,
        table: SessionTable,
        limits: SessionLimits,
        features: FeatureSet,
        presence: PresenceRules,
    ) -> None:
        self._table: Final = table
        self._limits = limits
        self._features = features
        self._presence = presence

    def snapshot(
        self,
        user_id: str,
        role: Role,
        moment: Moment,
        resume: str | None = None,
        state: PresenceState = "active",
    ) -> Snapshot:
        """The state of the session for ``user_id``, who is about to connect and is shown online, in
        ``state``. No event is pending. ``resume`` names the last event that the client knows, if it
        said one.
        """
        table = self._table
        found = None if resume is None else self._missed(user_id, resume, moment.clock)
        session = table.session
        retention = self._limits.retention
        sections = self._features.snapshot(table, user_id, core_of(table, self._limits))
        roster = sections.pop(ROSTER.name)  # the contract shows it in `session`
        return Snapshot(
            SessionView(
                str(session.id),
                session.name,
                session.created_at,
                session.expires_at,
                roster.locked,
                roster.link_key or UNSET,
            ),
            You(user_id, role),
            self.participants(moment, connecting=user_id, state=state),
            tuple(
                ParticipantPosition.of(user, held.position, held.age_ms(moment.clock))
                for user, held in table.positions.items()
                if held.arrived + retention > moment.clock
            ),
            moment.wall,
            table.epoch,
            table.seq + self._presence.is_news_to_connect(user_id, moment, state),
            sections or None,
            resumed=None if resume is None else found is not None,
            missed=None if found is None else tuple(map(missed, found)),
        )

    def _missed(self, user_id: str, resume: str, clock: float) -> tuple[Event, ...] | None:
        """What ``user_id`` has missed; None if that cannot be said."""
        table, point = self._table, parse_resume(resume)
        table.log.forget(clock - self._limits.kept_events_s)
        if point is None or point.epoch != table.epoch or point.seq > table.seq:
            return None
        return table.log.since(point.seq, user_id)

    def others(self, user_id: str, moment: Moment) -> tuple[LocatedMember, ...]:
        """All members but ``user_id``, in the order of joining, with what is known of where they
        are.
        """
        positions, retention = self._table.positions, self._limits.retention
        return tuple(
            LocatedMember(other, member.display_name, held.position, moment.wall_of(held.taken))
            if (held := positions.get(other)) and held.arrived + retention > moment.clock
            else LocatedMember(other, member.display_name)
            for other, member in self._table.roster.items()
            if other != user_id
        )

    def participants(
        self, moment: Moment, connecting: str = "", state: PresenceState = "active"
    ) -> tuple[ParticipantView, ...]:
        """All members in the order of joining, with the presence last sent to the others; that of
        ``connecting`` is online, in ``state``.
        """
        presence, found = self._presence, []
        for user_id, member in self._table.roster.items():
            now, shown = user_id == connecting, presence.shown(user_id)
            found.append(
                ParticipantView(
                    user_id,
                    member.display_name,
                    member.avatar_color,
                    member.joined_at,
                    moment.wall if now else presence.last_seen(user_id, moment),
                    True,
                    now or shown.online,
                    "host" if member.role == "host" else UNSET,
                    state if now else shown.state,
                )
            )
        return tuple(found)
