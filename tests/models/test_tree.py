"""Random histories of supervisors under a supervisor, against a recursive model (28 to 31).

It checks escalation: whose budget pays for whose crash, what is restarted, what is left
below a supervisor that came up again, and what the program ends with when the root gives up. The
children here are quick, so all that a step sets off happens in one instant and one order, and the
whole journal must be the model's.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from locshare.actors import NORMAL, SHUTDOWN, Actor, ActorRef, Down, Ref, StopActor
from locshare.actors.introspect import kill
from locshare.supervisor import (
    ChildSpec,
    Report,
    Restart,
    RestartBudgetExceeded,
    Strategy,
    SupervisorRef,
    SupervisorSpec,
    open_supervisor,
)

SECONDS = 5

How = Literal["crash", "killed", "normal"]


@dataclass(frozen=True)
class Plan:
    """A leaf, or with ``strategy`` a supervisor, whose name is its place in the tree."""

    name: str
    restart: Restart
    strategy: Strategy | None = None
    budget: int = 0
    children: tuple["Plan", ...] = ()


class Boom(Exception):
    """The crash of a leaf; they are numbered."""


# -- the model -----------------------------------------------------------------------------


@dataclass(eq=False)
class Node:
    """A leaf or a supervisor, and of the latter its present life."""

    plan: Plan
    parent: "Node | None"
    running: bool = False
    lives: int = 0
    children: dict[str, "Node"] = field(default_factory=dict)
    instants: list[float] = field(default_factory=list)
    last_crash: int | None = None


class Tree:
    def __init__(self, root: Plan) -> None:
        self.journal: list[str] = []
        self.reports: Counter[tuple[str, str]] = Counter()
        self.gave_up = False
        self.crashes = 0
        self.root = Node(root, None)
        self.start(self.root)

    def start(self, node: Node) -> None:
        """A supervisor begins with an empty window and its static children (30)."""
        node.running = True
        node.lives += 1
        if node.plan.strategy is None:
            self.journal.append(f"init {node.plan.name}")
            return
        node.instants, node.last_crash = [], None
        node.children = {plan.name: Node(plan, node) for plan in node.plan.children}
        for child in node.children.values():
            self.start(child)

    def stop(self, node: Node) -> None:
        if node.running:
            for child in reversed(node.children.values()):
                self.stop(child)
            node.running = False
            if node.plan.strategy is None:
                self.journal.append(f"exit {node.plan.name} shutdown")

    def end(self, leaf: Node, how: How, now: float) -> None:
        leaf.running = False
        self.journal.append(f"exit {leaf.plan.name} {how}")
        assert leaf.parent is not None
        if how == "crash":
            self.crashes += 1
            leaf.parent.last_crash = self.crashes
        self.reports["crash", leaf.plan.name] += how != "normal"
        self.ended(leaf, how != "normal", now)

    def ended(self, node: Node, abnormal: bool, now: float) -> None:
        parent = node.parent
        assert parent is not None
        if node.plan.restart == "temporary":
            del parent.children[node.plan.name]
        elif node.plan.restart == "permanent" or abnormal:
            self.restart(parent, node, now)

    def restart(self, parent: Node, failed: Node, now: float) -> None:
        parent.instants = [at for at in parent.instants if now - at <= SECONDS] + [now]
        if len(parent.instants) > parent.plan.budget:
            self.give_up(parent, failed, now)
            return
        siblings = list(parent.children.values())
        reach = {
            "one_for_one": [failed],
            "one_for_all": siblings,
            "rest_for_one": siblings[siblings.index(failed) :],
        }[parent.plan.strategy or "one_for_one"]
        for child in reversed(reach):
            self.stop(child)
        for child in reach:
            if child.plan.restart == "temporary":
                del parent.children[child.plan.name]
            else:
                self.start(child)

    def give_up(self, node: Node, failed: Node, now: float) -> None:
        """Shutdown, whatever the child died of; so the parent decides by the restart type (29)."""
        self.reports["gave_up", failed.plan.name] += 1
        self.stop(node)
        if node.parent is None:
            self.gave_up = True
            return
        if node.last_crash is not None:
            node.parent.last_crash = node.last_crash
        self.ended(node, False, now)

    def supervisors(self) -> list[Node]:
        return [self.root, *(c for c in self.root.children.values() if c.plan.strategy)]

    def leaves(self) -> list[Node]:
        """Those that run, in the order of the tree."""
        return [
            child
            for node in self.supervisors()
            if node.running
            for child in node.children.values()
            if child.running and child.plan.strategy is None
        ]


# -- the tree ------------------------------------------------------------------------------


class World:
    def __init__(self) -> None:
        self.journal: list[str] = []
        self.reports: Counter[tuple[str, str]] = Counter()
        self.crashes = 0
        self.refs: dict[str, ActorRef] = {}

    def report(self, report: Report) -> None:
        self.reports[report.kind, report.child_id] += 1

    def spec(self, plan: Plan) -> ChildSpec:
        if plan.strategy is None:
            return ChildSpec(plan.name, Leaf, (plan.name, self), restart=plan.restart)
        return self.supervisor(plan).child(plan.name, restart=plan.restart)

    def supervisor(self, plan: Plan) -> SupervisorSpec:
        return SupervisorSpec(
            map(self.spec, plan.children),
            strategy=plan.strategy or "one_for_one",
            max_restarts=plan.budget,
            max_seconds=SECONDS,
        )


class Leaf(Actor):
    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world

    def init(self) -> None:
        name, world = self.name, self.world

        def ended(down: Down) -> None:
            world.journal.append(f"exit {name} {down.reason.label}")

        self.ref.monitor(ended)
        world.journal.append(f"init {name}")
        world.refs[name] = self.ref

    def handle_cast(self, message: How) -> StopActor:
        if message == "crash":
            self.world.crashes += 1
            raise Boom(self.world.crashes)
        return StopActor(NORMAL)


@dataclass(frozen=True)
class End:
    which: int
    how: How


@dataclass(frozen=True)
class Add:
    """A child that is added at run time."""

    under: int
    restart: Restart


@dataclass(frozen=True)
class Turn:
    """A supervisor below the root is terminated by hand, or if it is not running, restarted."""

    which: int


Step = End | Add | Turn | float

restarts: st.SearchStrategy[Restart] = st.sampled_from(["permanent", "transient", "temporary"])
strategies: st.SearchStrategy[Strategy] = st.sampled_from(
    ["one_for_one", "one_for_all", "rest_for_one"]
)
branches = st.tuples(
    restarts, strategies, st.integers(0, 2), st.lists(restarts, min_size=1, max_size=3)
)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(End, st.integers(0, 8), st.sampled_from(["crash", "crash", "killed", "normal"])),
    st.builds(End, st.integers(0, 8), st.sampled_from(["crash", "crash", "killed", "normal"])),
    st.builds(Add, st.integers(0, 3), restarts),
    st.builds(Turn, st.integers(0, 2)),
    st.sampled_from([1.0, 3.0, 5.0, 6.0]),
)


@settings(max_examples=400)
@given(
    strategy=strategies,
    budget=st.integers(0, 3),
    first=st.lists(st.one_of(branches, branches, restarts), min_size=1, max_size=3),
    history=st.lists(steps, min_size=8, max_size=40),
)
def test_a_tree_of_supervisors_is_its_model(
    strategy: Strategy, budget: int, first: list[Any], history: list[Step]
) -> None:
    children = []
    for place, branch in enumerate(first):
        if not isinstance(branch, tuple):
            children.append(Plan(f"{place}", branch))
        else:
            restart, below, few, kinds = branch
            leaves = tuple(Plan(f"{place}.{i}", kind) for i, kind in enumerate(kinds))
            children.append(Plan(f"{place}", restart, below, few, leaves))
    root = Plan("root", "permanent", strategy, budget, tuple(children))
    trio.run(replay, root, history, clock=MockClock(autojump_threshold=0))


async def replay(root: Plan, history: list[Step]) -> None:
    world, model = World(), Tree(root)
    spec = world.supervisor(root)
    spec = SupervisorSpec(
        spec.children,
        strategy=spec.strategy,
        max_restarts=spec.max_restarts,
        max_seconds=spec.max_seconds,
        report=world.report,
    )
    try:
        async with open_supervisor(spec) as sup:
            watch: dict[Ref, str] = {}
            with trio.CancelScope(shield=True):
                for number, step in enumerate(history):
                    note_supervisors(sup, watch)
                    await take(number, step, sup, world, model)
                    await wait_all_tasks_blocked()
                    agree(sup, world, model)
                    if model.gave_up:
                        break
            if model.gave_up:
                await trio.sleep_forever()
            model.stop(model.root)
    except RestartBudgetExceeded as error:
        assert model.gave_up
        cause = error.__cause__
        assert (cause.args[0] if isinstance(cause, Boom) else None) == model.root.last_crash
    else:
        assert not model.gave_up
    assert world.journal == model.journal
    assert all(ref.exit_reason == SHUTDOWN for ref in watch)


def note_supervisors(sup: SupervisorRef, watch: dict[Ref, str]) -> None:
    """No supervisor here ends with its child's reason (28), and none under its old ref (14)."""
    for info in sup.which_children():
        if info.type == "supervisor" and info.ref is not None:
            watch[info.ref] = info.id


