"""The Python API of fault injection: what scripts in bench/ and tests use.

::

    async with open_faults(data_dir / "control.sock") as faults:
        await faults.set_budget(session_supervisor(session_id), 1000)
        seconds = await faults.crash_now(session_actor(session_id))
        await faults.cut_store()
        ...
        await faults.clear()

Every method raises :class:`~locshare.ops.control.ControlError`: for what the server refuses (its
message names the field and what is allowed), and for a server that has gone or was started without
``--faults``. Cancelling one leaves the fault injected or not, and the client of no more use.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final
from uuid import UUID

from locshare.ops.control import ControlClient, open_control
from locshare.ops.faults import requests as ask
from locshare.ops.faults.fault_points import What
from locshare.ops.inspection.views import Kill, Tree, TreeSnapshot
from locshare.session.directory.directory import SESSIONS, short_id


def session_actor(session_id: str | UUID) -> str:
    """The path of a session's actor."""
    return f"{session_supervisor(session_id)}/session"


def session_supervisor(session_id: str | UUID) -> str:
    """The path of the supervisor of one session, which has its restart budget."""
    return f"{SESSIONS}/{short_id(UUID(str(session_id)))}"


@final
class FaultClient:
    """One connection to the control socket. One task at a time; open several for several."""

    def __init__(self, control: ControlClient) -> None:
        self.control = control

    # --- handlers ---------------------------------------------------------------------------------

    async def crash(
        self, path: str, *, nth: int = 1, message: str | None = None, times: int = 1
    ) -> None:
        """See :class:`~locshare.ops.faults.requests.Crash`. Returns at once."""
        await self.control.ask(ask.Crash(path, nth, message, times))

    async def crash_now(self, path: str) -> float:
        """Crash it now. Returns the seconds until its next incarnation answered. Raises
        ControlError ``not_restarted`` after 5 s.
        """
        return (await self.control.ask(ask.CrashNow(path), ask.Recovery)).seconds

    async def slow(self, path: str, seconds: float, *, messages: int = 1) -> None:
        """Its handler takes ``seconds`` more for each of the next ``messages``; others run on."""
        await self.control.ask(ask.Slow(path, seconds, messages))

    async def block(self, path: str, seconds: float) -> None:
        """Its handler holds the whole loop for ``seconds`` at its next message."""
        await self.control.ask(ask.Block(path, seconds))

    async def crash_terminate(self, path: str) -> None:
        """The next call of its ``terminate`` raises."""
        await self.control.ask(ask.CrashTerminate(path))

    async def fail_start(self, path: str, *, times: int = 1) -> None:
        """Its next ``times`` incarnations raise in init."""
        await self.control.ask(ask.FailStart(path, times))

    async def fill_mailbox(self, path: str, seconds: float) -> int:
        """Keep its mailbox full for ``seconds``. Returns the number of entries added."""
        return await self.control.ask(ask.FillMailbox(path, seconds), int)

    async def set_budget(self, path: str, max_restarts: int, max_seconds: float = 5.0) -> None:
        """Change the restart budget of this incarnation of the supervisor at ``path``."""
        await self.control.ask(ask.SetBudget(path, max_restarts, max_seconds))

    async def kill(self, path: str) -> None:
        """Kill an actor, a task or a supervisor as a crash would. Returns after its end."""
        await self.control.ask(Kill(path))

    # --- sessions and connections -----------------------------------------------------------------

    async def crash_telling(self, session_id: str | UUID, what: What, *, after: int = 1) -> None:
        """The session raises in its next flush (``positions``) or event, after ``after`` of its
        receivers have got it.
        """
        await self.control.ask(ask.CrashTelling(str(session_id), what, after))

    async def kill_connection(self, user_id: str) -> None:
        """Cancel the task of this participant's connection."""
        await self.control.ask(ask.KillConnection(user_id))

    async def crash_connection(self, user_id: str) -> None:
        """That task raises at the next position it receives."""
        await self.control.ask(ask.CrashConnection(user_id))

    # --- environment ------------------------------------------------------------------------------

    async def cut_store(self) -> None:
        """Make the database unreachable."""
        await self.control.ask(ask.CutStore())

    async def delay_store(self, seconds: float) -> None:
        """Delay everything that the database sends by ``seconds``."""
        await self.control.ask(ask.DelayStore(seconds))

    async def restore_store(self) -> None:
        """End ``cut_store`` and ``delay_store``."""
        await self.control.ask(ask.RestoreStore())

    async def lose_names(self) -> int:
        """Clear the registry and kill the registered actors. Returns how many."""
        return await self.control.ask(ask.LoseNames(), int)

    async def skew_clock(self, seconds: float) -> None:
        """Add ``seconds`` to the server's wall clock."""
        await self.control.ask(ask.SkewClock(seconds))

    async def press_memory(self, mebibytes: int, seconds: float) -> None:
        """Let the server hold ``mebibytes`` more. Returns after ``seconds``."""
        await self.control.ask(ask.PressMemory(mebibytes, seconds))

    # --- all --------------------------------------------------------------------------------------

    async def pending(self) -> list[str]:
        """The active and planned faults, one sentence each."""
        return await self.control.ask(ask.Pending(), list[str])

    async def clear(self) -> None:
        """Remove all faults."""
        await self.control.ask(ask.Clear())

    async def snapshot(self) -> TreeSnapshot:
        """The live tree."""
        return await self.control.ask(Tree(limit=0), TreeSnapshot)


@asynccontextmanager
async def open_faults(path: Path) -> AsyncIterator[FaultClient]:
    """A connection to the server whose control socket is at ``path``. Raises ControlError."""
    async with open_control(path) as control:
        yield FaultClient(control)
