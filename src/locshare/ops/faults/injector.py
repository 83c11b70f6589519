"""Faults as operations of the control socket."""

import time
from collections.abc import Hashable
from datetime import timedelta
from typing import Any, Final, final
from uuid import UUID

import structlog
import trio
from msgspec import Struct

from locshare.actors import ActorRef, Registry, introspect
from locshare.actors.lowlevel import fill_mailbox, incarnation_of, post
from locshare.connection.pool import ConnectionPool
from locshare.ops.control import ControlError, Operation, Send
from locshare.ops.faults import requests as ask
from locshare.ops.faults.environment import Faults
from locshare.ops.faults.handlers import CrashPlan, DelayPlan, HandlerFaults, Poison
from locshare.ops.inspection.operations import Inspector
from locshare.ops.inspection.tree import ROOT, Found
from locshare.supervisor import BaseSupervisorRef
from locshare.supervisor.lowlevel import Child, child_of, set_budget

log = structlog.get_logger()

_TIMEOUT_S: Final = 5.0
_MEBIBYTE: Final = 1 << 20
_PAGE: Final = 4096


@final
class Injector:
    """Injects faults on request."""

    def __init__(
        self,
        faults: Faults,
        inspector: Inspector,
        pool: ConnectionPool,
        names: Registry[Hashable],
    ) -> None:
        self._faults = faults
        self._inspector = inspector
        self._pool = pool
        self._names = names
        self._plans: dict[Child, HandlerFaults] = {}

    def operations(self) -> list[Operation]:
        """For :class:`locshare.ops.control.ControlServer`, beside those of the inspector."""
        answers: dict[type[Struct], Any] = {
            ask.Crash: self._crash,
            ask.CrashNow: self._crash_now,
            ask.Slow: self._slow,
            ask.Block: self._block,
            ask.CrashTerminate: self._crash_terminate,
            ask.FailStart: self._fail_start,
            ask.FillMailbox: self._fill_mailbox,
            ask.SetBudget: self._set_budget,
            ask.CrashTelling: self._crash_telling,
            ask.KillConnection: self._kill_connection,
            ask.CrashConnection: self._crash_connection,
            ask.CutStore: self._cut_store,
            ask.DelayStore: self._delay_store,
            ask.RestoreStore: self._restore_store,
            ask.LoseNames: self._lose_names,
            ask.SkewClock: self._skew_clock,
            ask.PressMemory: self._press_memory,
            ask.Pending: self._pending,
            ask.Clear: self._clear,
        }
        return [Operation(request, self._noted(answer)) for request, answer in answers.items()]

    def _noted(self, answer: Any) -> Any:
        """``answer``, with a log line for each fault."""

        async def answered(request: Any, _send: Send) -> object:
            if not isinstance(request, ask.Pending):
                # Not the whole request: a session's id is its join link.
                path = getattr(request, "path", None)
                log.warning("fault", fault=type(request).__name__, path=path)
            return await answer(request)

        return answered

    # --- in handlers ------------------------------------------------------------------------------

    async def _crash(self, request: ask.Crash) -> None:
        self._plan(self._actor(request.path)).crash(
            CrashPlan(request.nth, request.message, request.times)
        )

    async def _crash_now(self, request: ask.CrashNow) -> ask.Recovery:
        found = self._actor(request.path)
        plan, actor = self._plan(found), found.actor
        seconds = None
        began = time.perf_counter()
        with plan.held(), trio.move_on_after(_TIMEOUT_S):
            post(actor, Poison())
            await actor.wait_exit()
            after = await plan.next_life(incarnation_of(actor))
            if isinstance(after.ref, ActorRef):
                await introspect.inspect(after.ref, lambda _actor: None)
                seconds = time.perf_counter() - began
        self._tidy()
        if seconds is None:
            raise ControlError("not_restarted", f"{request.path} did not come back")
        return ask.Recovery(seconds)

    async def _slow(self, request: ask.Slow) -> None:
        delay = DelayPlan(request.seconds, request.messages, blocking=False)
        self._plan(self._actor(request.path)).delay(delay)

    async def _block(self, request: ask.Block) -> None:
        delay = DelayPlan(request.seconds, 1, blocking=True)
        self._plan(self._actor(request.path)).delay(delay)

    async def _crash_terminate(self, request: ask.CrashTerminate) -> None:
        self._plan(self._actor(request.path)).crash_terminate()

    async def _fail_start(self, request: ask.FailStart) -> None:
        self._plan(self._inspector.find(request.path)).fail_starts(request.times)

    async def _fill_mailbox(self, request: ask.FillMailbox) -> int:
        actor = self._actor(request.path).actor
        await introspect.suspend(actor, _TIMEOUT_S)
        try:
            filled = fill_mailbox(actor)
            with trio.move_on_after(request.seconds):
                await actor.wait_exit()
        finally:
            with trio.CancelScope(shield=True):
                if actor.alive:
                    await introspect.resume(actor, _TIMEOUT_S)
        return filled

    async def _set_budget(self, request: ask.SetBudget) -> None:
        at_root = request.path == ROOT
        ref = self._inspector.root() if at_root else self._inspector.find(request.path).ref
        if not isinstance(ref, BaseSupervisorRef):
            raise ControlError("refused", f"{request.path} is no supervisor")
        set_budget(ref, request.max_restarts, request.max_seconds)

    def _actor(self, path: str) -> Found:
        found = self._inspector.find(path)
        if isinstance(found.actor, BaseSupervisorRef):
            raise ControlError("refused", f"{path} is a supervisor: kill it instead")
        return found

    def _plan(self, found: Found) -> HandlerFaults:
        self._tidy()
        child = child_of(found.supervisor, found.info.id, found.info.ref)
        if child not in self._plans:
            self._plans[child] = HandlerFaults(found.path, child)
        return self._plans[child]

    def _tidy(self) -> None:
        """Forget plans that have been carried out."""
        for child, plan in list(self._plans.items()):
            if plan.over:
                plan.clear()
                del self._plans[child]

    # --- connections ------------------------------------------------------------------------------

    async def _crash_telling(self, request: ask.CrashTelling) -> None:
        try:
            session_id = UUID(request.session_id)
        except ValueError:
            raise ControlError(
                "bad_request", "session_id is not a UUID - at `$.session_id`"
            ) from None
        self._faults.points.arm(session_id, request.what, request.after)

    async def _kill_connection(self, request: ask.KillConnection) -> None:
        if not self._pool.kill(request.user_id):
            raise ControlError("not_found", f"nobody is connected as {request.user_id!r}")

    async def _crash_connection(self, request: ask.CrashConnection) -> None:
        self._faults.points.crashing.add(request.user_id)

    # --- environment ------------------------------------------------------------------------------

    async def _cut_store(self, _request: ask.CutStore) -> None:
        self._faults.relay.cut()

    async def _delay_store(self, request: ask.DelayStore) -> None:
        self._faults.relay.delay(request.seconds)

    async def _restore_store(self, _request: ask.RestoreStore) -> None:
        self._faults.relay.restore()

    async def _lose_names(self, _request: ask.LoseNames) -> int:
        lost = [(key, ref) for key in self._names if (ref := self._names.lookup(key)) is not None]
        for key, ref in lost:
            self._names.unregister(key, ref)
        for _, ref in lost:
            introspect.kill(ref)
        return len(lost)

    async def _skew_clock(self, request: ask.SkewClock) -> None:
        self._faults.skew = timedelta(seconds=request.seconds)

    async def _press_memory(self, request: ask.PressMemory) -> None:
        held = []
        for _ in range(request.mebibytes):
            block = bytearray(_MEBIBYTE)
            block[::_PAGE] = b"x" * (_MEBIBYTE // _PAGE)  # or the system would not give it
            held.append(block)
            await trio.lowlevel.checkpoint()
        await trio.sleep(request.seconds)

    # --- all --------------------------------------------------------------------------------------

    async def _pending(self, _request: ask.Pending) -> list[str]:
        sentences = [sentence for plan in self._plans.values() for sentence in plan.sentences()]
        sentences += [f"the connection of {user} crashes" for user in self._faults.points.crashing]
        sentences += [
            f"session {session} crashes while it delivers {what}"
            for session, what in self._faults.points.deliveries
        ]
        if self._faults.relay.sentence:
            sentences.append(self._faults.relay.sentence)
        if self._faults.skew:
            sentences.append(f"the wall clock is {self._faults.skew.total_seconds():g} s off")
        return sentences

    async def _clear(self, _request: ask.Clear) -> None:
        for plan in self._plans.values():
            plan.clear()
        self._plans.clear()
        self._faults.clear()