async def take(number: int, step: Step, sup: SupervisorRef, world: World, model: Tree) -> None:
    match step:
        case float():
            await trio.sleep(step)
        case End(which, how):
            leaves = model.leaves()
            if leaves:
                leaf = leaves[which % len(leaves)]
                ref = world.refs[leaf.plan.name]
                if how == "killed":
                    kill(ref)
                else:
                    ref.cast(how)
                model.end(leaf, how, trio.current_time())
        case Add(under, restart):
            nodes = [node for node in model.supervisors() if node.running]
            node = nodes[under % len(nodes)]
            plan = Plan(f"{node.plan.name}+{number}", restart)
            parent = sup if node.parent is None else sup.child(node.plan.name)
            assert isinstance(parent, SupervisorRef)
            await parent.start_child(world.spec(plan))
            child = node.children[plan.name] = Node(plan, node)
            model.start(child)
        case Turn(which):
            branches = model.supervisors()[1:]
            if branches:
                node = branches[which % len(branches)]
                name = node.plan.name
                if node.running:
                    await sup.terminate_child(name)
                    model.stop(node)
                    if node.plan.restart == "temporary":
                        del model.root.children[name]
                else:
                    await sup.restart_child(name)
                    model.start(node)


def agree(sup: SupervisorRef, world: World, model: Tree) -> None:
    assert world.journal == model.journal
    assert world.reports == model.reports
    assert sup.alive is not model.gave_up
    if model.gave_up:
        return
    assert shape(sup) == [
        (
            name,
            node.running,
            [(leaf, child.running) for leaf, child in node.children.items() if node.running],
        )
        for name, node in model.root.children.items()
    ]


def shape(sup: SupervisorRef) -> list[tuple[str, bool, list[tuple[str, bool]]]]:
    """The children, which of them run, and the same below."""
    return [
        (
            info.id,
            info.ref is not None,
            [(leaf.id, leaf.ref is not None) for leaf in info.ref.which_children()]
            if isinstance(info.ref, SupervisorRef)
            else [],
        )
        for info in sup.which_children()
    ]
