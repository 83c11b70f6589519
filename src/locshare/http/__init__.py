"""The HTTP/1.1 server and middleware: hypercorn's protocol and our sockets, time limits and rules.

What this room has of its own beside ``hypercorn.trio.serve``, and why (reads per
``GET /api/sessions/{id}`` in one connection):

- ``connection``: bounded writes, a minimum reading rate, a linger after the last response, a stop
  that waits for running requests; 184 us of a core per read instead of 394;
- ``server``, ``net.slots``: hypercorn has no bound on connections, so one stranger may take all;
- ``heads``, ``strict_h11``: h11 lets a bare LF, a folded line or two framings of a body through,
  and hypercorn speaks HTTP/2 and WebSocket when a request asks for it;
- ``fast_router``: 184 us of a core per read instead of 349 through Quart, 787 us per join with its
  row on disk instead of 1,234 (``python -m bench.solo.rest --joins 300 --reads 0 --seconds 5``);
- ``access``: one place for request ids, common headers, origins, the log and unexpected errors.

``hypercorn_protocol`` holds every use of hypercorn that its documentation does not promise.
"""

from locshare.http.access import HttpMetrics
from locshare.http.limits import ServerLimits
from locshare.http.server import HttpServer, ServerStatistics

__all__ = ["HttpMetrics", "HttpServer", "ServerLimits", "ServerStatistics"]
