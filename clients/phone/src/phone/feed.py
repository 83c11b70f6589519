"""The running state of one session, from the messages of its connection. Plain: a change of it
renders nothing, until the publisher makes a :class:`~phone.view.Group` of it.

The last known position of everybody is kept over reconnects, as long as they are in the session:
its age says what it is worth.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple, final

from msgspec import structs

from locshare.client import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantPosition,
    ParticipantUpdated,
    ParticipantView,
    Position,
    Replica,
    ServerMessage,
    SessionUpdated,
    Snapshot,
)
from phone.view import (
    MOST_NAME,
    MOST_SESSION_NAME,
    Group,
    Link,
    Person,
    Place,
    one_line,
)

MOST_HAPPENINGS: Final = 8


class Happening(NamedTuple):
    """Something to say once: a key of the words, and whose name goes in."""

    key: str
    name: str = ""


@final
class Feed:
    """``clock`` is that of :mod:`phone.clock`. ``hosts``: whether this device holds a host's token,
    by which its person is the host until a snapshot says more.
    """

    def __init__(
        self,
        session_id: str,
        name: str,
        expires_at: float,
        clock: Callable[[], float],
        *,
        hosts: bool = False,
    ) -> None:
        self.session_id = session_id
        self.name = name
        self.expires_at = expires_at
        self.replica: Replica | None = None
        self.link = Link()
        self.own: Place | None = None
        """This device's fix, which the server does not send back."""
        self.happenings: list[Happening] = []
        """Not said yet; the newest of them, at most :data:`MOST_HAPPENINGS`."""
        self._clock = clock
        self._hosts = hosts
        self._ahead_s = 0.0
        """Of this device's clock, before the server's."""
        self._before: Replica | None = None
        """What was known before the connection that there is now, for what it has missed."""
        self._places: dict[str, Place] = {}

    @property
    def is_host(self) -> bool:
        """Whether this participant has the host's role. Known before the first snapshot, so that no
        menu grows under a finger when that comes.
        """
        replica = self.replica
        if replica is None:
            return self._hosts
        me = replica.participants.get(replica.you.user_id)
        role = me.role if me is not None and isinstance(me.role, str) else replica.you.role
        return role == "host"

    def connected(self, snapshot: Snapshot, at: datetime) -> None:
        """The connection is there, and this is the state of the session."""
        if self.replica is None:
            self.replica = Replica.of(snapshot, at)
        else:
            self._before = structs.replace(self.replica)
            self.replica.replace(snapshot, at)
        self.link = Link("live")
        # Compare the server's times with each other: the clock of this device may be wrong.
        self._ahead_s = self._clock() - snapshot.server_time.timestamp()
        left_s = (snapshot.session.expires_at - snapshot.server_time).total_seconds()
        self.name = one_line(snapshot.session.name, MOST_SESSION_NAME)
        self.expires_at = self._clock() + left_s
        self._places = {
            user_id: place
            for user_id, place in self._places.items()
            if user_id in self.replica.participants
        }
        for position in snapshot.positions:
            self._locate(position)

    def server_time(self) -> datetime:
        """By which a server says when somebody was seen, as far as it is known."""
        return datetime.fromtimestamp(self._clock() - self._ahead_s, UTC)

    def received(self, message: ServerMessage, at: datetime) -> None:
        """One message after the snapshot, ``at`` :meth:`server_time`."""
        replica = self.replica
        if replica is None:
            return
        self._note(message, replica)
        replica.apply(message, at)
        if isinstance(message, ParticipantPosition):
            self._locate(message)
        elif isinstance(message, ParticipantLeft):
            self._places.pop(message.user_id, None)

    def missed(self, message: ServerMessage) -> None:
        """What happened while there was no connection; the state has it already. Somebody who came
        and went is not mentioned.
        """
        before, now = self._before, self.replica
        if before is None or now is None:
            return
        if isinstance(message, ParticipantJoined) and message.user_id not in now.participants:
            return
        self._note(message, before)
        before.apply(message, self.server_time())

    def located(self, position: Position, at: float) -> None:
        """This device's own position, taken at ``at``."""
        self.own = Place(
            position.lat, position.lng, at, position.accuracy, position.speed, position.battery
        )

    def group(self, *, paused: bool, watching: bool, can_host: bool) -> Group:
        """The session as the screens show it: me first, then who is on the map, then who is online,
        then the rest, each by name.
        """
        people: list[Person] = []
        if self.replica is not None:
            mine = self.replica.you.user_id
            people = [self._person(each, mine) for each in self.replica.participants.values()]
            people.sort(key=_rank)
        return Group(
            self.session_id,
            self.name,
            self.expires_at,
            tuple(people),
            locked=self.replica is not None and self.replica.session.locked,
            is_host=self.is_host,
            can_host=can_host,
            paused=paused,
            watching=watching,
            link=self.link,
        )

    def _person(self, each: ParticipantView, mine: str) -> Person:
        is_me = each.user_id == mine
        return Person(
            each.user_id,
            one_line(each.display_name, MOST_NAME),
            each.avatar_color[:7],
            is_me or each.online,
            each.last_seen.timestamp() + self._ahead_s,
            each.state,
            is_host=self.is_host if is_me else each.role == "host",
            is_me=is_me,
            place=self.own if is_me else self._places.get(each.user_id),
        )

    def _locate(self, each: ParticipantPosition) -> None:
        replica = self.replica
        if replica is None or each.user_id not in replica.participants:
            return
        if each.user_id == replica.you.user_id:
            return  # the compact dialect sends everybody the same
        if not (-90 <= each.lat <= 90 and -180 <= each.lng <= 180):
            return  # from a server that does not look: Flutter's map could not show it
        at = self._clock() - (each.age_ms or 0) / 1000
        self._places[each.user_id] = Place(
            each.lat, each.lng, at, max(each.accuracy or 0.0, 0.0) or None, each.speed, each.battery
        )

    def _note(self, message: ServerMessage, replica: Replica) -> None:
        found: Happening | None = None
        match message:
            case ParticipantJoined(user_id=user_id, display_name=name):
                if user_id not in replica.participants:
                    found = Happening("notice.joined", name)
            case ParticipantLeft(user_id=user_id, reason=reason):
                who = replica.participants.get(user_id)
                if who is not None:
                    key = "notice.removed" if reason == "removed" else "notice.left"
                    found = Happening(key, who.display_name)
            case ParticipantUpdated(user_id=user_id, role="host"):
                who = replica.participants.get(user_id)
                if user_id == replica.you.user_id:
                    found = Happening("notice.host_me")
                elif who is not None:
                    found = Happening("notice.host", who.display_name)
            case SessionUpdated():
                found = _session_note(message, replica)
        if found is not None:
            found = found._replace(name=one_line(found.name, MOST_NAME))
            self.happenings = [*self.happenings, found][-MOST_HAPPENINGS:]


def _rank(each: Person) -> tuple[int, str, str]:
    group = 0 if each.is_me else 1 if each.online and each.place else 2 if each.online else 3
    return group, each.name.casefold(), each.user_id


def _session_note(message: SessionUpdated, replica: Replica) -> Happening | None:
    known = replica.session
    if message.link_key and message.link_key != known.link_key:
        return Happening("notice.new_link")
    if message.locked == known.locked:
        return None
    return Happening("notice.locked" if message.locked else "notice.unlocked")
