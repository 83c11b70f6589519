"""The behaviour: what an application writes.

::

    class Counter(Actor[Add | Reset]):
        def init(self) -> None:
            self.total = 0

        @on_call(Total)
        def answer_total(self, request: Total) -> int:
            return self.total

        @on_cast(Add)
        def add(self, message: Add) -> None:
            self.total += message.amount

        @on_cast(Reset)
        def reset(self, message: Reset) -> None:
            self.total = 0

The decorated methods are checked against their messages (:mod:`locshare.actors.handlers`). An actor
on a hot path may override ``handle_call``, ``handle_cast`` or ``handle_info`` instead.

One message at a time (statement 55): the next is taken only when the handler has finished, even if
it awaited. Handlers are best written as plain functions: then nothing else runs in the middle of
one and the state is whole between any two messages. An ``async`` handler is awaited; nothing else
of this actor runs meanwhile, but the rest of the program does.

Results. ``handle_call``: the reply (any value, an exception object included), ``NO_REPLY``,
``Continue(…)`` or ``StopActor(…)``. The other handlers: None, ``Continue`` or ``StopActor``.
``init``: None, ``Continue`` or ``IGNORE``. Anything else is a crash that names the result's type.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, ClassVar, Generic, Protocol, cast, final

import trio

from locshare.actors.actor_ref import ActorRef, ActorRefTarget, M
from locshare.actors.checks import bad_seconds, bad_type, raise_if
from locshare.actors.handlers import HandlerResult, HandlerTable, collect, find
from locshare.actors.mailbox import TIMER, MailboxSpec
from locshare.actors.reasons import ExitReason, UnhandledMessage
from locshare.actors.ref import Monitor, Ref
from locshare.actors.reply import Continue, Ignore, ReplyTo

logger = logging.getLogger(__package__)

#: The most messages handled without yielding to other tasks.
BATCH_LIMIT = 256

#: Callbacks whose results are not awaited.
_PLAIN = (
    "after_batch",
    "get_state",
    "replace_state",
    "gauges",
    "redact",
    "on_stop_requested",
    "on_kill",
)


def bad_batch_limit(value: object) -> Exception | None:
    """What is wrong with a ``batch_limit``, or None."""
    if type(value) is int and value >= 1:
        return None
    return ValueError(f"batch_limit must be a whole number ≥ 1, not {value!r}")


InitResult = Continue | Ignore | None


class ActorRuntime(ActorRefTarget, Protocol):
    """What an actor needs of its incarnation."""

    timers: dict["Timer", None]

    @property
    def ref(self) -> ActorRef[Any]: ...
    def monitor(self, ref: Ref | None) -> Monitor: ...
    def link(self, ref: ActorRef) -> None: ...
    def unlink(self, ref: ActorRef) -> None: ...
    def spawn_helper(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None: ...


class Actor(Generic[M]):
    """Base of all actors. Subclasses need not call ``super().__init__``.

    ``M`` is the type of what ``handle_cast`` takes, and so of what may be cast to the ref. A bare
    ``Actor`` takes any message.

    ``__init__`` runs before the actor has a ref or a task; ``init`` is the first thing that runs
    in its own task. Everything below that says "in a handler" includes ``init``.

    An exception that leaves a handler is a crash. Two things cancel a handler that awaits: a kill,
    after which ``terminate`` is not called, and the crash of a helper (:meth:`spawn`), after which
    it is.
    """

    mailbox: ClassVar[MailboxSpec] = MailboxSpec()
    batch_limit: ClassVar[int] = BATCH_LIMIT
    trap_exits: ClassVar[bool] = False
    """Whether the end of a linked actor is a message (``LinkExit``) instead of this actor's end."""
    ref_type: ClassVar[type[ActorRef]] = ActorRef
    hosts_children: ClassVar[bool] = False
    """Whether the runtime opens a nursery for children. Supervisors only."""

    _incarnation: "ActorRuntime"
    _calls: ClassVar[HandlerTable] = {}
    _casts: ClassVar[HandlerTable] = {}
    _infos: ClassVar[HandlerTable] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse what would never work: raises TypeError, ValueError."""
        super().__init_subclass__(**kwargs)
        for name in _PLAIN:
            if iscoroutinefunction(cls.__dict__.get(name)):
                raise TypeError(
                    f"{cls.__name__}.{name} must be a plain function: its result is not awaited"
                )
        tables = collect(cls)
        cls._calls, cls._casts, cls._infos = tables["call"], tables["cast"], tables["info"]
        raise_if(bad_batch_limit(cls.batch_limit))
        raise_if(bad_type(f"{cls.__name__}.mailbox", cls.mailbox, MailboxSpec))

    # -- callbacks -------------------------------------------------------------------------

    def init(self) -> InitResult | Awaitable[InitResult]:
        """Initialize the state, first thing in the actor's own task. The starter waits for it, and
        so do messages. If it raises, the start has failed and the starter sees StartError.
        """
        return None

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        """Answer a request. A crash raises Exited in the caller; to refuse and live on, call
        ``reply_to.fail``. The default calls the method that is decorated for this type
        (:func:`on_call`) and crashes if there is none: an unknown request is a bug of the caller.
        """
        kind = type(request)
        handler = self._calls.get(kind) or find(self._calls, kind)
        if handler is not None:
            if handler.takes_reply_to:
                return handler.method(self, request, reply_to)
            return handler.method(self, request)
        raise UnhandledMessage(
            f"{type(self).__name__} does not handle the call {type(request).__qualname__}"
        )

    def handle_cast(self, message: M) -> HandlerResult | Awaitable[HandlerResult]:
        """Handle an order. The default calls the method that is decorated for this type
        (:func:`on_cast`) and crashes if there is none.
        """
        kind = type(message)
        handler = self._casts.get(kind) or find(self._casts, kind)
        if handler is not None:
            return cast("HandlerResult", handler.method(self, message))
        raise UnhandledMessage(
            f"{type(self).__name__} does not handle the cast {type(message).__qualname__}"
        )

    def handle_info(self, message: Any) -> HandlerResult | Awaitable[HandlerResult]:
        """Handle news: ``info``, due timers, ``Down``. The default calls the method that is
        decorated for this type (:func:`on_info`); it logs and ignores a message that has none.
        """
        kind = type(message)
        handler = self._infos.get(kind) or find(self._infos, kind)
        if handler is not None:
            return cast("HandlerResult", handler.method(self, message))
        logger.warning(
            "%s ignored an unexpected message of type %s",
            self.ref.name,
            type(message).__qualname__,
        )
        return None

    def handle_continue(self, value: Any) -> HandlerResult | Awaitable[HandlerResult]:  # noqa: ARG002 - a hook
        """Run after ``Continue(value)``, before any message. The default crashes."""
        raise UnhandledMessage(f"{type(self).__name__} has no handle_continue")

    def after_batch(self) -> None:
        """Called when everything that waited (or ``batch_limit`` messages) has been handled, before
        the actor parks or yields: the place for a flush. A plain function: a class with an async
        one is refused, a result is a crash. Not called before ``terminate``. A crash in it loses no
        message, since none is being handled.
        """

    def terminate(self, reason: ExitReason) -> Awaitable[None] | None:  # noqa: ARG002 - a hook
        """Clean up. Runs after a stop, a handler crash, a bad return; never after a failed init
        or a kill (statement 69). Shielded, with the time that is left as its deadline (77); when
        that passes it is cut off and the actor exits ``killed``. A crash in it becomes the exit
        reason.
        """
        return None

    def get_state(self) -> object:
        """What :func:`locshare.actors.introspect.get_state` shows. The default is a shallow copy
        of the instance's attributes.
        """
        return {key: value for key, value in vars(self).items() if key != "_incarnation"}

    def replace_state(self, state: Any) -> None:
        """Replace the whole state by ``state``, a changed value of :meth:`get_state`."""
        if not isinstance(state, Mapping):
            raise TypeError(f"the state must be a mapping, not {type(state).__qualname__}")
        incarnation = self._incarnation
        attributes = vars(self)
        attributes.clear()
        attributes.update(state)
        self._incarnation = incarnation

    def gauges(self) -> Mapping[str, int]:
        """Counts that inspection shows beside the runtime's own, by name; ``"bytes"`` is memory
        that the actor keeps. Called at any time, also while a handler awaits: must be quick and
        must not change anything. The default is empty.
        """
        return {}

    def redact(self, message: object) -> Mapping[str, object]:
        """What a crash report may contain beside types and ids: the redaction hook (15).

        ``message`` is the one that was being handled, or None. The default is empty, since
        messages and states may hold personal data.
        """
        del message
        return {}

    # -- what a handler may use ------------------------------------------------------------

    @property
    def ref(self) -> ActorRef[M]:
        """The address of this incarnation."""
        return self._incarnation.ref

    def send_after(self, seconds: float, message: object) -> "Timer":
        """Send ``message``, of any type, to ``handle_info`` after ``seconds`` (≥ 0; infinity is
        never). Exempt from the mailbox bound; dies with the incarnation; costs a heap entry, no
        task. Raises TypeError, ValueError.
        """
        raise_if(bad_seconds("seconds", seconds))
        return Timer(self._incarnation, trio.current_time() + seconds, message)

    def send_at(self, deadline: float, message: object) -> "Timer":
        """As :meth:`send_after`, at an absolute ``trio.current_time()``; at once if that has
        passed.
        """
        raise_if(bad_seconds("deadline", deadline, least=None))
        return Timer(self._incarnation, deadline, message)

    def monitor(self, ref: Ref | None) -> Monitor:
        """Watch ``ref``: one ``Down`` lands in ``handle_info`` when it ends, at once with
        ``noproc`` if it is dead or None. The monitor ends with this actor. Raises TypeError.
        """
        return self._incarnation.monitor(ref)

    def link(self, ref: ActorRef) -> None:
        """Link two actors (statement 63): an end of one, for any reason but ``normal``, stops the
        other with the same reason; if that other traps exits, every end is a ``LinkExit`` message.
        Linking twice is one link; linking to the dead is a partner's end with ``noproc``. Rarely
        right: the supervisor and the nursery are the links that matter. Raises TypeError.
        """
        self._incarnation.link(ref)

    def unlink(self, ref: ActorRef) -> None:
        """Undo :meth:`link`. Idempotent."""
        self._incarnation.unlink(ref)

    def spawn(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a helper task that is cancelled when this actor ends, and waited for. If it raises,
        the actor crashes with the same exception: a handler that awaits is cancelled (it may wait
        for this helper), then ``terminate`` runs. Raises TypeError, and RuntimeError outside the
        actor's incarnation.
        """
        self._incarnation.spawn_helper(async_fn, *args)

    # -- for supervisors -------------------------------------------------------------------

    def on_stop_requested(self) -> None:
        """A stop request is in the system lane. Runs in the task that sent it; must be quick."""

    def on_kill(self) -> None:
        """A kill was requested. Runs in the task that requested it; must be quick."""


@final
class Timer:
    """A message to be sent later. After ``cancel`` it is never handled, even if already queued."""

    __slots__ = ("_incarnation", "armed", "cancelled", "message")

    def __init__(self, incarnation: "ActorRuntime", deadline: float, message: object) -> None:
        self._incarnation = incarnation
        self.message: object = message
        self.armed = False
        self.cancelled = False
        incarnation.clock.check_thread()
        if incarnation.reason is None:
            incarnation.timers[self] = None
            incarnation.clock.set(deadline, self)

    @property
    def pending(self) -> bool:
        """True until it is due or cancelled, or its actor has died."""
        return self.armed

    def cancel(self) -> None:
        """Do not send; if already queued, do not handle. Idempotent. Raises WrongThread."""
        self._incarnation.clock.check_thread()
        self.cancelled = True
        self.message = None  # the heap may keep the entry for a while, but not what it says
        self._incarnation.timers.pop(self, None)
        self._incarnation.clock.disarm(self)

    def fire(self) -> None:
        """Called by the clock when it is due."""
        self._incarnation.timers.pop(self, None)
        self._incarnation.mailbox.put_exempt(TIMER, self)
