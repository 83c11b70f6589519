"""Decorated handlers: each message reaches the method of its type; none needs ``super()``."""

from dataclasses import dataclass
from typing import Any

import pytest

from locshare.actors import (
    NO_REPLY,
    Actor,
    Exited,
    NoReply,
    ReplyTo,
    Request,
    StopActor,
    UnhandledMessage,
    on_call,
    on_cast,
    on_info,
    open_actor_nursery,
)


@dataclass(frozen=True)
class Add:
    amount: int


class AddTwice(Add): ...


class Reset: ...


class Total(Request[int]): ...


class Later(Request[int]): ...


class Last(Request[str]): ...


class Unknown(Request[None]): ...


class Counter(Actor[Add | Reset]):
    def init(self) -> None:
        self.total = 0
        self.news: list[object] = []

    @on_cast(Add)
    def add(self, message: Add) -> None:
        self.total += message.amount

    @on_cast(Reset)
    @on_info(Reset)
    async def reset(self, message: Reset) -> None:
        self.total = 0

    @on_info(str)
    def note(self, message: str) -> None:
        self.news.append(message)

    @on_call(Total)
    def answer_total(self, request: Total) -> int:
        return self.total

    @on_call(Later)
    def answer_later(self, request: Later, reply_to: ReplyTo[int]) -> NoReply:
        reply_to.reply(self.total)
        return NO_REPLY

    @on_call(Last)
    async def answer_and_stop(self, request: Last) -> StopActor:
        return StopActor(reply="bye")


class Doubling(Counter):
    """Overrides a decorated method, and adds one."""

    def add(self, message: Add) -> None:
        self.total += 2 * message.amount

    @on_cast(AddTwice)
    def add_twice(self, message: AddTwice) -> None:
        self.total += 100


class Both(Counter):
    """Overrides ``handle_cast``; passes on what it does not know."""

    def handle_cast(self, message: Any) -> Any:
        if isinstance(message, AddTwice):
            self.total = -1
            return None
        return super().handle_cast(message)


async def test_each_message_reaches_the_method_of_its_type() -> None:
    async with open_actor_nursery() as actors:
        counter = Counter()
        ref = await actors.start(counter)
        ref.cast(Add(3))
        ref.cast(Add(4))
        assert await ref.call(Total()) == 7
        ref.info("news")
        assert await ref.call(Later()) == 7
        assert counter.news == ["news"]
        ref.cast(Reset())
        assert await ref.call(Total()) == 0


async def test_one_method_may_handle_several_types_and_kinds() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Counter())
        ref.cast(Add(1))
        ref.info(Reset())
        assert await ref.call(Total()) == 0


async def test_a_subclass_of_a_message_reaches_the_handler_of_the_nearest_base() -> None:
    async with open_actor_nursery() as actors:
        plain, doubling = await actors.start(Counter()), await actors.start(Doubling())
        for _ in range(2):  # the second time by the remembered entry
            plain.cast(AddTwice(1))
            doubling.cast(AddTwice(1))
        assert (await plain.call(Total()), await doubling.call(Total())) == (2, 200)


async def test_an_overridden_method_keeps_its_registration() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Doubling())
        ref.cast(Add(1))
        assert await ref.call(Total()) == 2


async def test_an_async_handler_may_stop_the_actor_with_a_reply() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Counter())
        assert await ref.call(Last()) == "bye"
        assert (await ref.wait_exit()).expected


async def test_an_override_comes_before_the_decorated_methods() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Both())
        ref.cast(AddTwice(1))
        ref.cast(Add(1))
        assert await ref.call(Total()) == 0


async def test_an_unknown_call_or_cast_crashes_and_unknown_news_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Counter())
        ref.info(3)
        assert await ref.call(Total()) == 0
        assert "unexpected message of type int" in caplog.text
        with pytest.raises(Exited) as caught:
            await ref.call(Unknown())
        assert isinstance(caught.value.__cause__, UnhandledMessage)


def test_two_methods_for_one_type_are_refused() -> None:
    with pytest.raises(TypeError, match="add and plus both handle the cast Add"):

        class Twice(Actor[Add]):
            @on_cast(Add)
            def add(self, message: Add) -> None: ...
            @on_cast(Add)
            def plus(self, message: Add) -> None: ...


@pytest.mark.parametrize("bad", [int, Add, "Total", None, Total()])
def test_a_call_handler_is_for_a_request(bad: Any) -> None:
    with pytest.raises(TypeError, match="subclass of Request"):
        on_call(bad)


@pytest.mark.parametrize("register", [on_cast, on_info])
def test_a_handler_is_for_a_type(register: Any) -> None:
    with pytest.raises(TypeError, match="message must be type, not str"):
        register("Add")
    with pytest.raises(TypeError, match="method must be a function"):
        register(Add)("no function")


async def test_a_handler_that_crashes_counts_as_the_actor_that_crashes() -> None:
    class Failing(Actor):
        @on_cast(Add)
        def fail(self, message: Add) -> None:
            raise RuntimeError

    async with open_actor_nursery() as actors:
        ref = await actors.start(Failing())
        ref.cast(Add(1))
        assert not (await ref.wait_exit()).expected
