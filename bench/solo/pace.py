"""What a pace saves a phone: messages, writes and bytes of an hour in a group.

    python -m bench.solo.pace

Everyone moves and wants to send every 2 s. The session's own rules, delivery and pacing run over
virtual time, without sockets and actors, on a quiet server that flushes at once; receivers count
what they get. A write is what wakes a phone's radio; TCP and IP add some 50 bytes to each. Senders
obey what they are asked for, but for the first line of each group, which is a server that knows no
pace. Takes a minute.
"""

import argparse
import heapq
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Final, NamedTuple
from uuid import UUID

from bench.procfs import circumstances
from locshare.broadcast.fanout import Flush
from locshare.broadcast.native import Fan
from locshare.broadcast.receiver import Receiver
from locshare.model.pace import NORMAL
from locshare.model.participant import Member
from locshare.model.position import Position
from locshare.model.reasons import CloseReason
from locshare.session.delivery import send_positions
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.pacing import ask_senders, begin_pace, flush_paced, note_moved, paced_due
from locshare.session.rules import SessionRules
from locshare.session.table import SessionTable
from locshare.store.port import SessionRecord, StoredSession
from locshare.wire.compact import COMPACT
from locshare.wire.dialects import Dialect
from locshare.wire.plain import PLAIN

START: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEND_S: Final = 2.0
LIMITS: Final = SessionLimits(max_participants=1000)
HOUR_S: Final = 3600.0


class Meter:
    """A receiver that counts."""

    closed: Final = False
    backlog_bytes: Final = 0

    def __init__(self, user_id: str, dialect: Dialect) -> None:
        self.user_id = user_id
        self.dialect = dialect
        self.writes = self.frames = self.size = 0

    def send_event(self, frame: bytes) -> None:
        """Requests to send slower; rare."""

    def send_positions(self, flush: Flush) -> None:
        """Count it."""
        data = flush.without(self.user_id)
        if data:
            self.writes += 1
            self.frames += 1 if flush.whole else len(flush.frames) - (self.user_id in flush.frames)
            self.size += len(data)

    def join(self, fan: Fan[Receiver], entry: Receiver | None = None) -> None:
        fan.add(entry or self, None)

    def send_rest(self, _flush: Flush, _sent: int, /) -> None:
        raise AssertionError("it has no socket")

    def close(self, reason: CloseReason) -> None: ...


class Hour(NamedTuple):
    """What the first of a group gets and sends in an hour, and the server's CPU for the group."""

    writes: float
    frames: float
    size: float
    sent: float
    cpu_s: float
    longest_wait_s: float
    """For the newest position of somebody, after it arrived."""


def a_session(dialect: Dialect, paces: Sequence[float]) -> tuple[SessionTable, list[Meter]]:
    """In which one is connected for each of ``paces``, and senders have been asked."""
    record = SessionRecord(UUID(int=1), "A", START, START + timedelta(1), UUID(int=2), True, START)
    table = SessionTable(StoredSession(record, ()), 0.0)
    rules = SessionRules(table, LIMITS)
    meters = []
    for number, interval_s in enumerate(paces):
        user_id = str(UUID(int=number))
        rules.join(
            Member(user_id, f"Person {number}", "#FF5733", START, START), UUID(int=number), 0.0
        )
        meter = Meter(user_id, dialect)
        rules.connect(meter, Moment(START, 0.0))
        begin_pace(table, meter, interval_s, 0.0)
        meters.append(meter)
    table.pending.clear()
    return table, meters


def an_hour(dialect: Dialect, paces: Sequence[float], minutes: float, *, asks: bool = True) -> Hour:
    """Counted for ``minutes`` of virtual time."""
    table, meters = a_session(dialect, paces)
    rules = SessionRules(table, LIMITS)
    dice = random.Random(1)  # noqa: S311 - spreads senders, keeps no secret
    if asks:
        ask_senders(table, LIMITS.retention, settled=True)
    waits = {
        meter.user_id: max(table.asked.get(meter.user_id, NORMAL).interval_s, SEND_S)
        for meter in meters
    }
    sends = [(dice.uniform(0, wait), user_id) for user_id, wait in waits.items()]
    heapq.heapify(sends)
    first, sent, end = meters[0], 0, minutes * 60
    lacks: dict[str, float] = {}  # since when the first one lacks the newest of each
    longest = 0.0
    begun = process_time()
    while sends[0][0] < end:
        clock, user_id = sends[0]
        heapq.heapreplace(sends, (clock + waits[user_id], user_id))
        while (due := paced_due(table)) is not None and due <= clock:
            written = first.writes
            flush_paced(table, due, LIMITS.retention)
            if first.writes > written:
                longest = max(longest, due - min(lacks.values()))
                lacks.clear()
        sent += user_id == first.user_id
        moment = Moment(START + timedelta(seconds=clock), clock)
        lat, lng = 47.0 + clock * 1e-5, 8.0 + dice.random() / 10
        rules.move(user_id, Position(lat, lng, 8.0, moment.wall, speed=1.4), moment)
        moved = rules.take_moved(clock)
        if user_id != first.user_id:
            lacks.setdefault(user_id, clock)
        written = first.writes
        send_positions(table, moved, clock)
        if first.writes > written:
            lacks.clear()
        if table.paced:
            note_moved(table, moved)
    factor = HOUR_S / end
    counts = first.writes, first.frames, first.size, sent, process_time() - begun
    writes, frames, size, own, cpu_s = (each * factor for each in counts)
    return Hour(writes, frames, size, own, cpu_s, longest)


def cases(people: int) -> dict[str, tuple[Sequence[float], bool]]:
    """What is measured for a group: the paces, those of the first one first; and whether the server
    asks.
    """
    others = people - 1
    found: dict[str, tuple[Sequence[float], bool]] = {
        "active or hidden, before": ([0.0] * people, False),
        "active": ([0.0] * people, True),
    }
    for pace in (5.0, 30.0):
        found[f"hidden, pace {pace:.0f}, the others active"] = ([pace, *[0.0] * others], True)
    for pace in (5.0, 30.0):
        found[f"all hidden, pace {pace:.0f}"] = ([pace] * people, True)
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.solo.pace", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of virtual time, of each case")
    parser.add_argument("--people", type=int, nargs="*", default=[10, 50], help="sizes of groups")
    options = parser.parse_args()
    dialects: dict[str, Dialect] = {"plain": PLAIN, "compact": COMPACT}
    print(circumstances())
    for people in options.people:
        print(f"\na group of {people}, one hour of one phone")
        print(f"{'':<44}{'writes':>8} {'plain':>17} {'compact':>17}   sent   server    wait")
        for name, (paces, asks) in cases(people).items():
            plain, compact = (
                an_hour(dialect, paces, options.minutes, asks=asks) for dialect in dialects.values()
            )
            sizes = "".join(
                f" {each.frames:>6.0f} {each.size / 1e6:>7.3f} MB" for each in (plain, compact)
            )
            print(
                f"{name:<44}{plain.writes:>8.0f}{sizes} {plain.sent:>6.0f} {plain.cpu_s:>6.1f} s"
                f" {plain.longest_wait_s:>5.1f} s"
            )
    alone = an_hour(PLAIN, [0.0], options.minutes)
    print(f"\nalone, nobody looks: {alone.sent:.0f} positions sent, {HOUR_S / SEND_S:.0f} before")
    print("plain, compact: frames and bytes. sent: positions by this phone. server: CPU, plain")
    print("wait: the longest from a position's arrival until this phone had it, or a newer one")


if __name__ == "__main__":
    main()
