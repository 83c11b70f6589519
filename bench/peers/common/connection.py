"""What sessions know of a WebSocket, and that of Starlette: a bounded queue of outgoing messages,
and the task that sends them.
"""

import asyncio
from typing import NamedTuple, Protocol
from uuid import uuid4

from starlette.websockets import WebSocket, WebSocketDisconnect

MAX_WAITING = 1000
"""In messages. A client that falls further behind is dropped."""


class Close(NamedTuple):
    """The last thing in a queue."""

    code: int
    reason: str


LEFT = Close(1000, "left the session")
FORBIDDEN = Close(4403, "no longer a participant")
REPLACED = Close(4409, "replaced by a newer connection of the same participant")
SESSION_ENDED = Close(4410, "the session has ended")


class Connection(Protocol):
    """Neither method blocks."""

    id: str
    session_id: str
    user_id: str
    role: str

    def send(self, text: str) -> None:
        """Send ``text``, or queue it."""

    def close(self, close: Close) -> None:
        """Close the connection after what was sent."""


class QueuedConnection:
    """Created by the receiving task, which is cancelled when the peer does not read."""

    def __init__(self, websocket: WebSocket, session_id: str, user_id: str, role: str) -> None:
        self.id = uuid4().hex
        self.session_id = session_id
        self.user_id = user_id
        self.role = role
        self.too_slow = False
        self._websocket = websocket
        self._queue: asyncio.Queue[str | Close] = asyncio.Queue(MAX_WAITING)
        self._receiving = asyncio.current_task()
        self._closing = False

    def send(self, text: str) -> None:
        """Queue ``text``. Never blocks."""
        if not self._closing:
            self._put(text)

    def close(self, close: Close) -> None:
        """Close the connection after the queued messages."""
        if not self._closing:
            self._closing = True
            self._put(close)

    def _put(self, item: str | Close) -> None:
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            # A close frame would wait behind everything else, so there is none.
            self._closing = self.too_slow = True
            if self._receiving is not None:
                self._receiving.cancel()

    async def write(self, snapshot: str) -> None:
        """Send the snapshot, then queued messages, until the connection is closed."""
        try:
            await self._websocket.send_text(snapshot)
            while True:
                item = await self._queue.get()
                if isinstance(item, Close):
                    await self._websocket.close(item.code, item.reason)
                    return
                await self._websocket.send_text(item)
        except (WebSocketDisconnect, RuntimeError):
            # The peer is gone; uvicorn says RuntimeError when it closed the connection itself.
            return
