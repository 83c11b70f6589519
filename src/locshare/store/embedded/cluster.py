"""The cluster (PostgreSQL's word for a directory of databases): its lock, its making, its version.

Everything here blocks. ``check`` is called often while something is waited for, and may raise to
give up.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

import structlog

from locshare.store.embedded.binaries import MAJOR
from locshare.store.embedded.complaints import EmbeddedError, ServerLog
from locshare.store.embedded.ownership import (
    Account,
    check_has_name,
    give,
    keep_owner,
    popen_options,
)
from locshare.store.embedded.running import major_of
from locshare.store.embedded.template import template_of, unpack_template

log = structlog.get_logger()

INIT_S: Final = 60.0
LEFTOVER_STOP_S: Final = 10.0
"""For the shutdown of a server that an earlier process left behind."""
POLL_S: Final = 0.005
_FRESH: Final = "postgres.new-"
UPGRADED: Final = "postgres.upgraded"
"""A whole cluster that an upgrade has made, before it takes the old one's place."""


def take_lock(data_dir: Path) -> IO[str]:
    """Lock ``data_dir``, made when missing, until the returned file is closed. Raises EmbeddedError
    that names the process which holds it.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / "postgres.lock"
    lock = path.open("a+", encoding="utf-8")
    keep_owner(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise EmbeddedError(
            f"another locshare (process {holder}) uses the data directory {data_dir}."
            " Stop it, or give this one a directory of its own (LOCSHARE_DATA_DIR)"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def end_leftover(cluster: Path, check: Callable[[], None]) -> None:
    """Stop the server that runs on ``cluster``, if any. Call with the lock held: a server without a
    lock has lost the process that started it. Raises EmbeddedError when it cannot be stopped.
    """
    pid_file = cluster / "postmaster.pid"
    pid = _pid_in(pid_file)
    if pid is None and pid_file.exists():
        # Half written when the power went. PostgreSQL would refuse until somebody removes it.
        pid = next((each for each in _processes() if _is_postmaster(each, cluster)), None)
    if pid is None or not _is_postmaster(pid, cluster):
        # PostgreSQL itself refuses to start when another process has that number now.
        pid_file.unlink(missing_ok=True)
        return
    log.info("embedded_postgres_leftover", pid=pid)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + LEFTOVER_STOP_S
        while time.monotonic() < deadline:
            if _pid_in(pid_file) not in (pid, None) or not _is_postmaster(pid, cluster):
                if _pid_in(pid_file) is None:
                    pid_file.unlink(missing_ok=True)
                return
            check()
            time.sleep(POLL_S)
    raise EmbeddedError(f"the PostgreSQL server {pid} in {cluster} cannot be stopped")


def remove_abandoned(data_dir: Path) -> None:
    """Remove what starts that were killed left of the clusters that they made. Call with the lock
    held, at each start: the initdb of a process that was killed goes on, and writes again into what
    the next start has removed.
    """
    for abandoned in data_dir.glob(f"{_FRESH}*"):
        shutil.rmtree(abandoned, ignore_errors=True)


def create_cluster(
    cluster: Path,
    bin_dir: Path,
    account: Account | None,
    output: ServerLog,
    check: Callable[[], None],
    *,
    sync: bool = True,
) -> None:
    """Fill a directory beside ``cluster``, from the template or by initdb, and rename it when
    complete: there is never half a cluster. Raises EmbeddedError, which quotes initdb's first
    error; OSError.
    """
    data_dir = cluster.parent
    template = template_of(bin_dir)
    if template is None:
        check_has_name(account)
    fresh = Path(tempfile.mkdtemp(prefix=_FRESH, dir=data_dir))
    give(fresh, account)
    if template is None:
        _run_initdb(fresh, bin_dir, account, output, check, sync=sync)
    else:
        unpack_template(template, fresh, account, check)
    fresh.rename(cluster)


def _run_initdb(
    fresh: Path,
    bin_dir: Path,
    account: Account | None,
    output: ServerLog,
    check: Callable[[], None],
    *,
    sync: bool,
) -> None:
    with output.open() as file:
        process = subprocess.Popen(  # noqa: S603 - our own binary, no shell
            [
                bin_dir / "initdb",
                f"--pgdata={fresh}",
                "--username=postgres",
                "--auth=trust",  # for those that can enter the socket's directory: us
                "--encoding=UTF8",
                "--no-locale",
                "--no-instructions",
                *([] if sync else ["--no-sync"]),
            ],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,  # a process group that can be killed as a whole
            **popen_options(account),
        )
    try:
        deadline = time.monotonic() + INIT_S
        while process.poll() is None and time.monotonic() < deadline:
            check()
            time.sleep(POLL_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shutil.rmtree(fresh, ignore_errors=True)
    if process.returncode != 0:
        raise EmbeddedError(f"initdb failed in {fresh.parent}: {output.why_initdb_failed()}")


def check_version(cluster: Path, major: int = MAJOR) -> None:
    """Raises EmbeddedError when another major version than ``major`` made ``cluster``, or none."""
    version = major_of(cluster.parent)
    if version is None:
        raise EmbeddedError(
            f"{cluster} is no database of PostgreSQL: it has no PG_VERSION that can be read. Move"
            " it away to start anew, or choose another place with --data-dir"
        )
    if version != str(major):
        raise EmbeddedError(
            f"{cluster} was made by PostgreSQL {version}, but {major} is installed."
            " Take it over with locshare db upgrade, or move it away to start anew"
        )


def check_not_upgrading(data_dir: Path) -> None:
    """Call where there is no cluster. Raises EmbeddedError when an upgrade has moved the old one
    away and was ended before it put the new one there.
    """
    if (data_dir / UPGRADED).exists():
        raise EmbeddedError(
            f"an upgrade of the database in {data_dir} was interrupted: run locshare db upgrade,"
            " which ends it"
        )


def _pid_in(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _processes() -> list[int]:
    """All of the machine, where /proc lists them."""
    return [int(each.name) for each in Path("/proc").glob("[0-9]*") if each.name.isdecimal()]


def _is_postmaster(pid: int, cluster: Path) -> bool:
    """Whether ``pid`` lives (a zombie does not) and is a PostgreSQL server on ``cluster``."""
    if Path("/proc/self/cmdline").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if Path(os.fsdecode(command[0])).name != "postgres":
                return False
            # The cluster is its working directory, even if it was moved since.
            return os.fsencode(cluster) in command or cluster.samefile(f"/proc/{pid}/cwd")
        except (FileNotFoundError, ProcessLookupError):
            return False
        except PermissionError:  # another user's, so on no cluster of ours
            return False
    listed = subprocess.run(  # noqa: S603 - a number is its only argument
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "postgres" in listed.stdout and str(cluster) in listed.stdout
