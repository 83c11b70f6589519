"""Delivery the receivers of a session what was decided. Plain functions, for the session actor and,
when there is no actor any more, for the manager.

Each message is encoded once per dialect. Receivers take every call without waiting and without
raising, so whoever calls here is not held up by the slowest phone.

A crash in the middle of delivery leaves what was encoded in the table, and :func:`resume` tells the
rest: of an event those who have not heard it, of a flush everyone, since of positions the newest
counts and twice does no harm. It does so once, so that what crashes every time is dropped.
"""

from collections.abc import Mapping

from locshare.broadcast.fanout import encode_flush, encode_frame
from locshare.model.reasons import CloseReason
from locshare.session.counters import SessionCounters
from locshare.session.table import Delivery, SessionTable
from locshare.wire.messages import ParticipantPosition, SessionEnded, SessionUpdated


def deliver_events(table: SessionTable, counters: SessionCounters) -> None:
    """Send what is pending, each event to everyone but whom it is about.

    An event is taken before it is encoded, so one that cannot be encoded crashes its sender once
    and is then dropped, and those behind it are delivered by the next incarnation.
    """
    pending = table.pending
    while pending:
        event = pending.popleft()
        dialects = {receiver.dialect for receiver in table.receivers.values()}
        frames = {dialect: encode_frame(event, dialect) for dialect in dialects}
        if isinstance(event, SessionEnded | SessionUpdated):
            reached: set[str] = set()
        else:
            reached = {event.data.user_id}
        table.interrupted_event = Delivery(frames, reached)
        _send_to_rest(table, table.interrupted_event)
        table.interrupted_event = None
        counters.events += 1


def _send_to_rest(table: SessionTable, delivery: Delivery) -> None:
    for user_id, receiver in table.receivers.items():
        if user_id not in delivery.reached:
            receiver.send_event(delivery.frames[receiver.dialect])
            delivery.reached.add(user_id)


def send_positions(table: SessionTable, moved: Mapping[str, ParticipantPosition]) -> None:
    """One flush of everyone who moved, to everyone but themselves."""
    flushes = table.interrupted_flush = {}
    for receiver in table.receivers.values():
        flush = flushes.get(receiver.dialect)
        if flush is None:
            flush = flushes[receiver.dialect] = encode_flush(moved, receiver.dialect)
        receiver.send_positions(flush)
    table.interrupted_flush = None


def resume(table: SessionTable) -> None:
    """Finish what an incarnation was delivery when it crashed, with what it had encoded."""
    delivery, table.interrupted_event = table.interrupted_event, None
    flushes, table.interrupted_flush = table.interrupted_flush, None
    if delivery is not None:
        _send_to_rest(table, delivery)
    if flushes is not None:
        for receiver in table.receivers.values():
            flush = flushes.get(receiver.dialect)
            if flush is not None:
                receiver.send_positions(flush)


def drop(table: SessionTable) -> None:
    """Tell nothing more of it: it may be what crashes every incarnation."""
    table.interrupted_event = table.interrupted_flush = None
    table.pending.clear()


def deliver_end(table: SessionTable, counters: SessionCounters) -> None:
    """The session has ended: send what is pending (that it ended comes last), close everyone,
    and wake who waits for an incarnation that will not come.
    """
    deliver_events(table, counters)
    receivers = tuple(table.receivers.values())
    table.receivers.clear()
    for receiver in receivers:
        receiver.close(CloseReason.SESSION_ENDED)
    table.waiters.unpark_all()
