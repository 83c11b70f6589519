"""From an upgrade request to a listener or a refusal."""

from urllib.parse import parse_qs, urlsplit

from picows import WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from bench.peers.common.connection import Close
from bench.peers.common.problems import Problem
from bench.peers.common.socket import BEARER, CLOSE_CODES, SUBPROTOCOL
from bench.peers.common.tokens import Tokens
from bench.peers.inprocess.sessions import MemorySessions
from bench.peers.picows.flushing import Flushing
from bench.peers.picows.listener import Listener, Refused


def answer_upgrade(
    request: WSUpgradeRequest,
    sessions: MemorySessions,
    tokens: Tokens,
    flushing: Flushing | None = None,
) -> WSUpgradeResponseWithListener:
    """Accept a participant; anyone else gets a status, or a close code where there is an Origin: a
    browser's script sees no status.
    """
    offered = [
        each.strip()
        for line in request.headers.getall("Sec-WebSocket-Protocol", [])
        for each in line.split(",")
    ]
    chosen = {"Sec-WebSocket-Protocol": SUBPROTOCOL} if SUBPROTOCOL in offered else {}
    listener: WSListener
    try:
        claims = tokens.verify(_token(request, offered))
        sessions.admit_now(claims.session_id, claims.user_id)
        listener = Listener(sessions, claims, flushing)
    except Problem as problem:
        if "Origin" not in request.headers:
            refusal = problem.response()
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_error_response(
                    refusal.status_code,
                    bytes(refusal.body),
                    [each for each in refusal.headers.items() if each[0] != "content-length"],
                ),
                None,
            )
        listener = Refused(Close(CLOSE_CODES[problem.status], problem.detail))
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(chosen), listener)


def _token(request: WSUpgradeRequest, offered: list[str]) -> str:
    for name in offered:
        if name.startswith(BEARER):
            return name.removeprefix(BEARER)
    query = parse_qs(urlsplit(request.path.decode("latin-1")).query)
    if tokens := query.get("token"):
        return tokens[0]
    raise Problem("TOKEN_MISSING", "a token is needed")
