"""What inspection shows, and the requests it answers. Plain data, for both ends of the socket."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct, field

SortKey = Literal["load", "latency", "mailbox", "handled", "restarts", "id"]
"""The order of a dynamic supervisor's children, highest first, which also decides what is hidden
(``id``: start order). A child counts with all below it; traced and suspended actors come first."""

DEFAULT_LIMIT = 30


class ActorView(Struct, frozen=True, omit_defaults=True):
    """One child of the tree, and all below it. Seconds and bytes.

    ``path`` joins the ids from the root with ``/``; the root's is ``.``. ``state`` is the
    supervisor's (running, restarting, …), ``status`` the incarnation's (suspended, …). Fields that
    only actors have are None for a task; all are None for a child without an incarnation.
    """

    path: str
    id: str
    kind: Literal["supervisor", "actor", "task", "worker"]
    """``worker``: an actor or a task; without an incarnation it is unknown which."""
    state: str
    status: str | None = None
    incarnation: int | None = None
    restarts: int = 0
    last_reason: str | None = None
    """Why it last ended abnormally."""
    restart_in: float | None = None
    """Seconds until its back-off ends and it is restarted."""
    mailbox: int | None = None
    capacity: int | None = None
    """None also when there is no bound."""
    high_water: int | None = None
    handled: int | None = None
    dropped: int | None = None
    timers: int | None = None
    traced: bool = False
    busy: float | None = None
    """Time on the loop since profiling began; for a task, including the tasks it started."""
    load: float | None = None
    """Share of one core since the last snapshot."""
    bytes: int | None = None
    """Memory of the mailbox, plus what the actor reports for its state."""
    latency: float | None = None
    """Of a session: from the receipt of a position to its flush, smoothed over some flushes."""
    gauges: dict[str, int] = {}
    children: tuple["ActorView", ...] = ()
    hidden: int = 0
    """Children not shown: the lowest in the sort order."""

    def flat(self, depth: int = 0) -> Iterator[tuple[int, "ActorView"]]:
        """This view and all below it with their depths, in the order of the tree."""
        yield depth, self
        for child in self.children:
            yield from child.flat(depth + 1)


class LongStep(Struct, frozen=True):
    """The longest time that one task held the loop."""

    task: str
    seconds: float
    message: str | None
    """The type of the message that was handled, for an actor."""


class Latency(Struct, frozen=True):
    """From the receipt of a position until all receivers were written to, in seconds. Since the
    last snapshot, or without one since the server started; estimated from a histogram.
    """

    p50: float
    p95: float
    p99: float
    count: int
    """Flushes that were measured: 500 a second, at most."""


class ProcessInfo(Struct, frozen=True, omit_defaults=True):
    """The process as a whole. Seconds, bytes, and shares of one core."""

    version: str
    pid: int
    uptime: float
    rss: int
    cpu: float | None = None
    """Share of one core since the last snapshot, of the whole process."""
    busy: float = 0.0
    """Smoothed share of time in which the loop ran tasks."""
    lag: float = 0.0
    """Smoothed lateness of a timer."""
    window: float = 0.0
    """The current flush window."""
    longest_step: LongStep | None = None
    """Since the last snapshot."""
    latency: Latency | None = None
    """None when nothing was measured."""
    tasks: int = 0
    sessions: int = 0
    online: int = 0
    participants: int = 0
    connections: int = 0
    backlog: int = 0
    """Bytes queued for slow receivers."""
    crashes: int = 0
    """Of session actors."""
    faults: bool = False
    """The server was started with ``--faults``."""


class TreeSnapshot(Struct, frozen=True):
    """The process and its supervision tree. ``at``: Unix time in seconds."""

    at: float
    process: ProcessInfo = field(name="vitals")  # the name that ``locshare top --json`` promises
    root: ActorView


class TraceLine(Struct, frozen=True):
    """One message that an actor has handled: its type and time, never its content."""

    at: float
    """Seconds since the trace began."""
    kind: str
    """cast, call, info, down or timer."""
    type: str
    seconds: float
    lost: int = 0
    """Lines dropped before this one because the client read too slowly."""


# --- requests -------------------------------------------------------------------------------------


class Request(Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    """Base of the requests."""


class Tree(Request, frozen=True, tag="tree"):
    """One :class:`TreeSnapshot`, ``limit`` children per dynamic supervisor at most; 0: all."""

    limit: int = DEFAULT_LIMIT
    sort: SortKey = "load"


class Watch(Request, frozen=True, tag="watch"):
    """A :class:`TreeSnapshot` every ``interval`` seconds, with loads."""

    interval: float = 1.0
    limit: int = DEFAULT_LIMIT
    sort: SortKey = "load"


class Suspend(Request, frozen=True, tag="suspend"):
    """Stop the actor from taking messages until ``resume``; they wait in its mailbox."""

    path: str


class Resume(Request, frozen=True, tag="resume"):
    """End ``suspend``."""

    path: str


class Trace(Request, frozen=True, tag="trace"):
    """A :class:`TraceLine` for every message that the actor handles, until it ends."""

    path: str


class Terminate(Request, frozen=True, tag="terminate"):
    """Stop the child in order, through its supervisor, which does not restart it."""

    path: str


class Restart(Request, frozen=True, tag="restart"):
    """Start a terminated child again."""

    path: str


class Kill(Request, frozen=True, tag="kill"):
    """Kill the child; its supervisor reacts as to a crash."""

    path: str
