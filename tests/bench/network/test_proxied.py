"""Targets led through impairment: where the way goes, and what of the target stays as it was."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest

from bench.errors import NotServing
from bench.network import proxied
from bench.network.namespace import Link, Unavailable
from bench.network.proxied import ProxiedTarget, behind_proxy, lossy
from bench.network.relay import RETRANSMISSION_S, Impairment
from bench.results import DisruptionKind, TargetDescription
from bench.servers import free_port
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S


class Elsewhere:
    """A target that is somewhere, and notes what is done to it."""

    description = TargetDescription(name="elsewhere", title="elsewhere", dialect="plain")
    topic = "session:{session_id}"

    def __init__(self, ws_url: str | None, http_url: str = "http://127.0.0.1:1") -> None:
        self.ws_url = ws_url
        self.http_url = http_url
        self.calls: list[tuple[str, str]] = []

    def pids(self) -> Sequence[int]:
        return (4711,)

    def can(self, kind: DisruptionKind) -> bool:
        return kind == "kill_process"

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        self.calls.append(("begin", kind))
        return f"{kind} of {session_id}"

    def end(self, kind: DisruptionKind) -> None:
        self.calls.append(("end", kind))


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_S)
        yield listener


def url_of(server: socket.socket, path: str = "/ws") -> str:
    return f"ws://127.0.0.1:{server.getsockname()[1]}{path}"


def connected(target: ProxiedTarget, server: socket.socket) -> tuple[socket.socket, socket.socket]:
    """A client that took the target's way, and the server's end of it."""
    assert target.via[1] != server.getsockname()[1]
    client = socket.create_connection(target.via, DEADLINE_S)
    accepted, _ = server.accept()
    return client, accepted


def all_else_is_the_targets(rerouted: ProxiedTarget, target: Elsewhere) -> None:
    assert rerouted.description is target.description
    assert rerouted.http_url == target.http_url
    assert rerouted.ws_url == target.ws_url
    assert rerouted.topic == target.topic
    assert rerouted.pids() == (4711,)
    assert rerouted.can("kill_process")
    assert not rerouted.can("cut_database")
    assert rerouted.begin("kill_process", "s1") == "kill_process of s1"
    rerouted.end("kill_process")
    assert target.calls == [("begin", "kill_process"), ("end", "kill_process")]


# --- a network that can be cut ----------------------------------------------------------------


def test_a_cut_network_resets_connections_and_refuses_new_ones(server: socket.socket) -> None:
    target = Elsewhere(url_of(server, "/socket/websocket?vsn=2.0.0"))
    with behind_proxy(target) as cuttable:
        all_else_is_the_targets(cuttable, target)
        assert cuttable.can("cut_network")
        client, accepted = connected(cuttable, server)
        with client, accepted:
            client.sendall(b"hello")
            assert accepted.recv(10) == b"hello"
            done = cuttable.begin("cut_network", "s1")
            assert done == "1 connections reset, new ones refused"
            for each in (client, accepted):
                with pytest.raises(ConnectionResetError):
                    each.recv(10)
        with pytest.raises(ConnectionResetError):
            refused(cuttable)
        cuttable.end("cut_network")
        client, accepted = connected(cuttable, server)
        with client, accepted:
            accepted.sendall(b"hello")
            assert client.recv(10) == b"hello"
    assert ("begin", "cut_network") not in target.calls


def refused(target: ProxiedTarget) -> None:
    with socket.create_connection(target.via, DEADLINE_S) as client:
        client.recv(10)


def test_a_dead_proxy_is_reported_as_any_other_failure(server: socket.socket) -> None:
    with behind_proxy(Elsewhere(url_of(server))) as cuttable:
        gone: Any = cuttable
        gone._proxy._process.kill()
        with pytest.raises(NotServing, match="cut_network: the proxy has ended"):
            cuttable.begin("cut_network", "s1")
        with pytest.raises(NotServing, match="cut_network: the proxy has ended"):
            cuttable.end("cut_network")


# --- loss -------------------------------------------------------------------------------------


def unavailable(*_: object, **__: object) -> AbstractContextManager[Link]:
    raise Unavailable("there is no nft; it is in the package nftables")


def test_without_a_link_a_proxy_imitates_the_loss_and_says_why(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxied, "lossy_link", unavailable)
    target = Elsewhere(url_of(server))
    with lossy(target, Impairment(loss=0.5), seed=1) as rerouted:
        assert rerouted.how == (
            "loss is imitated by a proxy, as a retransmission's delay "
            "(there is no nft; it is in the package nftables)"
        )
        all_else_is_the_targets(rerouted, target)
        client, accepted = connected(rerouted, server)
        with client, accepted:
            began = time.monotonic()
            accepted.sendall(b"a")  # with this seed the first is lost once
            assert client.recv(10) == b"a"
            assert time.monotonic() - began >= RETRANSMISSION_S


def test_what_the_link_cannot_do_the_proxy_does() -> None:
    wanted = Impairment(delay_s=0.05, jitter_s=0.01, loss=0.2)
    loses, delays = (Link("far", "router", "198.18.0.1", each) for each in (False, True))
    left, how = proxied._left_to_do(loses, wanted)
    assert (left.loss, left.delay_s, left.jitter_s) == (0.0, 0.05, 0.01)
    assert how.endswith("; a proxy at its far end delays what is carried")
    left, how = proxied._left_to_do(delays, wanted)
    assert left == Impairment()
    assert how.endswith(", which delays them (tc netem)")
    left, how = proxied._left_to_do(loses, Impairment(loss=0.2))
    assert left == Impairment()
    assert "delay" not in how


# --- where the target's WebSockets are --------------------------------------------------------


class Contract(BaseHTTPRequestHandler):
    """As much of docs/reference/rest.md as is asked for."""

    asked: ClassVar[list[str]]
    websocket_url: ClassVar[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/join"):
            joined = {"user_id": "u", "websocket_token": "t", "websocket_url": self.websocket_url}
            self.answer(joined)
        else:
            self.answer({"session_id": "s1", "host_token": "t"})

    def do_DELETE(self) -> None:
        self.answer({"success": self.headers["Authorization"] == "Bearer t"})

    def answer(self, body: dict[str, Any]) -> None:
        self.asked.append(f"{self.command} {self.path}")
        self.send_response(201)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def rest(websocket_url: str) -> Iterator[tuple[str, list[str]]]:
    """The URL of a REST interface, and what it is asked."""

    class Handler(Contract):
        asked: ClassVar[list[str]] = []

    Handler.websocket_url = websocket_url
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", Handler.asked
        finally:
            server.shutdown()
            thread.join()


def test_a_target_without_a_websocket_address_is_asked_by_a_join(server: socket.socket) -> None:
    with (
        rest(url_of(server, "/ws?region=1")) as (http_url, asked),
        behind_proxy(Elsewhere(None, http_url)) as cuttable,
    ):
        client, accepted = connected(cuttable, server)
        client.close()
        accepted.close()
    assert asked == ["POST /api/sessions", "POST /api/sessions/s1/join", "DELETE /api/sessions/s1"]


@pytest.mark.parametrize("answered", ["", "http://127.0.0.1:1/ws", "ws:///ws"])
def test_a_join_without_a_websocket_address_is_reported(answered: str) -> None:
    with rest(answered) as (http_url, _), pytest.raises(NotServing, match="websocket_url"):
        behind_proxy(Elsewhere(None, http_url)).__enter__()


def test_a_target_with_tls_is_proxied_like_any_other(server: socket.socket) -> None:
    target = Elsewhere(url_of(server).replace("ws:", "wss:"))
    with behind_proxy(target) as cuttable:
        client, accepted = connected(cuttable, server)
        with client, accepted:
            client.sendall(b"a record")
            assert accepted.recv(10) == b"a record"


def test_an_unreachable_rest_interface_is_reported() -> None:
    port = free_port()
    with pytest.raises(NotServing, match="POST /api/sessions: "):
        behind_proxy(Elsewhere(None, f"http://127.0.0.1:{port}")).__enter__()
