"""Telling the receivers of a session what was decided. Plain functions, for the session actor and,
when there is no actor any more, for the manager.

Each message is encoded once per dialect. Receivers take every call without waiting and without
raising, so whoever calls here is not held up by the slowest phone.
"""

from collections.abc import Mapping

from locshare.broadcast.fanout import Flush, encode_flush, encode_frame
from locshare.errors import CloseReason
from locshare.session.table import SessionTable
from locshare.session.tally import Tally
from locshare.wire.dialects import Dialect
from locshare.wire.messages import Event, ParticipantPosition, SessionEnded


def deliver_events(table: SessionTable, tally: Tally) -> None:
    """Send what is pending, each event to everyone but whom it is about.

    An event is taken before it is encoded, so one that cannot be encoded crashes its sender once
    and is then dropped, and those behind it are delivered by the next incarnation.
    """
    pending = table.pending
    while pending:
        _send(table, pending.popleft())
        tally.events += 1


def _send(table: SessionTable, event: Event) -> None:
    subject = None if isinstance(event, SessionEnded) else event.data.user_id
    frames: dict[Dialect, bytes] = {}
    for user_id, receiver in table.receivers.items():
        if user_id == subject:
            continue
        frame = frames.get(receiver.dialect)
        if frame is None:
            frame = frames[receiver.dialect] = encode_frame(event, receiver.dialect)
        receiver.send_event(frame)


def send_positions(table: SessionTable, moved: Mapping[str, ParticipantPosition]) -> None:
    """One flush of everyone who moved, to everyone but themselves."""
    flushes: dict[Dialect, Flush] = {}
    for receiver in table.receivers.values():
        flush = flushes.get(receiver.dialect)
        if flush is None:
            flush = flushes[receiver.dialect] = encode_flush(moved, receiver.dialect)
        receiver.send_positions(flush)


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
