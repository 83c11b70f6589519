"""Sessions in Redis. A worker holds only its connections."""

import asyncio
import logging
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bench.peers.common import messages
from bench.peers.common.connection import Connection
from bench.peers.common.hub import Hub
from bench.peers.common.messages import LeaveReason, Position
from bench.peers.common.model import (
    FORGET_S,
    RETENTION_S,
    Found,
    Participant,
    Session,
    snapshot,
    utc_now,
)
from bench.peers.common.problems import Problem
from bench.peers.redis import keys
from bench.peers.redis.channels import Channels, Dismiss, Finish, Notice, Tell, encode

log = logging.getLogger(__name__)

RENEWED_AT_ONCE = 200
"""Connections per round trip, so that renewal does not hold up the worker."""


class RedisSessions:
    """See :class:`bench.peers.common.model.Sessions`. Every change is published, and reaches the
    connections of this worker in the same way as those of others.
    """

    def __init__(self, redis: Redis, max_participants: int) -> None:
        self._redis = redis
        self._max_participants = max_participants
        self._hub = Hub()
        self._channels = Channels(redis, self._hub)
        self._join = redis.register_script(keys.JOIN)
        self._end_once = redis.register_script(keys.END)
        self._gone = redis.register_script(keys.GONE)
        self._open: set[str] = set()
        """The ids of connections whose channel is open."""
        self._expires_at: dict[str, datetime] = {}
        """Of the sessions with connections here."""

    async def run(self) -> None:
        """Background tasks, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._channels.read())
            tasks.create_task(self._renew())
            tasks.create_task(self._expire())

    # --- sessions ---------------------------------------------------------------------------------

    async def ready(self) -> bool:
        try:
            return bool(await self._redis.ping())
        except RedisError:
            return False

    async def create(self, session: Session) -> None:
        key = keys.session(session.id)
        fields: Mapping[Any, Any] = {
            "name": session.name,
            "created_at": session.created_at.isoformat(),
            "expires_at": session.expires_at.isoformat(),
        }
        async with self._redis.pipeline() as pipe:
            pipe.hset(key, mapping=fields)
            pipe.expireat(key, _forgotten_at(session))
            await pipe.execute()

    async def find(self, session_id: str) -> Found:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.session(session_id))
            pipe.hlen(keys.participants(session_id))
            fields, people = await pipe.execute()
        return _found(session_id, fields, people)

    async def end(self, session_id: str) -> None:
        await self._active(session_id)
        if not await self._end_once(keys=[keys.session(session_id)]):
            raise Problem("SESSION_ENDED", "the session has ended")
        await self._publish(session_id, Finish(session_id, "ended_by_host"))

    # --- participants -----------------------------------------------------------------------------

    async def join(self, session_id: str, participant: Participant) -> None:
        found = await self._active(session_id)
        outcome = await self._join(
            keys=[
                keys.session(session_id),
                keys.participants(session_id),
                keys.last_seen(session_id),
            ],
            args=[
                participant.user_id,
                msgspec.json.encode(participant),
                participant.joined_at.isoformat(),
                self._max_participants,
                int(_forgotten_at(found.session).timestamp()),
            ],
        )
        if outcome != b"OK":
            raise Problem(outcome.decode(), "joining is not possible")
        await self._publish_event(session_id, participant.joined(), but=participant.user_id)

    async def participants(self, session_id: str) -> Sequence[dict[str, Any]]:
        await self._active(session_id)
        _, people, last_seen = await self._read(session_id)
        present, _ = await self._read_each(session_id, list(people))
        return _views(people, last_seen, present)

    async def remove(self, session_id: str, user_id: str, reason: LeaveReason) -> None:
        await self._active(session_id)
        async with self._redis.pipeline() as pipe:
            pipe.hdel(keys.participants(session_id), user_id)
            pipe.hdel(keys.last_seen(session_id), user_id)
            pipe.delete(keys.presence(session_id, user_id), keys.position(session_id, user_id))
            was_there, *_ = await pipe.execute()
        if not was_there:
            raise Problem("PARTICIPANT_NOT_FOUND", "no such participant in this session")
        await self._publish(session_id, Dismiss(session_id, user_id, reason))
        await self._say(session_id, user_id, "participant_left", reason=reason)

    # --- connections ------------------------------------------------------------------------------

    async def admit(self, session_id: str, user_id: str) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.session(session_id))
            pipe.hexists(keys.participants(session_id), user_id)
            fields, is_participant = await pipe.execute()
        _require_active(_found(session_id, fields, 0))
        if not is_participant:
            raise Problem("NOT_A_PARTICIPANT", "no longer a participant")

    async def attach(self, connection: Connection) -> str:
        session_id, user_id = connection.session_id, connection.user_id
        await self._channels.open(keys.channel(session_id))
        self._open.add(connection.id)
        self._hub.add(connection)  # messages from now on are queued behind the snapshot
        fields, people, last_seen = await self._read(session_id)
        session = _require_active(_found(session_id, fields, len(people))).session
        if user_id not in people:
            raise Problem("NOT_A_PARTICIPANT", "no longer a participant")
        self._expires_at[session_id] = session.expires_at
        now = last_seen[user_id] = utc_now()
        older = await self._set_presence(connection, now)
        if older is None:
            await self._say(session_id, user_id, "participant_updated", online=True, last_seen=now)
        else:
            notice = Dismiss(session_id, user_id, "replaced", spare=connection.id)
            await self._publish(session_id, notice)
        present, positions = await self._read_each(session_id, list(people))
        # An epoch ends when events are counted anew; here they never are.
        seq = int(fields.get(b"seq", 0))
        views = _views(people, last_seen, present)
        return snapshot(session, connection, views, positions, epoch=session_id, seq=seq)

    async def _set_presence(self, connection: Connection, now: datetime) -> bytes | None:
        """Returns the id of the previous connection."""
        session_id, user_id = connection.session_id, connection.user_id
        async with self._redis.pipeline(transaction=False) as pipe:
            key = keys.presence(session_id, user_id)
            pipe.set(key, connection.id, ex=keys.PRESENCE_S, get=True)
            pipe.hset(keys.last_seen(session_id), user_id, now.isoformat())
            older, _ = await pipe.execute()
        return cast("bytes | None", older)

    async def move(self, connection: Connection, position: Position) -> None:
        session_id, user_id = connection.session_id, connection.user_id
        moved = position.of(user_id)
        notice = Tell(session_id, messages.encode("location_update", moved), but=user_id)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                key = keys.position(session_id, user_id)
                pipe.set(key, msgspec.json.encode(moved), ex=RETENTION_S)
                pipe.publish(keys.channel(session_id), encode(notice))
                await pipe.execute()
        except RedisError as error:
            log.warning("an update was dropped: %s", error)  # the next one will follow soon

    async def detach(self, connection: Connection) -> None:
        was_here = self._hub.remove(connection)
        if connection.id not in self._open:
            return
        self._open.remove(connection.id)
        session_id, user_id = connection.session_id, connection.user_id
        try:
            await self._channels.close(keys.channel(session_id))
            presence = keys.presence(session_id, user_id)
            gone = await self._gone(keys=[presence], args=[connection.id])
            if gone and was_here:  # else the session has ended
                now = utc_now()
                await self._say(
                    session_id, user_id, "participant_updated", online=False, last_seen=now
                )
        except RedisError as error:
            log.warning("a closed connection is shown online until its presence expires: %s", error)

    # --- beside the requests ----------------------------------------------------------------------

    async def _renew(self) -> None:
        """Renew the presence of the connections here, some at a time."""
        while True:
            await asyncio.sleep(keys.RENEWAL_S)
            connected = list(self._hub)
            for at in range(0, len(connected), RENEWED_AT_ONCE):
                try:
                    await self._renew_some(connected[at : at + RENEWED_AT_ONCE])
                except RedisError as error:
                    log.warning("presence was not renewed: %s", error)

    async def _renew_some(self, connections: Sequence[Connection]) -> None:
        now = utc_now().isoformat()
        async with self._redis.pipeline(transaction=False) as pipe:
            for each in connections:
                pipe.expire(keys.presence(each.session_id, each.user_id), keys.PRESENCE_S)
                pipe.hset(keys.last_seen(each.session_id), each.user_id, now)
            await pipe.execute()

    async def _expire(self) -> None:
        """End expired sessions that have connections here."""
        while True:
            await asyncio.sleep(1)
            now = utc_now()
            for session_id, expires_at in list(self._expires_at.items()):
                if expires_at <= now:
                    self._hub.end(session_id, "expired")
                if not self._hub.has(session_id):
                    del self._expires_at[session_id]

    # --- Redis ------------------------------------------------------------------------------------

    async def _active(self, session_id: str) -> Found:
        return _require_active(await self.find(session_id))

    async def _read(
        self, session_id: str
    ) -> tuple[Mapping[bytes, bytes], dict[str, Participant], dict[str, datetime]]:
        """The session, its participants in the order of joining, and when each was last seen."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.session(session_id))
            pipe.hvals(keys.participants(session_id))
            pipe.hgetall(keys.last_seen(session_id))
            fields, values, seen = await pipe.execute()
        people = [msgspec.json.decode(each, type=Participant) for each in values]
        people.sort(key=lambda each: each.joined_at)
        times = {key.decode(): datetime.fromisoformat(at.decode()) for key, at in seen.items()}
        return (
            fields,
            {each.user_id: each for each in people},
            {each.user_id: times.get(each.user_id, each.joined_at) for each in people},
        )

    async def _read_each(
        self, session_id: str, user_ids: Sequence[str]
    ) -> tuple[set[str], list[dict[str, Any]]]:
        """Which of them are connected, and their positions."""
        if not user_ids:
            return set(), []
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.mget([keys.presence(session_id, each) for each in user_ids])
            pipe.mget([keys.position(session_id, each) for each in user_ids])
            presences, positions = await pipe.execute()
        return (
            {user_id for user_id, each in zip(user_ids, presences, strict=True) if each},
            [msgspec.json.decode(each) for each in positions if each],
        )

    async def _publish(self, session_id: str, notice: Notice) -> None:
        await self._redis.publish(keys.channel(session_id), encode(notice))

    async def _say(self, session_id: str, user_id: str, kind: str, **data: object) -> None:
        text = messages.event(kind, user_id=user_id, **data)
        await self._publish_event(session_id, text, but=user_id)

    async def _publish_event(self, session_id: str, text: str, but: str) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hincrby(keys.session(session_id), "seq", 1)
            pipe.publish(keys.channel(session_id), encode(Tell(session_id, text, but)))
            await pipe.execute()


def _found(session_id: str, fields: Mapping[bytes, bytes], participants: int) -> Found:
    if b"name" not in fields:
        raise Problem("SESSION_NOT_FOUND", "no such session")
    session = Session(
        session_id,
        fields[b"name"].decode(),
        datetime.fromisoformat(fields[b"created_at"].decode()),
        datetime.fromisoformat(fields[b"expires_at"].decode()),
    )
    is_active = b"ended" not in fields and utc_now() < session.expires_at
    return Found(session, participants, is_active)


def _require_active(found: Found) -> Found:
    if not found.is_active:
        raise Problem("SESSION_ENDED", "the session has ended")
    return found


def _views(
    people: Mapping[str, Participant], last_seen: Mapping[str, datetime], present: Container[str]
) -> list[dict[str, Any]]:
    return [
        each.view(last_seen=last_seen[user_id], online=user_id in present)
        for user_id, each in people.items()
    ]


def _forgotten_at(session: Session) -> datetime:
    return session.expires_at + timedelta(seconds=FORGET_S)
