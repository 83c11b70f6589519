"""The embedded database over a major version of PostgreSQL.

PostgreSQL does not read the files of another major version. So the old server is started once more,
with its own binaries; its rows are backed up into a file, which is checked; a new cluster is made
beside the old one and filled from the file; then the two change places. The old cluster and the
file are kept until the operator removes them.

A process that is killed leaves something from which it goes on: before the new cluster is whole, it
is thrown away and made again; from then on it has the name :data:`UPGRADED`, and what is left to do
are two renames. A server that starts between those two refuses
(:func:`locshare.store.embedded.cluster.check_not_upgrading`).
"""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import trio

from locshare.config import Settings
from locshare.maintenance.backup.format import BackupError, BackupFile
from locshare.maintenance.backup.new_file import new_file
from locshare.maintenance.backup.transfer import fill
from locshare.maintenance.backup.work import dump_to, started, with_connection
from locshare.store.embedded import MAJOR, EmbeddedPostgres
from locshare.store.embedded.binaries import Release, installed, older
from locshare.store.embedded.cluster import UPGRADED, take_lock
from locshare.store.embedded.ownership import keep_owner
from locshare.store.embedded.running import major_of

Say = Callable[[str], None]

_SCRATCH: Final = "upgrade"
"""The data directory in which the new cluster is made."""


async def upgrade(settings: Settings, say: Say, old_binaries: Path | None = None) -> None:
    """Take the cluster under ``data_dir`` to the installed version. ``say`` gets what is done.

    Raises BackupError, EmbeddedError. Cancelled or killed: nothing is lost, and it can be run
    again.
    """
    if settings.database_url is not None:
        raise BackupError(
            "LOCSHARE_DATABASE_URL is set: that server is upgraded by whoever runs it, and locshare"
            " needs nothing more"
        )
    data_dir = settings.data_dir.resolve()
    cluster = data_dir / "postgres"
    if not cluster.exists() and (data_dir / UPGRADED).exists():
        await trio.to_thread.run_sync(_finish, data_dir)
        say("an upgrade that was interrupted is done")
        return
    major = await trio.to_thread.run_sync(major_of, data_dir)
    if major is None:
        raise BackupError(f"no database is in {data_dir}: say where it is with --data-dir")
    if major == str(MAJOR):
        say(f"the database in {data_dir} is of PostgreSQL {MAJOR}: there is nothing to do")
        return
    installed()  # before anything is done
    release = await trio.to_thread.run_sync(_release, data_dir, major, old_binaries)
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    file = data_dir / f"before-upgrade-from-{major}-{moment}.backup"
    async with started(EmbeddedPostgres(data_dir, None, release)) as url:
        say(f"PostgreSQL {major} runs once more ({release.bin_dir})")
        with new_file(file) as target:
            await dump_to(url, target, settings, None)
        backup = await trio.to_thread.run_sync(BackupFile, file)
        say(f"its rows are in {file}: {backup.rows}")
        await _make_new(data_dir, backup, settings.database_schema)
    aside = data_dir / f"postgres-{major}-{moment}"
    await trio.to_thread.run_sync(_change_places, data_dir, aside)
    say(f"the database is of PostgreSQL {MAJOR} now. When all is well, remove {aside} and {file}")


def _release(data_dir: Path, major: str, given: Path | None) -> Release:
    """Raises BackupError."""
    number = int(major) if major.isdecimal() else 0
    if number > MAJOR:
        raise BackupError(
            f"the database in {data_dir} is of PostgreSQL {major}, which is newer than the"
            f" installed {MAJOR}: install the version of locshare that made it, or a newer one"
        )
    found = older(number, given)
    if found is None:
        where = f"{given} has none" if given else "none was found on this machine"
        raise BackupError(
            f"the binaries of PostgreSQL {major} are needed once more, and {where}. Install them"
            f" (Debian: apt install postgresql-{major}) and name their directory with"
            " --old-binaries; or move the directory postgres away and run locshare restore with a"
            " backup that was made before"
        )
    return found


async def _make_new(data_dir: Path, backup: BackupFile, schema: str | None) -> None:
    """A whole new cluster, named :data:`UPGRADED`."""
    scratch, made = data_dir / _SCRATCH, data_dir / UPGRADED
    for leftover in (scratch, made):
        await trio.to_thread.run_sync(partial(shutil.rmtree, leftover, ignore_errors=True))
    scratch.mkdir(mode=0o700)
    keep_owner(scratch)
    async with started(EmbeddedPostgres(scratch)) as url:
        await with_connection(url, partial(fill, backup=backup, schema=schema))
    (scratch / "postgres").rename(made)
    await trio.to_thread.run_sync(partial(shutil.rmtree, scratch, ignore_errors=True))


def _change_places(data_dir: Path, aside: Path) -> None:
    lock = take_lock(data_dir)
    try:
        (data_dir / "postgres").rename(aside)
        (data_dir / UPGRADED).rename(data_dir / "postgres")
    finally:
        lock.close()


def _finish(data_dir: Path) -> None:
    lock = take_lock(data_dir)
    try:
        (data_dir / UPGRADED).rename(data_dir / "postgres")
    finally:
        lock.close()
