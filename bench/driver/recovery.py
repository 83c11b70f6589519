"""When everybody was well again after a disruption. Pure.

Counted from the moment the disruption began (of a pause and a cut network: ended), it has recovered
when

- each person whose visit lasts has got an update that was sent after that moment, on a connection
  that still lives, and
- each person has had an update, sent after that moment, arrive at somebody else.

The recovery took until the last of these things came. One is not waited for, though it must come:
the first update that somebody sends afterwards, on a connection that was not lost, would only show
how long the interval is. A person whose session nobody else visits is left out.
"""

from collections.abc import Callable, Iterable, Sequence

from bench.driver.tracker import Member, SentUpdate
from bench.results import DisruptionKind

EXCUSED: frozenset[DisruptionKind] = frozenset({"kill_process", "cut_network", "drop_clients"})
"""These end connections by their nature; what ends until it has recovered is their doing."""
EXCUSED_S = 30.0
"""But not for longer than that."""


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
        """The number of the first update that only shows the interval; 0 when none does."""

    @property
    def recovery_s(self) -> float | None:
        """How long it took; None as long as it is not over."""
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
        """True once it is over. ``wanted`` says whether somebody's visit lasts."""
        if self.recovered_at is None and not any(
            wanted(member)
            and any(wanted(each) for each in member.session.members if each is not member)
            for member in self._unheard | self._unseen.keys()
        ):
            self.recovered_at = self._progress
        return self.recovered_at is not None
