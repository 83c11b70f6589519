"""A real PostgreSQL for tests: one server per test run, a migrated, empty database per test.

In a conftest::

    from tests.postgres import postgres_server, postgres_url  # noqa: F401 - fixtures

and then, with the real clock (not autojump)::

    async def test_…(postgres_url: str) -> None:
        store = PostgresStore(postgres_url)

For fault tests `with running_server() as server` gives a server of one's own, with `stop()`,
`start()` (same URLs again), `kill()` (give `settings={}` then), `with server.database() as url` and
`create_database()`; it works outside pytest too.
The servers live in directories of their own under the temporary directory, as root or not, and
are gone when the block, or the test run, ends.
"""

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bench.guardian import entrust, temporary_folder
from locshare.store.embedded import EmbeddedPostgres, binaries
from locshare.store.migrate import migrate
from tests.clusters import give_cluster

# Nothing here has to survive a power cut.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TEMPLATE = "migrated"
_SCHEMA = "SELECT version, checksum FROM schema_migrations ORDER BY version"
_RENEW = f"""
    DO $$ BEGIN PERFORM pg_terminate_backend(pid, 1000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid(); END $$;
    TRUNCATE sessions CASCADE; TRUNCATE deletions; TRUNCATE readiness;
    {_SCHEMA}
"""


class Server:
    """A PostgreSQL server in ``folder``. Every method blocks for some milliseconds."""

    def __init__(self, folder: Path, settings: Mapping[str, str] = FAST) -> None:
        self._embedded = EmbeddedPostgres(folder, settings)
        self._numbers = count(1)
        self._spare: list[str] = []

    def start(self) -> None:
        """Return when it accepts connections."""
        self._embedded.start()

    def stop(self) -> None:
        """As an administrator would: connections are closed, what was committed is kept."""
        self._embedded.stop()

    def kill(self) -> None:
        """SIGKILL to the postmaster, as a crash of the machine's memory killer would."""
        assert self._embedded.pid is not None
        os.kill(self._embedded.pid, signal.SIGKILL)
        self._embedded.stop()

    @property
    def pid(self) -> int:
        """Of the postmaster."""
        assert self._embedded.pid is not None
        return self._embedded.pid

    def url(self, database: str = "postgres") -> str:
        """For asyncpg and psql."""
        return self._embedded.url.replace("@/postgres?", f"@/{database}?")

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one statement, by psql; its rows as text."""
        return subprocess.run(
            [
                binaries() / "psql",
                *("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
                *("-d", self.url(database), "-c", statement),
            ],
            check=True,
            capture_output=True,
            text=True,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        ).stdout.strip()

    @contextmanager
    def holding(self, statement: str, database: str) -> Iterator[None]:
        """Run ``statement`` (a LOCK) in a transaction that is open for the block."""
        with entrust(
            subprocess.Popen(
                [binaries() / "psql", *("-X", "-q", "-A", "-t"), *("-d", self.url(database))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            )
        ) as psql:
            try:
                assert psql.stdin is not None
                assert psql.stdout is not None
                psql.stdin.write(f"\\set ON_ERROR_STOP on\nBEGIN;\n{statement};\n\\echo held\n")
                psql.stdin.flush()
                assert psql.stdout.readline() == "held\n"
                yield
            except BaseException:
                psql.kill()  # it may wait for a lock, and would be waited for
                raise

    def create_database(self, template: str | None = TEMPLATE) -> str:
        """Returns the name of a fresh one: migrated, or empty with ``template=None``."""
        name = f"test_{next(self._numbers)}"
        # With fsync off a copy of the files is more than twice as quick as one through the log.
        self.execute(
            f"CREATE DATABASE {name} TEMPLATE {template or 'template0'} STRATEGY FILE_COPY"
        )
        return name

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a migrated, empty database for the block.

        One that is as good as new is emptied and used again: to copy one takes 50 times as long.
        """
        name = self._spare.pop() if self._spare else self.create_database()
        try:
            yield self.url(name)
        finally:
            try:
                renewed = self.execute(_RENEW, name) == self._schema
            except subprocess.CalledProcessError:
                renewed = False
            if renewed:
                self._spare.append(name)
            else:
                self.drop_database(name)

    @cached_property
    def _schema(self) -> str:
        """The migrations of the template, which no test changes."""
        return self.execute(_SCHEMA, TEMPLATE)

    def drop_database(self, name: str) -> None:
        """Whoever is connected is thrown out."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def make_template(self) -> None:
        """Run the program's migrations once, for all databases to come."""
        self.execute(f"CREATE DATABASE {TEMPLATE}")

        async def fill() -> Any:
            connection = await asyncpg.connect(self.url(TEMPLATE))
            try:
                return await migrate(connection)
            finally:
                await connection.close()

        thread = threading.Thread(target=asyncio.run, args=(fill(),), name="make-template")
        thread.start()
        thread.join()


@contextmanager
def running_server(settings: Mapping[str, str] = FAST) -> Iterator[Server]:
    """A server of one's own, with the migrated template; nothing is left of it afterwards.

    With FAST, `kill` loses the newest commits; `settings={}` loses nothing.
    """
    with temporary_folder("locshare-pg-") as folder:
        give_cluster(folder)
        server = Server(folder, settings)
        try:
            server.start()
            server.make_template()
            yield server
        finally:
            server.stop()


class _Shared:
    """One server however many conftests import the fixture."""

    def __init__(self) -> None:
        self._users = 0
        self._running: Any = None
        self._server: Server | None = None

    @contextmanager
    def use(self) -> Iterator[Server]:
        if self._server is None:
            self._running = running_server()
            self._server = self._running.__enter__()
        self._users += 1
        try:
            yield self._server
        finally:
            self._users -= 1
            if self._users == 0:
                self._server = None
                self._running.__exit__(None, None, None)


_shared = _Shared()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The server of this test run. Do not stop it: fault tests take one of their own."""
    with _shared.use() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """A migrated database with nothing in it."""
    with postgres_server.database() as url:
        yield url
