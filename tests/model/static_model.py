"""What a static supervisor should be, in plain Python: no tasks, no Trio, only the statements.

The model is told the same steps as the real tree and keeps its own time. It writes the journal
that the real children are expected to write, with instants, and the reports that are expected. Its
supervisor does one thing at a time, in the order of its inbox; while it is busy children may end,
which is why every wait goes through :meth:`StaticModel.advance`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Literal

from locshare.supervisor import Restart, Strategy

#: How the next init goes. Slow ones take a second.
Init = Literal["ok", "fails", "declines", "slow", "slow, fails", "unbuildable"]
#: What ``terminate`` does: nothing, take a second, take for ever, raise.
Ending = Literal["quick", "lingers", "hangs", "raises"]
Op = Literal["start", "restart", "terminate", "delete"]

BRUTAL = -1.0
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


@dataclass(eq=False)
class Child:
    plan: Plan
    state: str = "starting"
    running: bool = False
    life: int = 0
    restarts: int = 0
    exit_at: float = FOREVER
    reason: str = ""


class StartFailed(Exception):
    """A child did not come up."""


class Interrupted(Exception):
    """A stop request came in the middle of a start."""


@dataclass
class StaticModel:
    """One supervisor and its children."""

    strategy: Strategy
    budget: int
    seconds: float
    scripts: dict[str, deque[Init]] = field(default_factory=dict)  #: inits to come, by name
    children: dict[str, Child] = field(default_factory=dict)  #: in start order
    now: float = 0.0
    journal: list[tuple[float, str]] = field(default_factory=list)
    reports: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[int, str] = field(default_factory=dict)  #: of the requests, by number
    instants: list[float] = field(default_factory=list)
    alive: bool = True
    gave_up: bool = False
    stop_at: float = FOREVER
    inbox: deque[Callable[[], None]] = field(default_factory=deque)
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    order: "count[int]" = field(default_factory=count)
    requests: set[int] = field(default_factory=set)

    # -- time ------------------------------------------------------------------------------

    def at(self, when: float, event: Callable[[], None]) -> None:
        heappush(self.events, (when, next(self.order), event))

    def advance(self, until: float) -> None:
        """Let time pass, and what is due on the way happen."""
        while self.events and self.events[0][0] <= until:
            when, _, event = heappop(self.events)
            self.now = max(self.now, when)
            event()
        self.now = max(self.now, until)

    def run(self) -> None:
        """Until nothing is left to do."""
        while self.alive:
            if self.stop_at <= self.now:
                self.stop_all()
                self.alive = False
            elif self.inbox:
                self.inbox.popleft()()
            else:
                due = min(self.stop_at, self.events[0][0] if self.events else FOREVER)
                if due == FOREVER:
                    break
                self.advance(due)
        for request in self.requests - self.answers.keys():
            self.answers[request] = "Exited"

    def note(self, line: str) -> None:
        self.journal.append((self.now, line))

    # -- what happens to a child -----------------------------------------------------------

    def end(self, name: str, how: Literal["crash", "normal", "shutdown", "killed"]) -> None:
        """A child that runs comes to its end by itself, or is killed by a stranger."""
        child = self.children[name]
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
        """The exit path: report, decide, leave a message."""
        name = child.plan.name
        was, born = child.state, child.running and child.exit_at != -1
        child.running = False
        child.exit_at = FOREVER
        self.note(f"exit {name} {reason}")
        if was == "starting":
            child.state = "stopped"
            return
        abnormal = reason in ("crash", "killed")
        if was == "stopping":
            child.state = "stopped"
            brutal = child.plan.shutdown == BRUTAL and reason == "killed"
            if abnormal and born and not brutal:
                self.reports.append(("stop_failed", name))
            return
        if abnormal:
            self.reports.append(("crash" if born else "start_failed", name))
        if was == "restarting":
            self.wants_restart(child)
        elif child.plan.restart == "temporary":
            child.state = "stopped"
            self.forget(child)
        elif child.plan.restart == "transient" and not abnormal:
            child.state = "stopped"
        else:
            self.wants_restart(child)

    def wants_restart(self, child: Child) -> None:
        child.state = "restarting"
        life = child.life

        def message() -> None:
            if child.life == life and child.state == "restarting":
                try:
                    self.restart(child)
                except Interrupted:
                    return

        self.inbox.append(message)

    def forget(self, child: Child) -> None:
        if self.children.get(child.plan.name) is child:
            del self.children[child.plan.name]

    # -- start, stop -----------------------------------------------------------------------

    def start(self, child: Child, state: str) -> None:
        """Start one child and wait for its init. Raises StartFailed, Interrupted."""
        if self.stop_at <= self.now:
            raise Interrupted
        name = child.plan.name
        script = self.scripts.get(name)
        init = script.popleft() if script else "ok"
        child.state = state
        child.life += 1
        if init == "unbuildable":
            self.note(f"no {name}")
            child.state = "stopped"
            if state == "restarting":
                self.reports.append(("start_failed", name))
                self.wants_restart(child)
            raise StartFailed
        child.running = True
        child.exit_at = -1  # unborn
        self.note(f"init {name}")
        if init.startswith("slow"):
            done = self.now + 1
            if self.stop_at < done:
                self.advance(self.stop_at)
                child.state = "stopping"
                self.exits(child, "killed")
                raise Interrupted
            self.advance(done)
        if init.endswith("fails"):
            self.exits(child, "crash")
            raise StartFailed
        if init == "declines":
            child.running = False
            child.exit_at = FOREVER
            self.note(f"exit {name} shutdown")
            child.state = "stopped"
            if child.plan.restart == "temporary":
                self.forget(child)
            return
        child.exit_at = FOREVER
        child.state = "running"

    def stop(self, child: Child) -> None:
        """Stop one child by its own setting, and see it dead."""
        if not child.running:
            child.state = "stopped"
            return
        child.state = "stopping"
        shutdown = child.plan.shutdown
        if shutdown == BRUTAL or shutdown == 0:
            self.exits(child, "killed")
            return
        deadline = self.now + shutdown
        if child.exit_at == FOREVER:  # not on its way out already
            self.terminate(child, "shutdown", deadline)
        if child.running:
            self.advance(min(child.exit_at, deadline))
        if child.running:
            self.exits(child, "killed")

    def stop_all(self) -> None:
        for child in reversed(list(self.children.values())):
            self.stop(child)

    def restart(self, failed: Child) -> None:
        """One automatic attempt."""
        self.instants = [at for at in self.instants if self.now - at <= self.seconds] + [self.now]
        if len(self.instants) > self.budget:
            self.reports.append(("gave_up", failed.plan.name))
            failed.state = "stopped"
            self.gave_up = True
            self.stop_all()
            self.alive = False
            return
        failed.restarts += 1
        everybody = list(self.children.values())
        reach = {
            "one_for_one": [failed],
            "one_for_all": everybody,
            "rest_for_one": everybody[everybody.index(failed) :],
        }[self.strategy]
        for child in reversed(reach):
            if child is not failed:
                self.stop(child)
        for child in reach:
            if child.plan.restart == "temporary":
                self.forget(child)
        for child in reach:
            if child.plan.restart != "temporary":
                try:
                    self.start(child, "restarting")
                except StartFailed:
                    return

    # -- requests --------------------------------------------------------------------------

    def boot(self, plans: list[Plan]) -> bool:
        """The first start of all. False if one did not come up; then the others are stopped."""
        for plan in plans:
            self.children[plan.name] = Child(plan)
        for child in list(self.children.values()):
            try:
                self.start(child, "starting")
            except StartFailed:
                self.stop_all()
                self.alive = False
                return False
        return True

    def request(self, number: int, op: Op, plan: Plan) -> None:
        """A request arrives now."""
        self.requests.add(number)

        def serve() -> None:
            try:
                self.answers[number] = self.serve(op, plan)
            except StartFailed:
                self.answers[number] = "StartError"
            except Interrupted:
                return

        self.inbox.append(serve)

    def serve(self, op: Op, plan: Plan) -> str:
        child = self.children.get(plan.name)
        if op == "start":
            if child is not None:
                return "AlreadyStarted" if child.running else "AlreadyPresent"
            child = self.children[plan.name] = Child(plan)
            try:
                self.start(child, "starting")
            except StartFailed:
                self.forget(child)
                raise
            return "ok"
        if child is None:
            return "ChildNotFound"
        if op == "terminate":
            self.stop(child)
            if child.plan.restart == "temporary":
                self.forget(child)
        elif child.state == "restarting":
            return "ChildRestarting"
        elif child.running:
            return "ChildRunning"
        elif op == "restart":
            self.start(child, "starting")
        else:
            self.forget(child)
        return "ok"
