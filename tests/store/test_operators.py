"""The database as operators have it: it works, or one sentence says what to do."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import pytest
import trio
from asyncpg import exceptions as pg
from msgspec import structs

from locshare.config.database_url import parse_database_url
from locshare.model.errors import LocshareError
from locshare.store import causes, migrate
from locshare.store.postgres import PostgresStore
from tests.postgres import Server
from tests.program import free_port
from tests.running import LAST_RESORT_S
from tests.store.kit import (
    QUICK,
    START,
    a_participant,
    created,
    database_of,
    running_store,
)
from tests.store.pooler import needs_pgbouncer, pgbouncer

pytestmark = pytest.mark.store
ONCE = structs.replace(QUICK, open_s=0.0)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="another account can only be had as root")


async def everything(store: PostgresStore) -> None:
    """All that sessions do with a store."""
    session = await created(store)
    people = [a_participant(session.id) for _ in range(12)]
    async with trio.open_nursery() as nursery:
        for each in people:
            nursery.start_soon(store.add_participant, each)
    store.touch(session.id, START, {people[0].user_id: START})
    await store.set_locked(session.id, locked=True)
    async with trio.open_nursery() as nursery:
        for each in people[1:]:
            nursery.start_soon(store.deactivate_participant, session.id, each.user_id)
    stored = await store.load_session(session.id)
    assert stored is not None
    assert [each.id for each in stored.participants] == [people[0].id]
    await store.sweep(START, START, ())
    await store.purge(START)
    await store.end_session(session.id)
    await store.check()
    assert await store.load_session(uuid4()) is None


async def refusal(url: str, schema: str | None = None) -> str:
    """Why the store does not start. One sentence, for people, with nothing secret."""
    with trio.fail_after(LAST_RESORT_S), pytest.raises(LocshareError) as caught:
        await PostgresStore(url, ONCE, schema).run()
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    assert "secret" not in text
    return text


# --- behind a pooler ------------------------------------------------------------------------------


@needs_pgbouncer
@pytest.mark.parametrize("hint", ["", "?pgbouncer=true", "?statement_cache_size=0&pgbouncer=1"])
@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_behind_pgbouncer_everything_works_also_in_a_schema(
    empty_url: str, mode: str, hint: str
) -> None:
    with pgbouncer(empty_url, mode) as port:
        url = f"postgresql://ana@127.0.0.1:{port}/{database_of(empty_url)}{hint}"
        for schema in (None, 'of "mine"'):
            for _ in range(2):
                stores = [PostgresStore(url, QUICK, schema) for _ in range(2)]
                async with trio.open_nursery() as nursery:
                    for store in stores:
                        await nursery.start(store.run)
                    async with trio.open_nursery() as callers:
                        for store in stores * 5:
                            callers.start_soon(everything, store)
                    nursery.cancel_scope.cancel()


# --- parameters of the URL ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        "connect_timeout=10",
        "connect_timeout=0&keepalives=1&keepalives_idle=30&tcp_user_timeout=1000",
        "client_encoding=utf8&fallback_application_name=x&gssencmode=disable",
        "channel_binding=prefer&sslsni=1&sslcertmode=allow&load_balance_hosts=random",
        "target_session_attrs=read-write",
        "application_name=mine&options=-c%20statement_timeout%3D30000",
        "timezone=America/St_Johns&statement_timeout=30000&search_path=public",
        "pgbouncer=true&connection_limit=5&pool_timeout=2&schema=public",
        "sslmode=disable",
        "sslmode=prefer",
    ],
)
async def test_with_parameters_of_libpq_of_the_server_and_of_other_clients_everything_works(
    postgres_url: str, parameters: str
) -> None:
    async with running_store(f"{postgres_url}&{parameters}") as store:
        await everything(store)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("channel_binding=require", "sslmode=verify-full"),
        ("require_auth=scram-sha-256", "remove it"),
        ("hostaddr=10.0.0.1", "give the address as the host"),
        ("schema=mine", "LOCSHARE_DATABASE_SCHEMA"),
        ("connect_timeout=soon", "not a number of seconds"),
        ("pgbouncer=maybe", "true or false"),
        ("sslmode=sure", "verify-full are allowed"),
        ("sslrootcert=system&sslmode=require", "use sslmode=verify-full"),
        ("just_a_word", "percent-encode"),
        ("nonsense=1", '"nonsense".*Remove it from the URL'),
        ("statement_timeout=long", "statement_timeout.*Remove it from the URL"),
    ],
)
async def test_a_parameter_that_cannot_be_kept_is_refused_by_name(
    postgres_url: str, parameters: str, says: str
) -> None:
    text = await refusal(f"{postgres_url}&{parameters}")
    assert re.search(says, text), text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana:sec/ret@host/db",
        "postgresql://ana:sec#ret@host/db",
        "postgresql://ana:12/34secret@host/db",
        "postgresql://ana:12#34secret@host/db",
        "postgresql://ana:12?34secret@host/db",
        "postgresql://ana:secret@host:port/db",
        "postgresql://ana:secret@host:70000/db",
        "postgresql://ana:secret@host:5432,/db",
    ],
)
def test_a_url_that_could_be_read_in_two_ways_is_refused_without_showing_the_password(
    url: str,
) -> None:
    with pytest.raises(ValueError, match=r"%40|comma") as caught:
        parse_database_url(url)
    for part in ("sec", "ret", "12", "34"):
        assert part not in str(caught.value).replace("65535", "")


@pytest.mark.parametrize(
    ("password", "written"),
    [("p@ss", "p@ss"), ("p@s/s#?:%", "p%40s%2Fs%23%3F%3A%25"), ("50%off", "50%off"), ("ü:", "ü:")],
)
def test_a_password_arrives_as_it_was_meant(password: str, written: str) -> None:
    read = parse_database_url(f"postgresql://ana:{written}@host/db")
    parts = urlsplit(read.dsn)
    assert (parts.username, unquote(parts.password or "")) == ("ana", password)
    assert password not in f"{read}{read!r}"


async def test_of_several_hosts_the_one_that_can_write_is_used(
    postgres_url: str, postgres_server: Server
) -> None:
    """The first host has no server, the second one's database is read-only, the third is it."""
    name = database_of(postgres_url)
    place = postgres_url.partition("?host=")[2]
    url = f"postgresql://postgres@/{name}?host=/nowhere,{place},{place}&port=1,5432,5432"
    async with running_store(url) as store:
        await everything(store)
    assert parse_database_url("postgresql://u:p@a:1,[::1]:2,c/db").parameters == {
        "target_session_attrs": "read-write"
    }


