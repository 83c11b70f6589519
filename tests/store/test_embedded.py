"""The embedded PostgreSQL: quick, alone on its data, on no network, and gone when it should be."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from msgspec import structs

from bench.guardian import entrust
from locshare.store.embedded import (
    MAJOR,
    EmbeddedError,
    EmbeddedPostgres,
    cluster,
    embedded_postgres,
)
from locshare.store.embedded.binaries import binaries
from locshare.store.embedded.complaints import first_complaint, last_complaint
from locshare.store.port import StoreUnavailable
from locshare.store.postgres import PostgresStore
from tests.postgres import running_server
from tests.program import data_directory
from tests.running import LAST_RESORT_S
from tests.skipping import KERNEL
from tests.store.kit import QUICK, START, a_session, created, is_ready, running_store, until

pytestmark = pytest.mark.store


@pytest.fixture(scope="module")
def made_cluster() -> Iterator[Path]:
    """A data directory with a cluster in it, made once."""
    with data_directory() as folder:
        server = EmbeddedPostgres(folder)
        server.start()
        server.stop()
        yield folder


@pytest.fixture
def data_dir(made_cluster: Path) -> Iterator[Path]:
    """The same directory; whatever runs in it is stopped before the next test."""
    yield made_cluster
    server = EmbeddedPostgres(made_cluster)
    server.start()
    server.stop()


def processes_of(folder: Path) -> list[str]:
    """Command lines of everything that runs on the cluster in ``folder``: server and watcher."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                directory = str((entry / "cwd").readlink())
            except OSError:
                continue
            if os.fsencode(folder) in command or directory.startswith(str(folder)):
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


linux = pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks into /proc")


@linux
async def test_it_listens_on_a_private_socket_only_and_leaves_no_process(data_dir: Path) -> None:
    async with embedded_postgres(data_dir) as url:
        place = Path(url.partition("?host=")[2])
        assert mode_of(place) == 0o700
        assert (place / ".s.PGSQL.5432").is_socket()
        assert "listen_addresses= " in " ".join(processes_of(data_dir))
        inodes = tcp_listeners()
        assert not inodes & sockets_of(data_dir)
    assert processes_of(data_dir) == []
    assert names_in(data_dir) == {"postgres", "postgres.lock", "postgres.log"}
    assert not (data_dir / "postgres" / "postmaster.pid").exists()


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def tcp_listeners() -> set[str]:
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {fields[9] for fields in lines if fields[3] == "0A"}


def sockets_of(folder: Path) -> set[str]:
    pid = (folder / "postgres" / "postmaster.pid").read_text().split()[0]
    links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
    return {link[8:-1] for link in links if link.startswith("socket:[")}


async def test_its_log_names_what_failed_and_quotes_no_row(data_dir: Path) -> None:
    """PostgreSQL adds the row that it refuses, and the statement."""
    begun = (data_dir / "postgres.log").stat().st_size
    insert = (
        "CREATE TEMP TABLE people (name text, seat int CONSTRAINT is_a_seat CHECK (seat > 0));"
        "INSERT INTO people VALUES ('Ada Lovelace', 0)"
    )
    async with embedded_postgres(data_dir) as url:
        psql = [str(binaries() / "psql"), "-X", "-q", "-d", url, "-c", insert]
        done = await trio.run_process(psql, capture_stderr=True, check=False)
    assert b"Ada Lovelace" in done.stderr, "the client hears all of it"
    logged = (data_dir / "postgres.log").read_bytes()[begun:]
    assert b"is_a_seat" in logged
    assert b"Ada" not in logged


async def test_a_second_start_makes_no_new_cluster_and_the_data_is_there(data_dir: Path) -> None:
    session = a_session()
    async with running_store(partial(embedded_postgres, data_dir)) as store:
        await store.create_session(session)
    made = (data_dir / "postgres" / "PG_VERSION").stat()
    async with running_store(partial(embedded_postgres, data_dir)) as store:
        assert await store.load_session(session.id) is not None
    assert (data_dir / "postgres" / "PG_VERSION").stat().st_ino == made.st_ino, "made once"


