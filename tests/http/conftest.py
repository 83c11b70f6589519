"""The server is tested with the REST API, so the fixtures are the API's."""

from tests.api.conftest import api, client, make_app, manager, registry, tokens

__all__ = ["api", "client", "make_app", "manager", "registry", "tokens"]
