"""Delivers what the rules decided to the receivers of a session. Plain functions: the session actor
calls them and, when there is no actor any more, the life cycle.

Each message is encoded once per dialect. Receivers take every call without waiting and without
raising, so the slowest connection delays no other one.

A flush is written by the session's fans, one for each dialect
(:mod:`locshare.broadcast.native`): they offer it to every socket once. What a socket did not take
is given to its receiver, at once where the beginning is written, so that nothing comes between.

A crash in the middle of a delivery leaves the encoded frames in the table, and :func:`resume`
delivers the rest to those it has not reached; one that crashed in the middle may get a position
twice, which does no harm. It resumes once, so a delivery that crashes every time is dropped.
"""

from collections import deque
from collections.abc import Mapping

import trio

from locshare.broadcast.addressed import recipients
from locshare.broadcast.fanout import Flush, encode_flush, encode_frame
from locshare.broadcast.native import Fan
from locshare.broadcast.receiver import Receiver
from locshare.model.position import HeldPosition
from locshare.model.reasons import CloseReason
from locshare.session.counters import SessionCounters
from locshare.session.table import Delivery, SessionTable
from locshare.wire.dialects import Dialect


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
    fans = table.fans
    if fans is None:
        fans = table.fans = _group(table)
    receivers = table.receivers
    late: deque[tuple[Receiver, Flush]] | None = None
    for dialect, fan in fans.items():
        flush = encode_flush(moved, clock, dialect.in_session(table.shorthand))
        without = {
            receivers[user_id]: span
            for user_id, span in flush.spans().items()
            if user_id in receivers
        }
        for receiver, sent in fan.send(flush.joined, without):
            if sent:
                receiver.send_rest(flush, sent)
            else:
                if late is None:
                    late = table.interrupted_flush = deque()
                late.append((receiver, flush))
    if late is not None:
        _send_late(late)
        table.interrupted_flush = None


def _group(table: SessionTable) -> dict[Dialect, Fan[Receiver]]:
    """The receivers without a pace, by dialect."""
    fans: dict[Dialect, Fan[Receiver]] = {}
    for user_id, receiver in table.receivers.items():
        if user_id not in table.paced:
            fan = fans.get(receiver.dialect)
            if fan is None:
                fan = fans[receiver.dialect] = Fan()
            receiver.join(fan)
    return fans


def _send_late(late: deque[tuple[Receiver, Flush]]) -> None:
    while late:
        receiver, flush = late[0]
        receiver.send_positions(flush)
        late.popleft()


def resume(table: SessionTable) -> None:
    """Finish the delivery that a crash interrupted, with the frames that were encoded."""
    delivery, table.interrupted_event = table.interrupted_event, None
    late, table.interrupted_flush = table.interrupted_flush, None
    if delivery is not None:
        _send_to_rest(delivery)
    if late is not None:
        _send_late(late)


def drop(table: SessionTable) -> None:
    """Deliver nothing more: what is pending may be what crashes every incarnation."""
    table.interrupted_event = table.interrupted_flush = None
    table.pending.clear()


def deliver_end(table: SessionTable, counters: SessionCounters) -> None:
    """The session has ended: send the pending events (the end comes last), close all connections,
    and wake the callers that wait for an incarnation.
    """
    deliver_events(table, counters, trio.current_time(), 0)  # nobody comes back
    table.regroup()
    while table.receivers:  # taken one by one: a crash in between leaves the rest to the next try
        receiver = table.receivers.pop(next(iter(table.receivers)))
        receiver.close(CloseReason.SESSION_ENDED)
    table.local.waiters.unpark_all()
