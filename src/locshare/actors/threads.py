"""Sending to an actor from other threads: ``ref.from_thread``.

Actors live in the thread of their Trio run, and everything else in this package must be called
there: a cast from elsewhere would race with the loop, which does not look at its mailbox again
once it has decided to park. So it raises WrongThread. What is here goes through Trio's own door,
``run_sync_soon``.

Order: what one thread sends through one ref, casts, infos and calls, arrives in the order in which
it was sent (statement 54).
"""

from collections import deque
from threading import RLock
from typing import Generic, Protocol, TypeVar, final

import trio

from locshare.actors.checks import raise_if
from locshare.actors.mailbox import CAST, INFO, Mailbox
from locshare.actors.reasons import NoProc
from locshare.actors.reply import Request

M = TypeVar("M", contravariant=True)
R = TypeVar("R")


class Address(Protocol[M]):
    """What :class:`FromThread` needs of an ActorRef."""

    _mailbox: Mailbox
    name: str

    def bad_timeout(self, timeout: object) -> Exception | None: ...
    async def call(self, request: Request[R], timeout: float | None) -> R: ...
    def cast(self, message: M) -> None: ...
    def info(self, message: object) -> None: ...


@final
class FromThread(Generic[M]):
    """Send to an actor from any thread but its own. Get it with ``ref.from_thread``."""

    __slots__ = ("_lock", "_lost", "_ref", "_token", "_waiting")

    def __init__(self, ref: Address[M], token: trio.lowlevel.TrioToken) -> None:
        self._ref = ref
        self._token = token
        self._waiting: deque[tuple[int, object]] = deque()
        # Reentrant: a signal handler or a finaliser may send in the middle of a send.
        self._lock = RLock()
        self._lost = 0

    def cast(self, message: M) -> None:
        """As :meth:`ActorRef.cast`, from any thread. Returns before the actor has the message.

        No more wait on the way than the mailbox has room for, so a thread that is faster than the
        loop loses messages, and they are counted; one that must not lose any uses :meth:`call`.
        """
        self._send(CAST, message)

    def info(self, message: object) -> None:
        """As :meth:`ActorRef.info`, from any thread, and otherwise as :meth:`cast`."""
        self._send(INFO, message)

    def call(self, request: Request[R], timeout: float | None = 5.0) -> R:
        """As :meth:`ActorRef.call`; blocks this thread until the reply or the error.

        Raises NoProc too when the actor's Trio run has ended, or ends meanwhile, and RuntimeError
        in the actor's own thread, which would wait for itself: use :meth:`ActorRef.call` there.
        A thread cannot be cancelled: give a timeout.
        """
        raise_if(self._ref.bad_timeout(timeout))
        try:
            return trio.from_thread.run(self._call, request, timeout, trio_token=self._token)
        except (trio.RunFinishedError, trio.Cancelled) as error:
            raise NoProc(self._ref.name) from error

    async def _call(self, request: Request[R], timeout: float | None) -> R:
        self._drain()  # what this thread has cast before comes first
        return await self._ref.call(request, timeout)

    def _send(self, kind: int, message: object) -> None:
        if len(self._waiting) >= self._ref._mailbox.capacity:  # -1 once it is dead
            with self._lock:
                self._lost += 1
        else:
            self._waiting.append((kind, message))
        try:
            self._token.run_sync_soon(self._drain, idempotent=True)
        except trio.RunFinishedError:
            self._waiting.clear()  # no run takes them any more

    def _drain(self) -> None:
        """In the actor's thread: hand over what has been sent so far."""
        mailbox = self._ref._mailbox
        with self._lock:
            mailbox.dropped += self._lost
            self._lost = 0
        for _ in range(len(self._waiting)):
            kind, message = self._waiting.popleft()
            if kind == CAST:
                self._ref.cast(message)  # type: ignore[arg-type]  # it came in by `cast`
            else:
                self._ref.info(message)
