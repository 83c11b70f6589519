"""The application, and the program that serves it."""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute

from bench.peers.common.model import Sessions
from bench.peers.common.problems import Problem
from bench.peers.common.rest import Calls
from bench.peers.common.settings import Settings
from bench.peers.common.socket import OUT_OF_REACH, Socket
from bench.peers.common.tokens import Tokens

log = logging.getLogger(__name__)

MAX_FRAME_BYTES = 64 * 1024
DRAIN_S = 5


def create_app(
    sessions: Sessions,
    settings: Settings,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None,
    unavailable: tuple[type[Exception], ...] = (),
) -> Starlette:
    """Everything on one port. ``unavailable`` are the exceptions by which ``sessions`` say that
    they are out of reach for now.
    """
    tokens = Tokens(settings.secret)
    return Starlette(
        routes=[
            *Calls(sessions, tokens, settings).routes(),
            WebSocketRoute("/ws", Socket(sessions, tokens, unavailable).serve),
        ],
        exception_handlers={
            Problem: _problem,
            HTTPException: _http,
            **dict.fromkeys(unavailable, _unavailable),
            Exception: _internal,
        },
        lifespan=lifespan,
    )


def run(settings: Settings, factory: str) -> None:
    """Serve until a signal comes. ``factory`` is ``module:function`` of the application."""
    settings.hand_on()
    uvicorn.run(
        factory,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=DRAIN_S,
    )


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _unavailable(_: Request, error: Exception) -> Response:
    log.warning("a request was refused: %s", error)
    return Problem("UNAVAILABLE", OUT_OF_REACH).response()


async def _http(_: Request, error: Exception) -> Response:
    """Refusals by the framework."""
    assert isinstance(error, HTTPException)
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "BAD_REQUEST")
    detail = HTTPStatus(error.status_code).phrase
    return Problem(code, detail, headers=error.headers).response()


async def _internal(_: Request, error: Exception) -> Response:  # noqa: ARG001 - uvicorn logs it
    return Problem("INTERNAL_ERROR", "an internal error, which has been logged").response()
