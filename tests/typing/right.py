"""What the types allow. Never run: read by mypy, in test_typing and in the gate."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, ClassVar, assert_type

import trio

from locshare.actors import (
    NO_REPLY,
    Actor,
    ActorNursery,
    ActorRef,
    Continue,
    Down,
    FromThread,
    HandlerResult,
    Monitor,
    Name,
    NoReply,
    Offer,
    Ref,
    Registry,
    ReplyTo,
    Request,
    StopActor,
    on_call,
    on_cast,
    on_info,
)
from locshare.supervisor import (
    AnySpec,
    Backoff,
    ChildSpec,
    DynamicSpec,
    DynamicSupervisorRef,
    SupervisorRef,
    SupervisorSpec,
    TaskHandle,
    TaskSpec,
    TaskSupervisor,
    TaskSupervisorRef,
)


@dataclass(frozen=True)
class Total(Request[int]):
    of: str


@dataclass(frozen=True)
class Add:
    amount: int


class Reset: ...


@dataclass(frozen=True)
class Slow(Request[str]):
    last: bool = False


class Later(Request[int]): ...


class CounterRef(ActorRef[Add | Reset]):
    __slots__ = ()


class Counter(Actor[Add | Reset]):
    ref_type: ClassVar[type[ActorRef]] = CounterRef

    def __init__(self, start: int, label: str) -> None:
        self.total = start
        self.label = label

    def init(self) -> Continue | None:
        assert_type(self.ref, ActorRef[Add | Reset])
        return None

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        return self.total if isinstance(request, Total) else super().handle_call(request, reply_to)

    def handle_cast(self, message: Add | Reset) -> StopActor | None:
        self.total = self.total + message.amount if isinstance(message, Add) else 0
        return StopActor() if self.total < 0 else None


class Adder(Actor[Add]):
    async def handle_cast(self, message: object) -> None: ...


class Anything(Actor):
    def handle_cast(self, message: Any) -> HandlerResult | Awaitable[HandlerResult]:
        return super().handle_cast(message)


class Typed(Actor[Add | Reset]):
    """Decorated methods: plain, async, with the ReplyTo, with every result that is no reply."""

    @on_call(Total)
    def total(self, request: Total) -> int:
        return len(request.of)

    @on_call(Slow)
    async def slow(self, request: Slow) -> str | StopActor:
        return StopActor(reply="bye") if request.last else "x"

    @on_call(Later)
    def later(self, request: Later, reply_to: ReplyTo[int]) -> NoReply:
        reply_to.reply(1)
        return NO_REPLY

    @on_cast(Add)
    def add(self, message: Add) -> None: ...
    @on_cast(Reset)
    async def reset(self, message: Reset) -> Continue | None: ...
    @on_info(Down)
    def ended(self, message: Down) -> StopActor:
        return StopActor(message.reason)


async def listen(port: int, *, task_status: trio.TaskStatus[int]) -> None: ...
async def quiet(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None: ...
async def work(number: int) -> str:
    return str(number)


def heard(down: Down) -> None: ...


async def calls(ref: ActorRef, counter: ActorRef[Add], name: Name[str]) -> None:
    assert_type(await ref.call(Total("a")), int)
    assert_type(await counter.call(Total("a"), 1.0), int)
    assert_type(await name.call(Total("a"), None), int)


async def messages(counter: ActorRef[Add | Reset], any_: ActorRef) -> None:
    counter.cast(Add(1))
    assert_type(counter.offer(Reset()), Offer)
    await counter.deliver(Add(1))
    counter.info("news of any kind")
    any_.cast("anything")
    assert_type(any_.offer(3), Offer)
    await any_.deliver(None)


def threads(counter: ActorRef[Add | Reset], any_: ActorRef) -> None:
    assert_type(counter.from_thread, FromThread[Add | Reset])
    counter.from_thread.cast(Add(1))
    counter.from_thread.info("news of any kind")
    assert_type(counter.from_thread.call(Total("a"), 1.0), int)
    any_.from_thread.cast("anything")


def stands_for(counter: ActorRef[Add | Reset], any_: ActorRef) -> None:
    less: ActorRef[Add] = counter
    bare: ActorRef = counter
    again: ActorRef[Add] = any_
    plain: Ref = less
    del bare, again, plain


def replies(reply_to: ReplyTo[int]) -> None:
    reply_to.reply(3)
    reply_to.fail(ValueError())


async def monitors(ref: ActorRef[Add], actor: Actor) -> None:
    assert_type(ref.monitor(heard), Monitor)
    assert_type(actor.monitor(ref), Monitor)


async def starts(host: ActorNursery, pool: DynamicSupervisorRef, names: Registry[str, Add]) -> None:
    spec = ChildSpec("counter", Counter, (3, "label"), restart="transient", shutdown=2.0)
    assert_type(spec, ChildSpec[Add | Reset, int, str])
    assert_type(spec.args, tuple[int, str])
    assert_type(await pool.start_actor(spec), ActorRef[Add | Reset])
    assert_type(await pool.start_actor(ChildSpec("adder", Adder)), ActorRef[Add])
    assert_type(await pool.start_child(spec), Ref)
    assert_type(await host.start(Counter(3, "label")), ActorRef[Add | Reset])
    assert_type(await host.start(Adder(), register=names.name("adder")), ActorRef[Add])
    assert_type(await host.start(Anything()), ActorRef)
    ChildSpec("counter", lambda: Counter(3, "label"))
    ChildSpec("adder", Adder, restart="permanent", shutdown=1.0)
    ChildSpec("adder", Adder, register=names.name("adder"))
    ChildSpec("counter", Counter, (3, "label"), register=names.name("counter"))


def trees(specs: list[AnySpec], bare: ChildSpec) -> SupervisorSpec:
    children: list[AnySpec] = [
        ChildSpec("counter", Counter, (3, "label")),
        ChildSpec("anything", Anything),
        ChildSpec("tasks", TaskSupervisor, type="supervisor"),
        TaskSpec("listen", listen, (8080,), restart="temporary"),
        TaskSpec("quiet", quiet, init_timeout=1.0),
        TaskSpec("work", work, (3,), handshake=False),
        TaskSpec("idle", trio.sleep_forever, handshake=False),
        TaskSpec("quiet again", quiet, restart="permanent", backoff=Backoff(max_s=3)),
        ChildSpec("adder", Adder, backoff=Backoff(jitter="equal")),
        DynamicSpec(max_children=3).child("pool"),
        bare,
    ]
    inner = SupervisorSpec([ChildSpec("adder", Adder), TaskSpec("listen", listen, (1,))])
    return SupervisorSpec([*children, *specs, inner.child("inner")], strategy="rest_for_one")


async def supervisors(sup: SupervisorRef, tasks: TaskSupervisorRef) -> None:
    assert_type(await sup.start_child(ChildSpec("adder", Adder)), Ref)
    handle = await tasks.start(work, 3)
    assert_type(handle, TaskHandle[str])
    assert_type(await handle.result(), str)
    assert_type(handle.ref, Ref)
    async with tasks.map(work, range(3), limit=2) as results:
        assert_type([result async for result in results], list[str])
    assert_type(await tasks.run(work, 3), str)


async def names(
    adders: Registry[str, Add], bare: Registry[int], counter: ActorRef[Add | Reset]
) -> None:
    adders.register("key", counter)
    assert_type(adders.lookup("key"), ActorRef[Add] | None)
    assert_type(await adders.wait("key"), ActorRef[Add])
    assert_type(adders.name("key"), Name[str, Add])
    assert_type(adders.name("key").whereis(), ActorRef[Add] | None)
    adders.name("key").cast(Add(1))
    assert_type(adders.name("key").offer(Add(1)), Offer)
    adders.name("key").info("news of any kind")
    bare.register(3, counter)
    bare.name(3).cast("anything")
    assert_type(bare.lookup(3), ActorRef | None)