async def test_it_does_not_hold_up_the_loop_while_it_starts() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await trio.sleep(0.001)
            ticks += 1

    with data_directory() as folder:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            async with embedded_postgres(folder):
                nursery.cancel_scope.cancel()
    assert ticks > 20, "a start takes hundreds of milliseconds"


async def test_cancelled_while_it_starts_it_gives_up_and_the_next_start_works() -> None:
    with data_directory() as folder:
        with trio.move_on_after(0.1) as scope:
            async with embedded_postgres(folder):
                pass
        assert scope.cancelled_caught
        assert not (folder / "postgres").exists(), "there is never half a cluster"
        async with embedded_postgres(folder):
            pass


_VICTIM = """
import os, sys, time
from pathlib import Path
from locshare.store.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
if "unwatched" in sys.argv:
    server._postmaster._watcher.kill()
    server._postmaster._watcher.wait()
print(server.pid, flush=True)
time.sleep(60)
"""


def killed_user(data_dir: Path, *arguments: str) -> int:
    """SIGKILL a process that ran the embedded server. Returns the postmaster's pid."""
    with entrust(
        subprocess.Popen(
            [sys.executable, "-c", _VICTIM, str(data_dir), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
    ) as victim:
        assert victim.stdout is not None
        pid = int(victim.stdout.readline())
        victim.kill()
    return pid


@linux
async def test_the_database_ends_with_its_program_even_after_sigkill(data_dir: Path) -> None:
    killed_user(data_dir)
    await until(lambda: not processes_of(data_dir))
    assert not (data_dir / "postgres" / "postmaster.pid").exists(), "an orderly shutdown"


async def test_a_start_right_after_sigkill_works(data_dir: Path) -> None:
    for _ in range(2):
        killed_user(data_dir)
        with trio.fail_after(LAST_RESORT_S):
            async with running_store(partial(embedded_postgres, data_dir)) as store:
                await store.check()


@linux
async def test_what_an_initdb_wrote_after_its_program_was_killed_is_gone_after_the_next_start(
    data_dir: Path,
) -> None:
    (data_dir / "postgres.new-abc" / "base").mkdir(parents=True)
    async with embedded_postgres(data_dir):
        assert not list(data_dir.glob("postgres.new-*"))


async def test_a_server_that_was_left_over_is_stopped_never_joined_by_a_second_one(
    data_dir: Path,
) -> None:
    leftover = killed_user(data_dir, "unwatched")
    assert processes_of(data_dir)
    async with embedded_postgres(data_dir):
        # A child has the postmaster's command line until it has given itself a title.
        await until(lambda: sum(" -D " in each for each in processes_of(data_dir)) == 1)
        assert int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]) != leftover
    assert processes_of(data_dir) == []


