"""The server is tested with the REST API on it: the fixtures are the API's."""

from tests.api.conftest import client, make_app, manager, registry, tokens

__all__ = ["client", "make_app", "manager", "registry", "tokens"]
