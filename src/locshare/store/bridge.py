"""asyncpg's asyncio loop in a separate thread; :meth:`Bridge.call` is the only way across.

uvloop is used where it is installed. Both directions are batched: one wake-up of the other thread
takes all calls made, or ended, since the last.
A query costs the main thread 30 µs, and the whole process 89 (bench/diary.md, "A query"). Rejected:
asyncio's loop inside Trio's. It takes three to twenty times as much of the main thread, and
trio-asyncio does not import on CPython 3.14.

Cancellation: a cancelled caller cancels the asyncio task, waits until it has ended, and only then
raises Cancelled; if the task finished nevertheless, the caller gets its outcome. A call cancelled
before it begins does not begin.

No call is lost. Each ends with its outcome, or with :class:`BridgeClosed` when the bridge is closed
or the loop stops, dies, or does not answer for ``UNRESPONSIVE_S``; the block around which the
bridge was opened then ends with that error too, and a new bridge can be opened.

Invariant, on the Trio side between two checkpoints: a call is in ``_waiting`` exactly as long as
its caller is suspended; removing it and rescheduling the caller, once, are one step.
"""

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, TypeVar, TypeVarTuple, cast

import outcome
import structlog
import trio

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ImportError:  # no wheel for this platform
    from asyncio import new_event_loop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

log = structlog.get_logger()

CALLS: Final = 256
"""Calls in the asyncio loop at once; further callers wait, in order. Far more than there are
connections: this bounds memory, never the use of the database."""
GRACE_S: Final = 0.5
"""How long cancelled tasks may take at the end; cancelling a query is a round trip."""
STOP_S: Final = 1.0
"""How long the thread may take to end. After that it is abandoned; it is a daemon."""
PULSE_S: Final = 5.0
"""How often the loop is probed."""
UNRESPONSIVE_S: Final = 15.0
"""The loop only runs callbacks of microseconds. It must be late twice, by half of this each time: a
process that was suspended finds all its deadlines passed at once."""
END_PULSE_S: Final = 0.2
END_UNRESPONSIVE_S: Final = 1.0
"""The same while the block is left: its clean-up must not wait for a dead loop."""


class BridgeClosed(ConnectionError):
    """The bridge was closed, or its loop died: the call was not begun, or its outcome is unknown.
    ``__cause__`` is what ended the loop, if known.
    """


