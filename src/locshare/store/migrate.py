"""Versioned migrations: ``migrations/0001_….sql`` and on, each once, in order, in a transaction.

A lock that lasts as long as the transaction keeps two programs that start at once from running one
twice, and works behind a pooler too. What ran is recorded with its checksum; a database that was
changed by a newer program, or by other migrations than this program has, or in which the tables are
another program's, is refused with an error that says what to do. A migration is never edited after
its release and never runs backwards.

A role that owns nothing needs no privilege for a database that is up to date.

Runs in the asyncio loop, on one connection.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

from asyncpg import exceptions as pg
from msgspec import Struct

from locshare.model.errors import LocshareError
from locshare.store.statements import TABLES, qualified, quoted

OLDEST_SERVER: Final = 12
"""The oldest that asyncpg's and our statements are known to work with."""
_LOCK: Final = 0x6C6F6373686172  # "locshar", a key that no other program takes
_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_RECORD: Final = """
    CREATE TABLE {table} (
        version    integer PRIMARY KEY,
        name       text NOT NULL,
        checksum   text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""
_COLUMNS: Final = """
    SELECT count(*) FROM pg_attribute
    WHERE attrelid = to_regclass($1) AND NOT attisdropped AND attnum > 0
      AND (attname, atttypid) IN (
          ('version', 'integer'::regtype), ('name', 'text'::regtype), ('checksum', 'text'::regtype)
      )
"""


class MigrationError(LocshareError):
    """The database does not fit this program. The text says what to do."""


class Migration(Struct, frozen=True):
    """One file. ``checksum`` is the SHA-256 of its text."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def bundled() -> tuple[Migration, ...]:
    """The migrations of this program, in order."""
    found = []
    for file in resources.files("locshare.store").joinpath("migrations").iterdir():
        if match := _FILE.fullmatch(file.name):
            sql = file.read_text(encoding="utf-8").replace("\r\n", "\n")
            found.append(Migration(int(match[1]), match[2], sql))
    return tuple(sorted(found, key=lambda migration: migration.version))


def outstanding(
    migrations: Sequence[Migration], recorded: Mapping[int, str]
) -> tuple[Migration, ...]:
    """The migrations to run on a database with those ``recorded`` (version to checksum). Pure.

    Raises MigrationError.
    """
    known = {migration.version: migration for migration in migrations}
    newest = max(recorded, default=0)
    if newest not in known and newest > max(known, default=0):
        raise MigrationError(
            f"the database is at version {newest}, this program knows {max(known, default=0)}:"
            " a newer locshare has used it. Run that version or a newer one, or give this one a"
            " database of its own (LOCSHARE_DATABASE_URL, or another LOCSHARE_DATA_DIR)"
        )
    for version, checksum in sorted(recorded.items()):
        if version not in known or known[version].checksum != checksum:
            name = known[version].name if version in known else "unknown"
            raise MigrationError(
                f"migration {version:04} ({name}) is not the one that the database was made with."
                " Migrations must not be edited: restore the file, add a new migration for the"
                " change, or start with an empty database"
            )
    return tuple(migration for migration in migrations if migration.version not in recorded)


async def migrate(
    connection: Any, migrations: Sequence[Migration] | None = None, schema: str | None = None
) -> tuple[Migration, ...]:
    """Bring the tables up to date over an asyncpg ``connection``: those in ``schema``, which is
    made when missing, or those on the search path. Returns the migrations it ran.

    Raises MigrationError; whatever asyncpg raises when a migration fails, which is rolled back.
    Cancelled, finished migrations stay.
    """
    migrations = bundled() if migrations is None else migrations
    await check_server(connection)
    ran: list[Migration] = []
    while (migration := await _run_next(connection, migrations, schema)) is not None:
        ran.append(migration)
    return tuple(ran)


async def check_server(connection: Any) -> None:
    """Raises MigrationError when the server is too old, or its encoding has no place for names."""
    async with connection.transaction():
        number = int(await connection.fetchval("SELECT current_setting('server_version_num')"))
        encoding = await connection.fetchval("SELECT current_setting('server_encoding')")
    if number < OLDEST_SERVER * 10_000:
        raise MigrationError(
            f"the database server is PostgreSQL {number // 10_000}, and at least"
            f" {OLDEST_SERVER} is needed: upgrade it, or use another one (LOCSHARE_DATABASE_URL)"
        )
    if encoding != "UTF8":
        raise MigrationError(
            f"the database's encoding is {encoding}, which has no place for all names: make one"
            " with UTF8 (createdb --encoding=UTF8 --template=template0 locshare) and name it in"
            " LOCSHARE_DATABASE_URL"
        )


async def _run_next(
    connection: Any, migrations: Sequence[Migration], schema: str | None
) -> Migration | None:
    """Run the first outstanding migration in a transaction; None when there is none."""
    record = qualified(schema, "schema_migrations")
    async with connection.transaction():
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        todo = outstanding(migrations, await applied(connection, schema))
        if not todo:
            return None
        if schema is not None:
            await _enter(connection, schema)
        if await _missing(connection, record):
            await refuse_strangers(connection, schema)
            await connection.execute(_RECORD.format(table=record))
        migration = todo[0]
        try:
            await connection.execute(migration.sql)
        except (pg.DuplicateTableError, pg.DuplicateObjectError) as error:
            raise MigrationError(
                f"migration {migration.version:04} ({migration.name}) finds what it would make:"
                f" {error.args[0]}. {_WAY_OUT}"
            ) from error
        await connection.execute(
            f"INSERT INTO {record} (version, name, checksum) VALUES ($1, $2, $3)",  # noqa: S608 - quoted
            migration.version,
            migration.name,
            migration.checksum,
        )
        return migration


_WAY_OUT: Final = (
    "Give this program a schema of its own (LOCSHARE_DATABASE_SCHEMA=locshare), or a database"
)


async def _enter(connection: Any, schema: str) -> None:
    """Make ``schema`` the place of new tables for the rest of the transaction."""
    if not await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", quoted(schema)):
        await connection.execute(f"CREATE SCHEMA {quoted(schema)}")
    await connection.execute(f"SET LOCAL search_path TO {quoted(schema)}")


async def _missing(connection: Any, table: str) -> bool:
    missing: bool = await connection.fetchval("SELECT to_regclass($1) IS NULL", table)
    return missing


async def applied(connection: Any, schema: str | None) -> dict[int, str]:
    """Version to checksum. Raises MigrationError when the record is another program's."""
    record = qualified(schema, "schema_migrations")
    if await _missing(connection, record):
        return {}
    if await connection.fetchval(_COLUMNS, record) != 3:
        raise MigrationError(
            f"the table {record} in this database is another program's. {_WAY_OUT}"
        )
    rows = await connection.fetch(f"SELECT version, checksum FROM {record}")  # noqa: S608 - quoted
    return {row["version"]: row["checksum"] for row in rows}


async def refuse_strangers(connection: Any, schema: str | None) -> None:
    """Raises MigrationError when tables with our names exist without our record."""
    for table in TABLES:
        name = qualified(schema, table)
        if not await _missing(connection, name):
            raise MigrationError(
                f"the table {name} in this database is another program's. {_WAY_OUT}"
            )
