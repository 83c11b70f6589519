"""A real server, with sessions and people that examples refer to by names (``@member@``)."""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from bench.servers import HOST
from tests.fuzz.conversations import DialectName
from tests.fuzz.oracle import check_close, check_message
from tests.fuzz.sockets import ANSWER_S, Busy, Client, Ended, Fault
from tests.program import data_directory, free_port, running_program
from tests.sockets import client_frame, request

CALLS_PER_SESSION: Final = 40
"""After so many examples there is a new session: some end it, some lock it, some fill it."""
CONNECTIONS_PER_MEMBER: Final = 15
"""More in a row are refused for a while."""
UNKNOWN: Final = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"


class Subject(Protocol):
    """A server: a process (:class:`tests.program.Program`), or a thread of this one."""

    environment: dict[str, str]
    log: list[dict[str, Any]]
    raw: list[str]

    @property
    def pid(self) -> int:
        """Of its process."""
        ...

    @property
    def running(self) -> bool:
        """True while it has not ended."""
        ...


class Witness:
    """A member of the same session, who reads what the others cause, and checks it."""

    def __init__(self, port: int, token: str, dialect: DialectName) -> None:
        self._dialect: DialectName = dialect
        self._client = Client(port)
        self._client.send(upgrade(dialect, token))
        status, _ = self._client.head()
        if status != 101:
            raise (Busy if status == 503 else Fault)(f"a witness was refused: {status}")

    def look(self) -> None:
        """Check what has come."""
        while self._client.has_more():
            try:
                opcode, payload = self._client.frame()
            except Ended:
                raise Fault("a witness lost its connection without a close frame") from None
            if opcode == 8:
                check_close(payload, sent_by_us=False)
                raise Fault(f"a witness was closed: {payload!r}")
            if opcode == 9:
                self._client.send(client_frame(payload, 10))
            else:
                check_message(self._dialect, opcode, payload)

    def close(self) -> None:
        """Close properly."""
        with self._client as client:
            client.send(client_frame((1000).to_bytes(2, "big"), 8))
            client.rest()


def upgrade(dialect: DialectName, token: str, query: str = "") -> bytes:
    """The request of a client of this dialect."""
    match dialect:
        case "plain":
            return request(f"/ws?token={token}{query}")
        case "compact":
            offer = f"Sec-WebSocket-Protocol: locshare.v1.compact, locshare.bearer.{token}"
            return request(f"/ws?x=y{query}", headers=[offer])
        case "phoenix-1":
            return request(f"/socket/websocket?token={token}{query}")
        case _:
            return request(f"/socket/websocket?vsn=2.0.0&token={token}{query}")


