"""What connecting costs the server on one port, next to two.

    python -m bench.solo.ports          # 40 s
    python -m bench.solo.ports --rounds 2 --count 200

Two real servers take turns, one with LOCSHARE_BIND, one with two ports. *At once* the request is
there when the socket is accepted; *late* it comes after the connection, as over any real network;
*kept* is a request on a connection that stays. A figure is the CPU of the server's process for
each, of the best round, because the noise of a shared machine only ever adds.
"""

import argparse
import json
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from bench.errors import NotServing
from bench.procfs import circumstances, cpu_seconds
from bench.servers import HOST, Server, running_server

_BATCH: Final = 50
_TIMEOUT_S: Final = 10.0
_UPGRADE: Final = (
    "GET /ws?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_GET: Final = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
SETTINGS: Final = {"LOCSHARE_RECONNECT_PER_SECOND": "1000", "LOCSHARE_RECONNECT_BURST": "10000"}


class Side:
    """A running server, its ports, and a participant's token."""

    def __init__(self, server: Server, http: int, ws: int) -> None:
        self.server = server
        self.http = http
        self.ws = ws
        session = json.loads(self._post("/api/sessions"))["session_id"]
        joined = self._post(f"/api/sessions/{session}/join", b'{"display_name": "Ada"}')
        self.upgrade = _UPGRADE.format(token=json.loads(joined)["websocket_token"]).encode()

    def _post(self, path: str, body: bytes = b"{}") -> bytes:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with _connect(self.http) as sock:
            sock.sendall(head.encode() + body)
            answer = b"".join(iter(lambda: sock.recv(65_536), b""))
        return answer.partition(b"\r\n\r\n")[2]

    def cpu(self) -> float:
        """Raises NotServing when it has ended."""
        seconds = cpu_seconds(self.server.pid)
        if seconds is None:
            raise NotServing("the server has ended")
        return seconds


def _connect(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=_TIMEOUT_S)


def _ask(sock: socket.socket, request: bytes, wanted: bytes) -> None:
    sock.sendall(request)
    answer = b""
    while wanted not in answer:
        part = sock.recv(65_536)
        if not part:
            raise NotServing(f"closed after {answer[:60]!r}")
        answer += part


def _each(port: int, request: bytes, wanted: bytes, count: int, *, late: bool) -> None:
    for _ in range(count // _BATCH):
        with ExitStack() as stack:
            socks = [stack.enter_context(_connect(port)) for _ in range(_BATCH if late else 0)]
            if late:
                time.sleep(0.01)  # all have been accepted
            for number in range(_BATCH):
                with socks[number] if late else _connect(port) as sock:
                    _ask(sock, request, wanted)


def _kept(side: Side, count: int) -> None:
    with _connect(side.http) as sock:
        for _ in range(count):
            _ask(sock, _GET, b'"')


KINDS: Final[dict[str, Callable[[Side, int], None]]] = {
    "upgrade, at once": lambda side, count: _each(
        side.ws, side.upgrade, b"session_state", count, late=False
    ),
    "upgrade, late": lambda side, count: _each(
        side.ws, side.upgrade, b"session_state", count, late=True
    ),
    "request, at once": lambda side, count: _each(side.http, _GET, b'"', count, late=False),
    "request, late": lambda side, count: _each(side.http, _GET, b'"', count, late=True),
    "request, kept": _kept,
}


def measure(rounds: int, count: int) -> dict[str, dict[str, float]]:
    """Microseconds of CPU, by kind, on ``one`` port and on ``two``. Raises NotServing."""
    with ExitStack() as stack:
        two = stack.enter_context(running_server(SETTINGS))
        folder_free = {"LOCSHARE_HTTP_BIND": "", "LOCSHARE_WS_BIND": ""}
        one = stack.enter_context(
            running_server(SETTINGS | folder_free | {"LOCSHARE_BIND": f"{HOST}:0"})
        )
        ready = one.logged("ready") or {}
        port = int(str(ready["http"]).rpartition(":")[2])
        sides = {"two": Side(two, two.http_port, two.ws_port), "one": Side(one, port, port)}
        best: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
        for _ in range(rounds):
            for kind, exercise in KINDS.items():
                for name, side in sides.items():
                    before = side.cpu()
                    exercise(side, count)
                    cost = (side.cpu() - before) / count * 1e6
                    best[kind][name] = min(cost, best[kind].get(name, cost))
    return best


def report(figures: dict[str, dict[str, float]]) -> str:
    rows = [
        f"| {kind} | {two:.0f} µs | {one:.0f} µs | {one - two:+.0f} µs |"
        for kind, (one, two) in ((kind, (c["one"], c["two"])) for kind, c in figures.items())
    ]
    return "\n".join(
        [circumstances(), "", "| | two ports | one port | difference |", "|---|---|---|---|", *rows]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.ports", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1000, help=f"of each, a multiple of {_BATCH}")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args(arguments)
    try:
        figures = measure(options.rounds, options.count)
    except NotServing as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(figures) if options.json else report(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
