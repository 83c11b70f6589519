"""All virtual users of a run in one loop, sampled each second."""

import time
from collections.abc import Callable, Iterable, Sequence
from operator import sub
from random import Random
from typing import NamedTuple

from bench.driver.connection import Address, Lost, look_up
from bench.driver.connection_stats import ConnectionStats
from bench.driver.dialect import Access, DialectAdapter
from bench.driver.latency import Histogram
from bench.driver.loop import Loop
from bench.driver.plan import Participant, Plan
from bench.driver.recovery import Recovery
from bench.driver.tracker import DeliveryTracker, Member, SentUpdate, Session
from bench.driver.virtual_user import CLOSE_TIMEOUT_S, State, VirtualUser
from bench.results import Network

IDLE_S = 1.0
"""When only some updates are missing: how long nothing may arrive before they count as lost."""
TICK_S = 1.0

Entry = tuple[Participant, Access, str]
"""A participant, their token, and the address to connect to."""


class Second(NamedTuple):
    """What happened in about a second, ``at_s`` after the measuring began."""

    at_s: float
    connected: int
    wanted: int
    due: int
    sent: int
    delivered: int
    disconnects: int
    latencies: Histogram


class Crowd:
    """See the module. Not to be used after :meth:`close`."""

    def __init__(
        self,
        plan: Plan,
        adapter: DialectAdapter,
        entries: Sequence[Sequence[Entry]],
        began: float,
        via: tuple[str, int] | None,
    ) -> None:
        """``via`` replaces host and port of every address."""
        self.loop = Loop()
        self.tracker = DeliveryTracker()
        self.stats = ConnectionStats()
        self.adapter = adapter
        self.random = Random(f"{plan.seed} driver")  # noqa: S311 - spreads a load
        self.interval_s = plan.interval_s
        self.began = began
        self.sending = True
        self.recoveries: list[Recovery] = []
        self.latencies = Histogram()
        """Of all deliveries so far, but those of the current second."""
        self.listeners: list[Callable[[Second], None]] = []
        """Called every second."""
        self._people: dict[Member, VirtualUser] = {}
        self._counted_from = began
        self._seen = 0, 0, 0, 0
        self._carried = 0, 0
        self._ticks = 0
        addresses: dict[str, Address] = {}
        for entered in entries:
            if entered:
                session = Session(entered[0][1].session_id)
                for participant, access, url in entered:
                    member = self.tracker.member(session, access.user_id)
                    where = url.partition("?")[0]
                    if where not in addresses:
                        addresses[where] = look_up(url, via)
                    self._people[member] = VirtualUser(
                        self, participant, access, member, url, addresses[where]
                    )

    # --- the run, step by step ----------------------------------------------------------------

    def begin(self) -> None:
        """Plan everybody's visits."""
        for user in self._people.values():
            user.come()
        self._start_ticking()

    def run_until(self, moment: float) -> None:
        self.loop.run_until(moment)

    def wait_for_all(self, timeout_s: float, settle_s: float) -> None:
        """Wait until all who are due are connected, then ``settle_s`` for the server to recover
        from that; return at once when all are connected already.
        """
        if not self._all_here():
            self.loop.run_until(time.monotonic() + timeout_s, self._all_here)
            self.loop.run_until(time.monotonic() + settle_s)

    def _all_here(self) -> bool:
        return all(each.state is State.HERE for each in self._people.values() if each.wanted)

    def count(self) -> None:
        """The measured time begins."""
        self.tracker.count()
        self.tracker.take_latencies()
        self._counted_from = time.monotonic()
        self._carried = self._bytes()
        self._start_ticking()

    def network(self) -> Network:
        """Since :meth:`count`."""
        received, sent = map(sub, self._bytes(), self._carried)
        return Network(to_people_bytes=received, to_server_bytes=sent)

    def _bytes(self) -> tuple[int, int]:
        sent = self.stats.sent_bytes + sum(user.sent_bytes for user in self._people.values())
        return self.stats.received_bytes, sent

    def drain(self, timeout_s: float) -> None:
        """Stop sending, and wait until everything in flight has arrived."""
        self.sending = False
        deadline = time.monotonic() + timeout_s
        seen, since = self.tracker.delivered, time.monotonic()
        while (now := time.monotonic()) < deadline:
            if self.tracker.delivered != seen:
                seen, since = self.tracker.delivered, now
            if not self.tracker.stale_pairs() and (self.tracker.lost <= 0 or now - since > IDLE_S):
                break
            self.loop.run_until(now + 0.1)

    def leave(self, within_s: float) -> None:
        """All close their connections, evenly over this time. Returns when all have."""
        everyone = list(self._people.values())
        self.random.shuffle(everyone)
        now = time.monotonic()
        for number, user in enumerate(everyone):
            self.loop.at(now + within_s * number / len(everyone), user.disconnect)
        last = now + within_s
        self.loop.run_until(last)
        deadline = last + CLOSE_TIMEOUT_S + 2
        self.loop.run_until(deadline, lambda: all(p.state is State.AWAY for p in everyone))

    def close(self) -> None:
        """Close every socket."""
        self._ticks += 1
        for user in self._people.values():
            user.close()
        self.loop.close()

    # --- disruptions --------------------------------------------------------------------------

    def cut(self, share: float) -> int:
        """Cut a share of the open connections. Returns how many."""
        here = [each for each in self._people.values() if each.state is State.HERE]
        chosen = self.random.sample(here, round(len(here) * share))
        for each in chosen:
            each.cut()
        return len(chosen)

    def wanted(self) -> Iterable[Member]:
        """Those who are due to be connected."""
        return [member for member, user in self._people.items() if user.wanted]

    def check_recoveries(self) -> None:
        """Note which disruptions have been recovered from."""
        people = self._people
        for each in self.recoveries:
            each.check(lambda member: people[member].wanted)

    # --- what people report -------------------------------------------------------------------

    def arrived(self, *, again: bool, seconds: float) -> None:
        """Connected, ``seconds`` after it was asked for or lost."""
        self.stats.opened += 1
        (self.stats.reconnect if again else self.stats.connect).add(seconds)

    def lost(self, user: VirtualUser, cause: Lost, now: float) -> None:
        """A connection ended unasked."""
        self.stats.ends.append(now)
        self.stats.reasons[str(cause)] += 1
        for each in self.recoveries:
            each.lost(user.member)

    def refused(self, cause: Lost, now: float) -> None:
        """A connection was not established."""
        self.stats.refusals.append(now)
        self.stats.reasons[str(cause)] += 1

    def deliveries(self, user: VirtualUser, fresh: list[SentUpdate], now: float) -> None:
        for each in self.recoveries:
            each.deliveries(user.member, fresh, now)

    # --- every second -------------------------------------------------------------------------

    def _start_ticking(self) -> None:
        """Second by second from now on."""
        self._ticks += 1
        self._tick_at(time.monotonic() + TICK_S, self._ticks)

    def _tick_at(self, due: float, ticks: int) -> None:
        self.loop.at(due, lambda: self._tick(due, ticks))

    def _tick(self, due: float, ticks: int) -> None:
        if ticks != self._ticks:
            return  # those of another time
        self._tick_at(due + TICK_S, ticks)
        now = time.monotonic()
        for user in self._people.values():
            user.check(now)
        tracker = self.tracker
        sent, delivered, ends = tracker.sent, tracker.delivered, len(self.stats.ends)
        before, self._seen = self._seen, (sent, delivered, ends, tracker.expected)
        latencies = self.tracker.take_latencies()
        self.latencies.merge(latencies)
        second = Second(
            at_s=now - self._counted_from,
            connected=sum(user.state is State.HERE for user in self._people.values()),
            wanted=sum(user.wanted for user in self._people.values()),
            due=max(tracker.expected - before[3], 0),
            sent=sent - before[0],
            delivered=delivered - before[1],
            disconnects=ends - before[2],
            latencies=latencies,
        )
        for listener in self.listeners:
            listener(second)
