"""A small server of either dialect that does what it is told wrong, and the people to send to it.

    with misbehaving_server(Misbehaviour(lose_every=5)) as server:
        run = measure(server, plan(), NullObserver())

It has the REST contract as far as the driver of the bench uses it, and does nothing right but
deliver: no limits, no checks, no retention. Threads, because a test is the only user.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from bench.driver.plan import Participant, Plan
from bench.driver.progress import RunStatus
from bench.results import Dialect, DisruptionKind, Moment, Run, TargetDescription
from locshare.model.position import Position
from tests.running import LAST_RESORT_S

HOST = "127.0.0.1"
TOPIC = "session:{session_id}"
SHORT_S = 0.5


class Misbehaviour(Struct, kw_only=True):
    """What it does wrong. The counts are of updates (or deliveries), from the first; 0: never."""

    lose_every: int = 0
    """Every so manyth delivery."""
    repeat: bool = False
    mix: bool = False
    """Everybody gets everything, of all sessions."""
    echo: bool = False
    """Senders get their own."""
    overtake: bool = False
    """Each second update is delivered after the one that follows it."""
    delay_s: float = 0.0
    keep_last: bool = False
    """NullObserver gets the last update of a sender: each is delivered with the next."""
    hang_up_after: int = 0
    """So many updates of one connection: its socket is closed without a goodbye, once."""
    close_after: int = 0
    """The same, with a close frame."""
    close_code: int = 1012
    refuse_first: int = 0
    """So many upgrades are answered with 503."""
    mute: bool = False
    """Never a snapshot."""
    decimals: int | None = None
    """Coordinates are rounded."""
    invent: bool = False
    """Positions are somewhere else than reported."""
    loose: bool = False
    """Legal, but unusual: spaces, another order, unknown types, fragments, pings in between."""
    deaf: bool = False
    """Nothing is answered after the first message, and nothing delivered."""
    complain: bool = False
    """Every update is answered with an error (phoenix: a reply that is no ok)."""
    fail_joins: int = 0
    """So many joins over HTTP are answered with 500."""


class MisbehavingServer:
    """See the module. A target, as the driver sees it."""

    ws_url: str | None = None
    topic = TOPIC

    def __init__(self, wrong: Misbehaviour, dialect: Dialect) -> None:
        self.wrong = wrong
        self.description = TargetDescription(name="misbehaving", title="a test's", dialect=dialect)
        self.http_url = ""
        self.socket_url = ""
        self.lock = threading.Condition(threading.RLock())
        """Held while what it has seen changes, and notified then."""
        self.sessions: dict[str, dict[str, Callable[[Mapping[str, Any]], None]]] = {}
        self.newest: dict[str, Mapping[str, Any]] = {}
        self.left: list[str] = []
        self.heartbeats = 0
        self._numbers = iter(range(1, 1_000_000))
        self._deliveries = self._refused = self._failed = 0
        self._held: dict[str, Mapping[str, Any]] = {}
        self._turn: dict[str, int] = {}

    def has_seen(self, what: Callable[[], object]) -> bool:
        """Wait until ``what`` is true of what it has seen. False when that never comes."""
        with self.lock:
            return bool(self.lock.wait_for(what, LAST_RESORT_S))

    def pids(self) -> Sequence[int]:
        return ()

    def can(self, kind: DisruptionKind) -> bool:
        return False

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        raise NotImplementedError

    def end(self, kind: DisruptionKind) -> None:
        raise NotImplementedError

    # --- REST ---------------------------------------------------------------------------------

    def answer(self, method: str, path: str) -> tuple[int, Mapping[str, Any]]:
        with self.lock:
            if method == "DELETE":
                return 200, {"success": True}
            if path == "/api/sessions":
                session_id = f"s{next(self._numbers)}"
                self.sessions[session_id] = {}
                return 201, {"session_id": session_id, "host_token": "host"}
            self._failed += 1
            if self._failed <= self.wrong.fail_joins:
                return 500, {"code": "INTERNAL_ERROR"}
            user_id = f"u{next(self._numbers)}"
            session_id = path.split("/")[3]
            return 201, {
                "user_id": user_id,
                "websocket_token": f"{session_id}.{user_id}",
                "websocket_url": self.socket_url,
            }

    # --- deliveries -----------------------------------------------------------------------------

    def update(self, session_id: str, user_id: str, data: Mapping[str, Any]) -> None:
        wrong = self.wrong
        moved = {"user_id": user_id, **self._spoiled(data)}
        with self.lock:
            turn = self._turn[user_id] = self._turn.get(user_id, 0) + 1
            self.newest[user_id] = moved
            self.lock.notify_all()
            if wrong.keep_last or (wrong.overtake and turn % 2):
                held, self._held[user_id] = self._held.get(user_id), moved
                if held is not None:
                    self._deliver(session_id, user_id, held)
                return
            self._deliver(session_id, user_id, moved)
            if (held := self._held.pop(user_id, None)) is not None:
                self._deliver(session_id, user_id, held)

    def _spoiled(self, data: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(data)
        if self.wrong.decimals is not None:
            found |= {name: round(found[name], self.wrong.decimals) for name in ("lat", "lng")}
        if self.wrong.invent:
            found["lat"] += 1
        return found

    def _deliver(self, session_id: str, user_id: str, moved: Mapping[str, Any]) -> None:
        wrong = self.wrong
        if wrong.deaf:
            return
        if wrong.delay_s:
            time.sleep(wrong.delay_s)
        groups = self.sessions.values() if wrong.mix else (self.sessions[session_id],)
        for group in groups:
            for receiver, send in list(group.items()):
                if receiver == user_id and not wrong.echo:
                    continue
                self._deliveries += 1
                if wrong.lose_every and self._deliveries % wrong.lose_every == 0:
                    continue
                for _ in range(1 + wrong.repeat):
                    with suppress(ConnectionClosed):
                        send(moved)

    # --- connections ----------------------------------------------------------------------------

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        with self.lock:
            self._refused += 1
            if self._refused <= self.wrong.refuse_first:
                return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "later\n")
        return None

    def serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        query = parse_qs(urlsplit(connection.request.path).query)
        session_id, _, user_id = query["token"][0].partition(".")
        talk = self._phoenix if self.description.dialect == "phoenix" else self._plain
        try:
            with suppress(ConnectionClosed):
                talk(connection, session_id, user_id)
        finally:
            with self.lock:
                self.sessions[session_id].pop(user_id, None)
                self.lock.notify_all()

    def _plain(self, connection: ServerConnection, session_id: str, user_id: str) -> None:
        def say(kind: str, data: Any) -> None:
            self._say(connection, {"type": kind, "data": data})

        with self.lock:
            positions = [
                self.newest[each] for each in self.sessions[session_id] if each in self.newest
            ]
            if not self.wrong.mute:
                say("session_state", {"positions": positions})
            self.sessions[session_id][user_id] = lambda moved: say("location_update", moved)
            self.lock.notify_all()
        for text in connection:
            message = json.loads(text)
            if message["type"] == "location_update":
                self._updated(connection, session_id, user_id, message["data"])
                if self.wrong.complain:
                    say("error", {"code": "RATE_LIMITED", "message": "too many"})
            elif message["type"] == "ping":
                with self.lock:
                    self.heartbeats += 1
                    self.lock.notify_all()
                if not self.wrong.deaf:
                    say("pong", {})
            elif message["type"] == "leave":
                self.left.append(user_id)
                return

    def _phoenix(self, connection: ServerConnection, session_id: str, user_id: str) -> None:
        topic = TOPIC.replace("{session_id}", session_id)

        def say(join_ref: str | None, ref: str | None, about: str, event: str, data: Any) -> None:
            self._say(connection, [join_ref, ref, about, event, data])

        def reply(join_ref: str, ref: str, about: str, status: str, response: Any) -> None:
            data = {"status": status, "response": response}
            say(join_ref, ref, about, "phx_reply", data)

        for text in connection:
            join_ref, ref, about, event, payload = json.loads(text)
            joined = user_id in self.sessions[session_id]
            if (about, event) == ("phoenix", "heartbeat"):
                with self.lock:
                    self.heartbeats += 1
                    self.lock.notify_all()
                if self.wrong.deaf:
                    continue
                reply(join_ref, ref, about, "ok", {})
            elif about != topic or (event != "phx_join" and not joined):
                reply(join_ref, ref, about, "error", {"reason": "unmatched topic"})
            elif event == "phx_join":
                with self.lock:
                    positions = [
                        self.newest[each]
                        for each in self.sessions[session_id]
                        if each in self.newest
                    ]
                    if not self.wrong.mute:
                        reply(join_ref, ref, topic, "ok", {"positions": positions})
                    self.sessions[session_id][user_id] = lambda moved: say(
                        None, None, topic, "location_update", moved
                    )
            elif event == "phx_leave":
                with self.lock:
                    self.left.append(user_id)
                    self.lock.notify_all()
                    del self.sessions[session_id][user_id]
                    reply(join_ref, ref, topic, "ok", {})
                    say(join_ref, None, topic, "phx_close", {})
            elif event == "location_update":
                self._updated(connection, session_id, user_id, payload)
                if self.wrong.complain:
                    reply(join_ref, ref, topic, "error", {"reason": "too many"})
            else:
                say(join_ref, None, topic, "phx_error", {})

    def _updated(
        self, connection: ServerConnection, session_id: str, user_id: str, data: Mapping[str, Any]
    ) -> None:
        wrong = self.wrong
        self.update(session_id, user_id, data)
        turn = self._turn[user_id]
        if turn == wrong.hang_up_after:
            connection.socket.shutdown(socket.SHUT_RDWR)
        if turn == wrong.close_after:
            connection.close(wrong.close_code)

    def _say(self, connection: ServerConnection, message: Any) -> None:
        if not self.wrong.loose:
            connection.send(json.dumps(message, separators=(",", ":")))
            return
        unusual = {"type": "weather_report", "data": {"lat": 1, "lng": 2}}
        if isinstance(message, dict):
            message = dict(reversed(message.items()))
            if isinstance(message["data"], dict):
                message["data"] = dict(reversed(message["data"].items()))
            connection.send(json.dumps(unusual))
        text = json.dumps(message, indent=4, ensure_ascii=True)
        third = len(text) // 3
        connection.send([text[:third], text[third : 2 * third], text[2 * third :]])
        connection.ping()


@contextmanager
def misbehaving_server(
    wrong: Misbehaviour | None = None, dialect: Dialect = "plain"
) -> Iterator[MisbehavingServer]:
    """The server, which is gone when the block ends."""
    made = MisbehavingServer(wrong or Misbehaviour(), dialect)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with suppress(ConnectionError):
                super().handle_one_request()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = made.answer(self.command, self.path)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_DELETE = do_POST  # noqa: N815 - http.server's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
            """Not into the test's output."""

    with ExitStack() as stack:
        http = ThreadingHTTPServer((HOST, 0), Handler)
        sockets: Server = serve(
            made.serve,
            HOST,
            0,
            process_request=made.admit,
            compression=None,
            ping_interval=None,
            close_timeout=0.2,
        )
        made.http_url = f"http://{HOST}:{http.server_port}"
        path = "/socket/websocket" if dialect == "phoenix" else "/ws"
        made.socket_url = f"ws://{HOST}:{sockets.socket.getsockname()[1]}{path}"
        stack.callback(http.server_close)
        for run, stop in (
            (lambda: http.serve_forever(poll_interval=0.02), http.shutdown),
            (sockets.serve_forever, sockets.shutdown),
        ):
            thread = threading.Thread(target=run)
            thread.start()
            stack.callback(thread.join)
            stack.callback(stop)
        yield made


