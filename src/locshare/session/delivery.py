"""Delivers what the rules decided to the receivers of a session. Plain functions: the session actor
calls them and, when there is no actor any more, the life cycle.

Each message is encoded once per dialect. Receivers take every call without waiting and without
raising, so the slowest connection delays no other one.

A crash in the middle of a delivery leaves the encoded frames in the table, and :func:`resume`
delivers the rest: an event to those it has not reached, a flush to everyone, because the newest
position counts and a repetition does no harm. It resumes once, so a delivery that crashes every
time is dropped.
"""

from collections import deque
from collections.abc import Collection, Mapping

import trio

from locshare.broadcast.addressed import recipients
from locshare.broadcast.fanout import encode_flush, encode_frame
from locshare.broadcast.receiver import Receiver
from locshare.model.position import HeldPosition
from locshare.model.reasons import CloseReason
from locshare.session.counters import SessionCounters
from locshare.session.table import Delivery, SessionTable


def deliver_events(
    table: SessionTable, counters: SessionCounters, now: float, max_kept: int
) -> None:
    """Send each pending event to its audience, and keep the newest ``max_kept`` for those who come
    back. ``now`` is by Trio's clock.

    An event is taken before it is encoded: one that cannot be encoded crashes its sender once and
    is then dropped, for those who come back too. The next incarnation delivers those behind it.
    """
    pending = table.pending
    while pending:
        addressed = pending.popleft()
        rest = deque(recipients(addressed.audience, table.receivers))
        dialects = {receiver.dialect for receiver in rest}
        frames = {
            dialect: encode_frame(addressed.event, dialect.in_session(table.shorthand))
            for dialect in dialects
        }
        table.log.append(addressed, now, max_kept)
        table.interrupted_event = Delivery(frames, rest)
        _send_to_rest(table.interrupted_event)
        table.interrupted_event = None
        counters.events += 1


def _send_to_rest(delivery: Delivery) -> None:
    frames, rest = delivery
    while rest:
        rest[0].send_event(frames[rest[0].dialect])
        rest.popleft()


def send_positions(table: SessionTable, moved: Mapping[str, HeldPosition], clock: float) -> None:
    """Send one flush to every receiver without a pace. Each leaves its own position out, where its
    dialect has a frame for each.
    """
    flushes = table.interrupted_flush = {}
    for receiver in _unpaced(table):
        flush = flushes.get(receiver.dialect)
        if flush is None:
            dialect = receiver.dialect.in_session(table.shorthand)
            flush = flushes[receiver.dialect] = encode_flush(moved, clock, dialect)
        receiver.send_positions(flush)
    table.interrupted_flush = None


def _unpaced(table: SessionTable) -> Collection[Receiver]:
    paced = table.paced
    if not paced:
        return table.receivers.values()
    return [receiver for user_id, receiver in table.receivers.items() if user_id not in paced]


def resume(table: SessionTable) -> None:
    """Finish the delivery that a crash interrupted, with the frames that were encoded."""
    delivery, table.interrupted_event = table.interrupted_event, None
    flushes, table.interrupted_flush = table.interrupted_flush, None
    if delivery is not None:
        _send_to_rest(delivery)
    if flushes is not None:
        for receiver in _unpaced(table):
            flush = flushes.get(receiver.dialect)
            if flush is not None:
                receiver.send_positions(flush)


def drop(table: SessionTable) -> None:
    """Deliver nothing more: what is pending may be what crashes every incarnation."""
    table.interrupted_event = table.interrupted_flush = None
    table.pending.clear()


def deliver_end(table: SessionTable, counters: SessionCounters) -> None:
    """The session has ended: send the pending events (the end comes last), close all connections,
    and wake the callers that wait for an incarnation.
    """
    deliver_events(table, counters, trio.current_time(), 0)  # nobody comes back
    receivers = tuple(table.receivers.values())
    table.receivers.clear()
    for receiver in receivers:
        receiver.close(CloseReason.SESSION_ENDED)
    table.local.waiters.unpark_all()
