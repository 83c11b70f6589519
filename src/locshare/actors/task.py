"""Plain async functions as supervised children: a listener, a server, a database bridge.

The function takes ``task_status`` as Trio's ``nursery.start`` gives it. Its init ends when it
calls ``task_status.started(value)``; the value is then ``ref.value``. What it can expect:

- returning is a normal exit, raising is a crash (before ``started``: a failed start);
- a stop is a cancellation of its scope. Clean-up belongs in ``finally`` blocks that shield
  themselves and must fit into the child's shutdown time; the reason is then ``shutdown``;
- a brutal kill is the same cancellation with the reason ``killed``.
"""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import trio

from locshare.actors.incarnation import DEFAULT_GRACE, Incarnation, Status, next_serial
from locshare.actors.reasons import KILLED, NORMAL, Crash, ExitReason, StartError
from locshare.actors.ref import Ref

TaskFunction = Callable[..., Awaitable[object]]


class _Started:
    """Trio's ``TaskStatus``, tied to an incarnation."""

    __slots__ = ("_incarnation",)

    def __init__(self, incarnation: "TaskIncarnation") -> None:
        self._incarnation = incarnation

    def started(self, value: Any = None) -> None:
        if self._incarnation.started:
            raise RuntimeError("started() was called twice")
        self._incarnation.value = value
        self._incarnation.announce_started()


class TaskIncarnation(Incarnation):
    """One incarnation of a plain async function."""

    __slots__ = ("_args", "_function", "_handshake", "_requested", "ref", "result")

    def __init__(
        self,
        function: TaskFunction,
        args: tuple[object, ...] = (),
        *,
        name: str = "",
        handshake: bool = True,
        grace: float = DEFAULT_GRACE,
    ) -> None:
        super().__init__(grace=grace)
        self.ref = Ref(self, name or getattr(function, "__name__", "task"), next_serial())
        self._function: TaskFunction = function
        self._args = args
        self._handshake = handshake
        self._requested: ExitReason | None = None
        self.result: object = None  #: what the function returned

    async def _live(self) -> ExitReason:
        try:
            if self._handshake:
                self.result = await self._function(*self._args, task_status=_Started(self))
            else:
                self.announce_started()
                self.result = await self._function(*self._args)
        except trio.Cancelled:
            raise
        except BaseExceptionGroup as group:
            cancelled, rest = group.split(trio.Cancelled)
            if rest is None:
                raise
            crash = self.crashed(rest)
            if cancelled is not None:
                self.suppressed_crash = crash
                raise cancelled from None
            return crash
        except BaseException as error:  # noqa: BLE001 - carried to the root if fatal (75)
            return self.crashed(error)
        finally:
            self._function, self._args = _done, ()  # refs outlive us; arguments must not
        if not self.started and not self.killed:
            return Crash(
                StartError(self.ref.name, "returned before it called task_status.started()")
            )
        return self._requested or NORMAL

    def replace_function(self, function: TaskFunction) -> None:
        """Run another function with the same arguments. Only before the launch."""
        self._function = function

    def request_stop(self, reason: ExitReason, deadline: float = inf) -> None:
        self.clock.check_thread()
        del deadline  # a cancellation has none; the supervisor kills when the time has passed
        if self.reason is None:
            if self._requested is None:
                self._requested = reason
            self.status = Status.STOPPING
            self._scope.cancel()

    def _settle_reason(self, reason: ExitReason) -> ExitReason:
        # A stop is a cancellation too, so what ends as killed may only have been asked to stop.
        if reason is KILLED and not self.killed and self._requested is not None:
            return self._requested
        return super()._settle_reason(reason)


async def _done(*_args: object, **_kwargs: object) -> None:
    """Stands in for the function after the end."""