# --- what the server says -------------------------------------------------------------------------


async def test_what_stands_in_the_way_is_one_sentence_with_the_way_out(
    postgres_server: Server, empty_url: str, tmp_path: Path
) -> None:
    port = free_port()
    said = {
        await refusal(postgres_server.url("nowhere")): ('"nowhere" does not exist', "createdb"),
        await refusal(f"postgresql://u:secret@127.0.0.1:{port}/d"): ("nothing listens", str(port)),
        await refusal("postgresql://u@no-such-host.invalid/d"): ("no-such-host", "resolved"),
        await refusal(f"postgresql://u@{'x' * 64}.invalid/d"): ("resolved", "spelling"),
        await refusal(f"postgresql://u@/d?host={tmp_path}"): ("no PostgreSQL socket", "?host="),
        await refusal(empty_url.replace("postgres@", "nobody_here@")): (
            "nobody_here",
            "pg_hba.conf",
        ),
        await refusal(f"{empty_url}&sslmode=verify-ca&sslrootcert=/no/file"): (
            "sslrootcert",
            "/no/",
        ),
    }
    for text, parts in said.items():
        for part in parts:
            assert part in text, text


@pytest.fixture
def plain_role(postgres_server: Server, empty_url: str) -> Iterator[str]:
    """A role that may connect and nothing else; its URL."""
    database = database_of(empty_url)
    role = f"plain_{database}"
    postgres_server.execute(f"CREATE ROLE {role} LOGIN", database)
    postgres_server.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC", database)
    yield empty_url.replace("postgres@", f"{role}@")
    postgres_server.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}", database)


async def test_a_role_that_may_make_no_tables_gets_a_reason_and_a_separate_schema_is_the_remedy(
    postgres_server: Server, plain_role: str
) -> None:
    text = await refusal(plain_role)
    assert "LOCSHARE_DATABASE_SCHEMA=locshare" in text
    role = parse_database_url(plain_role).user
    assert f"CREATE SCHEMA locshare AUTHORIZATION {role}" in text
    postgres_server.execute(f"CREATE SCHEMA locshare AUTHORIZATION {role}", database_of(plain_role))
    store = PostgresStore(plain_role, QUICK, "locshare")
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await everything(store)
        nursery.cancel_scope.cancel()


async def test_a_role_that_owns_nothing_can_use_tables_that_another_made(
    postgres_server: Server, empty_url: str, plain_role: str
) -> None:
    async with running_store(empty_url):
        pass
    database, role = database_of(empty_url), parse_database_url(plain_role).user
    postgres_server.execute(f"GRANT USAGE ON SCHEMA public TO {role}", database)
    text = await refusal(plain_role)
    assert "permission denied for table schema_migrations" in text
    postgres_server.execute(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}", database
    )
    async with running_store(plain_role) as store:
        await everything(store)


