"""Random histories of a static supervisor against its model (static_model.py).

Hypothesis draws a strategy, a budget, children good and bad, and a sequence of crashes, ends,
kills, requests and clock steps; a request or the supervisor's own stop may fall into the middle of
what a crash has set off. After each step the tree and the model must agree on the whole journal
with its instants (so on every start, stop and exit, and their order), on the reports, on each
request's outcome, and which children exist, run, and how often they were restarted. Trio hands its
scheduler's random source to Hypothesis, so a failing sequence replays and shrinks.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal, get_args

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from locshare.actors import (
    SHUTDOWN,
    ActorDown,
    ActorRef,
    StartError,
)
from locshare.actors.introspect import status
from locshare.actors.lowlevel import Status
from locshare.actors.testing import Echo
from locshare.supervisor import (
    RestartBudgetExceeded,
    Strategy,
    SupervisorError,
    SupervisorRef,
    SupervisorSpec,
    open_supervisor,
)
from tests.models.children import World, finish
from tests.models.static_model import Op, StaticModel
from tests.models.supervisor_model import BRUTAL, FOREVER, Child, Init, Plan

IDS = "abcd"
SECONDS = 5


# -- histories -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Ask4:
    """A request: for what, and the child as it would be started."""

    op: Op
    plan: Plan


How = Literal["crash", "normal", "shutdown", "killed"]


@dataclass(frozen=True)
class Vanish:
    """One more child ends, if it runs, whatever its supervisor is at."""

    name: str
    how: How


@dataclass(frozen=True)
class End:
    """A child ends, or two do in the same instant; in the middle of what follows comes a request,
    perhaps one for the very child, the supervisor's stop, or the end of another child.
    """

    how: How
    names: tuple[str, ...]
    inits: tuple[Init, ...]
    amid: Ask4 | Vanish | Literal["stop"] | None
    same: bool


@dataclass(frozen=True)
class Wait:
    """Let time pass: seconds, or until the oldest restart is exactly as old as the window is
    long, or just older.
    """

    seconds: float | Literal["edge", "beyond"]


Step = Ask4 | End | Wait

names = st.sampled_from(IDS)
INITS: tuple[Init, ...] = get_args(Init)
inits: st.SearchStrategy[tuple[Init, ...]] = st.lists(
    st.sampled_from([*INITS, "slow, fails"]), max_size=3
).map(tuple)
plans: st.SearchStrategy[Plan] = st.builds(
    Plan,
    name=names,
    restart=st.sampled_from(["permanent", "transient", "temporary"]),
    shutdown=st.sampled_from([2.0, 2.0, BRUTAL, 0.0]),
    ending=st.sampled_from(["quick", "quick", "lingers", "hangs", "raises"]),
    backoff=st.sampled_from([False, False, True]),
)
asks = st.builds(Ask4, st.sampled_from(["start", "restart", "terminate", "delete"]), plans)
hows: st.SearchStrategy[How] = st.sampled_from(["crash", "crash", "normal", "shutdown", "killed"])
vanishes = st.builds(Vanish, names, hows)
ends = st.builds(
    End,
    how=hows,
    names=st.lists(names, min_size=1, max_size=2, unique=True).map(tuple),
    inits=inits,
    amid=st.one_of(st.none(), st.none(), asks, asks, vanishes, vanishes, st.just("stop")),
    same=st.booleans(),
)
waits = st.builds(Wait, st.sampled_from([1, 2, 4, 6, "edge", "beyond"]))
steps: st.SearchStrategy[Step] = st.one_of(ends, ends, asks, waits)


@settings(max_examples=600)
@given(
    strategy=st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]),
    budget=st.integers(0, 4),
    first=st.lists(plans, max_size=len(IDS), unique_by=lambda plan: plan.name),
    scripts=st.dictionaries(names, inits, max_size=2),
    history=st.lists(steps, min_size=5, max_size=30),
)
def test_a_static_supervisor_is_its_model(
    strategy: Strategy,
    budget: int,
    first: list[Plan],
    scripts: dict[str, tuple[Init, ...]],
    history: list[Step],
) -> None:
    model = StaticModel(
        strategy=strategy,
        budget=budget,
        seconds=SECONDS,
        scripts={name: deque(scripts[name]) for name in scripts},
    )
    world = World({name: deque(scripts[name]) for name in scripts})
    clock = MockClock(autojump_threshold=0)
    trio.run(replay, model, world, first, history, clock=clock)


@settings(max_examples=300, deadline=None)
@given(
    strategy=st.sampled_from(["one_for_all", "rest_for_one"]),
    first=st.tuples(*([plans] * len(IDS))),
    history=st.lists(
        st.builds(
            End,
            how=hows,
            names=st.sampled_from(["a", "a", *IDS]).map(lambda name: (name,)),
            inits=inits,
            amid=vanishes,
            same=st.booleans(),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_children_that_vanish_during_a_groups_round_are_as_in_the_model(
    strategy: Strategy, first: tuple[Plan, ...], history: list[Step]
) -> None:
    model = StaticModel(strategy=strategy, budget=4, seconds=SECONDS)
    named = [replace(plan, name=name) for plan, name in zip(first, IDS, strict=True)]
    clock = MockClock(autojump_threshold=0)
    trio.run(replay, model, World({}), named, history, clock=clock)


async def replay(model: StaticModel, world: World, first: list[Plan], history: list[Step]) -> None:
    spec = SupervisorSpec(
        map(world.spec, first),
        strategy=model.strategy,
        max_restarts=model.budget,
        max_seconds=model.seconds,
        report=world.report,
    )
    booted = model.boot(first)
    left = False
    try:
        async with open_supervisor(spec) as sup:
            assert booted
            agree(model, world, sup)
            run = Replay(model, world, sup)
            for step in history:
                with trio.CancelScope(shield=True):
                    await run.take(step)
                if not model.alive:
                    assert not sup.alive
                    await trio.sleep_forever()
            left = True
    except StartError:
        assert not booted
    except RestartBudgetExceeded:
        assert model.gave_up
    else:
        if left:
            model.stop_at = model.now
            model.run()
        assert not model.gave_up
    assert world.journal == model.journal
    assert world.reports == model.reports


class Replay:
    """Takes each step in the tree and in the model."""

    def __init__(self, model: StaticModel, world: World, sup: SupervisorRef) -> None:
        self.model = model
        self.world = world
        self.sup = sup
        self.answers: dict[int, str] = {}
        self.interruptions = 0

    async def take(self, step: Step) -> None:
        async with trio.open_nursery() as nursery:
            match step:
                case Ask4():
                    self.ask(step, nursery)
                case End():
                    await self.end(step, nursery)
                case Wait(seconds):
                    await self.wait(seconds)
            self.model.run()
            await trio.sleep_until(self.model.now)
            await wait_all_tasks_blocked()
        assert self.answers == self.model.answers
        agree(self.model, self.world, self.sup)

    def ask(self, ask: Ask4, nursery: trio.Nursery) -> None:
        number = len(self.model.requests)
        nursery.start_soon(self.request, number, ask)
        self.model.request(number, ask.op, ask.plan)

    async def request(self, number: int, ask: Ask4) -> None:
        try:
            if ask.op == "start":
                await self.sup.start_child(self.world.spec(ask.plan))
            elif ask.op == "restart":
                await self.sup.restart_child(ask.plan.name)
            elif ask.op == "terminate":
                await self.sup.terminate_child(ask.plan.name)
            else:
                await self.sup.delete_child(ask.plan.name)
        except (SupervisorError, StartError, ActorDown) as error:
            self.answers[number] = type(error).__name__
        else:
            self.answers[number] = "ok"

    async def end(self, step: End, nursery: trio.Nursery) -> None:
        model = self.model
        victims = [model.children[name] for name in step.names if name in model.children]
        victims = [child for child in victims if child.running]
        if len(victims) == 2 and any(slow_to_end(child) for child in victims):
            victims.pop()
        if not victims:
            return
        for child in victims:
            for scripts in (model.scripts, self.world.scripts):
                scripts[child.plan.name] = deque(step.inits)
            assert await self.actor(child).call(Echo(child.plan.name)) == child.plan.name
        since = len(self.world.journal)
        for child in victims:
            finish(self.actor(child), step.how)
        # All were asked to stop; the order is Trio's choice, and the journal has it.
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        stopped = [line.split()[1] for _, line in self.world.journal[since:]]
        victims.sort(key=lambda child: stopped.index(child.plan.name))
        for child in victims:
            model.end(child, step.how)
        if step.amid is not None:
            await self.amid(step.amid, victims[0].plan.name if step.same else None, nursery)

    async def amid(
        self, what: Ask4 | Vanish | Literal["stop"], name: str | None, nursery: trio.Nursery
    ) -> None:
        """About half a second later, in the model and in the tree."""
        model = self.model
        # A different binary fraction for each, so that its consequences never share an instant
        # with what was going on: then either could be first, and the model knows one order.
        self.interruptions += 1
        delay = 0.5 + 2.0 ** -(6 + self.interruptions)
        later, number = model.now + delay, len(model.requests)
        if what == "stop":
            model.stop_at = later
        elif isinstance(what, Vanish):
            model.at(later, lambda: self.vanish_in_model(what))
        else:
            ask = what if name is None else replace(what, plan=replace(what.plan, name=name))
            model.at(later, lambda: model.request(number, ask.op, ask.plan))
        await trio.sleep(delay)
        if not self.sup.alive:
            return  # the budget has tripped: there is no supervisor to ask
        if what == "stop":
            nursery.start_soon(self.sup.stop, SHUTDOWN, FOREVER)
        elif isinstance(what, Vanish):
            self.vanish(what)
        else:
            nursery.start_soon(self.request, number, ask)

    def vanish_in_model(self, vanish: Vanish) -> None:
        child = self.model.children.get(vanish.name)
        if child is not None and child.state == "running" and child.exit_at == FOREVER:
            self.model.end(child, vanish.how)

    def vanish(self, vanish: Vanish) -> None:
        for info in self.sup.which_children():
            ref = info.ref
            runs = info.id == vanish.name and info.state == "running"
            # And it is not on its way out already.
            if runs and isinstance(ref, ActorRef) and status(ref) is Status.RUNNING:
                finish(ref, vanish.how)

    def actor(self, child: Child) -> ActorRef:
        ref = self.sup.child(child.plan.name)
        assert isinstance(ref, ActorRef)
        return ref

    async def wait(self, seconds: float | str) -> None:
        model = self.model
        if isinstance(seconds, str):
            oldest = model.instants[0] if model.instants else model.now
            edge = oldest + SECONDS + (2**-10 if seconds == "beyond" else 0)
            seconds = max(0, edge - model.now)
        model.advance(model.now + seconds)
        await trio.sleep_until(model.now)


def slow_to_end(child: Child) -> bool:
    return child.plan.ending in ("lingers", "hangs")


def agree(model: StaticModel, world: World, sup: SupervisorRef) -> None:
    assert world.journal == model.journal
    assert world.reports == model.reports
    assert sup.alive is model.alive
    if not model.alive:
        return
    real = [
        (info.id, info.state, info.ref is not None, info.restarts) for info in sup.which_children()
    ]
    assert real == [
        (name, child.state, child.running, child.restarts) for name, child in model.children.items()
    ]
    assert sup.count_children().active == sum(child.running for child in model.children.values())
