"""Telling the receivers of a session what was decided. Plain functions, for the session actor and,
when there is no actor any more, for the manager.

Each message is encoded once per dialect. Receivers take every call without waiting and without
raising, so whoever calls here is not held up by the slowest phone.

A crash in the middle of telling leaves what was encoded in the table, and :func:`resume` tells the
rest: of an event those who have not heard it, of a flush everyone, since of positions the newest
counts and twice does no harm. It does so once, so that what crashes every time is dropped.
"""

from collections.abc import Mapping

from locshare.broadcast.fanout import encode_flush, encode_frame
from locshare.errors import CloseReason
from locshare.session.table import SessionTable, Telling
from locshare.session.tally import Tally
from locshare.wire.messages import ParticipantPosition, SessionEnded, SessionUpdated


def deliver_events(table: SessionTable, tally: Tally) -> None:
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
            told: set[str] = set()
        else:
            told = {event.data.user_id}
        table.telling = Telling(frames, told)
        _tell(table, table.telling)
        table.telling = None
        tally.events += 1


def _tell(table: SessionTable, telling: Telling) -> None:
    for user_id, receiver in table.receivers.items():
        if user_id not in telling.told:
            receiver.send_event(telling.frames[receiver.dialect])
            telling.told.add(user_id)


def send_positions(table: SessionTable, moved: Mapping[str, ParticipantPosition]) -> None:
    """One flush of everyone who moved, to everyone but themselves."""
    flushes = table.flushing = {}
    for receiver in table.receivers.values():
        flush = flushes.get(receiver.dialect)
        if flush is None:
            flush = flushes[receiver.dialect] = encode_flush(moved, receiver.dialect)
        receiver.send_positions(flush)
    table.flushing = None


def resume(table: SessionTable) -> None:
    """Finish what an incarnation was telling when it crashed, with what it had encoded."""
    telling, table.telling = table.telling, None
    flushes, table.flushing = table.flushing, None
    if telling is not None:
        _tell(table, telling)
    if flushes is not None:
        for receiver in table.receivers.values():
            flush = flushes.get(receiver.dialect)
            if flush is not None:
                receiver.send_positions(flush)


def drop(table: SessionTable) -> None:
    """Tell nothing more of it: it may be what crashes every incarnation."""
    table.telling = table.flushing = None
    table.pending.clear()


def say_farewell(table: SessionTable, tally: Tally) -> None:
    """The session has ended: send what is pending (that it ended comes last), close everyone,
    and wake who waits for an incarnation that will not come.
    """
    deliver_events(table, tally)
    receivers = tuple(table.receivers.values())
    table.receivers.clear()
    for receiver in receivers:
        receiver.close(CloseReason.SESSION_ENDED)
    table.news.unpark_all()
