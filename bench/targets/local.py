"""The servers that are started here, by name: this server and the comparators of bench/peers."""

import http.client
import os
import secrets
import shutil
import signal
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from bench.errors import NotServing
from bench.peers.common.settings import SECRET
from bench.procfs import started as began_at
from bench.results import Dialect, DisruptionKind, TargetDescription
from bench.servers import HOST, Process, Server, data_directory, free_port, split_cores, wait_until
from bench.targets.counting import facts
from bench.targets.limits import ResourceLimits
from locshare.ops.control import ControlError
from locshare.ops.faults import FaultClient, open_faults, session_actor

STARTABLE: Mapping[str, str] = {
    "locshare": "locshare",
    "redis": "Starlette, uvicorn, Redis pub/sub",
    "inprocess": "Starlette, uvicorn, in process",
    "picows": "picows, uvloop, in process",
}
"""Their titles."""
OF_EVERY_DIALECT = ("locshare",)
"""The others speak plain only."""
MAX_PARTICIPANTS = 1000
ROOT = Path(__file__).resolve().parent.parent.parent
REDIS = "redis-server"
NO_REDIS = f"{REDIS} is not installed: apt install redis-server (or brew install redis)"
RESTORED_S = 20.0
DATABASE_GONE_S = 15.0

T = TypeVar("T")
Disruption = tuple[Callable[[str], str], Callable[[], None]]
"""Begin, given a session's id, which returns a description; and end."""


class StartedTarget(ABC):
    """Limits are of the server's own processes, without its Redis or PostgreSQL."""

    ws_url: str | None = None
    topic = ""

    def __init__(self, description: TargetDescription, port: int) -> None:
        self.description = description
        self.port = port
        self.http_url = f"http://{HOST}:{port}"
        self._limits = ResourceLimits(self.own_pids)

    @abstractmethod
    def own_pids(self) -> Sequence[int]:
        """Of the server alone; empty when it has ended."""

    @abstractmethod
    def start(self) -> None:
        """Start all its processes. Raises NotServing."""

    @abstractmethod
    def restart(self) -> None:
        """Start the server, which has ended; its services go on. Raises NotServing."""

    @abstractmethod
    def stop(self) -> None:
        """End all its processes, whatever state they are in."""

    @abstractmethod
    def pids(self) -> Sequence[int]: ...

    @abstractmethod
    def disruptions(self) -> Mapping[DisruptionKind, Disruption]: ...

    def can(self, kind: DisruptionKind) -> bool:
        return self._limits.can(kind) or kind in self.disruptions()

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        if self._limits.can(kind):
            return self._limits.begin(kind)
        begin, _ = self._disruption(kind)
        return begin(session_id)

    def end(self, kind: DisruptionKind) -> None:
        if self._limits.can(kind):
            self._limits.end()
            if not self.own_pids():  # as whatever supervises it would
                self.restart()
            return
        _, end = self._disruption(kind)
        end()

    def release(self) -> None:
        """Take back a limit that is still set."""
        self._limits.end()

    def _disruption(self, kind: DisruptionKind) -> Disruption:
        try:
            return self.disruptions()[kind]
        except KeyError:
            raise NotServing(f"{self.description.name} cannot be disrupted by {kind}") from None


class LocshareTarget(StartedTarget):
    """``locshare serve --faults``: a session can be crashed and the database be cut off. Otherwise
    only a relay between the server and its database differs from ``locshare serve``.
    """

    def __init__(self, description: TargetDescription, server: Server) -> None:
        super().__init__(description, server.http_port)
        self._server = server
        if description.dialect == "phoenix":
            self.ws_url = f"ws://{HOST}:{server.ws_port}/socket/websocket"
            self.topic = "location:{session_id}"

    def start(self) -> None:
        self._server.start()

    restart = start

    def own_pids(self) -> Sequence[int]:
        return _alive(self._server.pids()[:1])

    def stop(self) -> None:
        self._server.stop()
        # After a SIGKILL its database stops a little later.
        pid_file = self._server.folder / "postgres" / "postmaster.pid"
        wait_until(lambda: not pid_file.exists(), DATABASE_GONE_S, "its database did not end")

    def pids(self) -> Sequence[int]:
        return self._server.pids()

    def disruptions(self) -> Mapping[DisruptionKind, Disruption]:
        return {
            "kill_process": (self._kill, self.start),
            "pause_process": (self._pause, lambda: os.kill(self._server.pid, signal.SIGCONT)),
            "crash_session": (self._crash, lambda: None),
            "cut_database": (self._cut_database, self._restore_database),
        }

    def _kill(self, _: str) -> str:
        self._server.kill()
        return "SIGKILL to the server's process; its database ends with it"

    def _pause(self, _: str) -> str:
        os.kill(self._server.pid, signal.SIGSTOP)
        return "SIGSTOP to the server's process"

    def _crash(self, session_id: str) -> str:
        async def crash(faults: FaultClient) -> float:
            return await faults.crash_now(session_actor(session_id))

        milliseconds = self._ask(crash) * 1e3
        return f"a session's actor crashed; its next life answered after {milliseconds:.1f} ms"

    def _cut_database(self, _: str) -> str:
        self._ask(FaultClient.cut_store)
        return "connections to the database broken, new ones refused"

    def _restore_database(self) -> None:
        self._ask(FaultClient.restore_store)
        wait_until(partial(is_ready, self.port), RESTORED_S, "it was not ready again")

    def _ask(self, question: Callable[[FaultClient], Awaitable[T]]) -> T:
        async def ask() -> T:
            async with open_faults(self._server.folder / "control.sock") as faults:
                return await question(faults)

        try:
            return trio.run(ask)
        except ControlError as error:
            raise NotServing(f"the fault was not injected: {error}") from error


