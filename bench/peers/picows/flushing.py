"""Positions that are joined: one write per receiver for all that moved in a window."""

import asyncio
from typing import Protocol, cast

from bench.peers.common.connection import Connection
from bench.peers.inprocess.sessions import MemorySessions

_TEXT_FINAL = b"\x81"


class Writable(Connection, Protocol):
    """A connection: who sent an update, or gets them."""

    def write(self, frames: bytes) -> None:
        """Finished frames."""
        ...


class Flushing:
    """The updates of all sessions that wait for the end of their windows."""

    def __init__(self, sessions: MemorySessions, window_s: float) -> None:
        self._sessions = sessions
        self._window_s = window_s
        self._waiting: dict[str, list[tuple[Connection, bytes]]] = {}

    def add(self, sender: Connection, update: bytes) -> None:
        """``update`` goes to the others when the window ends that its session's first opened."""
        session_id = sender.session_id
        waiting = self._waiting.get(session_id)
        if waiting is None:
            waiting = self._waiting[session_id] = []
            asyncio.get_running_loop().call_later(self._window_s, self._flush, session_id)
        waiting.append((sender, _frame(update)))

    def _flush(self, session_id: str) -> None:
        waiting = self._waiting.pop(session_id)
        everything = b"".join([frame for _, frame in waiting])
        senders = {sender for sender, _ in waiting}
        # A copy: a write may find a peer too slow, which takes it out of the session.
        for each in tuple(self._sessions.connected(session_id).values()):
            frames = everything
            if each in senders:
                frames = b"".join([frame for sender, frame in waiting if sender is not each])
            if frames:
                cast("Writable", each).write(frames)  # all are listeners of picows


def _frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return b"%b%c%b" % (_TEXT_FINAL, size, payload)
    return b"%b\x7e%b%b" % (_TEXT_FINAL, size.to_bytes(2, "big"), payload)
