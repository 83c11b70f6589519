"""Matches every received position to the update that was sent. Pure: times are arguments.

Each member of a session numbers its updates. A received position is looked up among the sender's
recent updates by latitude and longitude, which no phone repeats within a few hundred reports. So
the tracker needs nothing from the server but those two numbers, and copes with a server that
formats them anew or rounds them to six places.

A receiver remembers the number of the last update from each sender. Later updates are in flight or
lost. A skipped number is lost unless it arrives late. A repeated one is counted apart and hides no
loss.
"""

from collections.abc import Iterable
from typing import NamedTuple

from bench.driver.latency import Histogram

IN_FLIGHT_S = 1.0
"""An update sent this shortly before the end of a connection was in flight; an earlier one is lost.
"""
RECENT = 512
"""Updates per sender that a position is looked up among."""
_NEAR = 6e-7
"""Degrees: half a step of six places, and a little. Two updates this close are indistinguishable on
a server that rounds.
"""
_MOST_MISSED = 1_000
"""Skipped numbers that a receiver remembers; one that arrives after that counts as repeated."""
_LONGEST_GAP = 100
_NEVER = 1 << 62


class ReceivedPosition(NamedTuple):
    """A position as it came from the server."""

    user_id: str
    lat: float
    lng: float


class SentUpdate:
    """One update: the ``seq``-th of its sender, at a moment of the monotonic clock."""

    __slots__ = ("at", "sender", "seq")

    def __init__(self, sender: "Member", seq: int, at: float) -> None:
        self.sender = sender
        self.seq = seq
        self.at = at


class Session:
    """The members of one session, in a fixed order."""

    __slots__ = ("connected", "members", "session_id")

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.members: list[Member] = []
        self.connected = 0
        """Members that are connected now."""


class Member:
    """A participant, as a sender and as a receiver."""

    __slots__ = (
        "_base",
        "_held",
        "_known",
        "_missed",
        "_recent",
        "connected",
        "counted_from",
        "place",
        "seq",
        "session",
        "user_id",
    )  # fmt: skip

    def __init__(self, session: Session, user_id: str) -> None:
        self.session = session
        self.user_id = user_id
        self.place = len(session.members)
        self.connected = False
        """From the first message of a connection to its end."""
        self.seq = 0
        """Of the last update sent; 0 before the first."""
        self.counted_from = _NEVER
        """Updates after this one are part of the measurement."""
        self._recent: dict[tuple[float, float], SentUpdate] = {}
        self._known: list[int] = []
        self._base: list[int] = []
        self._held: dict[int, int] = {}
        self._missed: dict[tuple[int, int], None] = {}
        session.members.append(self)

    def find(self, lat: float, lng: float) -> SentUpdate | None:
        """The recent update at this place; None when there is none."""
        sent = self._recent.get((lat, lng))
        if sent is not None:
            return sent
        near = [
            each
            for (my_lat, my_lng), each in self._recent.items()
            if abs(my_lat - lat) < _NEAR and abs(my_lng - lng) < _NEAR
        ]
        return near[0] if len(near) == 1 else None

    def newest(self) -> Iterable[SentUpdate]:
        """Its recent updates, the last one first."""
        return reversed(self._recent.values())

    def remember(self, lat: float, lng: float, at: float) -> SentUpdate:
        """Number a new update."""
        self.seq += 1
        sent = SentUpdate(self, self.seq, at)
        recent = self._recent
        recent.pop((lat, lng), None)  # so that the newest are last
        recent[lat, lng] = sent
        if len(recent) > RECENT:
            del recent[next(iter(recent))]
        return sent

    def begin(self) -> None:
        """A connection begins: earlier updates are not expected on it."""
        self._base = [each.seq for each in self.session.members]
        self._known = self._base.copy()
        self._held.clear()
        self._missed.clear()

    def hold(self, sent: SentUpdate) -> None:
        """The member has an update from before its connection, from the snapshot for example."""
        place = sent.sender.place
        if sent.seq > self._held.get(place, 0):
            self._held[place] = sent.seq

    def in_flight(self, now: float) -> int:
        """Counted updates that are in flight to this member."""
        found = 0
        for sender, known in zip(self.session.members, self._known, strict=True):
            if sender.seq == known or sender is self:
                continue
            for sent in sender.newest():
                if sent.seq <= known or sent.at < now - IN_FLIGHT_S:
                    break
                found += sent.seq > sender.counted_from
        return found

    def stale(self) -> Iterable["Member"]:
        """The other connected members whose last update has not arrived."""
        for sender, known in zip(self.session.members, self._known, strict=True):
            if sender is self or not sender.connected or not sender.seq:
                continue
            place = sender.place
            newest = known if known > self._base[place] else self._held.get(place, 0)
            if newest < sender.seq:
                yield sender

    def _skip(self, place: int, first: int, end: int) -> None:
        missed = self._missed
        for seq in range(max(first, end - _LONGEST_GAP), end):
            missed[place, seq] = None
            if len(missed) > _MOST_MISSED:
                del missed[next(iter(missed))]


