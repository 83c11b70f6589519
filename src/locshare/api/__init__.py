"""The REST API, health and metrics over HTTP.

:func:`create_app` makes the application of a session manager and token keys, to be served by
:class:`locshare.http.HttpServer`.
"""

from locshare.api.app import RestApplication, create_app, create_internal_app
from locshare.api.health import Check, ask_all, health_blueprint, when
from locshare.api.limits import ApiLimits
from locshare.api.sessions import PublicUrls
from locshare.model.rate import Rate

__all__ = [
    "ApiLimits",
    "Check",
    "PublicUrls",
    "Rate",
    "RestApplication",
    "ask_all",
    "create_app",
    "create_internal_app",
    "health_blueprint",
    "when",
]
