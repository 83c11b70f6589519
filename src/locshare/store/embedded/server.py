"""The embedded server as a whole: :class:`EmbeddedPostgres` blocks and knows no event loop;
:func:`embedded_postgres` runs it in a worker thread.
"""

import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final

import structlog
import trio

from locshare.store.embedded.binaries import Release, installed
from locshare.store.embedded.cluster import (
    check_not_upgrading,
    check_version,
    create_cluster,
    end_leftover,
    remove_abandoned,
    take_lock,
)
from locshare.store.embedded.complaints import EmbeddedDied, EmbeddedError, ServerLog
from locshare.store.embedded.ownership import (
    Account,
    account_for,
    check_not_of_service,
    keep_owner,
    let_through,
)
from locshare.store.embedded.postmaster import Postmaster
from locshare.store.embedded.running import url_of
from locshare.store.embedded.socket_directory import (
    make_socket_directory,
    remove_socket_directory,
)

log = structlog.get_logger()

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # No helper processes that a small database has no use for.
    "max_logical_replication_workers": "0",
    "max_parallel_workers": "0",
    "io_method": "sync",
    "huge_pages": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # An error is logged by its first line. What follows quotes rows: names of people, whole ids.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


def _shared_memory(account: Account | None, shm: Path = Path("/dev/shm")) -> str:  # noqa: S108
    """``posix``, or files in the cluster where ``account`` may not write to /dev/shm, which
    shm_open(3) uses: in a bare chroot.
    """
    if sys.platform != "linux":
        return "posix"
    try:
        everyone = bool(shm.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return "mmap"
    return "posix" if everyone or (account is None and os.access(shm, os.W_OK)) else "mmap"


def _never_give_up() -> None:
    pass


class EmbeddedPostgres:
    """One cluster under ``data_dir`` (made when missing), by the binaries of ``release``; None: the
    installed ones. Every method but ``wait_died`` blocks,
    and belongs to one thread at a time.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: Mapping[str, str] | None = None,
        release: Release | None = None,
    ) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.cluster = self.data_dir / "postgres"
        self.log = ServerLog(self.data_dir / "postgres.log")
        self._release = release
        self._settings = {**SETTINGS, **(settings or {})}
        if release is not None:
            for name in release.unknown_settings:
                self._settings.pop(name, None)
        self._lock: IO[str] | None = None
        self._postmaster: Postmaster | None = None
        self._socket_dir: Path | None = None

    @property
    def url(self) -> str:
        """For asyncpg and psql, while it runs."""
        if self._socket_dir is None:
            raise EmbeddedError("the embedded PostgreSQL is not running")
        return url_of(self._socket_dir)

    @property
    def pid(self) -> int | None:
        """Of the postmaster, or None."""
        return self._postmaster.pid if self._postmaster else None

    def start(self, check: Callable[[], None] = _never_give_up) -> None:
        """Return when it accepts connections. Raises EmbeddedError; nothing is left then.

        ``check`` is called often, and may raise to give up.
        """
        release = self._release or installed()
        bin_dir = release.bin_dir
        try:
            check_not_of_service(self.cluster)
            self._lock = take_lock(self.data_dir)
            account = account_for(self.cluster)
            if account is not None:
                let_through(account, bin_dir / "postgres", self.cluster)
                self.log.path.touch()
                keep_owner(self.log.path)
            end_leftover(self.cluster, check)
            remove_abandoned(self.data_dir)
            if not self.cluster.exists():
                check_not_upgrading(self.data_dir)
                sync = self._settings["fsync"] != "off"
                create_cluster(self.cluster, bin_dir, account, self.log, check, sync=sync)
            check_version(self.cluster, release.major)
            self._socket_dir = make_socket_directory(self.data_dir, account)
            settings = {
                "dynamic_shared_memory_type": _shared_memory(account),
                **self._settings,
                "unix_socket_directories": str(self._socket_dir),
            }
            self._postmaster = Postmaster(self.cluster, bin_dir, account, settings, self.log)
            self._postmaster.wait_ready(check)
        except OSError as error:
            self.stop()
            file = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
            raise EmbeddedError(
                f"cannot run the embedded PostgreSQL in {self.data_dir}: {file}"
                f"{error.strerror or error}. Choose another place with --data-dir, or set"
                " LOCSHARE_DATABASE_URL"
            ) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it, whatever state it is in. Idempotent; takes 0.8 s at most, usually 15 ms."""
        postmaster, self._postmaster = self._postmaster, None
        if postmaster is not None:
            postmaster.stop()
        self._socket_dir = None
        if self._lock is not None:  # otherwise the directory is another process's
            remove_socket_directory(self.data_dir)
            self._lock.close()
            self._lock = None

    async def wait_died(self) -> None:
        """Return when every process of the server is gone."""
        if self._postmaster is not None:
            await self._postmaster.wait_died()


@asynccontextmanager
async def embedded_postgres(
    data_dir: Path, settings: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """Run a server around a block, which gets its URL.

    The loop is never blocked. Raises EmbeddedError; EmbeddedDied when the server ends unasked (in a
    group with what the block raised when it was cancelled for that). Cancelled while it starts, it
    gives up at once; the stop at the end is shielded and takes 0.8 s at most.
    """
    server = EmbeddedPostgres(data_dir, settings)
    began = trio.current_time()
    await trio.to_thread.run_sync(server.start, trio.from_thread.check_cancelled)
    log.info("embedded_postgres_started", pid=server.pid, seconds=trio.current_time() - began)

    async def watch() -> None:
        await server.wait_died()
        raise EmbeddedDied(f"the embedded PostgreSQL ended by itself, see {server.log.path}")

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            yield server.url
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(server.stop)
