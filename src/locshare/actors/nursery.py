"""The boundary between a tree of actors and the task that opened it.

Inside, actors are stopped by requests, in order, with deadlines. Outside, Trio cancels everything
at once, in any order. This module translates: actors are shielded, and a cancellation of the outer
task becomes one ordered stop, after which ``Cancelled`` goes on to its scope (statements 71, 72).
Supervisors below the boundary need no shield.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf
from typing import Any, final

import trio

from locshare.actors.actor import Actor
from locshare.actors.actor_ref import ActorRef, M
from locshare.actors.checks import bad_seconds, bad_type, raise_after_checkpoint
from locshare.actors.frames import chain
from locshare.actors.incarnation import DEFAULT_GRACE, Incarnation
from locshare.actors.loop import ActorIncarnation
from locshare.actors.mailbox import MailboxHeir
from locshare.actors.reasons import SHUTDOWN, Crash, InitTimeout, StartError
from locshare.actors.registry import Name


@final
class ActorNursery:
    """Actors without a supervisor, for tests and scripts; see :func:`open_actor_nursery`."""

    __slots__ = ("_incarnations", "_nursery", "_on_fatal")

    def __init__(self, nursery: trio.Nursery, on_fatal: Callable[[BaseException], None]) -> None:
        self._nursery = nursery
        self._on_fatal = on_fatal
        self._incarnations: dict[Incarnation, None] = {}

    async def start(
        self,
        actor: Actor[M],
        *,
        name: str = "",
        register: Name[Any, M] | None = None,
        heir: MailboxHeir | None = None,
        init_timeout: float = inf,
    ) -> ActorRef[M]:
        """Start ``actor`` and return its ref after its init.

        Raises StartError with the original exception as cause if init fails or declines,
        InitTimeout if it takes longer than ``init_timeout`` seconds, AlreadyRegistered if the
        name is taken; ActorReused for an actor that has lived before, TypeError, ValueError;
        nothing is left behind. If the wait is cancelled, the actor is killed and waited for.
        """
        problem = bad_type("name", name, str) or bad_seconds("init_timeout", init_timeout)
        if register is not None:
            problem = problem or bad_type("register", register, Name)
        if heir is not None:
            problem = problem or bad_type("heir", heir, MailboxHeir)
        if problem is not None:
            await raise_after_checkpoint(problem)
        try:
            incarnation = ActorIncarnation(actor, name=name, heir=heir)
            if register is not None:
                register_name(register, incarnation)
        except Exception as error:  # noqa: BLE001 - raised again, after a checkpoint
            await raise_after_checkpoint(error)
        incarnation.on_exit = self._ended
        self._incarnations[incarnation] = None
        incarnation.launch(self._nursery, init_timeout)
        await wait_until_started(incarnation)
        if incarnation.ignored:
            raise StartError(incarnation.ref.name, "declined to start")
        return incarnation.ref

    def _ended(self, incarnation: Incarnation) -> None:
        del self._incarnations[incarnation]
        if incarnation.fatal is not None:
            self._on_fatal(incarnation.fatal.exception)

    async def stop(self, timeout: float = DEFAULT_GRACE) -> None:
        """Stop all in reverse start order, each within ``timeout`` seconds, then by kill. If
        cancelled, it stops asking: requests already sent stand, the other actors run on.
        """
        problem = bad_seconds("timeout", timeout)
        if problem is not None:
            await raise_after_checkpoint(problem)
        await trio.lowlevel.checkpoint()
        for incarnation in reversed(list(self._incarnations)):
            deadline = trio.current_time() + timeout
            incarnation.request_stop(SHUTDOWN, deadline)
            with trio.move_on_at(deadline):
                await incarnation.wait_exit()
            incarnation.kill()
            await incarnation.wait_exit()


def register_name(register: Name[Any, Any], incarnation: ActorIncarnation) -> None:
    """Register an incarnation that is not launched yet. If that fails, it ends."""
    try:
        register.registry.register(register.key, incarnation.ref)
    except Exception as error:
        incarnation.discard(Crash(error))  # returns inherited messages to the heir
        raise


async def wait_until_started(incarnation: Incarnation) -> None:
    """Wait until a launched incarnation has started; raise its StartError if it failed to."""
    try:
        await incarnation.wait_started()
    except trio.Cancelled:
        incarnation.kill()
        with trio.CancelScope(shield=True):
            await incarnation.wait_exit()
        raise
    error = start_failure(incarnation)
    if error is not None:
        raise error


def start_failure(incarnation: Incarnation) -> StartError | None:
    """The error for the starter of an incarnation that ended before it had started, else None."""
    if incarnation.started or incarnation.ignored or incarnation.reason is None:
        return None
    if incarnation.init_timed_out:
        return InitTimeout(incarnation.ref.name, "took too long to start")
    error = StartError(incarnation.ref.name, f"did not start ({incarnation.reason})")
    if isinstance(incarnation.reason, Crash):
        error.__cause__ = incarnation.reason.exception
    return error


@asynccontextmanager
async def open_actor_nursery(timeout: float = DEFAULT_GRACE) -> AsyncIterator[ActorNursery]:
    """Open an :class:`ActorNursery`. Leaving the block, or cancelling it, stops the actors in
    reverse start order, each within ``timeout`` seconds. KeyboardInterrupt or SystemExit in an
    actor cancels the block and is raised after the stop.
    """
    problem = bad_seconds("timeout", timeout)
    if problem is not None:
        await raise_after_checkpoint(problem)
    nurseries: list[ActorNursery] = []
    ready = trio.Event()
    leave = trio.Event()
    body = trio.CancelScope()
    fatal: BaseException | None = None
    error: BaseException | None = None

    def on_fatal(caught: BaseException) -> None:
        nonlocal fatal
        fatal = fatal or caught
        body.cancel()

    async def inside() -> None:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nurseries.append(ActorNursery(nursery, on_fatal))
                ready.set()
                await leave.wait()
                await nurseries[0].stop(timeout)

    async with trio.open_nursery() as outer:
        outer.start_soon(inside)
        with trio.CancelScope(shield=True):
            await ready.wait()
        try:
            with body:
                yield nurseries[0]
        except BaseException as caught:  # noqa: BLE001 - raised again below, not in a group
            error = caught
        leave.set()
    raise_most_severe(fatal, error)


def raise_most_severe(inner: BaseException | None, block: BaseException | None) -> None:
    """Raise the more severe of two errors, if any: ``inner`` is that of the actors, ``block`` that
    of the block around them.

    KeyboardInterrupt and SystemExit go before errors, errors before Cancelled. Of equals ``inner``
    wins, since the error of the block is mostly its echo (``Exited``); it becomes the context.
    """
    errors = [error for error in (inner, block) if error is not None]
    if not errors:
        return
    worst = min(errors, key=_rank)
    if (
        worst is inner
        and block is not None
        and _rank(block) < _CANCELLED
        and inner.__context__ is None
        and all(each is not inner for each in chain(block))
    ):
        inner.__context__ = block
    raise worst


_FATAL, _ERROR, _CANCELLED = range(3)


def _rank(error: BaseException) -> int:
    if isinstance(error, BaseExceptionGroup):
        return min(map(_rank, error.exceptions))
    if isinstance(error, trio.Cancelled):
        return _CANCELLED
    return _ERROR if isinstance(error, Exception) else _FATAL


async def run_in_shield(
    incarnation: Incarnation, stop: Callable[[], None], started: Callable[[], None]
) -> None:
    """Run ``incarnation`` in a shield and return after its end.

    If the outer task is cancelled or interrupted: call ``stop``, wait for the ordered end, then
    raise the exception.
    """
    interrupted: BaseException | None = None
    async with trio.open_nursery() as outer:

        async def inside() -> None:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    incarnation.launch(nursery)

        incarnation.on_started = lambda _life: started()
        outer.start_soon(inside)
        try:
            # The shielded checkpoint lets `inside` launch before an earlier cancellation is
            # delivered.
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            await incarnation.wait_exit()
        except BaseException as error:  # noqa: BLE001 - Cancelled, KeyboardInterrupt: see below
            interrupted = error
            stop()
    # Raised outside the nursery, so that it leaves bare and not in a group (74).
    if interrupted is not None:
        raise interrupted
