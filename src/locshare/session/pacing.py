"""Delivers positions to the receivers that chose a pace, and sends senders theirs. Plain functions
over the table, called by the session actor.

Receivers with a pace are left out of the flushes of all others, which costs a session without any
one comparison per flush. A crash leaves the entries in the table: each is replaced before its
receiver is written to, so positions that cannot be encoded crash one write, not all.
"""

from collections.abc import Mapping
from typing import NamedTuple

from locshare.broadcast.fanout import Flush, encode_flush, encode_frame
from locshare.broadcast.receiver import Receiver
from locshare.model.pace import NORMAL, Pace
from locshare.model.position import HeldPosition
from locshare.session.far_apart import far_from_all
from locshare.session.receiver_pace import (
    Arrivals,
    PacedReceiver,
    lacking,
    note_arrivals,
    phase_of,
    whole_steps,
)
from locshare.session.sender_pace import MAX_UNASKED, UNSEEN_S, decide
from locshare.session.table import SessionTable
from locshare.wire.dialects import Dialect

# --- receivers ----------------------------------------------------------------------------------


def begin_pace(table: SessionTable, receiver: Receiver, interval_s: float, clock: float) -> None:
    """``receiver`` is attached at ``clock``, with a snapshot of that instant and its pace."""
    if interval_s:
        table.regroup()
        table.paced[receiver.user_id] = PacedReceiver(whole_steps(interval_s), clock)


def set_pace(
    table: SessionTable, receiver: Receiver, interval_s: float, clock: float, retention: float
) -> None:
    """``receiver`` chooses its pace. A shorter one, or none, brings it up to date at once. Ignored
    from a connection that has been replaced or has ended. Idempotent.
    """
    user_id = receiver.user_id
    if table.receivers.get(user_id) is not receiver:
        return
    interval_s = whole_steps(interval_s)
    known = table.paced.get(user_id)
    if known is None:
        if interval_s:
            # It has got every flush; what has moved since is still to come.
            table.regroup()
            since = min((held.arrived for held in table.moved.values()), default=clock)
            table.paced[user_id] = PacedReceiver(interval_s, since)
            note_moved(table, table.moved)
        return
    if interval_s >= known.interval_s:
        table.paced[user_id] = PacedReceiver(interval_s, known.written_at, known.due)
        return
    if interval_s:
        table.paced[user_id] = PacedReceiver(interval_s, clock)
    else:
        table.regroup()
        del table.paced[user_id]
    _send(table, [(receiver, known.written_at)], clock, retention)


def note_moved(table: SessionTable, moved: Mapping[str, HeldPosition]) -> None:
    """``moved`` are there for the receivers with a pace."""
    arrivals = Arrivals.of(moved)
    if arrivals is None:
        return
    phase = phase_of(table.session.id)
    for user_id, paced in table.paced.items():
        if paced.due is None:
            table.paced[user_id] = note_arrivals(paced, arrivals, user_id, phase)


def paced_due(table: SessionTable) -> float | None:
    """When :func:`flush_paced` is due; None while no receiver with a pace lacks anything."""
    return min((each.due for each in table.paced.values() if each.due is not None), default=None)


def flush_paced(table: SessionTable, clock: float, retention: float) -> None:
    """Write to each receiver that is due, once, all that it lacks."""
    targets = []
    for user_id, paced in table.paced.items():
        if paced.due is not None and paced.due <= clock:
            table.paced[user_id] = PacedReceiver(paced.interval_s, clock)
            targets.append((table.receivers[user_id], paced.written_at))
    _send(table, targets, clock, retention)


def _send(
    table: SessionTable, targets: list[tuple[Receiver, float]], clock: float, retention: float
) -> None:
    """Those that lack the same share the encoded frames."""
    flushes: dict[tuple[float, Dialect], Flush | None] = {}
    for receiver, written_at in targets:
        key = written_at, receiver.dialect
        if key not in flushes:
            moved = lacking(table.positions, written_at, clock, retention)
            dialect = receiver.dialect.in_session(table.shorthand)
            flushes[key] = encode_flush(moved, clock, dialect) if moved else None
        flush = flushes[key]
        if flush is not None:
            receiver.send_positions(flush)


# --- senders ------------------------------------------------------------------------------------


def note_distances(table: SessionTable) -> None:
    """Find out who is far from all others. In a crowd nobody is, as far as this matters."""
    connected = table.receivers.keys()
    if 2 <= len(connected) <= MAX_UNASKED + 1:
        table.far = far_from_all(table.positions, connected, table.far)
    else:
        table.far = frozenset()


class Asked(NamedTuple):
    """How many requests were sent, and whether another waits until the situation settles."""

    sent: int
    waiting: bool


def ask_senders(table: SessionTable, retention: float, *, settled: bool) -> Asked:
    """Send each connected member the pace that is wanted of them now, if it is another than before
    (:mod:`locshare.session.sender_pace`).
    """
    longest_s = min(UNSEEN_S, retention / 2)
    paces = {user_id: each.interval_s for user_id, each in table.paced.items()}
    requests = decide(
        table.receivers.keys(), paces, table.asked, table.far, settled=settled, longest_s=longest_s
    )
    frames: dict[tuple[Dialect, Pace], bytes] = {}
    for user_id, pace in requests.now.items():
        if pace == NORMAL:
            table.asked.pop(user_id, None)
        else:
            table.asked[user_id] = pace
        receiver = table.receivers[user_id]
        key = receiver.dialect, pace
        if key not in frames:
            frames[key] = encode_frame(pace, receiver.dialect.in_session(table.shorthand))
        receiver.send_event(frames[key])
    return Asked(len(requests.now), requests.waiting)
