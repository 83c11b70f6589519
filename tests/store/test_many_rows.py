"""However much strangers leave behind, what is read and deleted at a time stays small. Rows are
counted, as PostgreSQL counts them; no clock is looked at.
"""

import json
import re
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs

from locshare.store.postgres import PostgresStore
from locshare.store.statements import Statements
from tests.postgres import Server
from tests.store.kit import (
    QUICK,
    START,
    a_session,
    created,
    database_of,
    joined,
    running_store,
)

pytestmark = pytest.mark.store
MANY = 100_000
ROOMY = structs.replace(QUICK, statement_s=60, wait_s=60)


def fill(server: Server, url: str, session_id: UUID, rows: int, *, active: bool) -> None:
    """As a program that left rows behind would have."""
    server.execute(
        f"""
        INSERT INTO participants (id, session_id, user_id, display_name, is_active)
        SELECT gen_random_uuid(), '{session_id}', 'gone-' || n, 'Gone', {active}
        FROM generate_series(1, {rows}) AS n;
        ANALYZE participants
        """,  # noqa: S608 - a number and a UUID
        database_of(url),
    )


async def rows_touched(store: PostgresStore, statement: str, *arguments: Any) -> int:
    """By all scans of the statement: those that are used, and those that are passed over."""

    def count(node: dict[str, Any]) -> int:
        own = node["Actual Rows"] + sum(
            value for key, value in node.items() if key.startswith("Rows Removed")
        )
        below = sum(count(each) for each in node.get("Plans", ()))
        return int(own * node["Actual Loops"]) + below

    async def explain(connection: Any) -> str:
        text: str = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments
        )
        return text

    assert store._database is not None
    return count(json.loads(await store._database.run(explain))[0]["Plan"])


async def test_a_session_with_100_000_left_rows_is_loaded_by_reading_those_of_its_people(
    postgres_server: Server, postgres_url: str
) -> None:
    async with running_store(postgres_url, ROOMY) as store:
        session = await created(store)
        people = [await joined(store, session.id) for _ in range(3)]
        fill(postgres_server, postgres_url, session.id, MANY, active=False)
        stored = await store.load_session(session.id)
        assert stored is not None
        assert {each.id for each in stored.participants} == {each.id for each in people}
        read = await rows_touched(store, store._sql._load_participants, session.id)
        assert read <= 4 * len(people)
        leave = await rows_touched(store, store._sql._leave, [session.id], [people[0].user_id])
        assert leave <= 10


async def test_joining_and_leaving_ten_thousand_times_leaves_no_row(
    postgres_server: Server, postgres_url: str
) -> None:
    async with running_store(postgres_url, ROOMY) as store:
        session = await created(store)
        count = "SELECT count(*) FROM participants"
        for _ in range(5):
            people = [await joined(store, session.id) for _ in range(50)]
            store.note_leaves(session.id, [each.user_id for each in people])
            await store.deactivate_participant(session.id, people[0].user_id)
        assert postgres_server.execute(count, database_of(postgres_url)) == "0"


async def test_a_purge_of_100_000_rows_goes_in_portions_and_others_write_in_between(
    postgres_server: Server, postgres_url: str
) -> None:
    limits = structs.replace(ROOMY, batch=20_000)
    async with running_store(postgres_url, limits) as store:
        old = [a_session(expires_at=START.replace(year=START.year + 1)) for _ in range(3)]
        for each in old:
            await store.create_session(each)
            await store.end_session(each.id)
        fill(postgres_server, postgres_url, old[0].id, MANY, active=True)
        portions: list[int] = []
        real = store._sql.purge_participants

        async def purge(connection: Any, *arguments: Any) -> int:
            portions.append(await real(connection, *arguments))
            return portions[-1]

        store._sql.purge_participants = purge  # type: ignore[method-assign,assignment]
        assert await store.purge(START.replace(year=START.year + 2)) == 3
        assert portions == [20_000] * 5 + [0]
        assert await store.load_session(old[0].id) is None


async def test_a_sweep_goes_in_portions_and_ends_all(postgres_url: str) -> None:
    async with running_store(postgres_url, structs.replace(QUICK, batch=3)) as store:
        sessions = [a_session() for _ in range(10)]
        for each in sessions:
            await store.create_session(each)
        ended = await store.sweep(START.replace(year=START.year + 1), START, ())
        assert ended == {each.id: "expired" for each in sessions}


def test_with_a_schema_every_table_of_every_statement_is_named_with_it() -> None:
    """A pooler in transaction mode keeps no search path."""
    texts = [text for text in vars(Statements("mine")).values() if isinstance(text, str)]
    assert len(texts) > 12
    for text in texts:
        bare = re.findall(
            r"(?:FROM|INTO|UPDATE|JOIN|TRUNCATE)\s+(sessions|participants|readiness)\b", text
        )
        assert not bare, text
        assert '"mine".' in text