@linux
async def test_a_start_that_waits_for_a_leftover_can_be_cancelled(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = killed_user(data_dir, "unwatched")
    os.kill(leftover, signal.SIGSTOP)  # as one that hangs in its file system
    try:
        monkeypatch.setattr(cluster, "LEFTOVER_STOP_S", 2 * LAST_RESORT_S)
        with trio.fail_after(LAST_RESORT_S), trio.move_on_after(0.1) as start:
            async with embedded_postgres(data_dir):
                raise AssertionError("two servers on one cluster")
        assert start.cancelled_caught
    finally:
        os.kill(leftover, signal.SIGCONT)


async def test_a_pid_file_that_names_another_process_does_not_prevent_a_start(
    data_dir: Path,
) -> None:
    pid_file = data_dir / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{data_dir / 'postgres'}\n1700000000\n5432\n\n\n\nready\n")
    shutil.chown(pid_file, (data_dir / "postgres").stat().st_uid)
    with trio.fail_after(LAST_RESORT_S):
        async with embedded_postgres(data_dir):
            pass


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00 no number"], ids=["empty", "bytes"])
async def test_a_pid_file_that_a_power_failure_left_half_written_does_not_prevent_a_start(
    content: bytes, data_dir: Path
) -> None:
    pid_file = data_dir / "postgres" / "postmaster.pid"
    pid_file.write_bytes(content)
    shutil.chown(pid_file, (data_dir / "postgres").stat().st_uid)
    with trio.fail_after(LAST_RESORT_S):
        async with embedded_postgres(data_dir):
            pass


@linux
async def test_a_left_over_server_is_found_although_its_pid_file_is_half_written(
    data_dir: Path,
) -> None:
    leftover = killed_user(data_dir, "unwatched")
    pid_file = data_dir / "postgres" / "postmaster.pid"
    pid_file.write_bytes(b"")
    async with embedded_postgres(data_dir):
        assert int(pid_file.read_text().split()[0]) != leftover
        await until(lambda: sum(" -D " in each for each in processes_of(data_dir)) == 1)


@linux
def test_another_users_server_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's own PostgreSQL, whose working directory is hidden from us."""

    def hidden(_path: Path, _other: str) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "samefile", hidden)
    pid_file = tmp_path / "postmaster.pid"
    pid_file.touch()
    with entrust(
        subprocess.Popen(["postgres", "-c", "read _"], executable="/bin/sh", stdin=subprocess.PIPE)
    ) as theirs:
        cluster.end_leftover(tmp_path, lambda: None)
        assert not pid_file.exists()
        assert theirs.poll() is None
        theirs.kill()


async def test_whatever_the_link_of_the_socket_leads_to_is_left_alone(data_dir: Path) -> None:
    with data_directory() as theirs:
        (theirs / "precious").write_text("x")
        (data_dir / "socket").symlink_to(theirs)
        async with embedded_postgres(data_dir):
            assert not (data_dir / "socket").is_symlink()
        assert (theirs / "precious").read_text() == "x"


async def test_what_is_in_the_place_of_the_socket_is_left_alone_and_named(data_dir: Path) -> None:
    precious = data_dir / "socket" / "precious"
    precious.parent.mkdir()
    precious.write_text("x")
    try:
        with pytest.raises(EmbeddedError, match=r"/socket: File exists.*--data-dir"):
            async with embedded_postgres(data_dir):
                pass
        assert precious.read_text() == "x"
    finally:
        shutil.rmtree(precious.parent)


async def test_two_on_one_data_directory_are_refused_with_the_name_of_the_first(
    data_dir: Path,
) -> None:
    async with running_store(partial(embedded_postgres, data_dir)) as store:
        with pytest.raises(EmbeddedError, match=f"process {os.getpid()}.*LOCSHARE_DATA_DIR"):
            await PostgresStore(partial(embedded_postgres, data_dir), QUICK).run()
        await store.check()


async def test_a_directory_that_is_too_long_for_a_socket_works(data_dir: Path) -> None:
    long = data_dir / ("d" * 100)
    shutil.copytree(data_dir / "postgres", long / "postgres", symlinks=True)
    owner = (data_dir / "postgres").stat()
    for path in (long / "postgres", *(long / "postgres").rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    async with running_store(partial(embedded_postgres, long)) as store:
        await store.check()
        short = (long / "socket").readlink()
        assert short.exists()
    assert not short.exists()
    assert not (long / "socket").is_symlink()
    shutil.rmtree(long)


async def test_a_cluster_of_another_version_is_a_clear_error(data_dir: Path) -> None:
    version = data_dir / "postgres" / "PG_VERSION"
    version.write_text("17\n")
    try:
        with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 17.*locshare db upgrade"):
            async with embedded_postgres(data_dir):
                pass
    finally:
        version.write_text(f"{MAJOR}\n")


async def test_without_the_extra_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmbeddedError, match=r"locshare\[embedded\].*LOCSHARE_DATABASE_URL"):
        async with embedded_postgres(tmp_path):
            pass


