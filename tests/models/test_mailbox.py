"""Random traffic to one actor against the model of its mailbox (mailbox_model.py).

Many senders each send something, in one of five ways, to an actor that may be slow, suspended, full
or about to die, or to one of its former lives; some are cancelled, some run out of time. Each step
has a different instant, so everything is determined. At each step what was handled and
when, the outcome of each send and its instant, and the counters must be the model's. So nothing is
handled twice, out of order, or by a dead incarnation; and at the end no sender is left waiting.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
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
    open_actor_nursery,
)
from locshare.actors.introspect import kill, resume, statistics, suspend
from locshare.actors.lowlevel import actor_incarnation_of
from locshare.supervisor import ChildSpec, Report, SupervisorSpec, open_supervisor
from tests.models.mailbox_model import TIMER, Entry, Kind, MailboxModel, Work

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
class Burst:
    """One sender sends several things in a row."""

    sends: tuple[tuple[Kind, Work], ...]


@dataclass(frozen=True)
class Other:
    what: Literal["suspend", "resume", "stop", "kill", "peer", "wait", "disarm"]


@dataclass(frozen=True)
class Cancel:
    which: int  #: among the senders that wait


Step = Send | Burst | Other | Cancel

WORKS: tuple[Work, ...] = get_args(Work)
works: st.SearchStrategy[Work] = st.sampled_from(["quick", "quick", "slow", "slow", *WORKS])
sends: st.SearchStrategy[Step] = st.builds(
    Send,
    kind=st.sampled_from(["cast", "info", "offer", "deliver", "call", "call"]),
    work=works,
    timeout=st.sampled_from([None, 0.625, 2.625]),
    back=st.sampled_from([0, 0, 0, 0, 1]),
)
bursts: st.SearchStrategy[Step] = st.builds(
    Burst,
    st.lists(
        st.tuples(st.sampled_from(["cast", "info", "offer"]), works), min_size=2, max_size=4
    ).map(tuple),
)
steps: st.SearchStrategy[Step] = st.one_of(
    sends,
    sends,
    bursts,
    st.builds(Other, st.sampled_from(["suspend", "suspend", "resume", "resume", "peer", "wait"])),
    st.builds(Other, st.sampled_from(["stop", "kill", "disarm"])),
    st.builds(Cancel, st.integers(0, 3)),
)


#: Beginnings that a random history rarely finds: a line of senders in front of a full mailbox...
CROWDED: tuple[Step, ...] = (
    Other("suspend"),
    Burst((("cast", "quick"),) * 4),
    Send("deliver", "quick", None, 0),
    Send("call", "quick", None, 0),
    Send("deliver", "slow", None, 0),
    Send("call", "quick", None, 0),
)
#: ... and a timer that is due, and waits to be handled.
OVERDUE: tuple[Step, ...] = (
    Send("cast", "arm", None, 0),
    Other("suspend"),
    Other("wait"),
    Other("wait"),
)


@settings(max_examples=500)
@given(
    capacity=st.integers(1, 4),
    overflow=st.sampled_from([Overflow.REFUSE, *Overflow]),
    heir=st.booleans(),
    beginning=st.sampled_from([(), CROWDED, OVERDUE]),
    history=st.lists(steps, min_size=8, max_size=40),
)
def test_a_mailbox_is_its_model(
    capacity: int,
    overflow: Overflow,
    heir: bool,
    beginning: tuple[Step, ...],
    history: list[Step],
) -> None:
    model = MailboxModel(capacity, overflow, heir)
    world = World(MailboxSpec(capacity, overflow))
    trio.run(replay, model, world, [*beginning, *history], clock=MockClock(autojump_threshold=0))


async def replay(model: MailboxModel, world: World, history: list[Step]) -> None:
    heir = MailboxHeir() if model.heir else None
    spec = SupervisorSpec(
        [ChildSpec("subject", world.build, heir=heir)], max_restarts=10**6, report=forget
    )
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        world.peers += [await actors.start(Actor()) for _ in range(PEERS)]
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
        self.outcomes: dict[int, tuple[float, str]] = {}
        self.sent = 0
        self.scopes: dict[int, trio.CancelScope] = {}
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
            case Burst(sends):
                model.held = True
                for kind, work in sends:
                    self.send(Send(kind, work, None, 0))
                model.held = False
                model.wake(model.life)
            case Cancel(which):
                waiting = [number for number in range(self.sent) if number not in model.outcomes]
                if waiting:
                    number = waiting[which % len(waiting)]
                    self.scopes[number].cancel()
                    model.cancel(number)
            case Other(what):
                self.do(what)
        await wait_all_tasks_blocked()
        self.agree()

    def send(self, step: Send) -> None:
        back = min(step.back, len(self.world.lives) - 1)
        to, number = self.world.lives[-1 - back], self.sent
        message = Message(number, step.work)
        if step.kind in ("cast", "info", "offer"):
            self.sent += 1
            self.outcomes[number] = (trio.current_time(), send(step.kind, to, message))
        else:
            self.start(step.kind, to, message, step.timeout)
        entry = Entry(number, step.kind, step.work)
        self.model.send(entry, self.model.lives[-1 - back], step.timeout)

    def do(self, what: str) -> None:
        model, subject = self.model, self.world.lives[-1]
        match what:
            case "suspend" | "resume":
                model.system(self.sent, what)
                self.start(what, subject, None, None)
            case "stop":
                subject._incarnation.request_stop(NORMAL)
                model.ask_to_stop(model.life, "normal")
            case "kill":
                kill(subject)
                model.kill()
            case "disarm":
                actor = actor_incarnation_of(subject).actor
                assert isinstance(actor, Subject)
                if actor.timers:
                    actor.timers.pop().cancel()
                    model.life.timers.pop().gone = True
            case "peer" if self.peers:
                number = self.peers.pop()
                kill(self.world.peers[number])
                model.exempt(Entry(number, "down"), model.life)

    def start(self, what: str, to: ActorRef, message: Any, timeout: float | None) -> None:
        """A sender that may have to wait does so in a separate task."""
        number, scope = self.sent, trio.CancelScope()
        self.sent += 1
        self.scopes[number] = scope
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
        assert number not in self.outcomes
        self.outcomes[number] = (trio.current_time(), outcome)

    def agree(self) -> None:
        model, world = self.model, self.world
        assert world.journal == model.journal
        assert self.outcomes == model.outcomes
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
        """The death of its actor settles whatever still waits."""
        due = int(self.model.now) + 100.9
        await trio.sleep_until(due)
        await wait_all_tasks_blocked()
        self.model.advance(due)
        self.agree()
        self.do("kill")
        await wait_all_tasks_blocked()
        self.agree()
        assert self.outcomes.keys() == set(range(self.sent))


def send(kind: str, to: ActorRef, message: Message) -> str:
    match kind:
        case "offer":
            return to.offer(message).value
        case "cast":
            to.cast(message)
        case _:
            to.info(message)
    return ""


async def use(what: str, to: ActorRef, message: Message, timeout: float | None) -> str:
    match what:
        case "deliver":
            await to.deliver(message)
        case "suspend":
            await suspend(to, None)
        case "resume":
            await resume(to, None)
        case _:
            return await to.call(message, timeout)
    return ""
