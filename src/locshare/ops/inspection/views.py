"""What inspection shows, and what it can be asked. Plain data, for both ends of the socket."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

SortKey = Literal["load", "mailbox", "handled", "restarts", "id"]
"""By what the children of a dynamic supervisor are ordered, most first, and chosen when there are
too many (``id``: in start order). A child counts with all below it; those that are traced or
suspended come first."""

DEFAULT_LIMIT = 30


class ActorView(Struct, frozen=True, omit_defaults=True):
    """One child of the tree, and those below it. Seconds and bytes.

    ``path`` are the ids from the root, joined by ``/``; that of the root is ``.``. ``state`` is
    the supervisor's word (running, restarting, …), ``status`` the incarnation's (suspended, …).
    What only actors have is None for a task, and everything is for a child that has no life now.
    """

    path: str
    id: str
    kind: Literal["supervisor", "actor", "task", "worker"]
    """``worker``: an actor or a task; without a life it cannot be told."""
    state: str
    status: str | None = None
    incarnation: int | None = None
    restarts: int = 0
    last_reason: str | None = None
    """Why it last ended abnormally."""
    restart_in: float | None = None
    """While it waits to be restarted, by its back-off: how long still."""
    mailbox: int | None = None
    capacity: int | None = None
    """None too when there is no bound."""
    high_water: int | None = None
    handled: int | None = None
    dropped: int | None = None
    timers: int | None = None
    traced: bool = False
    busy: float | None = None
    """Time on the loop since somebody began to watch: of a task with all that it started."""
    load: float | None = None
    """Share of one core since the last picture."""
    bytes: int | None = None
    """Of the mailbox, and what the actor says that it keeps."""
    gauges: dict[str, int] = {}
    children: tuple["ActorView", ...] = ()
    hidden: int = 0
    """How many children are not shown: those with the least of what was sorted by."""

    def flat(self, depth: int = 0) -> Iterator[tuple[int, "ActorView"]]:
        """This and all below it in the order of the tree, with their depths."""
        yield depth, self
        for child in self.children:
            yield from child.flat(depth + 1)


class LongStep(Struct, frozen=True):
    """The longest time that one task held the loop: nobody else ran."""

    task: str
    seconds: float
    message: str | None
    """The type of the message that was handled, for an actor."""


class Vitals(Struct, frozen=True, omit_defaults=True):
    """The process as a whole. Seconds, bytes, and shares of one core."""

    version: str
    pid: int
    uptime: float
    rss: int
    cpu: float | None = None
    """Share of one core since the last picture, everything in the process included."""
    busy: float = 0.0
    """Smoothed share of time that the loop did not wait."""
    lag: float = 0.0
    """Smoothed lateness of a timer."""
    window: float = 0.0
    """The flush window now."""
    longest_step: LongStep | None = None
    """Since the last picture."""
    tasks: int = 0
    sessions: int = 0
    online: int = 0
    participants: int = 0
    connections: int = 0
    backlog: int = 0
    """Bytes that wait for slow receivers."""
    crashes: int = 0
    """Of session actors."""
    faults: bool = False
    """Faults can be injected into this server."""


class Picture(Struct, frozen=True):
    """Everything at one moment. ``at`` is the wall clock, in seconds since 1970."""

    at: float
    vitals: Vitals
    root: ActorView


class TraceLine(Struct, frozen=True):
    """One message that an actor has handled. Never the message."""

    at: float
    """Seconds since the trace began."""
    kind: str
    """cast, call, info, down or timer."""
    type: str
    seconds: float
    lost: int = 0
    """How many lines before this one were dropped because nobody read them in time."""


# --- what can be asked ----------------------------------------------------------------------------


class Request(Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    """Base of the requests."""


class Tree(Request, frozen=True, tag="tree"):
    """One :class:`Picture`. ``limit`` children of a crowded supervisor are shown, 0 for all."""

    limit: int = DEFAULT_LIMIT
    sort: SortKey = "load"


class Watch(Request, frozen=True, tag="watch"):
    """A :class:`Picture` every ``interval`` seconds, with loads."""

    interval: float = 1.0
    limit: int = DEFAULT_LIMIT
    sort: SortKey = "load"


class Suspend(Request, frozen=True, tag="suspend"):
    """Let the actor take no message until ``resume``; they wait in its mailbox."""

    path: str


class Resume(Request, frozen=True, tag="resume"):
    """End ``suspend``."""

    path: str


class Trace(Request, frozen=True, tag="trace"):
    """A :class:`TraceLine` for every message that the actor handles, until it ends."""

    path: str


class Terminate(Request, frozen=True, tag="terminate"):
    """Stop the child in order, by its supervisor; it is not started again by itself."""

    path: str


class Restart(Request, frozen=True, tag="restart"):
    """Start a child again that was terminated."""

    path: str


class Kill(Request, frozen=True, tag="kill"):
    """End the child without ceremony; its supervisor does what it does after a crash."""

    path: str
