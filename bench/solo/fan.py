"""What one write of a flush costs: many sessions on socket pairs, each flushed in turn.

    python -m bench.solo.fan
    LOCSHARE_PURE_PYTHON=1 python -m bench.solo.fan  # the twin in Python
    python -m bench.solo.fan --groups 20x100 --movers 12

Each flush is encoded and written by the delivery of the sessions, as the server does it.
Connections are made in turns and the sessions flushed in a random order, so that what a flush
touches is not in the cache, as in a server with many small groups. CPU is that of the thread, the
kernel's included.
"""

import argparse
import random
import resource
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import trio

from bench.procfs import circumstances
from bench.solo.beside import Case, case_of
from locshare.broadcast.native import IMPLEMENTATION, WriteCounters
from locshare.broadcast.outbox import Outbox
from locshare.broadcast.receiver import Receiver
from locshare.connection.subscription import Subscription
from locshare.connection.transport import Transport
from locshare.model.position import HeldPosition, Position
from locshare.model.reasons import CloseReason
from locshare.session.commands import NO_OPTIONS, AttachOptions
from locshare.session.delivery import send_positions
from locshare.session.table import SessionTable
from locshare.store.port import SessionRecord, StoredSession
from locshare.wire.plain import PLAIN

START: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Nobody:
    """The owner of every socket, and the link of every subscription: nothing ends here."""

    def drained(self) -> None: ...
    def write_failed(self) -> None: ...
    def too_slow(self) -> None: ...
    def offer(self, _position: Position, _received: float) -> bool:
        return True

    def close_subscription(self, _subscription: Subscription, _reason: CloseReason) -> None: ...
    def detach(self) -> None: ...
    async def leave(self) -> None: ...
    async def update(self, position: Position, received: float) -> None: ...
    async def set_pace(self, interval_s: float) -> None: ...
    async def set_state(self, state: object) -> None: ...
    async def attach(self, receiver: Receiver, options: AttachOptions = NO_OPTIONS) -> None: ...


def full(_drain: Callable[[], Awaitable[None]]) -> None:
    raise AssertionError("a socket is full")


class Sessions:
    """The tables of all sessions, and the clients' ends of all sockets."""

    def __init__(self, case: Case) -> None:
        self.counters = WriteCounters()
        self.tables = [_table(number) for number in range(case.sessions)]
        self.people = [[f"user-{number}" for number in range(case.size)]] * case.sessions
        self.clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []
        for number in range(case.size):
            for table in self.tables:
                self._connect(table, f"user-{number}")

    def _connect(self, table: SessionTable, user_id: str) -> None:
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
        self._servers.append(ours)
        self.clients.append(theirs)
        transport, nobody = Transport(ours), Nobody()
        outbox = Outbox(transport, nobody, spawn=full, counters=self.counters)
        table.receivers[user_id] = Subscription(
            table.session.id, user_id, PLAIN, outbox, nobody, nobody
        )

    def flush(self, movers: int, turn: int) -> float:
        """Flush every session once; the seconds of CPU that it took."""
        held = HeldPosition(Position(52.5, 13.4, 5.0, START), 1.0, 1.0)
        order = random.sample(self.tables, len(self.tables))
        moved = []
        for table in order:
            names = list(table.receivers)
            chosen = [names[(turn + place) % len(names)] for place in range(movers)]
            moved.append(dict.fromkeys(chosen, held))
        before = time.thread_time()
        for table, positions in zip(order, moved, strict=True):
            send_positions(table, positions, 1.0)
        used = time.thread_time() - before
        for client in self.clients:
            try:
                client.recv(1 << 20)
            except BlockingIOError:
                continue
        return used


def _table(number: int) -> SessionTable:
    record = SessionRecord(
        UUID(int=number), "A", START, START + timedelta(hours=1), UUID(int=number), True, START
    )
    return SessionTable(StoredSession(record, ()), 0.0)


async def measure(case: Case, movers: int, rounds: int) -> tuple[float, float]:
    """The best and the median round, in µs of CPU for each write."""
    sessions = Sessions(case)
    sessions.flush(movers, 0)
    found = []
    for turn in range(rounds):
        before = sessions.counters.writes
        used = sessions.flush(movers, turn)
        found.append(used / (sessions.counters.writes - before) * 1e6)
        await trio.lowlevel.checkpoint()
    found.sort()
    return found[0], found[len(found) // 2]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.fan", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--groups", type=case_of, default=Case(1000, 8), metavar="SxP",
        help="sessions and the people in each (default 1000x8)",
    )  # fmt: skip
    parser.add_argument("--movers", type=int, default=1, help="how many move in each flush")
    parser.add_argument("--rounds", type=int, default=30, choices=range(1, 1001), metavar="N")
    options = parser.parse_args(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    best, median = trio.run(measure, options.groups, options.movers, options.rounds)
    print(circumstances())
    print(
        f"{options.groups}, {options.movers} of each move, {IMPLEMENTATION}: "
        f"{best:.2f} µs per write, median {median:.2f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
