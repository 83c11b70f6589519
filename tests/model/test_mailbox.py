"""Random traffic to one actor against the model of its mailbox (mailbox_model.py).

Many senders each send one thing, in one of five ways, to an actor that may be slow, suspended, full
or about to die, or to one of its former lives; some are cancelled, some run out of time. Each step
has an instant of its own, so all that happens is determined. At each step what was handled and
when, what each sender was told and when, and what was counted must be the model's. So nothing is
handled twice, out of order, or by a dead incarnation; and at the end nobody is left hanging.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model.mailbox_model import TIMER, Entry, Kind, MailboxModel, Work
from trio.testing import MockClock, wait_all_tasks_blocked

from locshare.actors import (
    NO_REPLY,
    NORMAL,
    Actor,
    ActorDown,
    ActorRef,
    CallTimeout,
    Down,
    MailboxFull,
    MailboxHeir,
    MailboxSpec,
    Overflow,
    ReplyTo,
    Request,
    StopActor,
    Timer,
    open_host,
)
from locshare.actors.introspect import kill, resume, statistics, suspend
from locshare.supervisor import ChildSpec, Report, SupervisorSpec, open_supervisor

PEERS = 4


@dataclass(frozen=True)
class Message(Request[str]):
    number: int
    work: Work


class World:
    """What the real actor writes."""

    def __init__(self, spec: MailboxSpec) -> None:
        self.spec = spec
        self.journal: list[tuple[float, str]] = []
        self.lives: list[ActorRef] = []
        self.peers: list[ActorRef] = []

    def note(self, line: str) -> None:
        self.journal.append((trio.current_time(), line))

    def build(self) -> "Subject":
        class Bounded(Subject):
            mailbox = self.spec

        return Bounded(self)


class Subject(Actor):
    def __init__(self, world: World) -> None:
        self.world = world

    def init(self) -> None:
        self.timers: list[Timer] = []
        self.unanswered: list[ReplyTo[Any]] = []
        self.world.lives.append(self.ref)
        self.ref.monitor(lambda down: self.world.note(f"exit {down.reason.label}"))
        for peer in self.world.peers:
            if peer.alive:
                self.monitor(peer)

    def handle_call(self, request: Message, reply_to: ReplyTo[str]) -> Any:
        self.world.note(f"call {request.number}")
        if request.work == "later":
            self.unanswered.append(reply_to)
            return NO_REPLY
        if request.work == "slow":
            return self.work_slowly(request.number)
        return self.work(request) or "reply"

    def handle_cast(self, message: Message) -> Any:
        self.world.note(f"cast {message.number}")
        return self.handle(message)

    def handle_info(self, message: Message | Down | str) -> Any:
        match message:
            case Message():
                self.world.note(f"info {message.number}")
                return self.handle(message)
            case Down():
                self.world.note(f"down {self.world.peers.index(message.ref)}")  # type: ignore[arg-type]
            case _:
                self.world.note("timer ")
        return None

    def handle(self, message: Message) -> Any:
        return self.pause(message.number) if message.work == "slow" else self.work(message)

    async def pause(self, number: int) -> None:
        await trio.sleep(1)
        self.world.note(f"done {number}")

    async def work_slowly(self, number: int) -> str:
        await self.pause(number)
        return "reply"

    def work(self, message: Message) -> StopActor | None:
        match message.work:
            case "crash":
                raise RuntimeError
            case "halt":
                return StopActor(NORMAL)
            case "answer":
                # Those whose callers have gone are no longer waited for.
                self.unanswered = [call for call in self.unanswered if call.waiting]
                if self.unanswered:
                    self.unanswered.pop(0).reply("late reply")
            case "arm":
                self.timers.append(self.send_after(TIMER, "timer"))
            case "disarm":
                if self.timers:
                    self.timers.pop().cancel()
        return None


# -- histories -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Send:
    kind: Kind
    work: Work
    timeout: float | None
    back: int  #: to how old a life


@dataclass(frozen=True)
class Other:
    what: Literal["suspend", "resume", "stop", "kill", "peer", "wait"]


@dataclass(frozen=True)
class Cancel:
    which: int


Step = Send | Other | Cancel

WORKS: tuple[Work, ...] = get_args(Work)
works: st.SearchStrategy[Work] = st.sampled_from(["quick", "quick", "slow", "slow", *WORKS])
sends: st.SearchStrategy[Step] = st.builds(
    Send,
    kind=st.sampled_from(["cast", "info", "offer", "deliver", "call", "call"]),
    work=works,
    timeout=st.sampled_from([None, 0.625, 2.625]),
    back=st.sampled_from([0, 0, 0, 0, 1]),
)
steps: st.SearchStrategy[Step] = st.one_of(
    sends,
    sends,
    sends,
    st.builds(Other, st.sampled_from(["suspend", "resume", "stop", "kill", "peer", "wait"])),
    st.builds(Cancel, st.integers(0, 30)),
)


@settings(max_examples=500, deadline=None)
@given(
    capacity=st.integers(1, 3),
    overflow=st.sampled_from(Overflow),
    heir=st.booleans(),
    history=st.lists(steps, min_size=8, max_size=40),
)
def test_a_mailbox_is_its_model(
    capacity: int, overflow: Overflow, heir: bool, history: list[Step]
) -> None:
    model = MailboxModel(capacity, overflow, heir)
    world = World(MailboxSpec(capacity, overflow))
    trio.run(replay, model, world, history, clock=MockClock(autojump_threshold=0))


async def replay(model: MailboxModel, world: World, history: list[Step]) -> None:
    heir = MailboxHeir() if model.heir else None
    spec = SupervisorSpec(
        [ChildSpec("subject", world.build, heir=heir)], max_restarts=10**6, report=forget
    )
    async with open_host() as host, trio.open_nursery() as nursery:
        world.peers += [await host.start(Actor()) for _ in range(PEERS)]
        async with open_supervisor(spec):
            run = Replay(model, world, nursery)
            with trio.CancelScope(shield=True):
                for index, step in enumerate(history):
                    await run.take(index, step)
                await run.leave()


def forget(report: Report) -> None:
    """The reports are not looked at here."""


class Replay:
    """Takes each step with the real actor and with the model."""

    def __init__(self, model: MailboxModel, world: World, nursery: trio.Nursery) -> None:
        self.model = model
        self.world = world
        self.nursery = nursery
        self.told: dict[int, tuple[float, str]] = {}
        self.scopes: list[trio.CancelScope] = []
        self.peers = list(range(PEERS))

    async def take(self, index: int, step: Step) -> None:
        model = self.model
        # Everything takes whole seconds, or odd eighths; see test_dynamic_supervisor.py.
        due = int(model.now * 4 + 1) / 4 + index * 2**-10
        await trio.sleep_until(due + (step == Other("wait")))
        await wait_all_tasks_blocked()
        model.advance(trio.current_time())
        self.agree()
        match step:
            case Send():
                self.send(step)
            case Cancel(which):
                if which < len(self.scopes):
                    self.scopes[which].cancel()
                    model.cancel(which)
            case Other(what):
                self.do(what)
        await wait_all_tasks_blocked()
        self.agree()

    def send(self, step: Send) -> None:
        number = len(self.scopes)
        back = min(step.back, len(self.world.lives) - 1)
        message = Message(number, step.work)
        self.start(number, step.kind, self.world.lives[-1 - back], message, step.timeout)
        entry = Entry(number, step.kind, step.work)
        self.model.send(entry, self.model.lives[-1 - back], step.timeout)

    def do(self, what: str) -> None:
        model, subject = self.model, self.world.lives[-1]
        match what:
            case "suspend" | "resume":
                number = len(self.scopes)
                self.start(number, what, subject, None, None)
                model.system(number, what)
            case "stop":
                subject._incarnation.request_stop(NORMAL)
                model.ask_to_stop(model.life, "normal")
            case "kill":
                kill(subject)
                model.kill()
            case "peer" if self.peers:
                number = self.peers.pop()
                kill(self.world.peers[number])
                model.exempt(Entry(number, "down"), model.life)

    def start(
        self, number: int, what: str, to: ActorRef, message: Any, timeout: float | None
    ) -> None:
        scope = trio.CancelScope()
        self.scopes.append(scope)
        self.nursery.start_soon(self.sender, number, scope, what, to, message, timeout)

    async def sender(
        self,
        number: int,
        scope: trio.CancelScope,
        what: str,
        to: ActorRef,
        message: Any,
        timeout: float | None,
    ) -> None:
        outcome = "Cancelled"
        with scope:
            try:
                outcome = await use(what, to, message, timeout)
            except (ActorDown, CallTimeout, MailboxFull) as error:
                outcome = type(error).__name__
        assert number not in self.told
        self.told[number] = (trio.current_time(), outcome)

    def agree(self) -> None:
        model, world = self.model, self.world
        assert world.journal == model.journal
        assert self.told == model.told
        assert len(world.lives) == len(model.lives)
        for ref, life in zip(world.lives, model.lives, strict=True):
            assert ref.alive is life.alive
            real = statistics(ref)
            assert (real.dropped, real.skipped) == (life.dropped, life.skipped)
            if life.alive:
                assert real.waiting == len(life.queue)
                assert len(ref._mailbox.senders) == len(life.line)
                if life.current is None:
                    assert real.handled == life.taken

    async def leave(self) -> None:
        """Whatever still waits: its actor's death tells it, so nobody hangs."""
        due = int(self.model.now) + 100.9
        await trio.sleep_until(due)
        await wait_all_tasks_blocked()
        self.model.advance(due)
        self.agree()
        self.do("kill")
        await wait_all_tasks_blocked()
        self.agree()
        assert self.told.keys() == set(range(len(self.scopes)))


async def use(what: str, to: ActorRef, message: Message, timeout: float | None) -> str:
    match what:
        case "cast":
            to.cast(message)
        case "info":
            to.info(message)
        case "offer":
            return to.offer(message).value
        case "deliver":
            await to.deliver(message)
        case "suspend":
            await suspend(to, None)
        case "resume":
            await resume(to, None)
        case _:
            return await to.call(message, timeout)
    return ""