class PeerTarget(StartedTarget):
    """A comparator, with a private Redis if it needs one."""

    def __init__(
        self,
        description: TargetDescription,
        folder: Path,
        place: Sequence[int],
        environment: Mapping[str, str],
        max_participants: int,
        flush_window_ms: int = 0,
    ) -> None:
        super().__init__(description, free_port())
        redis = description.name == "redis"
        self._redis = redis_process(folder, place) if redis else None
        more = [] if self._redis is None else ["--redis", f"redis://{HOST}:{self._redis[1]}"]
        if description.name == "picows":
            more = ["--ws-port", str(free_port())]
            if flush_window_ms:
                more += ["--flush-window-ms", str(flush_window_ms)]
        # Tokens must outlive the process.
        own = {SECRET: secrets.token_hex(32), **os.environ, "PYTHONPATH": str(ROOT)}
        self._process = Process(
            [
                *(sys.executable, "-m"),
                f"bench.peers.{description.name}",
                *("--http", f"{HOST}:{self.port}", "--max-participants", str(max_participants)),
                *more,
            ],
            log=folder / "server.log",
            place=place,
            ready=partial(is_ready, self.port),
            environment=own | dict(environment),
        )

    def start(self) -> None:
        if self._redis is not None:
            if shutil.which(REDIS) is None:
                raise NotServing(NO_REDIS)
            self._redis[0].start()
        self._process.start()

    def stop(self) -> None:
        if self._redis is not None:
            self._redis[0].signal(signal.SIGCONT)  # the server waits for it as it ends
        self._process.stop()
        if self._redis is not None:
            self._redis[0].stop()

    def pids(self) -> Sequence[int]:
        return [*self._process.pids(), *(self._redis[0].pids() if self._redis else ())]

    def disruptions(self) -> Mapping[DisruptionKind, Disruption]:
        """Without ``crash_session``: nothing in these servers can crash alone."""
        found: dict[DisruptionKind, Disruption] = {
            "kill_process": (self._kill, self.restart),
            "pause_process": _pausing(self._process, "the server's process"),
        }
        if self._redis is not None:
            found["cut_database"] = _pausing(self._redis[0], "Redis")
        return found

    def restart(self) -> None:
        self._process.start()

    def own_pids(self) -> Sequence[int]:
        return _alive(self._process.pids())

    def _kill(self, _: str) -> str:
        self._process.kill()
        return "SIGKILL to the server's process" + ("" if self._redis is None else "; Redis stays")


def _alive(pids: Sequence[int]) -> list[int]:
    """Those that have not ended. A process of several threads ends a moment before it can be
    waited for.
    """
    return [pid for pid in pids if began_at(pid) is not None]


def _pausing(process: Process, what: str) -> Disruption:
    def pause(_: str) -> str:
        process.signal(signal.SIGSTOP)
        return f"SIGSTOP to {what}"

    return pause, lambda: process.signal(signal.SIGCONT)


@contextmanager
def started(
    name: str,
    *,
    dialect: Dialect = "plain",
    pin: bool = True,
    environment: Mapping[str, str] | None = None,
    max_participants: int = MAX_PARTICIPANTS,
    faults: bool = True,
    flush_window_ms: int = 0,
) -> Iterator[StartedTarget]:
    """The server ``name`` of STARTABLE, ready, on free ports and with private data; gone, with all
    its processes, when the block ends.

    With ``pin``, on a machine of two cores or more, the server has the first core (its Redis or
    PostgreSQL too), and this thread and those that it starts have the others. ``environment`` is
    for the server's program. Without ``faults`` this server runs as ``locshare serve`` does, and
    its sessions and database cannot be disrupted. ``flush_window_ms`` is for picows. Raises
    ValueError for another name, or a dialect that it does not speak, and NotServing.
    """
    if name not in STARTABLE:
        raise ValueError(f"no server {name!r} can be started; allowed are {', '.join(STARTABLE)}")
    if dialect != "plain" and name not in OF_EVERY_DIALECT:
        allowed = " and ".join(OF_EVERY_DIALECT)
        raise ValueError(f"{name} speaks plain and not {dialect}, which {allowed} does")
    description = TargetDescription(
        name=name, title=STARTABLE[name], dialect=dialect, facts=facts(name)
    )
    with data_directory() as folder, split_cores(pin) as place:
        target: StartedTarget
        if name == "locshare":
            room = {"LOCSHARE_MAX_PARTICIPANTS": str(max_participants)}
            server = Server(folder, room | dict(environment or {}), faults=faults, place=place)
            target = LocshareTarget(description, server)
        else:
            target = PeerTarget(
                description, folder, place, environment or {}, max_participants, flush_window_ms
            )
        try:
            target.start()
            yield target
        finally:
            target.release()
            target.stop()


def redis_process(folder: Path, place: Sequence[int]) -> tuple[Process, int]:
    """A Redis that keeps nothing on disk, and its port."""
    port = free_port()
    command = [REDIS, "--bind", HOST, "--port", str(port), "--dir", str(folder), "--save", ""]
    process = Process(
        [*command, "--appendonly", "no"],
        log=folder / "redis.log",
        place=place,
        ready=partial(_pongs, port),
    )
    return process, port


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _pongs(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
