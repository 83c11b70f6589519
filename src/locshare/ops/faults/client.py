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
from locshare.ops.faults.links import What
from locshare.ops.inspection.views import Kill, Picture, Tree
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
        """The handler of the actor at ``path`` raises on its ``nth`` message (of those of type
        ``message``), and so do the next lives, ``times`` in all. Returns at once.
        """
        await self.control.ask(ask.Crash(path, nth, message, times))

    async def crash_now(self, path: str) -> float:
        """Crash it now. Returns the seconds until its next incarnation answered. Raises
        ControlError ``not_restarted`` when there is none within 5 s.
        """
        return (await self.control.ask(ask.CrashNow(path), ask.Recovery)).seconds

    async def slow(self, path: str, seconds: float, *, messages: int = 1) -> None:
        """Its handler takes so long for each of the next ``messages``, while others run."""
        await self.control.ask(ask.Slow(path, seconds, messages))

    async def block(self, path: str, seconds: float) -> None:
        """Its handler holds the whole loop at its next message."""
        await self.control.ask(ask.Block(path, seconds))

    async def crash_terminate(self, path: str) -> None:
        """Its ``terminate`` raises, the next time."""
        await self.control.ask(ask.CrashTerminate(path))

    async def fail_start(self, path: str, *, times: int = 1) -> None:
        """The next lives of this child raise in their init."""
        await self.control.ask(ask.FailStart(path, times))

    async def fill_mailbox(self, path: str, seconds: float) -> int:
        """Keep its mailbox full for so long. Returns then, how many entries that took."""
        return await self.control.ask(ask.FillMailbox(path, seconds), int)

    async def set_budget(self, path: str, max_restarts: int, max_seconds: float = 5.0) -> None:
        """Another restart budget for this life of the supervisor at ``path``."""
        await self.control.ask(ask.SetBudget(path, max_restarts, max_seconds))

    async def kill(self, path: str) -> None:
        """End a child as a crash would: an actor, a task, a supervisor. Returns after its end."""
        await self.control.ask(Kill(path))

    # --- sessions and connections -----------------------------------------------------------------

    async def crash_telling(self, session_id: str | UUID, what: What, *, after: int = 1) -> None:
        """The session raises in its next flush (``positions``) or event, when ``after`` of its
        connections have been told.
        """
        await self.control.ask(ask.CrashTelling(str(session_id), what, after))

    async def kill_connection(self, user_id: str) -> None:
        """Cancel the task of this participant's connection, now."""
        await self.control.ask(ask.KillConnection(user_id))

    async def crash_connection(self, user_id: str) -> None:
        """That task raises at the next position that comes over it."""
        await self.control.ask(ask.CrashConnection(user_id))

    # --- what is around ---------------------------------------------------------------------------

    async def cut_store(self) -> None:
        """The database is out of reach from now on."""
        await self.control.ask(ask.CutStore())

    async def delay_store(self, seconds: float) -> None:
        """What the database says arrives late."""
        await self.control.ask(ask.DelayStore(seconds))

    async def restore_store(self) -> None:
        """The database is back."""
        await self.control.ask(ask.RestoreStore())

    async def lose_names(self) -> int:
        """The registry loses its table and kills who was in it. Returns how many."""
        return await self.control.ask(ask.LoseNames(), int)

    async def skew_clock(self, seconds: float) -> None:
        """The server's wall clock is so far off."""
        await self.control.ask(ask.SkewClock(seconds))

    async def press_memory(self, mebibytes: int, seconds: float) -> None:
        """The server holds so much memory more. Returns after ``seconds``."""
        await self.control.ask(ask.PressMemory(mebibytes, seconds))

    # --- all --------------------------------------------------------------------------------------

    async def pending(self) -> list[str]:
        """The faults in force and those still to come, as sentences."""
        return await self.control.ask(ask.Pending(), list[str])

    async def clear(self) -> None:
        """Take them back."""
        await self.control.ask(ask.Clear())

    async def picture(self) -> Picture:
        """The live tree."""
        return await self.control.ask(Tree(limit=0), Picture)


@asynccontextmanager
async def open_faults(path: Path) -> AsyncIterator[FaultClient]:
    """A connection to the server whose control socket is at ``path``. Raises ControlError."""
    async with open_control(path) as control:
        yield FaultClient(control)
