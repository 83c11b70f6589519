"""What a static supervisor should be, in plain Python: no tasks, no Trio, only the statements.

The model takes the same steps as the real tree and keeps its own time. It writes the journal
that the real children are expected to write, with instants, and the reports that are expected. Its
supervisor does one thing at a time, in the order of its inbox; while it is busy children may end,
which is why every wait goes through :meth:`SupervisorModel.advance`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from locshare.supervisor import Strategy
from tests.models.supervisor_model import (
    BACKOFF,
    BRUTAL,
    FOREVER,
    Child,
    Init,
    Plan,
    SupervisorModel,
)

Op = Literal["start", "restart", "terminate", "delete"]


class StartFailed(Exception):
    """A child did not come up."""


class Interrupted(Exception):
    """A stop request came in the middle of a start."""


@dataclass
class StaticModel(SupervisorModel):
    """One supervisor and its children."""

    strategy: Strategy = "one_for_one"
    budget: int = 3
    seconds: float = 5
    scripts: dict[str, deque[Init]] = field(default_factory=dict)  #: inits to come, by name
    answers: dict[int, str] = field(default_factory=dict)  #: of the requests, by number
    instants: list[float] = field(default_factory=list)
    alive: bool = True
    gave_up: bool = False
    stop_at: float = FOREVER
    inbox: deque[Callable[[], None]] = field(default_factory=deque)
    requests: set[int] = field(default_factory=set)
    due: list[Child] = field(default_factory=list)  #: whose exits wait in the inbox

    def run(self) -> None:
        """Until nothing is left to do."""
        while self.alive:
            if self.stop_at <= self.now:
                self.settle_overtaken_exits()
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

    # -- what happens to a child -----------------------------------------------------------

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
            if child.life == life and child in self.due:
                self.due.remove(child)
            if child.life == life and child.state == "restarting":
                try:
                    self.restart(child)
                except Interrupted:
                    return

        if not child.plan.backoff:
            self.due.append(child)
            self.inbox.append(message)
            return
        if self.now - child.up_since >= BACKOFF.reset_after_s:
            child.failures = 0
        child.up_since = FOREVER
        child.failures += 1
        child.waits += 1
        wait = child.waits

        def due() -> None:
            if child.waits == wait:
                self.inbox.append(message)

        self.at(self.now + BACKOFF.bound(child.failures), due)

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
        child.waits += 1
        if state == "starting":
            child.failures = 0
        child.state = state
        child.life += 1
        child.up_since = FOREVER  # a life whose init fails was never up
        if init == "unbuildable":
            self.note(f"no {name}")
            child.state = "stopped"
            if state == "restarting":
                self.reports.append(("start_failed", name))
                self.wants_restart(child)
            raise StartFailed
        child.running = True
        child.exit_at = -1  # in_init
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
        child.up_since = self.now

    def stop(self, child: Child) -> None:
        """Stop one child by its own setting, and see it dead."""
        if not child.running:
            child.state = "stopped"
            child.waits += 1
            if child in self.due:
                self.due.remove(child)
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

    def admit(self, failed: Child) -> bool:
        """Whether the budget allows one more. If not, the supervisor gives up."""
        if failed.plan.backoff:
            return True
        self.instants = [at for at in self.instants if self.now - at <= self.seconds] + [self.now]
        if len(self.instants) > self.budget:
            self.reports.append(("gave_up", failed.plan.name))
            failed.state = "stopped"
            self.gave_up = True
        return not self.gave_up

    def reach(self, failed: Child) -> list[Child]:
        """Those that a restart of ``failed`` touches, in start order."""
        siblings = list(self.children.values())
        return {
            "one_for_one": [failed],
            "one_for_all": siblings,
            "rest_for_one": siblings[siblings.index(failed) :],
        }[self.strategy]

    def settle_overtaken_exits(self) -> None:
        """What a stop has overtaken: whether it would have been one too many."""
        while self.due and not self.gave_up:
            failed = self.due[0]
            reach = self.reach(failed)
            self.due = [child for child in self.due if child not in reach]
            self.admit(failed)

    def restart(self, failed: Child) -> None:
        """One automatic attempt."""
        if not self.admit(failed):
            self.stop_all()
            self.alive = False
            return
        failed.restarts += 1
        reach = self.reach(failed)
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
