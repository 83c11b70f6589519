"""Random histories of a dynamic supervisor against its model (dynamic_model.py).

Starts, ends and terminations overlap as they may: each step has a different instant, so that no two
things are ever due in the same one, and no step waits for another to be over. At each step every
child's journal with its instants, the reports, the table, the counts and each request's outcome
with its instant must be the model's. In the end all are stopped at once.
"""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, replace
from typing import Literal, get_args

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from locshare.actors import ActorDown, ActorRef, Down, Ref, StartError
from locshare.supervisor import (
    DynamicSpec,
    DynamicSupervisorRef,
    SupervisorError,
    SupervisorSpec,
    open_supervisor,
)
from tests.models.children import World, finish
from tests.models.dynamic_model import DynamicModel
from tests.models.supervisor_model import BRUTAL, FOREVER, Init, Plan

#: Longer than the longest that anything here takes, so that the edge is a separate instant.
SECONDS = 10


@dataclass(frozen=True)
class Start:
    plan: Plan
    script: tuple[Init, ...]


@dataclass(frozen=True)
class End:
    which: int  #: among those that run
    how: Literal["crash", "normal", "shutdown", "killed"]
    script: tuple[Init, ...]


@dataclass(frozen=True)
class Terminate:
    which: int  #: among all that ever were
    life: int  #: back from its last one; beyond its first is a stranger's ref


@dataclass(frozen=True)
class Wait:
    """Seconds, or until the oldest restart is exactly as old as the window is long, or just
    older.
    """

    seconds: int | Literal["edge", "beyond"]


Step = Start | End | Terminate | Wait

INITS: tuple[Init, ...] = get_args(Init)
scripts: st.SearchStrategy[tuple[Init, ...]] = st.lists(st.sampled_from(INITS), max_size=3).map(
    tuple
)
plans: st.SearchStrategy[Plan] = st.builds(
    Plan,
    name=st.just(""),
    restart=st.sampled_from(["permanent", "transient", "temporary"]),
    shutdown=st.sampled_from([2.0, 2.0, BRUTAL, 0.0]),
    ending=st.sampled_from(["quick", "quick", "lingers", "hangs", "raises"]),
)
starts = st.builds(Start, plans, scripts)
steps: st.SearchStrategy[Step] = st.one_of(
    starts,
    starts,
    st.builds(
        End,
        which=st.integers(0, 5),
        how=st.sampled_from(["crash", "crash", "normal", "shutdown", "killed"]),
        script=scripts,
    ),
    st.builds(Terminate, which=st.integers(0, 8), life=st.sampled_from([0, 0, 0, 1, 2])),
    st.builds(Wait, st.sampled_from([1, 3, 6, 12, "edge", "beyond"])),
)


@settings(max_examples=500)
@given(
    max_children=st.sampled_from([None, None, 0, 1, 2, 3]),
    budget=st.integers(0, 5),
    history=st.lists(steps, min_size=5, max_size=30),
)
def test_a_dynamic_supervisor_is_its_model(
    max_children: int | None, budget: int, history: list[Step]
) -> None:
    model = DynamicModel(max_children=max_children, budget=budget, seconds=SECONDS)
    trio.run(replay, model, history, clock=MockClock(autojump_threshold=0))


async def replay(model: DynamicModel, history: list[Step]) -> None:
    world = World({})
    pool = DynamicSpec(model.max_children, model.budget, model.seconds, world.report)
    async with trio.open_nursery() as nursery:
        child = pool.child("pool", restart="temporary")
        async with open_supervisor(SupervisorSpec([child])) as root:
            ref = root.child("pool")
            assert isinstance(ref, DynamicSupervisorRef)
            run = Replay(model, world, ref, nursery)
            with trio.CancelScope(shield=True):
                for index, step in enumerate(history):
                    await run.take(index, step)
            model.close()
        model.advance(FOREVER)
        await wait_all_tasks_blocked()
        run.agree()
        assert not ref.alive


