"""The border between a tree of actors and the task that opened it.

Inside, actors are stopped by requests, in order, with deadlines. Outside, Trio cancels everything
at once, in any order. This module translates: what lives inside is shielded, and a cancellation of
the outer task becomes one ordered stop, after which ``Cancelled`` goes on to the scope that it
belongs to (statements 71, 72). Supervisors below the border need no shield of their own.
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

    __slots__ = ("_lives", "_nursery", "_on_fatal")

    def __init__(self, nursery: trio.Nursery, on_fatal: Callable[[BaseException], None]) -> None:
        self._nursery = nursery
        self._on_fatal = on_fatal
        self._lives: dict[Incarnation, None] = {}

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
            life = ActorIncarnation(actor, name=name, heir=heir)
            if register is not None:
                register_name(register, life)
        except Exception as error:  # noqa: BLE001 - raised again, after a checkpoint
            await raise_after_checkpoint(error)
        life.on_exit = self._ended
        self._lives[life] = None
        life.launch(self._nursery, init_timeout)
        await wait_until_started(life)
        if life.ignored:
            raise StartError(life.ref.name, "declined to start")
        return life.ref

    def _ended(self, life: Incarnation) -> None:
        del self._lives[life]
        if life.fatal is not None:
            self._on_fatal(life.fatal.exception)

    async def stop(self, timeout: float = DEFAULT_GRACE) -> None:
        """Stop all in reverse start order, each within ``timeout`` seconds, then by kill. If
        cancelled, it goes no further: whoever was asked stays asked, the rest runs on.
        """
        problem = bad_seconds("timeout", timeout)
        if problem is not None:
            await raise_after_checkpoint(problem)
        await trio.lowlevel.checkpoint()
        for life in reversed(list(self._lives)):
            deadline = trio.current_time() + timeout
            life.request_stop(SHUTDOWN, deadline)
            with trio.move_on_at(deadline):
                await life.wait_exit()
            life.kill()
            await life.wait_exit()


def register_name(register: Name[Any, Any], life: ActorIncarnation) -> None:
    """Register a life that was made and not launched; if that fails, it is over."""
    try:
        register.registry.register(register.key, life.ref)
    except Exception as error:
        life.discard(Crash(error))  # which gives back to the heir what it inherited
        raise


async def wait_until_started(life: Incarnation) -> None:
    """Wait until a launched life has started or failed; raise what its starter should see."""
    try:
        await life.wait_started()
    except trio.Cancelled:
        life.kill()
        with trio.CancelScope(shield=True):
            await life.wait_exit()
        raise
    error = start_failure(life)
    if error is not None:
        raise error


def start_failure(life: Incarnation) -> StartError | None:
    """The error for the starter of a life that ended before it had started, else None."""
    if life.started or life.ignored or life.reason is None:
        return None
    if life.init_timed_out:
        return InitTimeout(life.ref.name, "took too long to start")
    error = StartError(life.ref.name, f"did not start ({life.reason})")
    if isinstance(life.reason, Crash):
        error.__cause__ = life.reason.exception
    return error


@asynccontextmanager
async def open_actor_nursery(timeout: float = DEFAULT_GRACE) -> AsyncIterator[ActorNursery]:
    """A place for actors. Leaving it, or being cancelled in it, stops them in reverse start
    order, each within ``timeout`` seconds. KeyboardInterrupt or SystemExit in one of them cancels
    the block and is raised after that.
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
    """Raise what a block with actors in it ends with, if anything: ``inner`` is what they ended
    with, ``block`` what the block raised.

    KeyboardInterrupt and SystemExit go before everything else, an error goes before Cancelled. Of
    equals ``inner`` wins, since what the block raised is mostly its echo (``Exited``); the other
    then is its context.
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
    life: Incarnation, stop: Callable[[], None], started: Callable[[], None]
) -> None:
    """Run ``life`` in a shield; when the outer task is cancelled or interrupted call ``stop``,
    let the life end in its own order, and pass the exception on. Returns after the end.
    """
    interrupted: BaseException | None = None
    async with trio.open_nursery() as outer:

        async def inside() -> None:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    life.launch(nursery)

        life.on_started = lambda _life: started()
        outer.start_soon(inside)
        try:
            # Yielding once inside the shield makes sure that `inside` has launched before a
            # cancellation that came first is looked at.
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            await life.wait_exit()
        except BaseException as error:  # noqa: BLE001 - Cancelled, KeyboardInterrupt: see below
            interrupted = error
            stop()
    # Raised outside the nursery, so that it leaves bare and not in a group (74).
    if interrupted is not None:
        raise interrupted
