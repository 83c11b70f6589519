"""Database errors explained: one sentence each, which says what to do. Pure.

No sentence quotes a row or a password: of PostgreSQL's errors only the primary message is used, and
only for kinds that name tables, roles and settings. DETAIL may hold a person's name.
"""

import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

from asyncpg import exceptions as pg

from locshare.config.database_url import DatabaseUrl

_URL: Final = "LOCSHARE_DATABASE_URL"
_Explain = Callable[[Any, DatabaseUrl], str]

PERMANENT: Final[tuple[type[Exception], ...]] = (
    pg.InvalidAuthorizationSpecificationError,  # with wrong passwords
    pg.InvalidCatalogNameError,
    pg.InsufficientPrivilegeError,
    pg.InvalidSchemaNameError,  # no schema in which the role may make tables
    pg.UndefinedObjectError,  # an unknown parameter of the URL
    pg.InvalidParameterValueError,
    pg.InterfaceError,  # asyncpg cannot do what the URL asks for
    ssl.SSLError,
    UnicodeError,  # a host name that is none
)
"""The first start fails at once on these, since waiting will not help."""

DATA: Final[tuple[type[Exception], ...]] = (pg.DataError, pg.IntegrityConstraintViolationError)
"""A fault of one row; other rows can be written."""

READ_ONLY: Final = (pg.ReadOnlySQLTransactionError, pg.TargetServerAttributeNotMatched)
"""After a failover: the address may lead to another server by now."""


def sentence(error: BaseException, url: DatabaseUrl) -> str:
    """Why the database cannot be used, and what to do."""
    for kinds, explain in _BY_KIND:
        if isinstance(error, kinds):
            return explain(error, url)
    return (
        f"the database at {_place(url)} cannot be used: {_text(error)}. Its log may say more; check"
        f" {_URL}"
    )


def is_certain(error: BaseException) -> bool:
    """Whether the failed statement certainly had no effect: the server reported it and lives."""
    return isinstance(error, pg.PostgresError) and not isinstance(
        error,
        pg.PostgresConnectionError
        | pg.OperatorInterventionError
        | pg.InternalServerError
        | pg.StatementCompletionUnknownError,
    )


def _place(url: DatabaseUrl) -> str:
    return url.places or "the default host"


def _text(error: BaseException) -> str:
    if isinstance(error, pg.PostgresError):
        first = str(error.args[0] if error.args else "").partition("\n")[0]
        return f"{first} (SQLSTATE {error.sqlstate})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0] or type(error).__name__


def _timed_out(_error: Any, url: DatabaseUrl) -> str:
    return (
        f"the database at {_place(url)} does not answer in time: check that the address in {_URL}"
        " is right, and that no firewall is between"
    )


def _no_host(_error: Any, url: DatabaseUrl) -> str:
    return f"the host name {_place(url)} in {_URL} cannot be resolved: check its spelling and DNS"


def _no_socket(_error: Any, url: DatabaseUrl) -> str:
    return (
        f"there is no PostgreSQL socket at {_place(url)}: start the server, or give its host or the"
        f" directory of its socket in {_URL} (?host=/run/postgresql)"
    )


def _no_server(_error: Any, url: DatabaseUrl) -> str:
    return (
        f"nothing listens at {_place(url)}: start the database server, or correct host and port in"
        f" {_URL}"
    )


def _not_let_in(error: Any, _url: DatabaseUrl) -> str:
    return (
        f"the database server refuses: {_text(error)}. Check user and password in {_URL}"
        " (special characters percent-encoded), and the server's pg_hba.conf"
    )


def _no_database(error: Any, url: DatabaseUrl) -> str:
    return f"{_text(error)}: create it (createdb {url.database}), or name another one in {_URL}"


def _no_privilege(error: Any, url: DatabaseUrl) -> str:
    role = url.user or "this role"
    return (
        f"the database refuses: {_text(error)}. Let {role} own the schema (CREATE SCHEMA locshare"
        f" AUTHORIZATION {role}) and set LOCSHARE_DATABASE_SCHEMA=locshare, or grant it the right"
    )


def _unknown_parameter(error: Any, _url: DatabaseUrl) -> str:
    return (
        f"the database server refuses a parameter of {_URL}: {_text(error)}. Remove it from the URL"
    )


def _read_only(_error: Any, url: DatabaseUrl) -> str:
    return (
        f"the database at {_place(url)} is read-only, a standby for instance: give the primary's"
        f" address in {_URL}, or all hosts separated by commas"
    )


def _too_many(error: Any, _url: DatabaseUrl) -> str:
    return (
        f"the database server is full: {_text(error)}. Raise max_connections (or the role's"
        " CONNECTION LIMIT), or use a pooler"
    )


def _no_room(error: Any, _url: DatabaseUrl) -> str:
    return f"the database's disk is full: {_text(error)}. Make room; nothing else is to be done"


def _wait(error: Any, _url: DatabaseUrl) -> str:
    return f"the database server is not ready: {_text(error)}. It is asked again until it is"


def _ended(error: Any, url: DatabaseUrl) -> str:
    # asyncpg has read why the server closes a connection, say, and not yet that it is closed.
    return (
        f"a connection to the database at {_place(url)} ended: {_text(error)}. It is asked again"
        " until it answers"
    )


def _cut_off(error: Any, _url: DatabaseUrl) -> str:
    return (
        f"the database server ended a statement: {_text(error)}. If that goes on, raise the role's"
        " or database's statement_timeout to at least 10 s"
    )


def _changed(error: Any, _url: DatabaseUrl) -> str:
    return (
        f"the tables are not as this program made them: {_text(error)}. Undo what was changed, or"
        " give it a schema of its own (LOCSHARE_DATABASE_SCHEMA)"
    )


def _tls(error: Any, url: DatabaseUrl) -> str:
    return (
        f"TLS to the database at {_place(url)} fails: {_text(error)}. Check sslmode, sslrootcert,"
        f" sslcert and sslkey in {_URL}"
    )


def _pooled(error: Any, _url: DatabaseUrl) -> str:
    return (
        f"prepared statements get lost: {_text(error)}. If a pooler is in front of the database,"
        f" add ?pgbouncer=true to {_URL}"
    )


def _misuse(error: Any, _url: DatabaseUrl) -> str:
    return f"{_URL} cannot be used: {_text(error)}"


# The first that fits counts: subclasses before their bases.
_BY_KIND: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], _Explain], ...]] = (
    (TimeoutError, _timed_out),
    (socket.gaierror, _no_host),
    (UnicodeError, _no_host),
    (ssl.SSLError, _tls),
    (FileNotFoundError, _no_socket),
    (ConnectionRefusedError, _no_server),
    (READ_ONLY, _read_only),
    (pg.InvalidAuthorizationSpecificationError, _not_let_in),
    (pg.InvalidCatalogNameError, _no_database),
    ((pg.InsufficientPrivilegeError, pg.InvalidSchemaNameError), _no_privilege),
    ((pg.InvalidSQLStatementNameError, pg.DuplicatePreparedStatementError), _pooled),
    ((pg.UndefinedObjectError, pg.InvalidParameterValueError), _unknown_parameter),
    (pg.TooManyConnectionsError, _too_many),
    (pg.DiskFullError, _no_room),
    (pg.QueryCanceledError, _cut_off),
    (pg.OperatorInterventionError, _wait),
    (pg.SyntaxOrAccessError, _changed),
    (pg.InterfaceError, _misuse),
    (pg.InternalClientError, _ended),
)