class DeliveryTracker:
    """All sessions of a run."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.sent = 0
        self.expected = 0
        self.delivered = 0
        self.late = 0
        """Arrived after a newer one from the same sender. These are delivered."""
        self.repeated = 0
        """Arrived again. These are not delivered a second time."""
        self.early = 0
        """Sent before the receiver was known to be connected. Not expected, not delivered."""
        self.foreign = 0
        """From another session, or from an unknown user."""
        self.unrecognised = 0
        """Positions that the sender has not reported, or not recently."""
        self.latencies = Histogram()
        """Of the deliveries since :meth:`take_latencies`."""
        self._counting = False

    def member(self, session: Session, user_id: str) -> Member:
        member = self.members[user_id] = Member(session, user_id)
        return member

    def count(self) -> None:
        """Updates sent from now on are part of the measurement."""
        self._counting = True
        for each in self.members.values():
            each.counted_from = each.seq

    def settle(self) -> None:
        """Whatever has not arrived by now is lost, even if the connection ends a moment later."""
        self._counting = False

    def connected(self, member: Member) -> None:
        """Its first message has come."""
        member.connected = True
        member.session.connected += 1
        member.begin()

    def ended(self, member: Member, now: float) -> None:
        """The connection has ended, or is about to: nothing more is expected on it."""
        if member.connected:
            if self._counting:
                self.expected -= member.in_flight(now)
            member.connected = False
            member.session.connected -= 1

    def sends(self, member: Member, lat: float, lng: float, at: float) -> SentUpdate:
        """It sends an update, at this moment."""
        sent = member.remember(lat, lng, at)
        if self._counting:
            self.sent += 1
            self.expected += member.session.connected - member.connected
        return sent

    def snapshot(self, member: Member, positions: Iterable[ReceivedPosition]) -> None:
        """Positions in a snapshot update what the member knows; they are not deliveries."""
        for each in positions:
            sent = self.identify(each)
            if sent is None or sent.sender is member:
                continue
            if sent.sender.session is not member.session:
                self.foreign += 1
            else:
                member.hold(sent)

    def identify(self, received: ReceivedPosition) -> SentUpdate | None:
        """The update that a position belongs to; None (counted) when there is none."""
        sender = self.members.get(received[0])
        sent = None if sender is None else sender.find(received[1], received[2])
        if sent is None:
            self.unrecognised += 1
        return sent

    def receives(
        self, member: Member, positions: Iterable[ReceivedPosition], now: float
    ) -> list[SentUpdate]:
        """Positions that arrived together. Returns the deliveries (counted or not)."""
        fresh: list[SentUpdate] = []
        if not member.connected:
            return fresh
        known, session, members = member._known, member.session, self.members
        add = self.latencies.add
        for received in positions:
            sender = members.get(received[0])
            if sender is None or sender.session is not session:
                self.foreign += 1
                continue
            if sender is member:  # some servers send back what they got
                continue
            sent = sender._recent.get((received[1], received[2])) or sender.find(
                received[1], received[2]
            )
            if sent is None:
                self.unrecognised += 1
                continue
            seq, place = sent.seq, sender.place
            last = known[place]
            if seq > last:
                if seq != last + 1:
                    member._skip(place, last + 1, seq)
                known[place] = seq
            elif not self._comes_late(member, sent):
                continue
            fresh.append(sent)
            if seq > sender.counted_from:
                self.delivered += 1
                add(now - sent.at)
        return fresh

    def _comes_late(self, member: Member, sent: SentUpdate) -> bool:
        """True for a delivery that a newer one overtook."""
        key = sent.sender.place, sent.seq
        if key in member._missed:
            del member._missed[key]
            self.late += 1
            return True
        if sent.seq <= member._base[sent.sender.place]:
            self.early += 1
            member.hold(sent)
        else:
            self.repeated += 1
        return False

    def take_latencies(self) -> Histogram:
        """Those since the last call."""
        taken, self.latencies = self.latencies, Histogram()
        return taken

    @property
    def lost(self) -> int:
        """Expected and not come."""
        return self.expected - self.delivered

    def stale_pairs(self) -> int:
        """Pairs of connected members of which one lacks the other's last update."""
        return sum(1 for each in self.members.values() if each.connected for _ in each.stale())
