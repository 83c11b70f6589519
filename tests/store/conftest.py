"""The store's tests use a real PostgreSQL and the real clock."""

from collections.abc import Iterator

import pytest

from tests.postgres import Server, postgres_server, postgres_url, running_server

__all__ = ["postgres_server", "postgres_url"]


@pytest.fixture
def empty_url(postgres_server: Server) -> Iterator[str]:
    """A database without tables."""
    name = postgres_server.create_database(template=None)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """One that a test may stop, if it starts it again. Durable."""
    with running_server(settings={}) as server:
        yield server


@pytest.fixture
def url(own_server: Server) -> Iterator[str]:
    """A database on that server."""
    with own_server.database() as url:
        yield url
