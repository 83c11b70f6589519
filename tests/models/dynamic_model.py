"""What a dynamic supervisor should be, in plain Python: no tasks, no Trio, only the statements.

Nothing waits in line here: every child has its own events, and the supervisor answers at once.
"""

from collections import deque
from dataclasses import dataclass, field

from tests.models.supervisor_model import BRUTAL, FOREVER, Child, Init, Plan, SupervisorModel


@dataclass(eq=False)
class Kid(Child):
    script: "deque[Init]" = field(default_factory=deque)
    key: int = 0  #: the life under whose ref it is found
    starter: int | None = None
    stoppers: list[int] = field(default_factory=list)


@dataclass
class DynamicModel(SupervisorModel):
    """One supervisor and its children; requests are known by numbers."""

    max_children: int | None = None
    budget: int = 3
    seconds: float = 5
    kids: dict[str, Kid] = field(default_factory=dict)  #: all there ever were
    instants: list[float] = field(default_factory=list)
    answers: dict[int, tuple[float, str]] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)  #: requests that came during the stop
    closing: bool = False
    alive: bool = True

    def answer(self, number: int | None, outcome: str) -> None:
        if number is not None:
            self.answers[number] = (self.now, outcome)

    def served(self, number: int) -> bool:
        """Whether anybody is there to serve this request."""
        if not self.alive:
            self.answer(number, "NoProc")
        elif self.closing:
            self.waiting.append(number)
        return self.alive and not self.closing

    # -- requests --------------------------------------------------------------------------

    def ask_start(self, number: int, plan: Plan, script: tuple[Init, ...]) -> None:
        if not self.served(number):
            return
        if self.max_children is not None and len(self.children) >= self.max_children:
            self.answer(number, "MaxChildren")
            return
        kid = self.kids[plan.name] = Kid(plan, script=deque(script), starter=number)
        self.children[plan.name] = kid
        if not self.begin(kid, "starting"):
            self.forget(kid)
            self.answer(number, "StartError")

    def ask_terminate(self, number: int, name: str, life: int) -> None:
        if not self.served(number):
            return
        kid = self.children.get(name)
        # Found by the ref of the last life that came up, or of the one whose init is under way.
        if not isinstance(kid, Kid) or (kid.key != life and not (kid.running and kid.life == life)):
            self.answer(number, "ChildNotFound")
            return
        kid.stoppers.append(number)
        if kid.state != "stopping":
            self.stop(kid)

    # -- the life of a child ---------------------------------------------------------------

    def begin(self, kid: Kid, state: str) -> bool:
        """A new life. False if it cannot be built."""
        init = kid.script.popleft() if kid.script else "ok"
        kid.state = state
        if init == "unbuildable":
            self.note(f"no {kid.plan.name}")
            return False
        kid.life += 1
        if state == "starting":
            kid.key = kid.life
        kid.running = True
        kid.exit_at = -1  # in_init
        self.note(f"init {kid.plan.name}")
        life = kid.life

        def done() -> None:
            if kid.running and kid.life == life:
                self.born(kid, init)

        if init.startswith("slow"):
            self.at(self.now + 1, done)
        else:
            done()
        return True

    def born(self, kid: Kid, init: Init) -> None:
        if init.endswith("fails"):
            self.exits(kid, "crash")
        elif init == "declines":
            kid.key = 0
            self.exits(kid, "shutdown")
        else:
            kid.exit_at = FOREVER
            kid.state = "running"
            if kid.key != kid.life:
                kid.key = kid.life
                self.forget(kid)
                self.children[kid.plan.name] = kid
            self.answer(kid.starter, "ok")
            kid.starter = None

    def exits(self, kid: Child, reason: str) -> None:
        assert isinstance(kid, Kid)
        name, was, born = kid.plan.name, kid.state, kid.exit_at != -1
        declined = kid.key == 0
        abnormal = reason in ("crash", "killed")
        kid.running = False
        self.note(f"exit {name} {reason}")
        if was == "stopping":
            brutal = kid.plan.shutdown == BRUTAL and reason == "killed"
            if abnormal and born and not brutal:
                self.reports.append(("stop_failed", name))
        elif was != "starting" and abnormal:
            self.reports.append(("crash" if born else "start_failed", name))
        again = was == "restarting" or (
            was == "running"
            and kid.plan.restart != "temporary"
            and (abnormal or kid.plan.restart == "permanent")
        )
        if again and not declined:
            kid.state = "restarting"
            if not self.closing:
                self.restart(kid)
        else:
            kid.state = "stopped"
            self.forget(kid)
        self.answer(kid.starter, "ok" if declined else "StartError")
        kid.starter = None
        for number in kid.stoppers:
            self.answer(number, "ok")
        kid.stoppers.clear()
        if self.closing:
            self.perhaps_dead()

    def restart(self, kid: Kid) -> None:
        """Attempts, until one has begun or the budget trips."""
        built = False
        while not built:
            since = self.now - self.seconds
            self.instants = [at for at in self.instants if at >= since] + [self.now]
            if len(self.instants) > self.budget:
                self.reports.append(("gave_up", kid.plan.name))
                kid.state = "stopped"
                self.forget(kid)
                self.close()
                return
            kid.restarts += 1
            built = self.begin(kid, "restarting")
            if not built:
                self.reports.append(("start_failed", kid.plan.name))

    def forget(self, kid: Kid) -> None:
        if self.children.get(kid.plan.name) is kid:
            del self.children[kid.plan.name]

    # -- stop ------------------------------------------------------------------------------

    def stop(self, kid: Kid) -> None:
        """Ask one child to stop, with a limit."""
        kid.state = "stopping"
        shutdown, life = kid.plan.shutdown, kid.life
        if shutdown <= 0 or kid.exit_at == -1:  # brutal, no time at all, or still in_init
            self.exits(kid, "killed")
            return
        deadline = self.now + shutdown

        def limit() -> None:
            if kid.running and kid.life == life:
                self.exits(kid, "killed")

        self.at(deadline, limit)
        if kid.exit_at == FOREVER:  # not on its way out already
            self.terminate(kid, "shutdown", deadline)

    def close(self) -> None:
        """All are asked at once."""
        if self.closing:
            return
        self.closing = True
        for kid in [kid for kid in self.kids.values() if kid.running]:
            self.stop(kid)
        self.perhaps_dead()

    def perhaps_dead(self) -> None:
        if self.alive and not any(kid.running for kid in self.kids.values()):
            self.alive = False
            self.note("exit pool shutdown")
            for number in self.waiting:
                self.answer(number, "Exited")
