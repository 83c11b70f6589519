"""What the types refuse: each line marked E, for the reason that stands there, and nothing else.

Never run, and left out of the gate: read by mypy in test_typing. ``call-overload`` says no more
than that no form of a call fits, so what is then wrong must be the one difference from a call in
``right.py``.
"""

from locshare.actors import (
    Actor,
    ActorNursery,
    ActorRef,
    Continue,
    Down,
    MailboxSpec,
    Name,
    NoReply,
    Overflow,
    Registry,
    ReplyTo,
    on_call,
    on_cast,
    on_info,
)
from locshare.supervisor import (
    Backoff,
    ChildSpec,
    DynamicSpec,
    DynamicSupervisorRef,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    TaskSupervisorRef,
)
from tests.typing.right import Add, Adder, Counter, Later, Reset, Total, listen, quiet, work


async def replies(ref: ActorRef[Add], name: Name[str], reply_to: ReplyTo[int]) -> None:
    total = await ref.call(Total("a"))
    text: str = total  # E: assignment
    text = await ref.call(Total("a"))  # E: arg-type
    text = await name.call(Total("a"))  # E: arg-type
    await ref.call("total")  # E: arg-type
    await ref.call(Add(1))  # E: arg-type
    await name.call(Add(1))  # E: arg-type
    await ref.call(Total("a"), "5")  # E: arg-type
    reply_to.reply("three")  # E: arg-type
    reply_to.fail("no")  # E: arg-type
    del text


async def messages(ref: ActorRef[Add], sup: SupervisorRef) -> None:
    ref.cast("x")  # E: arg-type
    ref.cast(Reset())  # E: arg-type
    ref.offer("x")  # E: arg-type
    await ref.deliver("x")  # E: arg-type
    sup.cast(Add(1))  # E: arg-type


def stands_for(adder: ActorRef[Add], sup: SupervisorRef) -> None:
    more: ActorRef[Add | Reset] = adder  # E: assignment
    also: ActorRef[Add] = sup  # E: assignment
    del more, also


class Typed(Actor[Add | Reset]):
    @on_call(Total)  # E: arg-type
    def of_another_type(self, request: Total) -> str:
        raise NotImplementedError

    @on_call(Total)  # E: arg-type
    async def of_another_type_later(self, request: Total) -> str:
        raise NotImplementedError

    @on_call(Total)  # E: arg-type
    def for_another_request(self, request: Later) -> int:
        raise NotImplementedError

    @on_call(Later)  # E: arg-type
    def replies_another_type(self, request: Later, reply_to: ReplyTo[str]) -> NoReply:
        raise NotImplementedError

    @on_call(Add)  # E: arg-type, misc, type-var
    def no_request(self, request: Add) -> int:
        raise NotImplementedError

    @on_cast(Add)  # E: arg-type
    def another_cast(self, message: Reset) -> None: ...
    @on_cast(Add)  # E: arg-type
    def answers_a_cast(self, message: Add) -> int:
        raise NotImplementedError

    @on_info(Down)  # E: arg-type
    def other_news(self, message: Add) -> None: ...


class TakesLess(Actor[Add | Reset]):
    def handle_cast(self, message: Add) -> None: ...  # E: override


class AnswersACast(Actor[Add]):
    def handle_cast(self, message: Add) -> int:  # E: override
        raise NotImplementedError


class AnswersNews(Actor):
    async def handle_info(self, message: object) -> bool:  # E: override
        raise NotImplementedError


class StartsWithAnAnswer(Actor):
    def init(self) -> str:  # E: override
        raise NotImplementedError


class EndsWithAnAnswer(Actor):
    def terminate(self, reason: object) -> Continue:  # E: override
        raise NotImplementedError


class SendsToItself(Actor[Add]):
    mailbox = Overflow.REFUSE  # E: assignment

    def after_batch(self) -> None:
        self.ref.cast(Reset())  # E: arg-type
        self.send_after("soon", Add(1))  # E: arg-type


def not_heard(reason: str) -> None: ...
def half_heard() -> None: ...
def heard(down: Down) -> None: ...


def monitors(ref: ActorRef[Add], actor: Actor, name: Name[str]) -> None:
    ref.monitor(not_heard)  # E: arg-type
    ref.monitor(half_heard)  # E: arg-type
    actor.monitor(name)  # E: arg-type
    number: int = ref.monitor(heard)  # E: assignment
    del number


