"""When a disruption has been recovered from. Pure.

Counted from the moment the disruption began (a pause and a cut network: ended), that is when

- each user who is due to be connected has received an update that was sent after that moment, on a
  connection that is still open, and
- an update that the user sent after that moment has arrived at another user.

The recovery lasts until the last of these arrivals. One of them must come but does not prolong it:
the first update that a user sends afterwards on a connection that was never lost, which would only
show the length of the interval. Users alone in their session are left out.
"""

from collections.abc import Callable, Iterable, Sequence

from bench.driver.tracker import Member, SentUpdate
from bench.results import DisruptionKind

EXCUSED: frozenset[DisruptionKind] = frozenset(
    {"kill_process", "cut_network", "drop_clients", "limit_descriptors"}
)
"""These end connections by their nature (during a limit of descriptors the driver cuts some): ends
and refusals until the recovery are not unexpected,"""
EXCUSED_S = 30.0
"""but not for longer than this."""


class Recovery:
    """Of one disruption, which began at ``began`` and is recovered from since ``since``."""

    def __init__(
        self,
        kind: DisruptionKind,
        detail: str,
        began: float,
        since: float,
        people: Iterable[Member],
    ) -> None:
        self.kind = kind
        self.detail = detail
        self.began = began
        self.recovered_at: float | None = None
        self._since = since
        self._progress = since
        self._unheard = set(people)
        self._unseen = {
            member: member.seq + 1 if member.connected else 0 for member in self._unheard
        }
        """The number of the update that would only show the interval; 0: none."""

    @property
    def recovery_s(self) -> float | None:
        """None until it is over."""
        return None if self.recovered_at is None else self.recovered_at - self._since

    def excuses(self, moment: float) -> bool:
        """True when a connection that ended then was ended by this."""
        end = self._since + EXCUSED_S if self.recovered_at is None else self.recovered_at
        return self.kind in EXCUSED and self.began <= moment <= min(end, self._since + EXCUSED_S)

    def lost(self, member: Member) -> None:
        """A connection was lost."""
        if self.recovered_at is None:
            self._unheard.add(member)
            self._unseen[member] = 0

    def deliveries(self, receiver: Member, fresh: Sequence[SentUpdate], now: float) -> None:
        """Updates have come."""
        unseen = self._unseen
        for sent in fresh:
            if sent.at < self._since:
                continue
            if receiver in self._unheard:
                self._unheard.remove(receiver)
                self._progress = now
            first = unseen.pop(sent.sender, None)
            if first is not None and sent.seq > first:
                self._progress = now

    def check(self, wanted: Callable[[Member], bool]) -> bool:
        """True once it is over. ``wanted`` tells whether a user is due to be connected."""
        if self.recovered_at is None and not any(
            wanted(member)
            and any(wanted(each) for each in member.session.members if each is not member)
            for member in self._unheard | self._unseen.keys()
        ):
            self.recovered_at = self._progress
        return self.recovered_at is not None
