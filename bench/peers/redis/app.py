"""The application of one worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette

from bench.peers.common.app import create_app
from bench.peers.common.settings import Settings
from bench.peers.redis.sessions import RedisSessions

POOL = 32
"""Connections to Redis; more requests at a time wait for one."""
POOL_WAIT_S = 5
ANSWER_S = 5


def application() -> Starlette:
    """For uvicorn."""
    settings = Settings.handed_on()
    redis = Redis.from_pool(
        BlockingConnectionPool.from_url(
            settings.redis,
            max_connections=POOL,
            timeout=POOL_WAIT_S,
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
        )
    )
    sessions = RedisSessions(redis, settings.max_participants)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        running = asyncio.create_task(sessions.run())
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await redis.aclose()

    return create_app(sessions, settings, lifespan, unavailable=(RedisError,))
