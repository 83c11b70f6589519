"""``/debug/tree`` on an internal port: the live tree, to read only.

For tools that speak HTTP and cannot open the control socket. There is nothing to log in with, so
the port must not be reachable from outside.
"""

import msgspec
from quart import Blueprint, Response, request

from locshare.http.problems import HttpProblem, ProblemCode
from locshare.ops.control import ControlError
from locshare.ops.inspection.operations import Inspector
from locshare.ops.inspection.text import as_text
from locshare.ops.inspection.views import Tree


def debug_blueprint(inspector: Inspector) -> Blueprint:
    """``GET /debug/tree`` with ``limit`` and ``sort`` as in :class:`Tree`; JSON, or plain text for
    ``format=text``.
    """
    routes = Blueprint("debug", __name__)

    @routes.get("/debug/tree")
    async def tree() -> Response:
        query = dict(request.args)
        wanted = query.pop("format", "json")
        if wanted not in ("json", "text"):
            raise HttpProblem(ProblemCode.BAD_REQUEST, f"format is {wanted!r}; allowed: json, text")
        try:
            asked = msgspec.convert(query, Tree, strict=False)
            snapshot = await inspector.snapshot(asked)
        except msgspec.ValidationError as error:
            raise HttpProblem(ProblemCode.BAD_REQUEST, str(error)) from error
        except ControlError as error:
            not_ready = error.code == "not_ready"
            code = ProblemCode.UNAVAILABLE if not_ready else ProblemCode.BAD_REQUEST
            raise HttpProblem(code, error.message) from error
        if wanted == "text":
            return Response(as_text(snapshot), mimetype="text/plain")
        return Response(msgspec.json.encode(snapshot), mimetype="application/json")

    return routes