class Replay:
    """Takes each step in the tree and in the model."""

    def __init__(
        self,
        model: DynamicModel,
        world: World,
        pool: DynamicSupervisorRef,
        nursery: trio.Nursery,
    ) -> None:
        self.model = model
        self.world = world
        self.pool = pool
        self.nursery = nursery
        self.asked = 0
        self.answers: dict[int, tuple[float, str]] = {}

        def ended(down: Down) -> None:
            world.note(f"exit pool {down.reason}")

        pool.monitor(ended)

    async def take(self, index: int, step: Step) -> None:
        model = self.model
        # Steps are a quarter of a second apart, and a bit that no two steps have in common:
        # everything that they set off takes whole seconds.
        due = int(model.now * 4 + 1) / 4 + index * 2**-10
        if isinstance(step, Wait):
            due = self.until(step, due)
        await trio.sleep_until(due)
        await wait_all_tasks_blocked()
        model.advance(due)
        self.agree()
        match step:
            case Start(plan, script):
                plan = replace(plan, name=f"k{len(model.kids)}")
                if plan.name not in model.kids:
                    self.world.scripts[plan.name] = deque(script)
                model.ask_start(self.asked, plan, script)
                self.ask(plan)
            case End():
                self.end(step)
            case Terminate():
                self.terminate(step)
        await wait_all_tasks_blocked()
        self.agree()

    def until(self, step: Wait, due: float) -> float:
        if not isinstance(step.seconds, str):
            return due + step.seconds
        oldest = self.model.instants[0] if self.model.instants else 0
        edge = oldest + SECONDS + (2**-20 if step.seconds == "beyond" else 0)
        return max(edge, due)

    def end(self, step: End) -> None:
        model = self.model
        running = [kid for kid in model.kids.values() if kid.running and kid.exit_at == FOREVER]
        if running:
            kid = running[step.which % len(running)]
            kid.script = deque(step.script)
            self.world.scripts[kid.plan.name] = deque(step.script)
            finish(self.world.refs[kid.plan.name][-1], step.how)
            model.end(kid, step.how)

    def terminate(self, step: Terminate) -> None:
        model = self.model
        if not model.kids:
            return
        name = list(model.kids)[step.which % len(model.kids)]
        refs: list[ActorRef] = self.world.refs[name]
        life = len(refs) - step.life
        target = refs[life - 1] if life > 0 else self.pool
        model.ask_terminate(self.asked, name, life if life > 0 else -1)
        self.ask(target)

    def ask(self, what: Plan | Ref) -> None:
        self.nursery.start_soon(self.request, self.asked, what)
        self.asked += 1

    async def request(self, number: int, what: Plan | Ref) -> None:
        try:
            if isinstance(what, Plan):
                await self.pool.start_child(self.world.spec(what))
            else:
                await self.pool.terminate_child(what)
        except (SupervisorError, StartError, ActorDown) as error:
            outcome = type(error).__name__
        else:
            outcome = "ok"
        self.answers[number] = (trio.current_time(), outcome)

    def agree(self) -> None:
        model, world, pool = self.model, self.world, self.pool
        assert by_child(world.journal) == by_child(model.journal)
        assert Counter(world.reports) == Counter(model.reports)
        assert self.answers == model.answers
        assert pool.alive is model.alive
        if not model.alive:
            return
        real = [
            (info.id, info.state, info.ref is not None, info.restarts)
            for info in pool.which_children()
        ]
        assert real == [
            (name, kid.state, kid.running and kid.state != "restarting", kid.restarts)
            for name, kid in model.children.items()
        ]
        counts = pool.count_children()
        assert counts.specs == counts.workers == len(model.children)
        assert counts.active == sum(active for _, _, active, _ in real)


def by_child(journal: list[tuple[float, str]]) -> dict[str, list[tuple[float, str]]]:
    """What each child wrote: nothing is promised between them within one instant."""
    lines: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for at, line in journal:
        lines[line.split()[1]].append((at, line))
    return lines
