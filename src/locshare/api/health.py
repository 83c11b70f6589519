"""Liveness, readiness and metrics, for process managers, proxies and Prometheus.

``live`` responds as long as the event loop runs, whatever else is broken: an orchestrator must not
restart a server because its database is unreachable. ``ready`` runs all checks at once, each with a
deadline. Requests that arrive during a round share the next one, so that a flood of requests costs
one round at a time.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

import trio
from msgspec import Struct
from prometheus_client import CollectorRegistry
from quart import Blueprint, Response

from locshare.api.quart_adapter import quart_response
from locshare.api.scrapes import Scrapes
from locshare.http.problems import RETRY_AFTER_S
from locshare.http.types import json_response
from locshare.model.errors import LocshareError
from locshare.telemetry.metrics import CONTENT_TYPE
from locshare.telemetry.unexpected import log_unexpected

CHECK_TIMEOUT_S: Final = 1.0

Check = Callable[[], Awaitable[object]]
"""Passes when it returns; fails when it returns False or raises."""
State = Literal["ok", "failed", "too_slow"]


class Live(Struct, frozen=True):
    status: Literal["ok"] = "ok"


class Ready(Struct, frozen=True):
    status: Literal["ok", "unavailable"]
    checks: dict[str, State]


def when(flag: Callable[[], bool]) -> Check:
    """A check of a flag in memory, such as "not draining"."""

    async def check() -> bool:
        await trio.lowlevel.checkpoint()
        return flag()

    return check


def health_blueprint(registry: CollectorRegistry | None, checks: Mapping[str, Check]) -> Blueprint:
    """``/health/live``, ``/health/ready`` and, with a ``registry``, ``/metrics``."""
    routes = Blueprint("health", __name__)
    readiness = _Readiness(checks)

    @routes.get("/health/live")
    async def live() -> Response:
        return quart_response(json_response(Live()))

    @routes.get("/health/ready")
    async def ready() -> Response:
        states = await readiness.ask()
        if all(state == "ok" for state in states.values()):
            return quart_response(json_response(Ready("ok", states)))
        response = quart_response(json_response(Ready("unavailable", states), 503))
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response

    if registry is not None:
        scrapes = Scrapes(registry)

        @routes.get("/metrics")
        async def metrics() -> Response:
            return Response(await scrapes.ask(), content_type=CONTENT_TYPE)

    return routes


class _Readiness:
    """Runs the checks once for all concurrent callers. One caller runs them; when it is cancelled,
    the next one does.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._asking = trio.Lock()
        self._round = 0
        self._states: dict[str, State] = {}

    async def ask(self) -> dict[str, State]:
        """The state of each check, as of after this call began."""
        began = self._round
        async with self._asking:
            # A check of the round that was running may have returned before this call. Those of
            # the round after it did not.
            if self._round < began + 2:
                self._states = await ask_all(self._checks)
                self._round += 1
            return self._states


async def ask_all(checks: Mapping[str, Check]) -> dict[str, State]:
    """Run all checks at once; each has a second."""
    states: dict[str, State] = dict.fromkeys(checks, "too_slow")

    async def ask(name: str, check: Check) -> None:
        with trio.move_on_after(CHECK_TIMEOUT_S):
            try:
                states[name] = "failed" if await check() is False else "ok"
            except LocshareError:
                states[name] = "failed"
            except Exception as error:  # noqa: BLE001 - a check that raises has failed
                log_unexpected("check_failed", error, check=name)
                states[name] = "failed"

    async with trio.open_nursery() as nursery:
        for name, check in checks.items():
            nursery.start_soon(ask, name, check)
    return states
