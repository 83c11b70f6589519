"""Is it alive, is it ready, and how is it doing: for process managers, proxies and Prometheus.

``live`` answers as long as the loop turns, whatever else is broken, so that nobody restarts a
server because its database is away. ``ready`` asks each check at once, each with a deadline.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

import structlog
import trio
from msgspec import Struct
from quart import Blueprint, Response

from locshare.api.exchange import reply
from locshare.api.framework import response
from locshare.errors import LocshareError
from locshare.metrics import CONTENT_TYPE, Registry

log = structlog.get_logger()

CHECK_TIMEOUT_S: Final = 1.0
RETRY_AFTER_S: Final = 5

Check = Callable[[], Awaitable[object]]
"""Ready when it returns; not ready when it returns False or raises."""
State = Literal["ok", "failed", "too_slow"]


class Live(Struct, frozen=True):
    status: Literal["ok"] = "ok"


class Ready(Struct, frozen=True):
    status: Literal["ok", "unavailable"]
    checks: dict[str, State]


def when(flag: Callable[[], bool]) -> Check:
    """A check of something that is known without asking, such as "not draining"."""

    async def check() -> bool:
        await trio.lowlevel.checkpoint()
        return flag()

    return check


def health_blueprint(registry: Registry, checks: Mapping[str, Check]) -> Blueprint:
    """``/health/live``, ``/health/ready`` and ``/metrics``."""
    routes = Blueprint("health", __name__)

    @routes.get("/health/live")
    async def live() -> Response:
        return response(reply(Live()))

    @routes.get("/health/ready")
    async def ready() -> Response:
        states = await _ask(checks)
        if all(state == "ok" for state in states.values()):
            return response(reply(Ready("ok", states)))
        answer = response(reply(Ready("unavailable", states), 503))
        answer.headers["Retry-After"] = str(RETRY_AFTER_S)
        return answer

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(registry.exposition(), content_type=CONTENT_TYPE)

    return routes


async def _ask(checks: Mapping[str, Check]) -> dict[str, State]:
    states: dict[str, State] = dict.fromkeys(checks, "too_slow")

    async def ask(name: str, check: Check) -> None:
        with trio.move_on_after(CHECK_TIMEOUT_S):
            try:
                states[name] = "failed" if await check() is False else "ok"
            except LocshareError:
                states[name] = "failed"
            except Exception:  # a check that breaks is a check that fails
                log.exception("check_failed", check=name)
                states[name] = "failed"

    async with trio.open_nursery() as nursery:
        for name, check in checks.items():
            nursery.start_soon(ask, name, check)
    return states
