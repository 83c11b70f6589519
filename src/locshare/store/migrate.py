"""Versioned migrations: ``migrations/0001_….sql`` and on, each once, in order, in a transaction.

An advisory lock keeps two programs that start at once from running them twice. What ran is recorded
with its checksum; a database that was changed by a newer program, or by other migrations than this
program has, is refused with an error that says what to do. A migration is never edited after its
release and never runs backwards.

Runs in the asyncio loop, on one connection.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

from msgspec import Struct

from locshare.errors import LocshareError

_LOCK: Final = 0x6C6F6373686172  # "locshar", a key nobody else takes
_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_RECORD = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer PRIMARY KEY,
        name       text NOT NULL,
        checksum   text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""


class MigrationError(LocshareError):
    """The database and this program do not fit together. The text says what to do."""


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
    migrations: Sequence[Migration], applied: Mapping[int, str]
) -> tuple[Migration, ...]:
    """What is to be run on a database where ``applied`` (version to checksum) ran. Pure.

    Raises MigrationError.
    """
    known = {migration.version: migration for migration in migrations}
    newest = max(applied, default=0)
    if newest not in known and newest > max(known, default=0):
        raise MigrationError(
            f"the database is at version {newest}, this program knows {max(known, default=0)}:"
            " a newer locshare has used it. Run that version or a newer one, or give this one a"
            " database of its own (LOCSHARE_DATABASE_URL, or another LOCSHARE_DATA_DIR)"
        )
    for version, checksum in sorted(applied.items()):
        if version not in known or known[version].checksum != checksum:
            name = known[version].name if version in known else "unknown"
            raise MigrationError(
                f"migration {version:04} ({name}) is not the one that the database was made with."
                " Migrations must not be edited: restore the file, add a new migration for the"
                " change, or start with an empty database"
            )
    return tuple(migration for migration in migrations if migration.version not in applied)


async def migrate(
    connection: Any, migrations: Sequence[Migration] | None = None
) -> tuple[Migration, ...]:
    """Bring the database behind an asyncpg ``connection`` up to date. Returns what was run.

    Raises MigrationError; whatever asyncpg raises when a migration fails, with nothing of that one
    kept. Cancelled, it keeps the migrations that were finished.
    """
    migrations = bundled() if migrations is None else migrations
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute("SET client_min_messages = warning")
        await connection.execute(_RECORD)
        rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
        todo = outstanding(migrations, {row["version"]: row["checksum"] for row in rows})
        for migration in todo:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.checksum,
                )
        return todo
    finally:
        # A connection that is lost has given the lock back by itself.
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
