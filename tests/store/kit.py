"""Records to store, a running store, and waiting for a condition."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
import trio
from msgspec import structs

from locshare.store.limits import StoreLimits
from locshare.store.port import ParticipantRecord, SessionRecord, StoreUnavailable
from locshare.store.postgres import PostgresStore
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S
QUICK = StoreLimits(touch_every_s=0.05, retry_min_s=0.01, retry_max_s=0.05, reopen_max_s=0.05)
START = datetime.now(UTC)


def a_session(**fields: Any) -> SessionRecord:
    """Live, and for six hours to come."""
    session = SessionRecord(
        uuid4(), "Ridge walk", START, START + timedelta(hours=6), uuid4(), True, START
    )
    return structs.replace(session, **fields)


def a_participant(session_id: UUID, **fields: Any) -> ParticipantRecord:
    """Someone who has just joined."""
    participant = ParticipantRecord(
        uuid4(), session_id, str(uuid4()), "Ana", "#336699", START, START, True
    )
    return structs.replace(participant, **fields)


async def created(store: PostgresStore, **fields: Any) -> SessionRecord:
    """A new session that ``store`` has."""
    session = a_session(**fields)
    await store.create_session(session)
    return session


async def joined(store: PostgresStore, session_id: UUID, **fields: Any) -> ParticipantRecord:
    """A new participant that ``store`` has."""
    participant = a_participant(session_id, **fields)
    await store.add_participant(participant)
    return participant


async def unavailable(call: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(StoreUnavailable):
        await call()


async def is_ready(store: PostgresStore) -> bool:
    try:
        await store.check()
    except StoreUnavailable:
        return False
    return True


def database_of(url: str) -> str:
    """The database's name."""
    return urlsplit(url).path.lstrip("/")


@asynccontextmanager
async def running_store(
    database: str | Callable[[], AbstractAsyncContextManager[str]], limits: StoreLimits = QUICK
) -> AsyncIterator[PostgresStore]:
    """A store whose ``run`` has started; stopped in order at the end."""
    store = PostgresStore(database, limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        yield store
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Return when ``condition()`` holds; fail after DEADLINE_S."""
    with trio.fail_after(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the database sends no events
            await trio.sleep(0.002)
