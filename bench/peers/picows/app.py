"""The application: REST by Starlette, the WebSocket by picows, on one uvloop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from picows import WSUpgradeRequest, WSUpgradeResponseWithListener, ws_create_server
from starlette.applications import Starlette

from bench.peers.common.app import MAX_FRAME_BYTES, create_app
from bench.peers.common.settings import Settings
from bench.peers.common.tokens import Tokens
from bench.peers.inprocess.sessions import MemorySessions
from bench.peers.picows.flushing import Flushing
from bench.peers.picows.upgrade import answer_upgrade

PING_EVERY_S = 20


def application() -> Starlette:
    """For uvicorn."""
    settings = Settings.handed_on()
    sessions = MemorySessions(settings.max_participants)
    tokens = Tokens(settings.secret)
    window_ms = settings.flush_window_ms
    flushing = Flushing(sessions, window_ms / 1000) if window_ms else None

    def upgrade(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        return answer_upgrade(request, sessions, tokens, flushing)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        server = await ws_create_server(
            upgrade,
            settings.host,
            settings.ws_port,
            enable_auto_ping=True,
            auto_ping_idle_timeout=PING_EVERY_S,
            auto_ping_reply_timeout=PING_EVERY_S,
            max_frame_size=MAX_FRAME_BYTES,
            use_aiofastnet=False,
            backlog=2048,
        )
        try:
            yield
        finally:
            server.close()

    return create_app(sessions, settings, lifespan)
