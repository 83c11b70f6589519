"""The way across to asyncio: every call ends once, with what became of it, whatever dies."""

import asyncio
import contextvars
import gc
import random
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from locshare.actors.testing import settle
from locshare.store import bridge as bridge_module
from locshare.store.bridge import Bridge, BridgeClosed, open_bridge
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S


class Started:
    """Set in the asyncio thread, waited for in Trio."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._token = trio.lowlevel.current_trio_token()

    def set(self) -> None:
        self._token.run_sync_soon(self._event.set)

    async def wait(self) -> None:
        await self._event.wait()


async def sleep_for_ever(started: Started | None = None) -> None:
    if started is not None:
        started.set()
    await asyncio.sleep(3600)


@contextmanager
def blocked(bridge: Bridge) -> Iterator[None]:
    """The loop does nothing for the time of the block: it is blocked when this enters."""
    entered, leave = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        leave.wait(DEADLINE_S)

    bridge._loop.call_soon_threadsafe(block)
    assert entered.wait(DEADLINE_S)
    try:
        yield
    finally:
        leave.set()


async def outcome_of(outcomes: list[Any], call: Callable[[], Any]) -> None:
    try:
        outcomes.append(await call())
    except Exception as error:  # noqa: BLE001 - the test looks at it
        outcomes.append(type(error))
    except trio.Cancelled:
        outcomes.append(trio.Cancelled)
        raise


async def outcomes_of_cancelling(
    work: Callable[[Started], Coroutine[Any, Any, object]],
) -> list[object]:
    """Of a call that is cancelled once ``work`` has started."""
    outcomes: list[object] = []
    async with open_bridge() as bridge, trio.open_nursery() as nursery:
        started = Started()
        nursery.start_soon(outcome_of, outcomes, partial(bridge.call, work, started))
        await started.wait()
        nursery.cancel_scope.cancel()
    return outcomes


# --- outcomes -------------------------------------------------------------------------------------


async def test_a_result_crosses() -> None:
    async def add(one: int, other: int) -> int:
        await asyncio.sleep(0)
        return one + other

    async with open_bridge() as bridge:
        assert await bridge.call(add, 3, 4) == 7


@pytest.mark.parametrize(
    "kind", [KeyError, OSError, TimeoutError, StopAsyncIteration, SystemExit, GeneratorExit]
)
async def test_an_exception_crosses_as_it_is_and_the_loop_goes_on(
    kind: type[BaseException],
) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise kind("told")

    async with open_bridge() as bridge:
        with pytest.raises(kind, match="told"):
            await bridge.call(work)
        assert await bridge.call(asyncio.sleep, 0, "well") == "well"


async def test_a_call_is_a_checkpoint_also_when_it_fails() -> None:
    async with open_bridge() as bridge:
        with trio.testing.assert_checkpoints():
            await bridge.call(asyncio.sleep, 0)
    with trio.testing.assert_checkpoints(), pytest.raises(BridgeClosed):
        await bridge.call(asyncio.sleep, 0)


async def test_the_loop_is_uvloops_where_that_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def loop() -> object:
        return asyncio.get_running_loop()

    async with open_bridge() as bridge:
        assert isinstance(await bridge.call(loop), uvloop.Loop)


async def test_work_runs_in_one_thread_without_the_callers_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def where() -> tuple[str, str]:
        return threading.current_thread().name, variable.get()

    variable.set("the request's")
    async with open_bridge() as bridge:
        assert await bridge.call(where) == ("locshare-asyncio", "none")


# --- cancellation at every stage ------------------------------------------------------------------


async def test_a_call_that_was_cancelled_before_it_was_made_does_not_begin() -> None:
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)

    async with open_bridge() as bridge:
        with trio.CancelScope() as scope:
            scope.cancel()
            await bridge.call(work)
        await bridge.call(asyncio.sleep, 0)
    assert scope.cancelled_caught
    assert begun == []


async def test_a_call_that_is_cancelled_while_it_waits_for_others_does_not_begin() -> None:
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)

    async with open_bridge(calls=1) as bridge, trio.open_nursery() as nursery:
        started = Started()
        nursery.start_soon(bridge.call, sleep_for_ever, started)
        await started.wait()
        with trio.move_on_after(0.01) as scope:
            await bridge.call(work)
        assert scope.cancelled_caught
        nursery.cancel_scope.cancel()
    assert begun == []


async def test_a_call_that_is_cancelled_before_the_loop_gets_to_it_does_not_begin() -> None:
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)

    async with open_bridge() as bridge:
        async with trio.open_nursery() as nursery:
            with blocked(bridge):
                nursery.start_soon(bridge.call, work)
                await settle()
                nursery.cancel_scope.cancel()
                await trio.lowlevel.cancel_shielded_checkpoint()
        await bridge.call(asyncio.sleep, 0)
    assert begun == []


async def test_a_cancelled_caller_cancels_the_asyncio_task_and_waits_for_its_end() -> None:
    events: list[str] = []

    async def work(started: Started) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append("cancelled")
            await asyncio.sleep(0)
            events.append("ended")
            raise

    outcomes = await outcomes_of_cancelling(work)
    assert events == ["cancelled", "ended"]
    assert outcomes == [trio.Cancelled]


async def test_a_task_that_ends_in_spite_of_the_cancellation_gives_its_result() -> None:
    async def stubborn(started: Started) -> int:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return 7
        raise AssertionError

    assert await outcomes_of_cancelling(stubborn) == [7]


async def test_a_result_that_was_on_its_way_when_the_caller_was_cancelled_is_not_lost() -> None:
    finished = threading.Event()

    async def work() -> int:
        asyncio.get_running_loop().call_soon(finished.set)
        return 7

    outcomes: list[object] = []
    async with open_bridge() as bridge, trio.open_nursery() as nursery:
        with blocked(bridge):
            nursery.start_soon(outcome_of, outcomes, partial(bridge.call, work))
            await settle()
        assert finished.wait(DEADLINE_S)  # Trio stands still meanwhile
        nursery.cancel_scope.cancel()
    assert outcomes == [7]


async def test_an_exception_while_being_cancelled_is_not_lost() -> None:
    async def work(started: Started) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            raise KeyError("told")

    assert await outcomes_of_cancelling(work) == [KeyError]


async def test_a_task_cancelled_from_within_asyncio_is_a_lost_connection_not_a_cancellation() -> (
    None
):
    async def work() -> None:
        raise asyncio.CancelledError

    async with open_bridge() as bridge:
        with pytest.raises(ConnectionAbortedError):
            await bridge.call(work)


async def test_in_a_storm_of_cancellations_each_call_ends_once_and_nothing_is_left() -> None:
    chance = random.Random(5)  # noqa: S311 - repeatable
    ended: list[str] = []
    running = 0

    async def work(pause: float) -> str:
        nonlocal running
        running += 1
        try:
            await asyncio.sleep(pause)
            return "done"
        finally:
            running -= 1

    async def caller(bridge: Bridge, timeout_s: float, pause: float) -> None:
        with trio.move_on_after(timeout_s):
            ended.append(await bridge.call(work, pause))
            return
        ended.append("cancelled")

    async with open_bridge(calls=20) as bridge:
        async with trio.open_nursery() as nursery:
            for _ in range(600):
                nursery.start_soon(
                    caller, bridge, chance.choice((0, 0.001, 0.01, 60)), chance.random() / 100
                )
        assert len(ended) == 600
        assert {"done", "cancelled"} == set(ended)
        assert running == 0
        assert bridge.calls == 0
        assert not bridge._tasks
        assert bridge._slots.value == 20


# --- back-pressure --------------------------------------------------------------------------------


async def test_a_bounded_number_of_calls_is_in_the_loop_and_the_others_wait_in_order() -> None:
    running = most = 0
    order: list[int] = []

    async def work(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        order.append(number)
        await asyncio.sleep(0.001)
        running -= 1

    async with open_bridge(calls=3) as bridge, trio.open_nursery() as nursery:
        with blocked(bridge):  # else the first has ended on a busy machine before the third comes
            for number in range(30):
                nursery.start_soon(bridge.call, work, number)
                await settle()
    assert most == 3
    assert sorted(order) == list(range(30))
    # Up to three are let in together, and Trio runs those in any order.
    assert all(abs(number - place) < 3 for place, number in enumerate(order)), order


# --- the end --------------------------------------------------------------------------------------


async def test_the_loop_still_runs_while_a_cancelled_block_cleans_up() -> None:
    result = ""
    with trio.CancelScope() as scope:
        async with open_bridge() as bridge:
            try:
                scope.cancel()
                await trio.lowlevel.checkpoint()
            finally:
                with trio.CancelScope(shield=True):
                    result = await bridge.call(asyncio.sleep, 0, "well")
    assert result == "well"


async def test_when_the_bridge_is_closed_every_call_in_flight_ends_and_none_is_made() -> None:
    outcomes: list[object] = []
    ended: list[str] = []

    async def work(started: Started) -> None:
        try:
            await sleep_for_ever(started)
        finally:
            ended.append("in order")

    async with trio.open_nursery() as nursery, open_bridge(calls=2) as bridge:
        for _ in range(2):
            started = Started()
            nursery.start_soon(outcome_of, outcomes, partial(bridge.call, work, started))
            await started.wait()
        for _ in range(3):  # these wait for room
            nursery.start_soon(outcome_of, outcomes, partial(bridge.call, work, started))
        await settle()
    assert outcomes == [BridgeClosed] * 5
    assert ended == ["in order"] * 2
    assert "locshare-asyncio" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(BridgeClosed):
        await bridge.call(asyncio.sleep, 0)


async def test_a_task_that_does_not_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge_module, "GRACE_S", 0.02)
    outcomes: list[object] = []

    async def stubborn(started: Started) -> None:
        started.set()
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                await asyncio.sleep(0.001)

    async with trio.open_nursery() as nursery, open_bridge() as bridge:
        started = Started()
        nursery.start_soon(outcome_of, outcomes, partial(bridge.call, stubborn, started))
        await started.wait()
    assert outcomes == [BridgeClosed]
    assert "locshare-asyncio" not in {thread.name for thread in threading.enumerate()}


def stop_loop(bridge: Bridge) -> None:
    bridge._loop.call_soon_threadsafe(bridge._loop.stop)


def crash_loop(bridge: Bridge) -> None:
    def crash() -> None:
        raise SystemExit("a fault of the loop")

    bridge._loop.call_soon_threadsafe(crash)


@pytest.mark.parametrize("kill", [stop_loop, crash_loop])
async def test_when_the_loop_dies_every_call_fails_the_block_ends_and_a_new_one_works(
    kill: Callable[[Bridge], None],
) -> None:
    for _life in range(3):
        outcomes: list[object] = []
        async with trio.open_nursery() as nursery:
            with pytest.RaisesGroup(pytest.RaisesExc(BridgeClosed)):
                async with open_bridge() as bridge:
                    assert await bridge.call(asyncio.sleep, 0, "well") == "well"
                    for _ in range(5):
                        started = Started()
                        call = partial(bridge.call, sleep_for_ever, started)
                        nursery.start_soon(outcome_of, outcomes, call)
                        await started.wait()
                    kill(bridge)
                    await trio.sleep_forever()
        assert outcomes == [BridgeClosed] * 5


async def test_what_the_loop_died_of_is_the_cause() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(BridgeClosed)) as caught:
        async with open_bridge() as bridge:
            crash_loop(bridge)
            await trio.sleep_forever()
    assert isinstance(caught.value.exceptions[0].__cause__, SystemExit)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PULSE_S": 0.01,
        "UNRESPONSIVE_S": 0.2,
        "END_UNRESPONSIVE_S": 0.2,
        "STOP_S": 0.2,
    }.items():
        monkeypatch.setattr(bridge_module, name, value)


@pytest.mark.usefixtures("impatient")
async def test_a_loop_that_does_not_answer_is_taken_for_dead_and_the_calls_fail() -> None:
    outcomes: list[object] = []
    with ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            with pytest.RaisesGroup(pytest.RaisesExc(BridgeClosed, match="not answered")):
                async with open_bridge() as bridge:
                    stack.enter_context(blocked(bridge))
                    nursery.start_soon(outcome_of, outcomes, partial(bridge.call, sleep_for_ever))
                    await trio.sleep_forever()
        assert outcomes == [BridgeClosed]
    await trio.to_thread.run_sync(bridge._thread.join)


@pytest.mark.usefixtures("impatient")
async def test_a_clean_up_does_not_wait_for_a_loop_that_does_not_answer() -> None:
    with ExitStack() as stack, pytest.RaisesGroup(BridgeClosed), trio.CancelScope() as scope:
        async with open_bridge() as bridge:
            stack.enter_context(blocked(bridge))
            try:
                scope.cancel()
                await trio.lowlevel.checkpoint()
            finally:
                with trio.CancelScope(shield=True), pytest.raises(BridgeClosed):
                    await bridge.call(sleep_for_ever)
    await trio.to_thread.run_sync(bridge._thread.join)


async def test_without_a_thread_the_bridge_is_closed_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(BridgeClosed, match="can't start"):
            async with open_bridge():
                pass


async def test_an_unhandled_error_in_asyncio_is_logged_without_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def work() -> None:
        def fail() -> None:
            raise ValueError("DETAIL: Ada")

        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0.001)

    async with open_bridge() as bridge:
        await bridge.call(work)
    said = "".join(capsys.readouterr())
    assert "event_loop_error" in said
    assert "Ada" not in said


# --- memory ---------------------------------------------------------------------------------------


async def test_ten_thousand_calls_leave_nothing_behind_not_even_for_the_collector() -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0)
        if number % 3 == 0:
            raise KeyError(number)
        return number

    async def caller(bridge: Bridge, first: int) -> None:
        for number in range(first, 10_000, 32):
            with trio.move_on_after(0.0001 if number % 5 == 0 else 60):
                with suppress(KeyError):
                    await bridge.call(work, number)

    def left() -> int:
        kinds = (bridge_module._Call, asyncio.Task, KeyError)
        return sum(isinstance(each, kinds) for each in gc.get_objects())

    async with open_bridge() as bridge:
        await bridge.call(asyncio.sleep, 0)
        gc.collect()
        gc.disable()
        try:
            before = left()
            async with trio.open_nursery() as nursery:
                for first in range(32):
                    nursery.start_soon(caller, bridge, first)
            await bridge.call(asyncio.sleep, 0)
            assert left() - before < 50
        finally:
            gc.enable()
