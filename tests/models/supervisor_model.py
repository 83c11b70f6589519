"""What both models of supervisors have in common: their time, and how one child ends.

Plain Python without tasks. A model keeps its own time and writes the journal that real children
(children.py) are expected to write, with instants.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Literal

from locshare.supervisor import Backoff, Restart

#: How the next init goes. Slow ones take a second.
Init = Literal["ok", "fails", "declines", "slow", "slow, fails", "unbuildable"]
#: What ``terminate`` does: nothing, take a second, never end, raise.
Ending = Literal["quick", "lingers", "hangs", "raises"]

BRUTAL = -1.0
#: The waits are not whole seconds, unlike all others, so that no two events share an instant. They
#: are binary fractions: the model and the clock add up the same instants in a different order, and
#: 0.3 + 1 + 5 must not differ from 0.3 + 5 + 1.
BACKOFF = Backoff(initial_s=0.3125, max_s=1.25, jitter="none", reset_after_s=3)
#: The grace of a crash where no shutdown time says it.
GRACE = 5.0
FOREVER = 1e9


@dataclass(frozen=True)
class Plan:
    """What both the real child and its model are made from."""

    name: str
    restart: Restart = "permanent"
    shutdown: float = 2.0  # or BRUTAL
    ending: Ending = "quick"
    backoff: bool = False  # as BACKOFF


@dataclass(eq=False)
class Child:
    plan: Plan
    state: str = "starting"
    running: bool = False
    life: int = 0
    restarts: int = 0
    exit_at: float = FOREVER
    reason: str = ""
    failures: int = 0
    up_since: float = FOREVER
    waits: int = 0  #: counts the waits for a restart, so that one that was called off is known


@dataclass
class SupervisorModel:
    """Children, time, and what is to happen."""

    children: dict[str, Child] = field(default_factory=dict)  #: in start order
    now: float = 0.0
    journal: list[tuple[float, str]] = field(default_factory=list)
    reports: list[tuple[str, str]] = field(default_factory=list)
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    order: "count[int]" = field(default_factory=count)

    def at(self, when: float, event: Callable[[], None]) -> None:
        heappush(self.events, (when, next(self.order), event))

    def advance(self, until: float) -> None:
        """Let time pass, and what is due on the way happen."""
        while self.events and self.events[0][0] <= until:
            when, _, event = heappop(self.events)
            self.now = max(self.now, when)
            event()
        self.now = max(self.now, until)

    def note(self, line: str) -> None:
        self.journal.append((self.now, line))

    def end(self, child: Child, how: Literal["crash", "normal", "shutdown", "killed"]) -> None:
        """A running child ends, or is killed from outside."""
        if how == "killed":
            self.exits(child, "killed")
        else:
            grace = GRACE if child.plan.shutdown == BRUTAL else child.plan.shutdown
            self.terminate(child, how, self.now + grace)

    def terminate(self, child: Child, reason: str, deadline: float) -> None:
        """``terminate`` runs; the end is now or later."""
        self.note(f"terminate {child.plan.name}")
        match child.plan.ending:
            case "quick":
                self.note(f"ended {child.plan.name}")
                self.exits(child, reason)
            case "raises":
                self.exits(child, "crash")
            case "lingers" if self.now + 1 < deadline:
                self.exits_at(child, self.now + 1, reason, whole=True)
            case _:
                self.exits_at(child, deadline, "killed")

    def exits_at(self, child: Child, when: float, reason: str, *, whole: bool = False) -> None:
        """Unless it is killed before. ``whole``: ``terminate`` comes to its own end."""
        life = child.life
        child.exit_at, child.reason = when, reason

        def due() -> None:
            if child.running and child.life == life:
                if whole:
                    self.note(f"ended {child.plan.name}")
                self.exits(child, child.reason)

        if when <= self.now:
            due()
        else:
            self.at(when, due)

    def exits(self, child: Child, reason: str) -> None:
        """The exit path."""
        raise NotImplementedError