def start_arguments() -> None:
    ChildSpec("counter", Counter, ("three", "label"))  # E: arg-type
    ChildSpec("counter", Counter, (3,))  # E: arg-type
    ChildSpec("counter", Counter, (3, "label", 4))  # E: arg-type
    ChildSpec("counter", Counter, ())  # E: arg-type
    ChildSpec("counter", Counter)  # E: arg-type
    ChildSpec("adder", Adder, (3,))  # E: arg-type
    ChildSpec("counter", Counter, [3, "label"])  # E: call-overload
    ChildSpec("counter", lambda: 3)  # E: arg-type, return-value
    ChildSpec("adder", Adder, restart="always")  # E: call-overload
    ChildSpec("adder", Adder, shutdown="soon")  # E: call-overload
    spec = ChildSpec("counter", Counter, (3, "label"))
    other: ChildSpec[Add | Reset, str, str] = spec  # E: assignment
    fewer: ChildSpec[Add | Reset, int] = spec  # E: assignment
    del other, fewer


def task_arguments() -> None:
    TaskSpec("listen", listen, ("8080",))  # E: arg-type
    TaskSpec("listen", listen, (8080, 1))  # E: arg-type
    TaskSpec("listen", listen)  # E: arg-type
    TaskSpec("quiet", quiet, (1,))  # E: arg-type
    TaskSpec("work", work, (3,))  # E: arg-type
    TaskSpec("listen", listen, (8080,), handshake=False)  # E: call-overload
    TaskSpec("work", work, ("3",), handshake=False)  # E: call-overload
    TaskSpec("work", work, handshake=False)  # E: call-overload
    TaskSpec("quiet", quiet, restart="always")  # E: call-overload


def threads(adder: ActorRef[Add]) -> None:
    adder.from_thread.cast(Reset())  # E: arg-type
    number: str = adder.from_thread.call(Total("a"))  # E: assignment
    adder.from_thread.call(Add(1))  # E: arg-type
    del number


def backoffs() -> None:
    ChildSpec("adder", Adder, backoff=3.0)  # E: call-overload
    TaskSpec("quiet", quiet, backoff="full")  # E: call-overload
    Backoff(jitter="some")  # E: arg-type
    Backoff(random=3)  # E: arg-type


async def task_results(tasks: TaskSupervisorRef) -> None:
    await tasks.run(work, "3")  # E: arg-type
    await tasks.run(work)  # E: arg-type
    await tasks.start(work, 3, 4)  # E: arg-type
    number: int = await (await tasks.start(work, 3)).result()  # E: assignment
    tasks.map(work, ["3"], limit=2)  # E: arg-type
    tasks.map(work, [3])  # E: call-arg
    text = await tasks.run(work, 3)
    number = text  # E: assignment
    del number


async def through_a_start(host: ActorNursery, pool: DynamicSupervisorRef) -> None:
    adder = await pool.start_actor(ChildSpec("adder", Adder))
    adder.cast(Reset())  # E: arg-type
    spec = ChildSpec("counter", Counter, (3, "label"))
    counter: ActorRef[str] = await pool.start_actor(spec)  # E: arg-type
    (await pool.start_actor(spec)).cast(3)  # E: arg-type
    await pool.start_actor(TaskSpec("quiet", quiet))  # E: arg-type
    (await host.start(Adder())).cast(Reset())  # E: arg-type
    await host.start(Adder)  # E: arg-type
    await pool.start_child(Adder())  # E: arg-type
    await pool.terminate_child("adder")  # E: arg-type
    del counter


def trees(spec: SupervisorSpec) -> None:
    SupervisorSpec([spec])  # E: list-item
    SupervisorSpec([], strategy="all_for_one")  # E: arg-type
    SupervisorSpec([], max_restarts=1.5)  # E: arg-type
    DynamicSpec(max_children="3")  # E: arg-type
    MailboxSpec(overflow="refuse")  # E: arg-type


async def names(
    adders: Registry[str, Add], counters: Registry[str, Add | Reset], adder: ActorRef[Add]
) -> None:
    adders.register(3, adder)  # E: arg-type
    counters.register("adder", adder)  # E: arg-type
    adders.lookup(3)  # E: arg-type
    adders.name("adder").cast(Reset())  # E: arg-type
    adders.name("adder").offer(Reset())  # E: arg-type
    (await adders.wait("adder")).cast(Reset())  # E: arg-type
    number: Name[int, Add] = adders.name("adder")  # E: assignment
    ChildSpec("adder", Adder, register=counters.name("adder"))  # E: arg-type
    ChildSpec("adder", Adder, register="adder")  # E: call-overload
    del number


async def supervisors(sup: SupervisorRef) -> None:
    await sup.start_child(Counter)  # E: arg-type
    await sup.restart_child(3)  # E: arg-type
    number: int = sup.child("adder")  # E: assignment
    del number