class World:
    """The sessions of one server."""

    def __init__(self, program: Subject, http: httpx.Client, port: int) -> None:
        self.program = program
        self.port = port
        self._http = http
        self._names: dict[str, str] = {}
        self._members: list[tuple[dict[str, Any], int]] = []
        self._witnesses: list[Witness] = []
        self._left = 0
        self._host = ""
        self._used_up = True

    # --- names --------------------------------------------------------------------------------

    def fill(self, data: bytes) -> bytes:
        """``data`` with the names in it replaced. A name that there is not stays."""
        return re.sub(
            rb"@([a-z_]+)@",
            lambda found: self._names.get(found[1].decode(), found[0].decode()).encode(),
            data,
        )

    # --- sessions -----------------------------------------------------------------------------

    def begin(self) -> None:
        """Before an example: a session that has not been used too often."""
        if self._used_up or self._left <= 0:
            self._renew()
        self._left -= 1

    def spoil(self) -> None:
        """The session is not what it was: the next example gets another."""
        self._used_up = True

    def member(self) -> str:
        """The token of somebody who may connect once more."""
        if not self._members:
            self._renew()
        joined, used = self._members.pop()
        if used + 1 < CONNECTIONS_PER_MEMBER:
            self._members.append((joined, used + 1))
        token: str = joined["websocket_token"]
        self._names |= {"member": token, "user": joined["user_id"]}
        return token

    def replace_member(self) -> None:
        """The newest member is closed for abuse, or has left: do not use it again."""
        if len(self._members) > 1:
            self._members.pop()
        else:
            self.spoil()

    def look(self) -> None:
        """What the witnesses have seen is right."""
        for witness in self._witnesses:
            witness.look()

    def close(self) -> None:
        """The session ends."""
        witnesses, self._witnesses = self._witnesses, []
        for witness in witnesses:
            witness.close()
        if self._host:
            self._post("DELETE", f"/api/sessions/{self._names['session']}", token=self._host)
            self._host = ""

    def _renew(self) -> None:
        self.close()
        session = self._post("POST", "/api/sessions", {"name": "fuzz"})
        path = f"/api/sessions/{session['session_id']}"
        if "other" not in self._names:
            self._make_lasting()
        self._host = session["host_token"]
        people = [
            self._post("POST", f"{path}/join", {"display_name": f"P{number}"})
            for number in range(6)
        ]
        watching = zip(people[:2], ("plain", "compact"), strict=True)
        self._witnesses = [
            Witness(self.port, person["websocket_token"], "plain" if kind == "plain" else "compact")
            for person, kind in watching
        ]
        self._members = [(person, 0) for person in people[3:]]
        one = people[-1]
        code = one["setup"]["code"]
        self._names |= {
            "session": session["session_id"],
            "host": session["host_token"],
            "host_key": session["host_key"],
            "member": one["websocket_token"],
            "user": one["user_id"],
            "neighbour": people[2]["user_id"],
            "code": code,
            "basic": base64.b64encode(f"x:{one['websocket_token']}".encode()).decode(),
            "basic_code": base64.b64encode(f"x:{code}".encode()).decode(),
            "phx": base64.urlsafe_b64encode(one["websocket_token"].encode()).decode(),
            "epoch": "0",
        }
        self._used_up = False
        self._left = CALLS_PER_SESSION

    def _make_lasting(self) -> None:
        """Another session, one that has ended, and somebody of the first."""
        other = self._post("POST", "/api/sessions", {})
        ended = self._post("POST", "/api/sessions", {})
        self._post("DELETE", f"/api/sessions/{ended['session_id']}", token=ended["host_token"])
        stranger = self._post(
            "POST", f"/api/sessions/{other['session_id']}/join", {"display_name": "Eve"}
        )
        self._names |= {
            "other": other["session_id"],
            "ended": ended["session_id"],
            "unknown": UNKNOWN,
            "stranger": stranger["websocket_token"],
        }

    def _post(
        self, method: str, path: str, body: object = None, *, token: str = ""
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self._http.request(method, path, json=body, headers=headers)
        if answer.status_code not in (200, 201) and method != "DELETE":
            said = [entry for entry in self.program.log[-50:] if entry.get("level") != "info"]
            kind = Busy if answer.status_code == 503 else Fault
            raise kind(f"{method} {path}: {answer.status_code} {answer.text}; the log: {said}")
        found: dict[str, Any] = answer.json()
        return found


def settings_of(folder: Path, bind: str) -> dict[str, str]:
    """For a server on one port, or on two without ``bind``. One address may ask without limit."""
    settings = {
        "LOCSHARE_DATA_DIR": str(folder),
        "LOCSHARE_INTERNAL_BIND": f"{HOST}:{free_port()}",
        "LOCSHARE_CREATE_PER_SECOND": "0",
        "LOCSHARE_JOIN_PER_SECOND": "0",
        "LOCSHARE_READ_PER_SECOND": "0",
    }
    if bind:
        settings |= {"LOCSHARE_BIND": bind, "LOCSHARE_HTTP_BIND": "", "LOCSHARE_WS_BIND": ""}
    return settings


@contextmanager
def world_of(program: Subject, http_url: str, port: int) -> Iterator[World]:
    """The sessions of a server that runs. ``port`` is the one that examples go to."""
    none_kept = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=http_url, timeout=ANSWER_S, limits=none_kept) as http:
        world = World(program, http, port)
        yield world
        if program.running:
            world.close()


@contextmanager
def a_world(*, two_ports: bool = False) -> Iterator[World]:
    """A server in a process of its own."""
    port = free_port()
    with data_directory() as folder:
        settings = settings_of(folder, "" if two_ports else f"{HOST}:{port}")
        with running_program(settings) as program:
            url = program.http_url if two_ports else f"http://{HOST}:{port}"
            if two_ports:
                port = int(program.ws_url.rpartition(":")[2])
            with world_of(program, url, port) as world:
                yield world
