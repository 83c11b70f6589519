"""The comparators of bench/peers, started here."""

import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.peers.common.settings import SECRET
from bench.results import DisruptionKind, TargetDescription
from bench.serving import HOST, free_port
from bench.targets.process import Process
from bench.targets.started import Begin, End, StartedTarget, answers
from bench.targets.target import NotServing

ROOT = Path(__file__).resolve().parent.parent.parent
REDIS = "redis-server"
NO_REDIS = f"{REDIS} is not installed: apt install redis-server (or brew install redis)"


class PeerTarget(StartedTarget):
    """``python -m MODULE``, with a Redis of its own where there is one for it."""

    def __init__(
        self,
        description: TargetDescription,
        module: str,
        folder: Path,
        *,
        place: Sequence[int],
        environment: Mapping[str, str],
        max_participants: int,
        redis: bool = False,
    ) -> None:
        port = free_port()
        super().__init__(description, port)
        self._redis = redis_process(folder, place) if redis else None
        # Tokens must outlive the process; inherited variables come first, and may be replaced.
        variables = {SECRET: secrets.token_hex(32), **os.environ, "PYTHONPATH": str(ROOT)}
        self._process = Process(
            [
                sys.executable,
                *("-m", module),
                *("--http", f"{HOST}:{port}"),
                *("--max-participants", str(max_participants)),
                *(() if self._redis is None else ("--redis", f"redis://{HOST}:{self._redis[1]}")),
            ],
            log=folder / "server.log",
            place=place,
            ready=partial(answers, port),
            environment=variables | dict(environment),
        )

    def start(self) -> None:
        if self._redis is not None:
            if shutil.which(REDIS) is None:
                raise NotServing(NO_REDIS)
            self._redis[0].start()
        self._process.start()

    def stop(self) -> None:
        if self._redis is not None:
            self._redis[0].signal(signal.SIGCONT)  # else the server waits for it, to say goodbye
        self._process.stop()
        if self._redis is not None:
            self._redis[0].stop()

    def pids(self) -> Sequence[int]:
        broker = [] if self._redis is None else self._redis[0].pids()
        return [*self._process.pids(), *broker]

    def disruptions(self) -> Mapping[DisruptionKind, tuple[Begin, End]]:
        """A crash of a session is not among them: there is nothing that could crash alone."""
        process = self._process
        found: dict[DisruptionKind, tuple[Begin, End]] = {
            "kill_process": (self._kill, process.start),
            "pause_process": (
                lambda _: _stopped(process, "the server's process"),
                lambda: process.signal(signal.SIGCONT),
            ),
        }
        if self._redis is not None:
            broker = self._redis[0]
            found["cut_database"] = (
                lambda _: _stopped(broker, "Redis"),
                lambda: broker.signal(signal.SIGCONT),
            )
        return found

    def _kill(self, _: str) -> str:
        self._process.kill()
        return "SIGKILL to the server's process" + ("" if self._redis is None else "; Redis stays")


def redis_process(folder: Path, place: Sequence[int]) -> tuple[Process, int]:
    """A Redis that keeps nothing on disk, and its port."""
    port = free_port()
    return (
        Process(
            [
                *(REDIS, "--bind", HOST, "--port", str(port), "--dir", str(folder)),
                *("--save", "", "--appendonly", "no"),
            ],
            log=folder / "redis.log",
            place=place,
            ready=partial(_pongs, port),
            environment=os.environ,
        ),
        port,
    )


def _stopped(process: Process, what: str) -> str:
    process.signal(signal.SIGSTOP)
    return f"SIGSTOP to {what}"


def _pongs(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