async def test_a_start_that_fails_says_why_and_leaves_nothing(data_dir: Path) -> None:
    with pytest.raises(EmbeddedError, match="shared_bufers"):
        async with embedded_postgres(data_dir, {"shared_bufers": "1MB"}):
            pass
    assert EmbeddedPostgres(data_dir).pid is None
    async with embedded_postgres(data_dir):
        pass


async def test_however_often_it_dies_the_store_starts_it_again_and_writes_what_waited(
    data_dir: Path,
) -> None:
    session, lives = a_session(), 5
    async with running_store(partial(embedded_postgres, data_dir)) as store:
        await store.create_session(session)
        for life in range(lives):
            await until(lambda: store.statistics().is_open)
            pid = int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)
            await until(lambda: not store.statistics().is_open)
            if life == 0:
                with pytest.raises(StoreUnavailable):
                    await store.purge(START)
                await store.end_session(session.id)
        await until(lambda: not store.statistics().pending_removals and store.statistics().is_open)
        stored = await store.load_session(session.id)
        assert stored is not None
        assert stored.session.is_active is False


@pytest.mark.skipif(os.geteuid() != 0, reason="another account can only be had as root")
def test_as_root_the_server_is_another_account_which_may_pass_through_but_not_look() -> None:
    with data_directory() as folder:
        outer = folder / "private"
        outer.mkdir(mode=0o700)
        server = EmbeddedPostgres(outer / "data")
        server.start()
        try:
            assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        finally:
            server.stop()
        assert mode_of(outer) == 0o701
        assert mode_of(outer / "data" / "postgres") == 0o700


def test_the_test_server_can_be_stopped_and_started_and_cleans_up() -> None:
    with running_server() as server:
        place = Path(server.url().partition("?host=")[2])
        name = server.create_database()
        server.stop()
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(OSError, match=r"\w"):
            client.connect(str(place / ".s.PGSQL.5432"))
        server.start()
        assert server.execute("SELECT count(*) FROM sessions", name) == "0"
    assert not place.parent.exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            'FATAL:  could not write lock file "postmaster.pid": No space left on device',
            "make room",
        ),
        (
            'PANIC:  could not write to file "pg_wal/xlogtemp.9": No space left on device',
            "make room",
        ),
        ('FATAL:  data directory "/d/postgres" has wrong ownership', "chown"),
        ('FATAL:  data directory "/d/postgres" has invalid permissions', "chmod"),
        ('FATAL:  could not create lock file "/d/s.lock": Permission denied', "--data-dir"),
        ('initdb: error: could not create directory "/d/x": Read-only file system', "--data-dir"),
        ("FATAL:  could not map anonymous shared memory: Cannot allocate memory", "more memory"),
        ("initdb: error: could not look up effective user ID 54321: user does not exist", "passwd"),
        ("FATAL:  database files are incompatible with server", "restore a backup"),
        ("PANIC:  could not locate a valid checkpoint record at 0/1", "restore a backup"),
        ('initdb: error: could not write to file "x": File too large', "ulimit -f"),
        ('FATAL:  configuration file "/d/postgresql.conf" contains errors', "correct what"),
        ('error: could not extend file "x": wrote only 4096 of 8192 bytes', "make room"),
        ('FATAL:  unrecognized configuration parameter "x"', 'parameter "x"'),
        ("something else", "something else"),
        ("", "nothing"),
    ],
)
def test_what_stands_in_the_servers_log_becomes_one_sentence(line: str, says: str) -> None:
    lines = ["LOG:  starting PostgreSQL 18", "FATAL:  an older complaint", line]
    text = last_complaint([line] if ":" not in line[:12] and line else lines)
    if line:
        assert says in text
        assert "older" not in text
    else:
        assert says in last_complaint([])
    assert "\n" not in text


