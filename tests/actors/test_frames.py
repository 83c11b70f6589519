"""A crash lets go of the local variables in its tracebacks, and of nothing that still runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import Actor, Crash, Exited, ReplyTo, Request, open_actor_nursery
from locshare.actors.frames import chain, clear_finished_frames
from locshare.supervisor import ChildSpec, Report, SupervisorSpec, open_supervisor

POSITION = "52.5200, 13.4050"


@dataclass(frozen=True)
class Refuse(Request[None]):
    """Answered with an error that the server has caught, and goes on from."""


@dataclass(frozen=True)
class Raise:
    """Raise this very object."""

    error: BaseException


def frames(error: BaseException) -> Iterator[FrameType]:
    """All frames that an exception leads to."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        todo += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            todo += each.exceptions
        entry = each.__traceback__
        while entry is not None:
            yield entry.tb_frame
            entry = entry.tb_next


def locals_of(error: BaseException, *functions: str) -> list[str]:
    """What can be read in the frames of ``functions``."""
    found = [frame for frame in frames(error) if frame.f_code.co_name in functions]
    assert found, "the traceback has lost its lines"
    return [repr(value) for frame in found for value in frame.f_locals.values()]


def deep(message: str) -> None:
    raise LookupError


class Server(Actor):
    """Refuses with an error that its own frame is in, then takes its time."""

    def init(self) -> None:
        self.finished = trio.Event()

    async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        try:
            deep(POSITION)
        except LookupError as error:
            reply_to.fail(error)
        await trio.sleep(1)
        self.finished.set()


class Client(Actor):
    """Lets what the server says crash it; or raises what it is sent."""

    def __init__(self, server: Any = None) -> None:
        self.server = server

    async def handle_cast(self, message: Any) -> None:
        if isinstance(message, Raise):
            raise message.error
        await self.server.call(Refuse())


async def test_a_crash_closes_no_coroutine_of_another_task(autojump_clock: object) -> None:
    async with open_actor_nursery() as actors:
        actor = Server()
        server = await actors.start(actor)
        client = await actors.start(Client(server))
        client.cast("go")
        reason = await client.wait_exit()
        assert isinstance(reason, Crash)
        assert locals_of(reason.exception, "deep") == []
        await actor.finished.wait()
        assert server.alive


async def test_an_actor_may_raise_an_error_that_it_was_sent(autojump_clock: object) -> None:
    async with open_actor_nursery() as actors:
        client = await actors.start(Client())

        async def sender() -> None:
            secret = POSITION
            try:
                deep(secret)
            except LookupError as error:
                client.cast(Raise(error))
                await trio.sleep(1)
                went_on.append(secret)

        went_on: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender)
            await client.wait_exit()
        assert went_on == [POSITION]


async def raise_all(message: str) -> None:
    """A group whose members have causes and contexts, each with the message in its frame."""

    def caused(message: str) -> None:
        try:
            deep(message)
        except LookupError as error:
            raise KeyError from error

    async def in_context(message: str) -> None:
        await trio.lowlevel.checkpoint()
        try:
            deep(message)
        finally:
            raise OSError

    async def member(message: str) -> None:
        caused(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(member, message)
        nursery.start_soon(in_context, message)


class Grouped(Actor):
    async def handle_cast(self, message: Any) -> None:
        await raise_all(message)


async def test_a_report_holds_no_variables_of_causes_contexts_or_members() -> None:
    seen: list[str] = []
    lines: list[int] = []

    def look(report: Report) -> None:
        error = report.exception
        assert error is not None
        names = ("deep", "caused", "member", "in_context", "raise_all", "handle_cast")
        seen.extend(locals_of(error, *names))
        lines.append(len(list(frames(error))))

    spec = SupervisorSpec([ChildSpec("a", Grouped)], report=look)
    async with open_supervisor(spec) as sup:
        ref: Any = sup.child("a")
        ref.cast(POSITION)
        await ref.wait_exit()
        await wait_all_tasks_blocked()
    assert [text for text in seen if POSITION in text] == []
    assert lines[0] > 6


async def test_a_report_of_a_child_that_cannot_be_built_holds_no_variables() -> None:
    reports: list[Report] = []
    broken: list[bool] = []

    def build() -> Actor:
        secret = POSITION
        if broken:
            broken.pop()
            deep(secret)
        return Client()

    spec = SupervisorSpec([ChildSpec("a", build)], report=reports.append)
    async with open_supervisor(spec) as sup:
        ref: Any = sup.child("a")
        broken.append(True)
        ref.cast(Raise(OSError()))
        await ref.wait_exit()
        await wait_all_tasks_blocked()
    assert [report.kind for report in reports] == ["crash", "start_failed"]
    error = reports[1].exception
    assert error is not None
    assert locals_of(error, "build", "launch", "deep") == []


def test_errors_that_lead_to_each_other_in_a_circle_come_to_an_end() -> None:
    one, other = LookupError(), OSError()
    one.__cause__, other.__context__ = other, one
    assert list(chain(one)) == [one, other]
    clear_finished_frames(one)


def test_a_suspended_generator_is_not_closed() -> None:
    def generator() -> Iterator[BaseException | str]:
        try:
            deep(POSITION)
        except LookupError as error:
            yield error
        yield "went on"

    steps = generator()
    error = next(steps)
    assert isinstance(error, LookupError)
    clear_finished_frames(error)
    assert locals_of(error, "deep") == []
    assert next(steps) == "went on"


def test_a_finished_generator_is_emptied() -> None:
    def generator(message: str) -> Iterator[str]:
        yield message
        deep(message)

    steps = generator(POSITION)
    next(steps)
    with pytest.raises(LookupError) as caught:
        next(steps)
    clear_finished_frames(caught.value)
    assert locals_of(caught.value, "generator", "deep") == []


async def test_the_caller_of_a_crashed_server_sees_where_it_crashed() -> None:
    class Crashing(Actor):
        def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            deep(POSITION)

    async with open_actor_nursery() as actors:
        server = await actors.start(Crashing())
        with pytest.raises(Exited) as caught:
            await server.call(Refuse())
        assert caught.value.__cause__ is not None
        assert locals_of(caught.value.__cause__, "deep", "handle_call") == []
