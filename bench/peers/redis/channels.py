"""Pub/sub: one subscription per session with connections in this worker, one reader for all."""

import asyncio
import logging
from typing import Literal

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bench.peers.common.connection import FORBIDDEN, LEFT, REPLACED
from bench.peers.common.hub import Hub
from bench.peers.common.messages import EndReason

log = logging.getLogger(__name__)

RETRY_S = 0.5
_KEEP = "workers"
"""A channel without messages: the reader needs at least one subscription."""


class Tell(Struct, frozen=True, array_like=True, tag=0):
    """A message for all in the session but one."""

    session_id: str
    text: str
    but: str = ""


class Dismiss(Struct, frozen=True, array_like=True, tag=1):
    """Close this participant's connection, if it is not that with the id ``spare``."""

    session_id: str
    user_id: str
    why: Literal["left", "removed", "replaced"]
    spare: str = ""


class Finish(Struct, frozen=True, array_like=True, tag=2):
    """The session is over."""

    session_id: str
    reason: EndReason


Notice = Tell | Dismiss | Finish

_CLOSES = {"left": LEFT, "removed": FORBIDDEN, "replaced": REPLACED}
_decoder = msgspec.msgpack.Decoder(Notice)


def encode(notice: Notice) -> bytes:
    """For PUBLISH."""
    return msgspec.msgpack.encode(notice)


class Channels:
    """The subscriptions of a worker; delivers messages to its connections."""

    def __init__(self, redis: Redis, hub: Hub) -> None:
        self._pubsub = redis.pubsub()
        self._hub = hub
        self._users: dict[str, int] = {}
        self._confirmed: dict[str, asyncio.Future[None]] = {}

    async def open(self, channel: str) -> None:
        """Count one more user of ``channel``. Returns once the subscription is confirmed, so that
        no later message is missed. Raises RedisError; then it is not open.
        """
        self._users[channel] = self._users.get(channel, 0) + 1
        confirmed = self._confirmed.get(channel)
        if confirmed is None:
            confirmed = self._confirmed[channel] = asyncio.get_running_loop().create_future()
            try:
                await self._pubsub.subscribe(channel)
            except RedisError as error:  # for concurrent callers too
                del self._users[channel], self._confirmed[channel]
                confirmed.set_exception(error)
        await confirmed

    async def close(self, channel: str) -> None:
        """One less."""
        self._users[channel] -= 1
        if self._users[channel] == 0:
            del self._users[channel]
            del self._confirmed[channel]
            await self._pubsub.unsubscribe(channel)

    async def read(self) -> None:
        """Until cancelled. Waits for a lost Redis; redis-py subscribes again."""
        while True:
            try:
                await self._pubsub.subscribe(_KEEP)
                async for message in self._pubsub.listen():
                    self._take(message)
            except RedisError as error:
                log.warning("no messages from Redis: %s", error)
                await asyncio.sleep(RETRY_S)

    def _take(self, message: dict[str, object]) -> None:
        if message["type"] == "subscribe":
            channel = message["channel"]
            assert isinstance(channel, bytes)
            waiting = self._confirmed.get(channel.decode())
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        elif message["type"] == "message":
            data = message["data"]
            assert isinstance(data, bytes)
            self._hand_on(_decoder.decode(data))

    def _hand_on(self, notice: Notice) -> None:
        if isinstance(notice, Tell):
            self._hub.send(notice.session_id, notice.text, notice.but)
        elif isinstance(notice, Dismiss):
            close = _CLOSES[notice.why]
            self._hub.close(notice.session_id, notice.user_id, close, notice.spare)
        else:
            self._hub.end(notice.session_id, notice.reason)
