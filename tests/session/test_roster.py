"""The roster's decisions, as tables: each from its part, a command or candidate, and the core."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from locshare.broadcast.addressed import EVERYONE, Addressed
from locshare.model.errors import LocshareError
from locshare.model.events import SessionUpdated
from locshare.model.participant import Member, Role
from locshare.session.errors import (
    Banned,
    LinkReplaced,
    ParticipantNotFound,
    SessionFull,
    SessionLocked,
)
from locshare.session.features.feature import Candidate, Core, Outcome
from locshare.session.features.roster import (
    ADDRESS_S,
    MAX_BANS,
    ROSTER,
    Lock,
    Remove,
    ReplaceLink,
    RosterPart,
    is_banned,
    with_ban,
)
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.origin import NOWHERE, Origin
from locshare.session.table import Reservation
from locshare.store.port import SessionRecord

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = Moment(NOON, 100.0)
LIMITS = SessionLimits(max_participants=3, host_seats=2)
HERE = Origin(b"address", b"device")
HERE_ONLY = RosterPart(bans={b"address": 200.0})
DEVICE_ONLY = RosterPart(bans={b"device": float("inf")})
LONG_AGO = RosterPart(bans={b"address": 100.0})


def member(role: Role) -> Member:
    return Member("", "", "", NOON, NOON, role)


def core(*roles: Role, reserved: tuple[Role, ...] = (), lapsed: tuple[str, ...] = ()) -> Core:
    return Core(
        roster={f"user {number}": member(role) for number, role in enumerate(roles)},
        lapsed={user_id: member("participant") for user_id in lapsed},
        reservations=[Reservation(200.0, "", role) for role in reserved],
        online=(),
        positions={},
        limits=LIMITS,
    )


FREE = core("participant")
FULL = core("participant", "participant", reserved=("participant",))
ONE_HOST = core("host", "participant", "participant")
TWO_HOSTS = core("host", "participant", "participant", reserved=("host",))
LOCKED = RosterPart(locked=True)


@pytest.mark.parametrize(
    ("part", "role", "of", "refusal"),
    [
        (RosterPart(), "participant", FREE, None),
        (RosterPart(), "participant", FULL, SessionFull),
        (RosterPart(), "host", FULL, None),
        (RosterPart(), "host", ONE_HOST, None),
        (RosterPart(), "host", TWO_HOSTS, SessionFull),
        (LOCKED, "participant", FREE, SessionLocked),
        (LOCKED, "participant", FULL, SessionLocked),
        (LOCKED, "host", FREE, None),
        (LOCKED, "host", TWO_HOSTS, SessionFull),
        (HERE_ONLY, "participant", FREE, Banned),
        (DEVICE_ONLY, "participant", FREE, Banned),
        (LONG_AGO, "participant", FREE, None),
        (HERE_ONLY, "participant", FULL, Banned),
        (HERE_ONLY, "host", FREE, None),
    ],
)
def test_who_may_join(
    part: RosterPart, role: Role, of: Core, refusal: type[LocshareError] | None
) -> None:
    refused = ROSTER.refusal(part, Candidate(role, HERE), of, NOW.clock)
    assert (None if refused is None else type(refused)) is refusal
    if isinstance(refused, SessionFull):
        assert refused.limit == LIMITS.max_participants


@pytest.mark.parametrize(
    ("current", "given", "may"),
    [
        ("", "", True),
        ("", "old", True),  # any link of a session that has had one only
        ("new", "new", True),
        ("new", "old", False),
        ("new", "", False),
        ("new", None, True),  # with a token, not by a link
    ],
)
@pytest.mark.parametrize("locked", [False, True])
def test_after_a_new_link_nobody_joins_by_another_one(
    current: str, given: str | None, may: bool, locked: bool
) -> None:
    part = RosterPart(locked, link_key=current)
    refused = ROSTER.refusal(part, Candidate("participant", HERE, given), FREE, NOW.clock)
    expected = SessionLocked if locked else type(None)
    assert type(refused) is (expected if may else LinkReplaced), "the link says more than the lock"
    assert ROSTER.refusal(part, Candidate("host", HERE, given), FREE, NOW.clock) is None


def test_a_new_link_is_an_event_for_everyone_only_if_it_is_new() -> None:
    part = RosterPart(locked=True)
    new = RosterPart(locked=True, link_key="new")
    event = Addressed(SessionUpdated(True, "new"), EVERYONE)
    assert ROSTER.handle(part, ReplaceLink("new"), FREE, NOW) == Outcome(new, (event,))
    assert ROSTER.handle(new, ReplaceLink("new"), FREE, NOW) == Outcome(new), "after a crash: again"
    unlocked = ROSTER.handle(new, Lock(False), FREE, NOW)
    assert unlocked.events == (Addressed(SessionUpdated(False, "new"), EVERYONE),)


def test_a_candidate_of_unknown_origin_is_not_banned() -> None:
    assert ROSTER.refusal(HERE_ONLY, Candidate("participant", NOWHERE), FREE, 100.0) is None


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("locked", [False, True])
def test_a_lock_is_an_event_for_everyone_only_if_it_changes(before: bool, locked: bool) -> None:
    part = RosterPart(locked=before)
    events = (Addressed(SessionUpdated(locked), EVERYONE),) if before is not locked else ()
    assert ROSTER.handle(part, Lock(locked), FREE, NOW) == Outcome(RosterPart(locked), events)


def test_a_removal_needs_a_member_or_a_lapsed_one() -> None:
    part = RosterPart()
    outcome = Outcome(part, removed=("user 0",))
    assert ROSTER.handle(part, Remove("user 0"), FREE, NOW) == outcome
    late = core(lapsed=("late",))
    assert ROSTER.handle(part, Remove("late"), late, NOW).removed == ("late",)
    with pytest.raises(ParticipantNotFound):
        ROSTER.handle(part, Remove("nobody"), late, NOW)


def test_a_removal_with_a_ban_remembers_where_the_participant_joined_from() -> None:
    part = RosterPart(origins={"user 0": HERE})
    banned = ROSTER.handle(part, Remove("user 0", ban=True), FREE, NOW).part
    assert banned.bans == {b"address": 100.0 + ADDRESS_S, b"device": float("inf")}
    without = ROSTER.handle(RosterPart(), Remove("user 0", ban=True), FREE, NOW).part
    assert without.bans == {}, "an unknown origin cannot be banned"


def test_origins_are_kept_from_joining_to_leaving() -> None:
    joined = ROSTER.member_joined(RosterPart(), "ada", HERE).part
    assert joined.origins == {"ada": HERE}
    assert ROSTER.member_joined(joined, "bo", NOWHERE).part == joined
    assert ROSTER.member_left(joined, "bo").part == joined
    assert ROSTER.member_left(joined, "ada").part == RosterPart()


def test_of_a_sleeping_session_only_bans_are_kept_for_the_rest_is_in_the_store() -> None:
    record = SessionRecord(uuid4(), "", NOON, NOON, uuid4(), True, NOON, True, "key")
    part = RosterPart(True, {"ada": HERE}, {b"address": 200.0}, "key")
    kept = ROSTER.keep(part)
    assert kept == RosterPart(bans=part.bans)
    assert ROSTER.keep(RosterPart(True, {"ada": HERE}, {}, "key")) is None
    assert ROSTER.begin(record, kept) == RosterPart(True, {}, part.bans, "key")
    assert ROSTER.begin(record, None) == RosterPart(True, link_key="key")


def test_its_section_in_the_snapshot_is_the_lock() -> None:
    assert ROSTER.snapshot(LOCKED, "ada", FREE).locked
    assert not ROSTER.snapshot(RosterPart(), "ada", FREE).locked


def test_bans_are_bounded_and_the_oldest_give_way() -> None:
    bans: Mapping[bytes, float] = {}
    origins = [Origin.of(f"192.0.2.{n}", None) for n in range(MAX_BANS + 1)]
    for origin in origins:
        bans = with_ban(bans, origin, 0.0)
    assert len(bans) == MAX_BANS
    assert not is_banned(bans, origins[0], 1.0)
    assert is_banned(bans, origins[1], 1.0)
    assert not is_banned(bans, origins[1], ADDRESS_S)
    bans = with_ban(bans, origins[1], 0.0)
    bans = with_ban(bans, Origin.of("192.0.2.250", "device-of-cy-0001"), 0.0)
    assert is_banned(bans, origins[1], 1.0), "a ban that is repeated is the newest"
    assert not is_banned(bans, origins[2], 1.0)
    assert not is_banned(bans, origins[3], 1.0), "an address and a device are two"