class _Call:
    """One call. Only the Trio side writes its fields, except ``task`` and ``begun``."""

    __slots__ = ("args", "begun", "caller", "cancelled", "raise_cancel", "task", "work")

    def __init__(
        self, caller: trio.lowlevel.Task, work: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        self.caller = caller
        self.work = work
        self.args = args
        self.cancelled = False
        self.raise_cancel: Callable[[], Any] | None = None
        self.task: asyncio.Task[None] | None = None
        self.begun = False

    def settle(self, result: outcome.Outcome[Any]) -> outcome.Outcome[Any]:
        """The caller's outcome: Cancelled if it was cancelled and the task ended by that."""
        error = result.error if isinstance(result, outcome.Error) else None
        if isinstance(error, asyncio.CancelledError):
            if self.raise_cancel is not None:
                return cast("outcome.Outcome[Any]", outcome.capture(self.raise_cancel))
            aborted = ConnectionAbortedError("cancelled by the event loop")
            aborted.__cause__ = error
            return outcome.Error(aborted)
        return result


class Bridge:
    """Made by :func:`open_bridge`; used from any Trio task of the same run."""

    def __init__(self, calls: int = CALLS) -> None:
        self._trio = trio.lowlevel.current_trio_token()
        self._loop: asyncio.AbstractEventLoop = new_event_loop()
        self._loop.set_exception_handler(_log_exception)
        # Not the context of a caller: tasks keep their context as long as they live.
        self._context = contextvars.Context()
        self._thread = threading.Thread(target=self._serve, name="locshare-asyncio", daemon=True)
        self._slots = trio.Semaphore(calls)
        self._open = False
        self._up = trio.Event()
        self._down = trio.Event()
        self._beat = trio.Event()
        self._error: BaseException | None = None
        self._waiting: set[_Call] = set()
        self._to_loop: deque[_Call] = deque()
        self._loop_woken = False
        self._to_trio: deque[tuple[_Call, outcome.Outcome[Any]]] = deque()
        self._trio_woken = False
        self._stopping = False
        # The loop's:
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False

    # --- the Trio side ----------------------------------------------------------------------------

    @property
    def calls(self) -> int:
        """Callers that wait for an outcome."""
        return len(self._waiting)

    async def call(self, work: Callable[[*Ts], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        """``await work(*args)`` in the asyncio loop, and return its result. A checkpoint.

        Raises what ``work`` raises; BridgeClosed; ConnectionAbortedError when something other than
        this caller cancelled the task. Waits while ``calls`` others are in the loop.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            await self._slots.acquire()
        try:
            if not self._open:
                await trio.lowlevel.checkpoint()
                raise BridgeClosed("the connection to the event loop is closed")
            call = _Call(trio.lowlevel.current_task(), work, args)
            self._waiting.add(call)
            self._send(call)
            return cast("T", await trio.lowlevel.wait_task_rescheduled(partial(self._cancel, call)))
        finally:
            self._slots.release()

    def _cancel(self, call: _Call, raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
        call.raise_cancel = raise_cancel
        call.cancelled = True
        self._send(call)
        return trio.lowlevel.Abort.FAILED  # its end will reschedule the caller

    def _send(self, call: _Call) -> None:
        """Send a call to be begun; the second time, to be cancelled."""
        self._to_loop.append(call)
        if not self._loop_woken:
            self._loop_woken = True
            # A loop that is closed has ended: _ended is on its way and settles the call.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._receive, context=self._context)

    def _deliver(self) -> None:
        self._trio_woken = False
        while self._to_trio:
            call, result = self._to_trio.popleft()
            if call in self._waiting:
                self._waiting.remove(call)
                trio.lowlevel.reschedule(call.caller, call.settle(result))

    def _ended(self, error: BaseException | None) -> None:
        self._deliver()
        self._error = error
        self._close()
        self._down.set()
        self._beat.set()

    def _close(self) -> None:
        """Refuse further calls, and end the waiting ones."""
        self._open = False
        while self._waiting:
            call = self._waiting.pop()
            if call.raise_cancel is not None:
                result = outcome.capture(call.raise_cancel)
            else:
                result = outcome.Error(_closed(self._error))
            trio.lowlevel.reschedule(call.caller, result)

    async def start(self) -> None:
        """Return when the loop runs. Raises BridgeClosed when no thread can be started."""
        try:
            self._thread.start()
        except RuntimeError as error:
            raise BridgeClosed(f"no thread for the event loop: {error}") from error
        await self._up.wait()
        self._open = not self._down.is_set()

    async def watch(self, leaving: trio.CancelScope) -> None:
        """Watch the loop. Raises BridgeClosed when it ends or does not answer. Cancelled, it goes
        on with shorter deadlines until the shielded scope ``leaving`` is cancelled.
        """
        try:
            await self._watch(PULSE_S, UNRESPONSIVE_S)
        except trio.Cancelled:
            with leaving:
                await self._watch(END_PULSE_S, END_UNRESPONSIVE_S)
            raise

    async def _watch(self, pulse_s: float, unresponsive_s: float) -> None:
        late = 0
        while late < 2 and not self._down.is_set():
            beat = self._beat = trio.Event()
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._run_in_trio, beat.set)
            with trio.move_on_after(unresponsive_s / 2):
                await beat.wait()
            late = 0 if beat.is_set() else late + 1
            if late == 0:
                with trio.move_on_after(pulse_s):
                    await self._down.wait()
        if self._down.is_set():
            raise BridgeClosed("the event loop ended") from self._error
        self._close()
        raise BridgeClosed(f"the event loop has not answered for {unresponsive_s:g} s")

    async def stop(self) -> None:
        """Cancel the tasks of the loop, wait for their end, end the thread. Idempotent, shielded;
        takes at most ``STOP_S``.
        """
        with trio.CancelScope(shield=True):
            if self._thread.ident is None:  # never started
                self._loop.close()
                return
            self._open = False
            if not self._stopping:
                self._stopping = True
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._loop.stop)
            with trio.move_on_after(STOP_S):
                await self._down.wait()
            self._close()
        if self._down.is_set():
            self._thread.join()  # it has nothing left to run
        else:
            log.error("event_loop_abandoned", waited_s=STOP_S)

    # --- the loop's side, in its thread -----------------------------------------------------------

    def _serve(self) -> None:
        error: BaseException | None = None
        try:
            self._loop.call_soon(self._run_in_trio, self._up.set)
            self._loop.run_forever()
        except BaseException as caught:  # noqa: BLE001 - reported to the Trio side
            error = caught
        try:
            self._loop.run_until_complete(self._wind_up())
            self._loop.close()
        except BaseException as caught:  # noqa: BLE001 - reported to the Trio side
            error = error or caught
        finally:
            self._run_in_trio(self._up.set)
            self._run_in_trio(partial(self._ended, error))

    async def _wind_up(self) -> None:
        self._ending = True
        # First the tasks of calls, whose outcomes are awaited; then the tasks they started.
        await _cancel(self._tasks)
        await _cancel(asyncio.all_tasks() - {asyncio.current_task()})
        await self._loop.shutdown_asyncgens()

    def _receive(self) -> None:
        self._loop_woken = False
        while self._to_loop:
            call = self._to_loop.popleft()
            if self._ending:
                continue  # _close settles it
            if call.task is None:
                call.task = self._loop.create_task(self._run(call))
                self._tasks.add(call.task)
            elif call.begun:
                call.task.cancel()

    async def _run(self, call: _Call) -> None:
        """Never raises: an exception that left a task could stop the loop."""
        call.begun = True
        result: outcome.Outcome[Any]
        try:
            if call.cancelled:
                raise asyncio.CancelledError  # noqa: TRY301 - as if cancelled while running
            result = outcome.Value(await call.work(*call.args))
        except BaseException as error:  # noqa: BLE001 - the caller's
            cut = isinstance(error, asyncio.CancelledError) and self._ending
            result = outcome.Error(_closed(None) if cut and not call.cancelled else error)
        if call.task is not None:
            self._tasks.discard(call.task)
        self._to_trio.append((call, result))
        del call, result  # otherwise the error, its traceback and this frame form a cycle
        if not self._trio_woken:
            self._trio_woken = True
            self._run_in_trio(self._deliver)

    def _run_in_trio(self, function: Callable[[], object]) -> None:
        """Run ``function``, which must not raise, on the Trio side."""
        with suppress(trio.RunFinishedError):
            self._trio.run_sync_soon(function)


@asynccontextmanager
async def open_bridge(calls: int = CALLS) -> AsyncIterator[Bridge]:
    """A bridge around a block. Leaving it cancels what still runs in the asyncio loop.

    The loop runs on while a cancelled block cleans up. If it ends early the block is cancelled,
    and BridgeClosed raised (in a group, with what the block raised).
    """
    bridge = Bridge(calls)
    leaving = trio.CancelScope(shield=True)
    try:
        await bridge.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bridge.watch, leaving)
            try:
                yield bridge
            finally:
                leaving.cancel()
                nursery.cancel_scope.cancel()
    finally:
        await bridge.stop()


async def _cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=GRACE_S / 2)


def _closed(cause: BaseException | None) -> BridgeClosed:
    error = BridgeClosed("the event loop ended before the call did")
    error.__cause__ = cause
    return error


def _log_exception(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """asyncio's handler of last resort. Logs no error text, which may quote a row."""
    error = context.get("exception")
    # The end of an abandoned connection is reported to a task that nothing awaits any more.
    level = log.debug if isinstance(error, OSError) else log.error
    level("event_loop_error", text=context.get("message"), error=type(error).__name__)
