"""A bounded mailbox with two lanes, made for one reader that may die at any moment.

Why not a Trio memory channel. (1) It has one lane, and a stop request must not wait behind ten
thousand updates. (2) It knows only one rule for a full buffer. (3) Some entries must be exempt from
the bound: a DOWN or a due timer cannot be refused, since no sender would learn of it. (4) Closing a
channel loses its buffer silently, so that a caller whose request was in it waits until its timeout;
here closing *returns* what waited. (5) What waited can be handed to the next incarnation
(:class:`MailboxHeir`).

The ordinary lane keeps the order in which entries came, whatever their kind. That is the whole of
statement 54: one sender's calls, casts and infos stay in order, and nothing is promised between
senders. A DOWN travels in the ordinary lane too, so it arrives after everything that the dead
actor had sent (statement 62). The system lane holds stop and inspection requests only; user
traffic can neither fill nor delay it.

Invariant between any two checkpoints: senders wait for room only while the ordinary lane is at
its capacity. When the reader takes an entry the longest waiting sender's entry moves in at once,
so no entry overtakes it.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from sys import maxsize
from threading import get_ident
from typing import Any, Final, NamedTuple, final

import trio
from trio.lowlevel import enable_ki_protection, reschedule

from locshare.actors.checks import bad_type, raise_if
from locshare.actors.reasons import WrongThread
from locshare.actors.reply import ReplyTo

# Kinds of ordinary entries. Small ints, since the reader compares one per message.
CAST: Final = 0
CALL: Final = 1
INFO: Final = 2
DOWN: Final = 3  # exempt from the bound
TIMER: Final = 4  # exempt from the bound

#: Kinds that a :class:`MailboxHeir` keeps. Calls are failed at death instead (statement 48);
#: timers and monitors belong to the incarnation that set them.
_INHERITED: Final = (CAST, INFO)


class Overflow(Enum):
    """What a full mailbox does with one more ordinary message.

    In every case ``cast`` and ``info`` return at once and raise nothing, and whatever is lost is
    counted as dropped.
    """

    REFUSE = "refuse"
    """It is not taken. ``offer`` answers FULL, ``deliver`` and ``call`` wait for room."""
    DROP_NEWEST = "drop_newest"
    """The new message is dropped. ``offer`` answers FULL, ``deliver`` returns without waiting,
    ``call`` raises :class:`~locshare.actors.MailboxFull` at once."""
    DROP_OLDEST = "drop_oldest"
    """The oldest cast, info or call gives way; a call so dropped raises ``MailboxFull`` in its
    caller. Nothing ever waits."""
    STOP = "stop"
    """The message is dropped and the actor is stopped, with ``Crash(MailboxFull())``."""


class Offer(Enum):
    """The answer to a message offered without waiting."""

    ACCEPTED = "accepted"
    FULL = "full"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class MailboxSpec:
    """How an actor's mailbox is bounded. Class attribute ``Actor.mailbox``.

    ``capacity``: the most entries that wait, or None for no bound. DOWN and timers count when
    the room is measured but are themselves never refused. Raises ValueError unless it is a whole
    number of at least 1 or None, TypeError for another ``overflow``.
    """

    capacity: int | None = 1024
    overflow: Overflow = Overflow.REFUSE

    def __post_init__(self) -> None:
        capacity: object = self.capacity
        if capacity is not None and (type(capacity) is not int or capacity < 1):
            raise ValueError(f"capacity must be a whole number ≥ 1 or None, not {capacity!r}")
        raise_if(bad_type("overflow", self.overflow, Overflow))


@final
@dataclass(slots=True)
class MailboxHeir:
    """Where the messages of a crashed incarnation wait for the next one. Opt-in.

    By default a mailbox dies with its actor (statement 58). A child spec that carries an heir
    keeps the casts and infos that still waited when an incarnation ended *abnormally*: not the
    message that crashed it, and no calls (they have failed), timers or DOWNs. The
    next incarnation finds them in front of its mailbox, in order, bound or no bound.

    The owner of the spec owns the heir. When the owner gives up on the actor it calls
    :meth:`clear`; entries are otherwise kept only from a death to the next start.
    """

    entries: deque[tuple[int, Any]] = field(default_factory=deque, repr=False)
    handed_over: int = 0  #: messages kept so far, over all incarnations

    def clear(self) -> int:
        """Drop what waits and return how many messages that were."""
        dropped = len(self.entries)
        self.entries.clear()
        return dropped


class Waiting(NamedTuple):
    """An entry that waits for room. ``task`` is its sender, or None for a call, whose caller
    goes on waiting for the reply.
    """

    kind: int
    message: object
    task: trio.lowlevel.Task | None


#: Members of an Enum take a descriptor to read before Python 3.12: once per message is too often.
ACCEPTED: Final = Offer.ACCEPTED

#: Calls whose callers have gone are swept out of a mailbox without a bound when there are more than
#: this many and they are the majority.
SWEEP_AT: Final = 256

_NOBODY_WAITS: Final[OrderedDict[object, Waiting]] = OrderedDict()
_CLOSED: Final[deque[tuple[int, Any]]] = deque()


@final
class Mailbox:
    """The two lanes of one incarnation. Everything here is plain functions: nothing awaits.

    ``parked`` is the reader's task while it waits for an entry; ``closed`` becomes true once, in
    the exit path, and nothing is accepted afterwards.
    """

    __slots__ = (
        "capacity",
        "closed",
        "dropped",
        "on_dropped_call",
        "on_overflow",
        "overflow",
        "parked",
        "queue",
        "senders",
        "stale",
        "system",
        "thread",
    )

    def __init__(
        self,
        spec: MailboxSpec,
        on_overflow: Callable[[], None],
        on_dropped_call: Callable[[Any], None],
    ) -> None:
        self.queue: deque[tuple[int, Any]] = deque()
        self.system: list[object] = []
        # A shared empty mapping until a sender waits: an idle actor should be small.
        self.senders = _NOBODY_WAITS
        self.capacity = maxsize if spec.capacity is None else spec.capacity
        self.overflow = spec.overflow
        self.parked: trio.lowlevel.Task | None = None
        self.closed = False
        self.dropped = 0
        self.stale = 0  #: calls whose callers went while they waited here, since the last sweep
        self.thread = get_ident()
        self.on_overflow = on_overflow
        self.on_dropped_call = on_dropped_call

    @enable_ki_protection
    def put(self, kind: int, message: object) -> Offer:
        """Offer an ordinary entry. FULL means that it was not taken (and not yet counted). Raises
        WrongThread, as all below; then nothing has changed.
        """
        if get_ident() != self.thread:
            raise WrongThread
        queue = self.queue
        if len(queue) >= self.capacity and not self._make_room():
            return Offer.DEAD if self.closed else Offer.FULL
        queue.append((kind, message))
        task = self.parked
        if task is not None:
            self.parked = None
            reschedule(task)
        return ACCEPTED

    def _make_room(self) -> bool:
        """The slow path of :meth:`put`: closed (capacity is then -1), or at capacity."""
        if self.closed:
            return False
        if self.overflow is Overflow.STOP:
            self.on_overflow()
        if self.overflow is not Overflow.DROP_OLDEST:
            return False
        for index, (kind, message) in enumerate(self.queue):
            if kind <= INFO:
                del self.queue[index]
                self.dropped += 1
                if kind == CALL:
                    self.on_dropped_call(message)
                return True
        return True  # all that waits is exempt: go over the bound rather than drop a DOWN

    @enable_ki_protection
    def put_exempt(self, kind: int, message: object) -> None:
        """Queue an entry that the bound does not apply to. Ignored once closed."""
        if get_ident() != self.thread:
            raise WrongThread
        if not self.closed:
            self.queue.append((kind, message))
            self.wake()

    @enable_ki_protection
    def put_system(self, request: object) -> bool:
        """Queue a system request ahead of all ordinary entries. False once closed."""
        if get_ident() != self.thread:
            raise WrongThread
        if self.closed:
            return False
        self.system.append(request)
        self.wake()
        return True

    def withdraw(self, request: object) -> None:
        """Take a system request back if it still waits."""
        if request in self.system:
            self.system.remove(request)

    def call_abandoned(self, call: ReplyTo[Any]) -> None:
        """The caller has gone. In an unbounded mailbox its request must not stay forever."""
        if self.give_up_waiting(call) or self.capacity != maxsize:
            return
        self.stale += 1
        if self.stale > SWEEP_AT and self.stale * 2 > len(self.queue):
            kept = [entry for entry in self.queue if entry[0] != CALL or entry[1].waiting]
            self.queue.clear()  # in place: the reader holds on to it
            self.queue.extend(kept)
            self.stale = 0

    def wake(self) -> None:
        """Reschedule the reader if it is parked."""
        task = self.parked
        if task is not None:
            self.parked = None
            reschedule(task)

    def wait_for_room(self, kind: int, message: object, task: trio.lowlevel.Task | None) -> None:
        """Queue an entry behind those of other senders. Only while full; the sender then parks."""
        if self.senders is _NOBODY_WAITS:
            self.senders = OrderedDict()
        self.senders[message if task is None else task] = Waiting(kind, message, task)

    def give_up_waiting(self, key: object) -> bool:
        """Take a sender (its task, or its call) out of the queue. False if it is not in it."""
        return self.senders.pop(key, None) is not None

    @enable_ki_protection
    def admit(self) -> None:
        """Move waiting senders' entries in while there is room. The reader calls this."""
        while self.senders and len(self.queue) < self.capacity:
            _, (kind, message, task) = self.senders.popitem(last=False)
            self.queue.append((kind, message))
            if task is not None:
                reschedule(task)

    def inherit(self, heir: MailboxHeir) -> None:
        """Put what the heir kept in front, whatever the capacity."""
        self.queue.extendleft(reversed(heir.entries))
        heir.entries.clear()

    def close(
        self, heir: MailboxHeir | None
    ) -> tuple[list[Any], list[object], list[trio.lowlevel.Task]]:
        """Close for good; return the calls that waited, the system requests, the senders.

        Casts and infos go to ``heir`` if there is one, otherwise they are counted as dropped.
        Senders that still waited for room learn of the death and keep their messages.
        """
        self.closed = True
        self.capacity = -1  # makes `put` take its slow path: the fast path tests one thing only
        calls = [message for kind, message in self.queue if kind == CALL]
        calls += [waiting.message for waiting in self.senders.values() if waiting.task is None]
        casts = [entry for entry in self.queue if entry[0] in _INHERITED]
        if heir is not None:
            heir.entries.extendleft(reversed(casts))
            heir.handed_over += len(casts)
        else:
            self.dropped += len(casts)
        tasks = [waiting.task for waiting in self.senders.values() if waiting.task is not None]
        system = self.system
        self.queue, self.senders, self.system = _CLOSED, _NOBODY_WAITS, []
        return calls, system, tasks
