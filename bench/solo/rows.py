"""What people cost the database: rows and bytes of those who are there, and what a join writes.

    python -m bench.solo.rows
    python -m bench.solo.rows --sessions 20 --size 10

Creates sessions whose people join over REST, then ends them. Sizes are those of the tables with
their indexes, in whole pages of 8 KiB, so more people make them exact. WAL is what PostgreSQL wrote
ahead of the joins and creations, full page images included; reports of positions write nothing.
"""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from typing import Final

import asyncpg
from msgspec import Struct, to_builtins

from bench.errors import NotServing
from bench.guardian import stand_guard
from bench.procfs import circumstances
from bench.servers import Server, data_directory, people
from locshare.store.embedded import EmbeddedPostgres

TABLES: Final = ("sessions", "participants")
_SIZE: Final = "SELECT pg_total_relation_size($1::regclass)"


class Rows(Struct, frozen=True):
    """``wal_bytes`` is per session with all its people."""

    sessions: int
    people: int
    rows: int
    row_bytes: float
    """Tables and indexes, per row, beyond the empty ones."""
    wal_bytes: float
    left: int
    """Active sessions after they were ended."""


def measure(sessions: int, size: int) -> Rows:
    """Raises NotServing. The database's log, that of a slow stop too, goes to standard error."""
    with data_directory() as folder, contextlib.redirect_stdout(sys.stderr):
        database = EmbeddedPostgres(folder)
        database.start()
        try:
            server = Server(folder / "server", {"LOCSHARE_DATABASE_URL": database.url})
            server.folder.mkdir()
            server.start()
            try:
                before = asyncio.run(_sizes(database.url))
                with server.rest() as rest:
                    rooms = rest.fill([people(size)] * sessions)
                    after = asyncio.run(_sizes(database.url))
                    rest.each(rest.end, [room.session for room in rooms])
                left = asyncio.run(_active(database.url))
            finally:
                server.stop()
        finally:
            database.stop()
    rows = after.rows - before.rows
    if rows != sessions * (1 + size):
        raise NotServing(f"{rows} rows for {sessions} sessions of {size}: people could not join")
    return Rows(
        sessions=sessions,
        people=sessions * size,
        rows=rows,
        row_bytes=round((after.bytes - before.bytes) / rows, 1),
        wal_bytes=round((after.wal - before.wal) / sessions, 1),
        left=left,
    )


class _Sizes(Struct, frozen=True):
    rows: int
    bytes: int
    wal: int


async def _sizes(url: str) -> _Sizes:
    connection = await asyncpg.connect(url)
    try:
        counts = [await connection.fetchval(f"SELECT count(*) FROM {each}") for each in TABLES]  # noqa: S608 - ours
        sizes = [await connection.fetchval(_SIZE, each) for each in TABLES]
        wal = await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
    finally:
        await connection.close()
    return _Sizes(sum(counts), sum(sizes), int(wal))


async def _active(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        active: int = await connection.fetchval("SELECT count(*) FROM sessions WHERE is_active")
    finally:
        await connection.close()
    return active


def report(found: Rows) -> str:
    return "\n".join(
        [
            circumstances(),
            "",
            f"{found.sessions:,} sessions with {found.people:,} people: {found.rows:,} rows",
            f"{found.row_bytes:,.0f} bytes per row, indexes included",
            f"{found.wal_bytes:,.0f} bytes of WAL per session, its people's joins included",
            f"{found.left:,} active sessions after they were ended",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.rows", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--sessions", type=int, default=100, choices=range(1, 2001), metavar="N")
    parser.add_argument("--size", type=int, default=50, choices=range(1, 51), metavar="N")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the text")
    options = parser.parse_args(arguments)
    stand_guard()
    try:
        found = measure(options.sessions, options.size)
    except NotServing as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(to_builtins(found)) if options.json else report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