def test_of_initdb_the_first_error_is_quoted_since_the_last_is_about_tidying_up() -> None:
    lines = [
        'The files belonging to this database system will be owned by user "nobody".',
        'FATAL:  could not write to file "pg_wal/xlogtemp.9": No space left on device',
        "child process exited with exit code 1",
        'initdb: removing contents of data directory "/d/postgres.new-1"',
        "initdb: error: failed to remove contents of data directory",
    ]
    text = first_complaint(lines)
    assert text.startswith("could not write to file")
    assert text.endswith(": make room on the disk")


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk can only be had as root")
def test_an_initdb_that_fails_is_quoted_by_its_first_error() -> None:
    with small_disk(8) as folder:
        (folder / "postgres.log").write_text("FATAL:  a complaint of an earlier start\n")
        with pytest.raises(EmbeddedError, match=r"initdb failed.*No space left.*room"):
            EmbeddedPostgres(folder).start()
        assert not (folder / "postgres").exists()


_AS_NOBODY_KNOWN = """
import os, sys
from pathlib import Path
import encodings.ascii, encodings.idna
from locshare.store.embedded import EmbeddedError, EmbeddedPostgres
# Python may be in a home that is closed to this user: everything is imported before.
os.setgroups([]); os.setgid(54321); os.setuid(54321)
server = EmbeddedPostgres(Path(sys.argv[1]))
try:
    server.start()
except EmbeddedError as error:
    print(error)
else:
    server.stop()
    print("works")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="another account can only be had as root")
def test_a_user_id_without_a_name_is_an_error_unless_the_cluster_exists(
    data_dir: Path,
) -> None:
    with data_directory() as folder:
        folder.chmod(0o755)
        home = folder / "data"
        home.mkdir(mode=0o700)
        os.chown(home, 54321, 54321)

        def start() -> str:
            command = [sys.executable, "-c", _AS_NOBODY_KNOWN, str(home)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return done.stdout + done.stderr

        said = start()
        assert "user id 54321, which has no name" in said
        assert "LOCSHARE_DATABASE_URL" in said
        assert len(said.splitlines()) == 1
        shutil.copytree(data_dir / "postgres", home / "postgres", symlinks=True)
        for path in (home / "postgres", *(home / "postgres").rglob("*")):
            os.chown(path, 54321, 54321)
        assert start().splitlines()[-1] == "works"


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    with data_directory() as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", folder],
            capture_output=True,
            check=False,
        )
        if mounted.returncode != 0:
            pytest.skip(f"{KERNEL} or container lets nobody mount a disk")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk can only be had as root")
async def test_a_full_disk_is_an_outage_also_with_a_dead_server_and_over_with_room() -> None:
    limits = structs.replace(QUICK, check_s=0.05)
    with small_disk(160) as folder:
        filler = folder / "filler"
        async with running_store(partial(embedded_postgres, folder / "data"), limits) as store:
            session = await created(store)
            await store.check()

            for life in range(3):
                with suppress(OSError), filler.open("wb", buffering=0) as file:
                    while file.write(bytes(65536)):
                        pass
                with trio.fail_after(LAST_RESORT_S):
                    while await is_ready(store):  # noqa: ASYNC110 - a disk sends no events
                        await trio.sleep(0.01)
                await store.end_session(session.id)  # queued, or written: it does not matter
                if life:
                    pid_file = folder / "data" / "postgres" / "postmaster.pid"
                    pid = pid_file.read_text().split()[0] if pid_file.exists() else ""
                    with suppress(ValueError, ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                    await until(lambda: not store.statistics().is_open)
                filler.unlink()
                with trio.fail_after(LAST_RESORT_S):
                    while not await is_ready(store):  # noqa: ASYNC110 - a disk sends no events
                        await trio.sleep(0.01)
            await until(lambda: not store.statistics().pending_removals)
            stored = await store.load_session(session.id)
            assert stored is not None
            assert stored.session.is_active is False


async def test_a_server_that_does_not_react_is_gone_in_time_and_the_next_start_recovers(
    data_dir: Path,
) -> None:
    session = a_session()
    async with running_store(partial(embedded_postgres, data_dir)) as store:
        await store.create_session(session)
        pid = int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGSTOP)  # it will never end by itself
    async with running_store(partial(embedded_postgres, data_dir)) as store:
        assert await store.load_session(session.id) is not None