class Walker:
    """A phone: every report is a little further on."""

    def __init__(self, number: int) -> None:
        self._lat, self._lng = 10.0 + number, 20.0

    def position(self, seconds: float, timestamp: datetime) -> Position:
        self._lng = round(self._lng + 0.000_123_4, 7)
        return Position(lat=self._lat, lng=self._lng, accuracy=5, timestamp=timestamp)


class Stay(Struct, frozen=True):
    """A visit."""

    arrives_s: float = 0.0
    leaves_s: float | None = None
    gracefully: bool = True


def plan(
    sessions: Sequence[int] = (3,),
    *,
    duration_s: float = SHORT_S,
    interval_s: float = 0.06,
    visits: Sequence[Stay] = (Stay(),),
    measured_from_s: float = 0.1,
    disruptions: bool = False,
    times: int = 1,
) -> Plan:
    """A short run: sessions of so many people, everybody with these visits. ``times``: everything
    but the interval takes so much longer.
    """
    people = iter(range(10_000))
    visits = [
        Stay(
            each.arrives_s * times,
            None if each.leaves_s is None else each.leaves_s * times,
            each.gracefully,
        )
        for each in visits
    ]
    return Plan(
        scenario="test",
        title="a test",
        seed=1,
        scale=1.0,
        sessions=[
            [
                Participant(f"p{n}", "#112233", Walker(n), visits)
                for n in (next(people) for _ in range(size))
            ]
            for size in sessions
        ],
        interval_s=interval_s,
        measured_from_s=measured_from_s * times,
        duration_s=duration_s * times,
        disruptions=disruptions,
        goodbye_s=0.05 * times,
        drain_s=0.4 * times,
    )


class NullObserver:
    """Watches and remembers."""

    def __init__(self) -> None:
        self.moments: list[tuple[Moment, RunStatus]] = []
        self.phases: list[str] = []

    def begins(self, target: str, scenario: str, title: str) -> None: ...

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def moment(self, moment: Moment, standing: RunStatus) -> None:
        self.moments.append((moment, standing))

    def ended(self, run: Run) -> None: ...
