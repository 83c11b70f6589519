"""The real children of the models' supervisors, and the journal that they write."""

from collections import defaultdict, deque
from typing import Any

import trio

from locshare.actors import (
    IGNORE,
    NORMAL,
    SHUTDOWN,
    Actor,
    ActorRef,
    Down,
    ExitReason,
    ReplyTo,
    Request,
    StopActor,
)
from locshare.actors.introspect import kill
from locshare.supervisor import BRUTAL_KILL, ChildSpec, Report
from tests.models.lives import BACKOFF, BRUTAL, FOREVER, Init, Plan


class Ask(Request[str]):
    """Answered with the child's name."""


class World:
    """What the real children write, and what they are told to do next."""

    def __init__(self, scripts: dict[str, deque[Init]]) -> None:
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

    def build(self, plan: Plan) -> "Probe":
        script = self.scripts.get(plan.name)
        init = script.popleft() if script else "ok"
        if init == "unbuildable":
            self.note(f"no {plan.name}")
            raise RuntimeError
        return Probe(plan, init, self)


class Probe(Actor):
    """A child after plan."""

    def __init__(self, plan: Plan, init: Init, world: World) -> None:
        self.plan = plan
        self.how = init
        self.world = world

    async def init(self) -> Any:
        name, world = self.plan.name, self.world

        def ended(down: Down) -> None:
            world.note(f"exit {name} {down.reason.label}")

        self.ref.monitor(ended)
        world.refs[name].append(self.ref)
        world.note(f"init {name}")
        if self.how.startswith("slow"):
            await trio.sleep(1)
        if self.how.endswith("fails"):
            raise RuntimeError
        return IGNORE if self.how == "declines" else None

    def handle_call(self, request: Ask, reply_to: ReplyTo[str]) -> str:
        return self.plan.name

    def handle_cast(self, message: ExitReason | None) -> StopActor:
        if message is None:
            raise RuntimeError
        return StopActor(message)

    async def terminate(self, reason: ExitReason) -> None:
        self.world.note(f"terminate {self.plan.name}")
        match self.plan.ending:
            case "lingers":
                await trio.sleep(1)
            case "hangs":
                await trio.sleep(FOREVER)
            case "raises":
                raise RuntimeError
        self.world.note(f"ended {self.plan.name}")


def finish(ref: ActorRef, how: str) -> None:
    match how:
        case "killed":
            kill(ref)
        case "crash":
            ref.cast(None)
        case "normal":
            ref.cast(NORMAL)
        case _:
            ref.cast(SHUTDOWN)
