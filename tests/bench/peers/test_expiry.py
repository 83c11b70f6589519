"""A session whose time is over, in both comparators: on a real socket, with a short time."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
import uvicorn
import uvloop
from redis.asyncio import Redis
from starlette.applications import Starlette

from bench.peers.common.app import create_app
from bench.peers.common.model import Participant, Session, Sessions, utc_now
from bench.peers.common.settings import Settings
from bench.peers.common.tokens import Tokens
from bench.peers.inprocess.sessions import MemorySessions
from bench.peers.redis.sessions import RedisSessions
from bench.procfs import cores
from bench.servers import HOST, free_port, wait_until
from bench.targets.local import is_ready, redis_process
from tests.contract.group import DEADLINE_S, Person, assert_problem, phone
from tests.redis_server import have_redis_or_skip

ID = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"
LIFE_S = 0.6


class Running:
    """A comparator's application in a thread of its own, with one session and one participant."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._kind = kind
        self._settings = Settings(HOST, free_port(), 1, 50, "only for the tests" * 2)
        self._redis, self._redis_port = redis_process(folder, cores())
        self.url = self._settings.http_url
        self.person = Person("", "", "")

    @contextmanager
    def running(self) -> Iterator[None]:
        """For the block."""
        if self._kind == "redis":
            self._redis.start()
        server = threading.Thread(target=self._run)
        server.start()
        try:
            ready = partial(is_ready, self._settings.port)
            wait_until(ready, DEADLINE_S, "the comparator did not get ready")
            yield
        finally:
            self._server.should_exit = True
            server.join()
            self._redis.stop()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        if self._kind == "inprocess":
            await self._serve_with(MemorySessions(50))
            return
        redis = Redis(host=HOST, port=self._redis_port)
        sessions = RedisSessions(redis, 50)
        beside = asyncio.create_task(sessions.run())
        await self._serve_with(sessions)
        beside.cancel()
        await asyncio.wait([beside])
        await redis.aclose()

    async def _serve_with(self, sessions: Sessions) -> None:
        now = utc_now()
        session = Session(ID, "Alps", now, now + timedelta(seconds=LIFE_S))
        await sessions.create(session)
        await sessions.join(ID, Participant("ada", "Ada", "#FF5733", now))
        later = Session(ID, "Alps", now, now + timedelta(hours=1))  # the token shall outlive it
        token = Tokens(self._settings.secret).issue(later, "ada", "participant")
        self.person = Person("ada", token, self._settings.ws_url)
        await self._serve_app(create_app(sessions, self._settings))

    async def _serve_app(self, app: Starlette) -> None:
        settings = self._settings
        config = uvicorn.Config(app, host=settings.host, port=settings.port, log_level="warning")
        self._server = uvicorn.Server(config)
        await self._server.serve()


@pytest.mark.parametrize("kind", ["inprocess", "redis"])
async def test_a_session_whose_time_is_over_ends_for_everybody(tmp_path: Path, kind: str) -> None:
    have_redis_or_skip(kind)
    server = Running(tmp_path, kind)
    with server.running():
        async with phone(server.person) as connected:
            assert (await connected.until("session_ended"))["reason"] == "expired"
            assert await connected.closed() == 4410
        async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_S) as client:
            told = await client.get(f"/api/sessions/{ID}")
            assert (told.status_code, told.json()["is_active"]) == (200, False)
            join = await client.post(f"/api/sessions/{ID}/join", json={"display_name": "Late"})
            assert_problem(join, 410, "SESSION_ENDED")
