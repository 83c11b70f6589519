"""The WebSocket at ``/ws``, plain dialect (docs/reference/protocol.md)."""

import asyncio
import contextlib

from starlette.websockets import WebSocket

from bench.peers.common import messages
from bench.peers.common.connection import Connection, QueuedConnection
from bench.peers.common.messages import BadMessage, LocationUpdate, Ping
from bench.peers.common.model import Sessions
from bench.peers.common.problems import Problem
from bench.peers.common.tokens import Claims, Tokens

SUBPROTOCOL = "locshare.v1"
BEARER = "locshare.bearer."

OUT_OF_REACH = "the sessions are out of reach, come back later"
CLOSE_CODES = {400: 4400, 401: 4401, 403: 4403, 404: 4404, 410: 4410, 503: 1013}


class Socket:
    """The endpoint. One task receives, and starts one that sends."""

    def __init__(
        self, sessions: Sessions, tokens: Tokens, unavailable: tuple[type[Exception], ...]
    ) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._unavailable = unavailable

    async def serve(self, websocket: WebSocket) -> None:
        """One connection, from the request to its end."""
        try:
            claims = self._tokens.verify(_token(websocket))
            await self._sessions.admit(claims.session_id, claims.user_id)
        except Problem as problem:
            await _refuse(websocket, problem)
            return
        except self._unavailable:
            await _refuse(websocket, Problem("UNAVAILABLE", OUT_OF_REACH))
            return
        await websocket.accept(_subprotocol(websocket))
        await self._converse(websocket, claims)

    async def _converse(self, websocket: WebSocket, claims: Claims) -> None:
        connection = QueuedConnection(websocket, claims.session_id, claims.user_id, claims.role)
        writing = None
        try:
            snapshot = await self._sessions.attach(connection)
            writing = asyncio.create_task(connection.write(snapshot))
            await self._receive(websocket, connection)
        except Problem as problem:  # the session ended meanwhile
            await websocket.close(CLOSE_CODES[problem.status], problem.detail)
        except self._unavailable:
            await websocket.close(CLOSE_CODES[503], OUT_OF_REACH)
        except asyncio.CancelledError:
            if not connection.too_slow:
                raise
        finally:
            if writing is not None:
                writing.cancel()
            await self._sessions.detach(connection)

    async def _receive(self, websocket: WebSocket, connection: Connection) -> None:
        while True:
            event = await websocket.receive()
            if event["type"] == "websocket.disconnect":
                return
            text = event.get("text")
            if text is None:
                connection.send(failed("BINARY_NOT_SUPPORTED", "only text frames are"))
                continue
            try:
                message = messages.decode(text)
            except BadMessage as bad:
                connection.send(failed(bad.code, bad.text))
                continue
            if isinstance(message, LocationUpdate):
                await self._sessions.move(connection, message.data)
            elif isinstance(message, Ping):
                connection.send(messages.PONG)
            else:
                with contextlib.suppress(Problem):  # sent twice, or removed meanwhile
                    await self._sessions.remove(connection.session_id, connection.user_id, "left")


def failed(code: str, text: str) -> str:
    return messages.event("error", code=code, message=text)


def _token(websocket: WebSocket) -> str:
    for name in websocket.scope["subprotocols"]:
        if name.startswith(BEARER):
            return str(name.removeprefix(BEARER))
    token = websocket.query_params.get("token")
    if not token:
        raise Problem("TOKEN_MISSING", "a token is needed")
    return token


def _subprotocol(websocket: WebSocket) -> str | None:
    return SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None


async def _refuse(websocket: WebSocket, problem: Problem) -> None:
    if "origin" in websocket.headers:  # a browser's script sees no status, only a close code
        await websocket.accept(_subprotocol(websocket))
        await websocket.close(CLOSE_CODES[problem.status], problem.detail)
    else:
        await websocket.send_denial_response(problem.response())
