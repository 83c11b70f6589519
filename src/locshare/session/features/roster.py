"""The feature with which a host manages the roster: lock, link, remove, ban, host's seats.

**Lock.** Only hosts join a locked session. The lock is written to the store before the command.

**Link.** The first join link of a session has its id alone. A host replaces it: the new one has a
key besides, and a join by another one is refused. Members and tokens are not concerned. The key is
written to the store before the command, and everyone in the session is notified.

**Ban, without accounts.** A participant joins from a client address, and perhaps with a key that
their device keeps. A ban remembers both: the key as long as this process remembers the session, the
address only for :data:`ADDRESS_S`, since a household, a school or a whole carrier may share one. It
is a hurdle, not a wall; the lock and a new link keep strangers out. Bans are never written, and
hold digests instead of addresses and keys. The oldest bans of a session give way to new ones.

**Host's seats.** A full session still has room for a few hosts: the host on another device.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, final

from msgspec import Struct, structs

from locshare.broadcast.addressed import EVERYONE, Addressed
from locshare.model.errors import LocshareError
from locshare.model.events import SessionUpdated
from locshare.model.join_link import opens
from locshare.model.participant import Role
from locshare.session.errors import (
    Banned,
    LinkReplaced,
    ParticipantNotFound,
    SessionFull,
    SessionLocked,
)
from locshare.session.features.feature import (
    Candidate,
    Core,
    Feature,
    FeatureCommand,
    Outcome,
)
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.origin import NOWHERE, Origin
from locshare.session.table import SessionTable
from locshare.store.port import SessionRecord

ADDRESS_S: Final = 900.0
"""How long an address is banned: long enough to lock the session, or for the joke to grow old."""
MAX_BANS: Final = 128
"""Digests that one session remembers."""


class Lock(FeatureCommand[None], frozen=True):
    """Whether only hosts may join from now on; it is written."""

    locked: bool


class ReplaceLink(FeatureCommand[None], frozen=True):
    """From now on joins need a link with ``link_key``; it is written."""

    link_key: str


class Remove(FeatureCommand[None], frozen=True):
    """Remove a participant for good; with ``ban`` a join from the same origin is refused for a
    while. Fails with ParticipantNotFound.
    """

    user_id: str
    ban: bool = False


class RosterPart(Struct, frozen=True):
    """``origins`` has each member whose origin is known; ``bans`` maps a digest to the instant it
    is banned until, by Trio's clock, the oldest first.
    """

    locked: bool = False
    origins: Mapping[str, Origin] = {}
    bans: Mapping[bytes, float] = {}
    link_key: str = ""
    """Empty while the join link is the first one."""


class RosterSection(Struct, frozen=True):
    """In the snapshot."""

    locked: bool
    link_key: str


@final
class Roster(Feature[RosterPart]):
    """See the module."""

    name: ClassVar[str] = "roster"
    commands: ClassVar[tuple[type[FeatureCommand[Any]], ...]] = (Lock, ReplaceLink, Remove)

    def begin(self, session: SessionRecord, kept: RosterPart | None) -> RosterPart:
        bans = kept.bans if kept is not None else {}
        return RosterPart(session.locked, {}, bans, session.link_key)

    def keep(self, part: RosterPart) -> RosterPart | None:
        return RosterPart(bans=part.bans) if part.bans else None

    def size(self, part: RosterPart) -> int:
        return len(part.origins) + len(part.bans)

    def max_size(self, limits: SessionLimits) -> int:
        return limits.max_participants + limits.host_seats + MAX_BANS

    def handle(
        self, part: RosterPart, command: Lock | ReplaceLink | Remove, core: Core, moment: Moment
    ) -> Outcome[RosterPart]:
        if isinstance(command, Lock):
            return _changed(part, structs.replace(part, locked=command.locked))
        if isinstance(command, ReplaceLink):
            return _changed(part, structs.replace(part, link_key=command.link_key))
        if command.user_id not in core.roster and command.user_id not in core.lapsed:
            raise ParticipantNotFound
        if command.ban:
            origin = part.origins.get(command.user_id, NOWHERE)
            part = structs.replace(part, bans=with_ban(part.bans, origin, moment.clock))
        return Outcome(part, removed=(command.user_id,))

    def refusal(
        self, part: RosterPart, candidate: Candidate, core: Core, clock: float
    ) -> LocshareError | None:
        if candidate.role != "host":
            if is_banned(part.bans, candidate.origin, clock):
                return Banned()
            if candidate.link_key is not None and not opens(part.link_key, candidate.link_key):
                return LinkReplaced()
            if part.locked:
                return SessionLocked()
        if not _has_room(candidate.role, core):
            return SessionFull(core.limits.max_participants)
        return None

    def member_joined(self, part: RosterPart, user_id: str, origin: Origin) -> Outcome[RosterPart]:
        if origin == NOWHERE:
            return Outcome(part)
        return Outcome(structs.replace(part, origins={**part.origins, user_id: origin}))

    def member_left(self, part: RosterPart, user_id: str) -> Outcome[RosterPart]:
        if user_id not in part.origins:
            return Outcome(part)
        origins = {other: origin for other, origin in part.origins.items() if other != user_id}
        return Outcome(structs.replace(part, origins=origins))

    def snapshot(self, part: RosterPart, user_id: str, core: Core) -> RosterSection:  # noqa: ARG002
        return RosterSection(part.locked, part.link_key)


ROSTER: Final = Roster()


def roster_of(table: SessionTable) -> RosterPart:
    """The roster's part of a table that has been in use."""
    part: RosterPart = table.parts[ROSTER.name]
    return part


def _changed(before: RosterPart, part: RosterPart) -> Outcome[RosterPart]:
    if part == before:
        return Outcome(part)
    return Outcome(part, (Addressed(SessionUpdated(part.locked, part.link_key), EVERYONE),))


def _has_room(role: Role, core: Core) -> bool:
    limits = core.limits
    if len(core.roster) + len(core.reservations) < limits.max_participants:
        return True
    if role != "host":
        return False
    return _roles(core).count("host") < limits.host_seats


def _roles(core: Core) -> list[Role]:
    """Of all seats, taken and reserved."""
    return [each.role for seats in (core.roster.values(), core.reservations) for each in seats]


def may_step_down(core: Core) -> bool:
    """Whether a host may become a participant: only within ``max_participants`` of these. Else a
    session would grow for ever by hosts who step down and join again.
    """
    return _roles(core).count("participant") < core.limits.max_participants


def with_ban(bans: Mapping[bytes, float], origin: Origin, clock: float) -> dict[bytes, float]:
    """``bans`` and those of ``origin``, which are the newest; no more than :data:`MAX_BANS`."""
    added = {}
    if origin.address:
        added[origin.address] = clock + ADDRESS_S
    if origin.device:
        added[origin.device] = float("inf")
    kept = [(digest, until) for digest, until in bans.items() if digest not in added]
    return dict([*kept, *added.items()][-MAX_BANS:])


def is_banned(bans: Mapping[bytes, float], origin: Origin, clock: float) -> bool:
    """Whether a join from ``origin`` is refused."""
    if not bans:
        return False
    return any(bans.get(digest, 0.0) > clock for digest in (origin.address, origin.device))
