"""Random histories of a static supervisor against a plain model without tasks.

Hypothesis draws a strategy, a budget and a sequence of starts, crashes, ends, terminations, calls
and clock steps; after each step the tree and the model must agree on who exists, who runs, how
often everybody was started, and whether the supervisor is still there. Trio hands its scheduler's
random source to Hypothesis, so a failing sequence replays and shrinks.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from locshare.actors import (
    NORMAL,
    SHUTDOWN,
    Actor,
    ActorRef,
    NoProc,
    ReplyTo,
    Request,
    StopActor,
)
from locshare.supervisor import (
    AlreadyPresent,
    AlreadyStarted,
    ChildNotFound,
    ChildRunning,
    ChildSpec,
    Report,
    Restart,
    RestartBudgetExceeded,
    Strategy,
    SupervisorError,
    SupervisorRef,
    SupervisorSpec,
    open_supervisor,
)

IDS = "abcd"
SECONDS = 5

Step = tuple[str, str, Any]


class Ask(Request[str]):
    """Answered with the child's id."""


class Child(Actor):
    def __init__(self, name: str, starts: "Counter[str]") -> None:
        self.name = name
        self.starts = starts

    def init(self) -> None:
        self.starts[self.name] += 1

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        return self.name

    def handle_cast(self, message: Any) -> StopActor:
        if message == "crash":
            raise RuntimeError
        return StopActor(message)


@dataclass
class Model:
    """What a supervisor should be, in the words of the statements."""

    strategy: Strategy
    budget: int
    children: dict[str, tuple[Restart, bool]] = field(default_factory=dict)  # in start order
    starts: "Counter[str]" = field(default_factory=Counter)
    instants: list[float] = field(default_factory=list)
    alive: bool = True

    def begin(self, name: str, restart: Restart) -> None:
        self.children[name] = (restart, True)
        self.starts[name] += 1

    def end(self, name: str, abnormal: bool, now: float) -> None:
        restart, running = self.children[name]
        if not running:
            return
        if restart == "temporary":
            del self.children[name]
        elif restart == "transient" and not abnormal:
            self.children[name] = (restart, False)
        else:
            self.restart(name, now)

    def restart(self, name: str, now: float) -> None:
        self.instants = [at for at in self.instants if now - at <= SECONDS] + [now]
        if len(self.instants) > self.budget:
            self.alive = False
            return
        names = list(self.children)
        reach = {
            "one_for_one": [name],
            "one_for_all": names,
            "rest_for_one": names[names.index(name) :],
        }[self.strategy]
        for other in reach:
            kind, _ = self.children[other]
            if kind == "temporary":
                del self.children[other]
            else:
                self.begin(other, kind)


names = st.sampled_from(IDS)
steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("start"), names, st.sampled_from(["permanent", "transient", "temporary"])),
    st.tuples(st.just("crash"), names, st.none()),
    st.tuples(st.just("crash"), names, st.none()),  # twice as likely
    st.tuples(st.just("end"), names, st.sampled_from([NORMAL, SHUTDOWN])),
    st.tuples(st.sampled_from(["terminate", "restart", "delete", "call"]), names, st.none()),
    st.tuples(st.just("wait"), st.just(""), st.sampled_from([1, 2, 4, 5, 6])),
)


kinds: st.SearchStrategy[Restart] = st.sampled_from(["permanent", "transient", "temporary"])


@settings(max_examples=300, deadline=None)
@given(
    strategy=st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]),
    budget=st.integers(0, 4),
    first=st.lists(kinds, max_size=len(IDS)),
    history=st.lists(steps, min_size=12, max_size=40),
)
def test_a_static_supervisor_is_its_model(
    strategy: Strategy, budget: int, first: list[Restart], history: list[Step]
) -> None:
    trio.run(replay, strategy, budget, first, history, clock=MockClock(autojump_threshold=0))


async def replay(
    strategy: Strategy, budget: int, first: list[Restart], history: list[Step]
) -> None:
    model = Model(strategy, budget)
    starts: Counter[str] = Counter()
    children = []
    for name, restart in zip(IDS, first, strict=False):
        model.begin(name, restart)
        children.append(ChildSpec(name, Child, (name, starts), restart=restart))
    spec = SupervisorSpec(
        children, strategy=strategy, max_restarts=budget, max_seconds=SECONDS, report=forget
    )
    finished = False
    try:
        async with open_supervisor(spec) as sup:
            for step in history:
                await take(step, sup, model, starts)
                with trio.CancelScope(shield=True):
                    await wait_all_tasks_blocked()
                assert sup.alive is model.alive
                assert starts == model.starts
                if not model.alive:
                    await trio.sleep_forever()
                agree(sup, model)
            finished = True
    except RestartBudgetExceeded:
        assert not model.alive
    else:
        assert finished
        assert model.alive


def forget(report: Report) -> None:
    """The reports are not looked at here."""


def agree(sup: SupervisorRef, model: Model) -> None:
    real = [(info.id, info.ref is not None) for info in sup.which_children()]
    assert real == [(name, running) for name, (_, running) in model.children.items()]
    assert sup.count_children().active == sum(running for _, running in model.children.values())


async def take(step: Step, sup: SupervisorRef, model: Model, starts: "Counter[str]") -> None:
    """One step, in the tree and in the model."""
    what, name, detail = step
    ref = sup.child(name)
    present = name in model.children
    running = present and model.children[name][1]
    if what == "wait":
        await trio.sleep(detail)
    elif what in ("crash", "end", "call"):
        if isinstance(ref, ActorRef):
            await use(what, ref, detail, model, name)
    else:
        expected = EXPECTED[what](present, running)
        try:
            if what == "start":
                await sup.start_child(ChildSpec(name, Child, (name, starts), restart=detail))
                model.begin(name, detail)
            elif what == "restart":
                await sup.restart_child(name)
                model.begin(name, model.children[name][0])
            elif what == "terminate":
                await sup.terminate_child(name)
                restart, _ = model.children[name]
                model.children[name] = (restart, False)
                if restart == "temporary":
                    del model.children[name]
            else:
                await sup.delete_child(name)
                del model.children[name]
        except SupervisorError as error:
            outcome: Any = type(error)
        else:
            outcome = None
        assert outcome is expected


EXPECTED: dict[str, Any] = {
    "start": lambda present, running: (
        AlreadyStarted if running else AlreadyPresent if present else None
    ),
    "restart": lambda present, running: (
        ChildRunning if running else None if present else ChildNotFound
    ),
    "delete": lambda present, running: (
        ChildRunning if running else None if present else ChildNotFound
    ),
    "terminate": lambda present, running: None if present else ChildNotFound,
}


async def use(what: str, ref: ActorRef, detail: Any, model: Model, name: str) -> None:
    if what == "call":
        assert await ref.call(Ask()) == name
        return
    ref.cast("crash" if what == "crash" else detail)
    model.end(name, what == "crash", trio.current_time())
    with trio.CancelScope(shield=True):
        await ref.wait_exit()
        await wait_all_tasks_blocked()
    if model.alive:
        try:
            await ref.call(Ask())
        except NoProc:
            return
        raise AssertionError("a dead actor answered")
