"""The whole application is looked into with a real PostgreSQL and the real clock."""

from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]