@pytest.mark.parametrize(
    "theirs",
    [
        "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)",  # Rails
        "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean)",  # Go
        "CREATE TABLE sessions (session_id text PRIMARY KEY, data text)",
        "CREATE VIEW participants AS SELECT 1 AS one",
        "CREATE TABLE other (); CREATE INDEX sessions_live_expiry ON other ((1))",
    ],
)
async def test_the_tables_of_another_program_are_left_alone_and_a_schema_is_the_way_out(
    postgres_server: Server, empty_url: str, theirs: str
) -> None:
    database = database_of(empty_url)
    postgres_server.execute(theirs, database)
    tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    before = postgres_server.execute(tables, database)
    text = await refusal(empty_url)
    assert "LOCSHARE_DATABASE_SCHEMA=locshare" in text
    assert postgres_server.execute(tables, database) == before
    store = PostgresStore(empty_url, QUICK, "locshare")
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await everything(store)
        nursery.cancel_scope.cancel()
    assert postgres_server.execute(tables, database) == before
    rows = "SELECT count(*) FROM locshare.sessions"
    assert postgres_server.execute(rows, database) == "1"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_that_is_not_utf8_is_refused(
    postgres_server: Server, encoding: str
) -> None:
    name = f"test_{encoding.lower()}"
    postgres_server.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING {encoding} LOCALE 'C'"
    )
    try:
        text = await refusal(postgres_server.url(name))
    finally:
        postgres_server.drop_database(name)
    assert encoding in text
    assert "createdb --encoding=UTF8" in text


async def test_a_server_that_is_too_old_is_refused(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "OLDEST_SERVER", 99)
    assert "at least 99 is needed" in await refusal(postgres_url)


async def test_a_database_that_is_read_only_is_refused_at_the_start(
    postgres_server: Server, postgres_url: str
) -> None:
    text = await refusal(f"{postgres_url}&default_transaction_read_only=on")
    assert "read-only" in text
    assert "the primary's" in text


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (TimeoutError(), "firewall"),
        (pg.TooManyConnectionsError("sorry, too many clients already"), "max_connections"),
        (pg.CannotConnectNowError("the database system is starting up"), "starting up"),
        (pg.DiskFullError("could not extend file"), "Make room"),
        (pg.QueryCanceledError("statement timeout"), "statement_timeout"),
        (pg.InvalidPasswordError("password authentication failed"), "percent-encoded"),
        (pg.DuplicatePreparedStatementError("exists"), "pgbouncer=true"),
        (pg.UndefinedTableError("relation does not exist"), "LOCSHARE_DATABASE_SCHEMA"),
        (pg.ProtocolViolationError("unsupported startup parameter: x"), "startup parameter"),
        (pg.InternalClientError("cannot switch to state 12"), "a connection to the database"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_each_error_has_its_sentence(error: Exception, says: str) -> None:
    text = causes.sentence(error, parse_database_url("postgresql://u:secret@db:1/d"))
    assert says in text
    assert "\n" not in text
    assert "secret" not in text


def test_a_sentence_never_has_the_detail_of_an_error_which_quotes_rows() -> None:
    error = pg.RaiseError("not today")
    error.detail = "Failing row contains (Ada)."
    assert "Ada" not in causes.sentence(error, parse_database_url("postgresql://h/d"))


# --- the account ----------------------------------------------------------------------------------


def _raise_as_python_3_12() -> str:
    raise KeyError("getpwuid(): uid not found: 54321")


def _raise_as_python_3_13() -> str:
    raise OSError("No username set in the environment") from KeyError("getpwuid()")


@pytest.mark.parametrize("getuser", [_raise_as_python_3_12, _raise_as_python_3_13])
async def test_without_a_user_in_the_url_and_a_name_of_the_account_the_url_is_at_fault(
    getuser: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGUSER", raising=False)
    monkeypatch.setattr("getpass.getuser", getuser)
    said = await refusal("postgresql://127.0.0.1:1/db")
    assert "names no user" in said
    assert "postgresql://user:password@host/database" in said


_AS_NOBODY_KNOWN = """
import os, sys, trio
from pathlib import Path
from locshare.model.errors import LocshareError
from locshare.store.limits import StoreLimits
from locshare.store.migrate import bundled
from locshare.store.postgres import PostgresStore
bundled()  # Python may be in a home that is closed to this user: everything is imported before
os.setgroups([]); os.setgid(54321); os.setuid(54321)
for name in ("HOME", "PGUSER", "USER", "LOGNAME"):
    os.environ.pop(name, None)
async def main():
    store = PostgresStore(sys.argv[1], StoreLimits(open_s=0))
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await store.check()
        nursery.cancel_scope.cancel()
try:
    trio.run(main)
except* LocshareError as group:
    error = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    print(error)
else:
    print("works")
"""


@needs_root
@needs_pgbouncer
@pytest.mark.parametrize(("user", "says"), [("ana@", "works"), ("", "names no user")])
def test_a_user_id_without_a_name_works_when_the_url_names_the_databases_user(
    empty_url: str, user: str, says: str
) -> None:
    with pgbouncer(empty_url, "session") as port:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                _AS_NOBODY_KNOWN,
                f"postgresql://{user}127.0.0.1:{port}/{database_of(empty_url)}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    assert says in done.stdout, done.stdout + done.stderr
