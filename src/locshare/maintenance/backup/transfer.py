"""Rows out of a database and into one, over an asyncpg connection, in the asyncio loop."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import IO, Any, Final

from asyncpg import exceptions as pg

from locshare import __version__
from locshare.maintenance.backup.format import BackupError, BackupFile, Header, Row, Writer
from locshare.store.migrate import Migration, applied, bundled, migrate, outstanding
from locshare.store.statements import KEPT_TABLES, qualified

_BATCH: Final = 500
_EMPTY_ONE: Final = (
    "Restore into an empty one: another database, a schema of its own"
    " (LOCSHARE_DATABASE_SCHEMA), or another LOCSHARE_DATA_DIR"
)


async def dump(
    connection: Any, file: IO[bytes], schema: str | None, key: str | None
) -> Mapping[str, int]:
    """Write all rows of one moment. Returns how many of each table.

    Raises BackupError, MigrationError when the tables are a newer version's.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        known = await applied(connection, schema)
        if not known:
            raise BackupError(
                "there is nothing to back up: the database has no tables of locshare. Check"
                " LOCSHARE_DATABASE_URL, LOCSHARE_DATABASE_SCHEMA and LOCSHARE_DATA_DIR"
            )
        outstanding(bundled(), known)
        writer = Writer(
            file,
            Header(program=__version__, made_at=datetime.now(UTC), migrations=known, key=key),
        )
        for table in KEPT_TABLES:
            name = qualified(schema, table)
            if await connection.fetchval("SELECT to_regclass($1) IS NULL", name):
                continue  # older than this table
            rows = connection.cursor(
                f"SELECT to_jsonb(one)::text FROM {name} AS one ORDER BY 1",  # noqa: S608 - quoted
                prefetch=_BATCH,
            )
            async for row in rows:
                writer.row(table, row[0])
        writer.end()
    return writer.rows


def _nothing() -> None:
    pass


async def fill(
    connection: Any,
    backup: BackupFile,
    schema: str | None,
    before_commit: Callable[[], None] = _nothing,
) -> None:
    """Bring the rows of ``backup`` into a database that has none, then its tables up to date.

    All rows or none: none too when ``before_commit`` raises. The tables are first made as they were
    when the backup was, so that changes of later versions apply to its rows as to any. Raises
    BackupError; MigrationError when the backup is of a newer version.
    """
    recorded = backup.header.migrations
    outstanding(bundled(), recorded)
    async with connection.transaction():
        known = await applied(connection, schema)
    if newer := known.keys() - recorded.keys():
        raise BackupError(
            f"the database is at version {max(newer)}, the backup at"
            f" {max(recorded, default=0)}. {_EMPTY_ONE}"
        )
    await migrate(connection, _up_to(recorded), schema)
    async with connection.transaction():
        for table in KEPT_TABLES:
            name = qualified(schema, table)
            if await connection.fetchval("SELECT to_regclass($1) IS NULL", name):
                continue
            await connection.execute(f"LOCK TABLE {name} IN EXCLUSIVE MODE")
            if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {name})"):  # noqa: S608 - quoted
                raise BackupError(f"the database has rows in {table} already. {_EMPTY_ONE}")
        for table, rows in groupby(backup.read(), lambda row: row.table):
            if table not in KEPT_TABLES:
                raise BackupError(f"the backup has rows of a table {table!r}, which is not known")
            while batch := list(islice(rows, _BATCH)):
                await _insert(connection, qualified(schema, table), batch)
        for table, count in backup.rows.items():
            name = qualified(schema, table)
            found = await connection.fetchval(f"SELECT count(*) FROM {name}")  # noqa: S608 - quoted
            if found != count:
                raise BackupError(f"{found} rows of {table} were restored, not {count}")
        before_commit()
    await migrate(connection, schema=schema)


async def _insert(connection: Any, name: str, rows: Sequence[Row]) -> None:
    text = b"[" + b",".join(bytes(row.columns) for row in rows) + b"]"
    try:
        await connection.execute(
            f"INSERT INTO {name} SELECT * FROM jsonb_populate_recordset(NULL::{name}, $1::jsonb)",  # noqa: S608 - quoted
            text.decode(),
        )
    except (pg.DataError, pg.IntegrityConstraintViolationError) as error:
        raise BackupError(
            f"a row of {name} does not fit into its table ({type(error).__name__}): the backup was"
            " changed by hand. Take another one"
        ) from None


def _up_to(recorded: Mapping[int, str]) -> tuple[Migration, ...]:
    return tuple(each for each in bundled() if each.version in recorded)
