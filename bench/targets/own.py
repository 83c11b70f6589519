"""This server, locshare, started here with the embedded PostgreSQL."""

import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from bench.figures import descendants
from bench.results import DisruptionKind, TargetDescription
from bench.serving import Server
from bench.targets.process import on_cores, wait_until
from bench.targets.started import Begin, End, StartedTarget, answers
from bench.targets.target import NotServing
from locshare.ops.control import ControlError
from locshare.ops.faults import FaultClient, open_faults, session_actor

_T = TypeVar("_T")

RESTORED_S = 20.0
GONE_S = 15.0


class FaultyServer(Server):
    """``locshare serve --faults``: it can be broken on purpose. Nothing is different until then,
    but that a relay stands between it and its database.
    """

    module = ("locshare", "serve", "--faults")


class LocshareTarget(StartedTarget):
    """With ``faults`` a session can be crashed and the database be cut off."""

    def __init__(
        self,
        description: TargetDescription,
        folder: Path,
        *,
        place: Sequence[int],
        environment: Mapping[str, str],
        max_participants: int,
        faults: bool,
    ) -> None:
        kind = FaultyServer if faults else Server
        self._server = kind(
            folder, {"LOCSHARE_MAX_PARTICIPANTS": str(max_participants), **environment}
        )
        super().__init__(description, self._server.http_port)
        self._folder = folder
        self._place = place
        self._faults = faults

    def start(self) -> None:
        with on_cores(self._place):
            self._server.start()

    def stop(self) -> None:
        if self._server.running:
            os.kill(self._server.pid, signal.SIGCONT)
            self._server.stop()
        # After a SIGKILL its database ends by itself, a little later.
        pid_file = self._folder / "postgres" / "postmaster.pid"
        wait_until(lambda: not pid_file.exists(), GONE_S, "its database did not end", None)

    def pids(self) -> Sequence[int]:
        """The server's, and those of its PostgreSQL."""
        pid = self._server.pid
        return [pid, *descendants(pid)] if self._server.running else []

    def disruptions(self) -> Mapping[DisruptionKind, tuple[Begin, End]]:
        found: dict[DisruptionKind, tuple[Begin, End]] = {
            "kill_process": (self._kill, self.start),
            "pause_process": (self._pause, self._go_on),
        }
        if self._faults:
            found["crash_session"] = (self._crash, lambda: None)
            found["cut_database"] = (self._cut, self._restore)
        return found

    def _kill(self, _: str) -> str:
        self._server.kill()
        return "SIGKILL to the server's process; its database ends with it"

    def _pause(self, _: str) -> str:
        os.kill(self._server.pid, signal.SIGSTOP)
        return "SIGSTOP to the server's process"

    def _go_on(self) -> None:
        os.kill(self._server.pid, signal.SIGCONT)

    def _crash(self, session_id: str) -> str:
        async def crash(faults: FaultClient) -> float:
            return await faults.crash_now(session_actor(session_id))

        seconds = self._ask(crash)
        return (
            f"the actor of a session crashed; its next life answered after {seconds * 1000:.1f} ms"
        )

    def _cut(self, _: str) -> str:
        self._ask(FaultClient.cut_store)
        return "the connections to the database broken, and none made any more"

    def _restore(self) -> None:
        self._ask(FaultClient.restore_store)
        ready = partial(answers, self._server.http_port)
        wait_until(ready, RESTORED_S, "it was not ready again", None)

    def _ask(self, question: Callable[[FaultClient], Awaitable[_T]]) -> _T:
        async def ask() -> _T:
            async with open_faults(self._folder / "control.sock") as faults:
                return await question(faults)

        try:
            return trio.run(ask)
        except ControlError as error:
            raise NotServing(f"the fault was not injected: {error}") from error
