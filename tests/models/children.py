"""The real children of the models' supervisors, and the journal that they write."""

from collections import defaultdict, deque
from typing import Any

import trio

from locshare.actors import NORMAL, SHUTDOWN, ActorRef, Down
from locshare.actors.introspect import kill
from locshare.actors.testing import Finish, Journal, Probe, Raise, Script
from locshare.supervisor import BRUTAL_KILL, ChildSpec, Report
from tests.models.supervisor_model import BACKOFF, BRUTAL, FOREVER, Ending, Init, Plan

TERMINATE_SECONDS: dict[Ending, float] = {"lingers": 1, "hangs": FOREVER}


class World(Journal):
    """What the real children write, and what they do next."""

    def __init__(self, scripts: dict[str, deque[Init]]) -> None:
        super().__init__()
        self.scripts = scripts
        self.journal: list[tuple[float, str]] = []
        self.reports: list[tuple[str, str]] = []
        self.refs: dict[str, list[ActorRef]] = defaultdict(list)  #: all lives, by name

    def note(self, line: str) -> None:
        self.journal.append((trio.current_time(), line))

    def report(self, report: Report) -> None:
        self.reports.append((report.kind, report.child_id))

    def spec(self, plan: Plan) -> ChildSpec:
        return ChildSpec(
            plan.name,
            self.build,
            (plan,),
            restart=plan.restart,
            shutdown=BRUTAL_KILL if plan.shutdown == BRUTAL else plan.shutdown,
            backoff=BACKOFF if plan.backoff else None,
        )

    def build(self, plan: Plan) -> "Child":
        inits = self.scripts.get(plan.name)
        init: Init = inits.popleft() if inits else "ok"
        if init == "unbuildable":
            self.note(f"no {plan.name}")
            raise RuntimeError
        script = Script(
            init_seconds=1 if init.startswith("slow") else 0,
            init_error=RuntimeError() if init.endswith("fails") else None,
            declines=init == "declines",
            terminate_seconds=TERMINATE_SECONDS.get(plan.ending, 0),
            terminate_error=RuntimeError() if plan.ending == "raises" else None,
        )
        return Child(plan.name, self, script)


class Child(Probe):
    """A probe that shows the world each of its lives and how it ends."""

    def __init__(self, name: str, world: World, script: Script) -> None:
        super().__init__(name, world, script)
        self.world = world

    async def init(self) -> Any:
        def ended(down: Down) -> None:
            self.world.note(f"exit {self.name} {down.reason.label}")

        self.ref.monitor(ended)
        self.world.refs[self.name].append(self.ref)
        return await super().init()


def finish(ref: ActorRef, how: str) -> None:
    match how:
        case "killed":
            kill(ref)
        case "crash":
            ref.cast(Raise(RuntimeError()))
        case "normal":
            ref.cast(Finish(NORMAL))
        case _:
            ref.cast(Finish(SHUTDOWN))
