"""The database: version, encoding, rights, pooler, latency, clock; when stopped, its files."""

import time
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any, Final

import trio
from msgspec import Struct

from locshare.config import Settings
from locshare.maintenance.doctor.findings import Finding, error, ok, split_advice, warning
from locshare.store import causes
from locshare.store.bridge import open_bridge
from locshare.store.database import DATABASE_ERRORS, DatabaseRefused, has_pooler, open_database
from locshare.store.embedded.binaries import MAJOR, binaries
from locshare.store.embedded.cluster import check_version
from locshare.store.embedded.complaints import EmbeddedError
from locshare.store.embedded.ownership import account_for, is_of_service
from locshare.store.embedded.running import major_of, url_of_running
from locshare.store.limits import DEFAULT_LIMITS
from locshare.store.migrate import (
    MigrationError,
    applied,
    bundled,
    check_server,
    outstanding,
    refuse_strangers,
)
from locshare.store.port import StoreUnavailable
from locshare.store.statements import Statements

CONNECT_S: Final = 10.0
SLOW_MS: Final = 20.0
"""Joining waits for two round trips and a commit."""
CLOCK_S: Final = 5.0
"""Tokens are accepted so long after their end (``LEEWAY_S``)."""
FEW_LEFT: Final = 4
_SAMPLES: Final = 5

_SERVER: Final = """
    SELECT current_setting('server_version') AS version,
        current_setting('server_encoding') AS encoding,
        current_setting('max_connections')::int AS most,
        (SELECT count(*)::int FROM pg_stat_activity WHERE datname IS NOT NULL) AS used,
        current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery() AS read_only,
        clock_timestamp() AS moment
"""
_ENCRYPTED: Final = """
    SELECT ssl FROM pg_stat_ssl
    WHERE pid = pg_backend_pid() AND inet_server_addr() IS NOT NULL
"""
_MAY_CREATE: Final = """
    SELECT CASE WHEN $1::text IS NOT NULL AND to_regnamespace(quote_ident($1)) IS NULL
        THEN has_database_privilege(current_database(), 'CREATE')
        ELSE has_schema_privilege(coalesce($1, current_schema()), 'CREATE') END
"""


class DatabaseFacts(Struct, frozen=True):
    """Milliseconds and seconds."""

    version: str
    encrypted: bool | None
    """None over a Unix socket, or where the server does not say."""
    pooler: bool
    read_only: bool
    latency_ms: float
    clock_ahead_s: float
    """How far the database's clock is ahead of ours."""
    most_connections: int
    used_connections: int
    outstanding: int
    """Migrations that the next start runs."""
    fresh: bool
    """No table is there yet."""
    may_create: bool
    refused: str = ""
    """Why a statement of the server fails; empty when all work."""


def judge_database(
    facts: DatabaseFacts, *, local: bool, connections: int = DEFAULT_LIMITS.connections
) -> list[Finding]:
    """``local``: the database is reached over a Unix socket or the loopback interface."""
    pooled = ", behind a pooler" if facts.pooler else ""
    what = f"PostgreSQL {facts.version}{pooled}, UTF8"
    if facts.read_only:
        do = "Give the primary's address in LOCSHARE_DATABASE_URL, or all hosts with commas"
        return [error("database", f"{what}: it is read-only", do)]
    found = [ok("database", what)]
    found.append(_judge_rights(facts))
    latency = f"a round trip takes {facts.latency_ms:.1f} ms"
    if facts.latency_ms > SLOW_MS:
        do = "Put it into the same network: everyone who joins waits for some of them"
        found.append(warning("database latency", latency, do))
    else:
        found.append(ok("database latency", latency))
    if abs(facts.clock_ahead_s) > CLOCK_S:
        way = "ahead of" if facts.clock_ahead_s > 0 else "behind"
        text = f"the database's clock is {abs(facts.clock_ahead_s):.0f} s {way} this machine's"
        do = "Synchronise both: sessions end by them"
        found.append(warning("database clock", text, do))
    left = facts.most_connections - facts.used_connections
    if not facts.pooler and left < connections + FEW_LEFT:
        text = f"{facts.used_connections} of {facts.most_connections} connections are in use"
        do = f"Leave {connections} for this server: raise max_connections, or use a pooler"
        found.append(warning("database connections", text, do))
    if facts.encrypted is False and not local:
        do = "Add ?sslmode=verify-full to LOCSHARE_DATABASE_URL; names and links pass by"
        text = "the connection to the database is not encrypted"
        found.append(warning("database encryption", text, do))
    return found


