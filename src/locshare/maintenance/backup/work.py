"""Back up and restore, with the database of the settings, whichever it is."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import trio

from locshare.auth.secret_file import adopt_secret, read_secret
from locshare.config import Settings
from locshare.maintenance.backup.format import BackupError, BackupFile
from locshare.maintenance.backup.new_file import new_file
from locshare.maintenance.backup.transfer import dump, fill
from locshare.store import causes
from locshare.store.bridge import open_bridge
from locshare.store.database import open_database
from locshare.store.embedded import EmbeddedPostgres
from locshare.store.embedded.ownership import keep_owner
from locshare.store.embedded.running import major_of, url_of_running
from locshare.store.port import StoreUnavailable

T = TypeVar("T")

_CONNECT_S: Final = 15.0


async def back_up(settings: Settings, target: Path | IO[bytes], *, with_key: bool) -> str:
    """Write a backup to a new file, or to an open one. Returns what is in it, for people.

    Raises BackupError, EmbeddedError, DatabaseRefused, MigrationError, SecretError. The server may
    run meanwhile: the rows are those of one moment.
    """
    key = await trio.to_thread.run_sync(_key_of, settings) if with_key else None
    async with _database_to_read(settings) as url:
        if isinstance(target, Path):
            with new_file(target) as file:
                rows = await dump_to(url, file, settings, key)
        else:
            rows = await dump_to(url, target, settings, key)
    if isinstance(target, Path):
        await trio.to_thread.run_sync(BackupFile, target)  # as a restore would read it
    return _words(rows)


async def restore(settings: Settings, backup: BackupFile) -> str:
    """Bring a backup into the database of the settings, which has no rows. Returns what was done.

    The embedded server must be stopped. Raises as :func:`back_up`.
    """
    said = [_words(backup.rows)]

    def keep_key() -> None:
        # Before the rows count: killed or failed in between, a second restore would be refused
        # for the rows that are there, and the key would never come.
        if backup.header.key is not None:
            said.append(_keep_key(settings, backup.header.key))

    work = partial(fill, backup=backup, schema=settings.database_schema, before_commit=keep_key)
    async with _database_to_fill(settings) as url:
        await with_connection(url, work)
    return "; ".join(said)


async def dump_to(
    url: str, file: IO[bytes], settings: Settings, key: str | None
) -> Mapping[str, int]:
    """Write a backup of the database at ``url``. Raises as :func:`back_up`."""

    async def work(connection: Any) -> Mapping[str, int]:
        return await dump(connection, file, settings.database_schema, key)

    return await with_connection(url, work)


async def with_connection(url: str, work: Callable[[Any], Awaitable[T]]) -> T:
    """``await work(connection)`` in the asyncio loop, on a connection of its own, without a limit
    of time. Raises what it raises, and DatabaseRefused or BackupError when there is no database.
    """
    done: list[T] = []
    failure: Exception | None = None
    # No exception leaves the bridge: it would put it into a group.
    async with open_bridge() as bridge:
        try:
            async with open_database(bridge, url, connections=1, timeout_s=_CONNECT_S) as database:
                done.append(await database.open(work))
        except StoreUnavailable as error:
            reason = causes.sentence(error.__cause__ or error, database.url)
            failure = BackupError(reason)
        except Exception as error:  # noqa: BLE001 - raised again below, outside the bridge
            failure = error
    if failure is not None:
        raise failure
    return done[0]


@asynccontextmanager
async def _database_to_read(settings: Settings) -> AsyncIterator[str]:
    """That of the settings; the embedded one is started for the block if it does not run."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    running = url_of_running(settings.data_dir)
    if running is not None:
        yield running
        return
    if major_of(settings.data_dir) is None:
        raise BackupError(
            f"there is nothing to back up: no database is in {settings.data_dir}. Say where it is"
            " with --data-dir, or with LOCSHARE_DATABASE_URL"
        )
    async with started(EmbeddedPostgres(settings.data_dir)) as url:
        yield url


@asynccontextmanager
async def _database_to_fill(settings: Settings) -> AsyncIterator[str]:
    if settings.database_url is not None:
        yield settings.database_url
        return
    async with started(EmbeddedPostgres(settings.data_dir)) as url:
        yield url


@asynccontextmanager
async def started(server: EmbeddedPostgres) -> AsyncIterator[str]:
    """``server`` runs for the block. Raises EmbeddedError. The stop is shielded."""
    await trio.to_thread.run_sync(server.start, trio.from_thread.check_cancelled)
    try:
        yield server.url
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(server.stop)


def _key_of(settings: Settings) -> str:
    if settings.jwt_secret is not None:
        raise BackupError(
            "the signing key is that of the settings (LOCSHARE_JWT_SECRET): keep it where you keep"
            " these, and leave --with-key out"
        )
    try:
        return read_secret(settings.secret_file).decode("ascii")
    except FileNotFoundError:
        raise BackupError(
            f"there is no signing key in {settings.secret_file}: leave --with-key out"
        ) from None
    except UnicodeDecodeError:
        raise BackupError(
            f"the key in {settings.secret_file} is no text: copy it by hand"
        ) from None


def _keep_key(settings: Settings, key: str) -> str:
    """Raises SecretError, OSError."""
    path = settings.secret_file
    if settings.jwt_secret is not None:
        return "the settings have a signing key, so that of the backup was left in it"
    if adopt_secret(path, key.encode()):
        keep_owner(path)
        return f"the signing key is in {path}"
    if read_secret(path) == key.encode():
        return f"the signing key is in {path}"
    return f"{path} has a signing key already, which was left: tokens of the backup may be refused"


def _words(rows: Mapping[str, int]) -> str:
    """Rows for people: "3 sessions, 20 participants"."""
    known = {"sessions": 0, "participants": 0} | dict(rows)
    return ", ".join(f"{count} {table}" for table, count in known.items())
