"""The second door: the REST API, health and metrics, over HTTP.

:func:`create_app` makes the application of a session manager and token keys, and
:class:`ApiServer` serves it as a supervised child.
"""

from locshare.api.app import RestApplication, create_app, create_internal_app
from locshare.api.health import Check, health_blueprint, when
from locshare.api.limits import ApiLimits
from locshare.api.sessions import PublicUrls
from locshare.http.access import HttpMetrics
from locshare.http.server import ApiServer, ServerLimits, ServerStatistics
from locshare.model.rate import Rate

__all__ = [
    "ApiLimits",
    "ApiServer",
    "Check",
    "HttpMetrics",
    "PublicUrls",
    "Rate",
    "RestApplication",
    "ServerLimits",
    "ServerStatistics",
    "create_app",
    "create_internal_app",
    "health_blueprint",
    "when",
]