def _judge_rights(facts: DatabaseFacts) -> Finding:
    check = "database rights"
    if facts.refused:
        return split_advice(check, facts.refused)
    if facts.outstanding and not facts.may_create:
        do = (
            "Let the role own a schema (CREATE SCHEMA locshare AUTHORIZATION …) and set"
            " LOCSHARE_DATABASE_SCHEMA=locshare"
        )
        return error(check, "the role may not make the tables that are missing", do)
    if facts.fresh:
        return ok(check, "the first start makes the tables, and may")
    if facts.outstanding:
        return ok(
            check, f"every statement may run; the next start runs {facts.outstanding} changes"
        )
    return ok(check, "the tables are up to date, and every statement may run")


def is_local(places: str) -> bool:
    """Whether all hosts of a URL are this machine. Pure."""
    return all(
        host.startswith(("/", "127.", "localhost", "[::1]", "%2F")) or not host
        for host in places.split(",")
    )


async def look_at_database(settings: Settings) -> list[Finding]:
    """Of the settings: one that listens, or the files of the embedded one when it is stopped."""
    url = settings.database_url
    if url is None:
        try:
            found = await trio.to_thread.run_sync(look_at_embedded, settings)
        except EmbeddedError as failure:
            return [split_advice("database", str(failure))]
        except OSError as failure:
            do = "Run this as the user who runs the server"
            text = f"{failure.filename or settings.data_dir}: {failure.strerror}"
            return [error("database", text, do)]
        if not isinstance(found, str):
            return found
        url = found
    return await _ask(url, settings.database_schema)


def look_at_embedded(settings: Settings) -> str | list[Finding]:
    """The URL of the embedded server when it runs; else what its files say. Blocks.

    Raises EmbeddedError when it cannot run here; OSError when the files are another user's.
    """
    binaries()
    major = major_of(settings.data_dir)
    if major is None and (settings.data_dir / "postgres").exists():
        check_version(settings.data_dir / "postgres")
    if major is None:
        if not is_of_service(settings.data_dir / "postgres"):
            account_for(settings.data_dir / "postgres")
        return [ok("database", f"the first start makes a PostgreSQL {MAJOR} of its own")]
    if major != str(MAJOR):
        text = f"the data in {settings.data_dir} is of PostgreSQL {major}, {MAJOR} is installed"
        return [error("database", text, "Run locshare db upgrade")]
    url = url_of_running(settings.data_dir)
    if url is not None:
        return url
    return [ok("database", f"the embedded PostgreSQL {major} is stopped; its files are in place")]


async def _ask(url: str, schema: str | None) -> list[Finding]:
    # No exception leaves the bridge: it would put it into a group.
    async with (
        open_bridge() as bridge,
        open_database(bridge, url, connections=1, timeout_s=CONNECT_S) as database,
    ):
        try:
            with trio.fail_after(2 * CONNECT_S):
                facts = await database.open(
                    partial(gather, schema=schema, database_url=database.url)
                )
        except StoreUnavailable as failure:
            reason = causes.sentence(failure.__cause__ or failure, database.url)
        except trio.TooSlowError:
            reason = causes.sentence(TimeoutError(), database.url)
        except (DatabaseRefused, MigrationError) as failure:
            reason = str(failure)
        else:
            return judge_database(facts, local=is_local(database.url.places))
        return [split_advice("database", reason)]


async def gather(connection: Any, *, schema: str | None, database_url: Any) -> DatabaseFacts:
    """In the asyncio loop. Raises MigrationError when this program cannot use the database."""
    await check_server(connection)
    async with connection.transaction():
        began = time.time()
        server = await connection.fetchrow(_SERVER)
        middle = (began + time.time()) / 2
        encrypted = await connection.fetchval(_ENCRYPTED)
        may_create = bool(await connection.fetchval(_MAY_CREATE, schema))
        known = await applied(connection, schema)
        if not known:
            await refuse_strangers(connection, schema)
    todo = outstanding(bundled(), known)
    refused = ""
    if not todo and not server["read_only"]:
        try:
            await Statements(schema).probe(connection)
        except DATABASE_ERRORS as failure:
            refused = causes.sentence(failure, database_url)
    return DatabaseFacts(
        version=server["version"].split()[0],
        encrypted=encrypted,
        pooler=await has_pooler(connection, database_url),
        read_only=server["read_only"],
        latency_ms=await _latency_ms(connection),
        clock_ahead_s=_seconds_of(server["moment"]) - middle,
        most_connections=server["most"],
        used_connections=server["used"],
        outstanding=len(todo),
        fresh=not known,
        may_create=may_create,
        refused=refused,
    )


async def _latency_ms(connection: Any) -> float:
    samples: list[float] = []
    async with connection.transaction():  # a pooler keeps its server for so long
        for _ in range(_SAMPLES):
            began = time.perf_counter()
            await connection.execute("SELECT 1")  # one round trip, without a preparation
            samples.append((time.perf_counter() - began) * 1000)
    return median(samples)


def _seconds_of(moment: datetime) -> float:
    return moment.astimezone(UTC).timestamp()
