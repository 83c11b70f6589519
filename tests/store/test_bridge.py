"""The way across to asyncio: results, exceptions and cancellation arrive as they are."""

import asyncio

import pytest
import trio

from locshare.store.bridge import open_bridge


async def test_a_result_crosses() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    async with open_bridge() as bridge:
        assert await bridge.call(work()) == 7


@pytest.mark.parametrize("kind", [KeyError, OSError, TimeoutError, StopAsyncIteration])
async def test_an_exception_crosses_as_it_is(kind: type[Exception]) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise kind("told")

    async with open_bridge() as bridge:
        with pytest.raises(kind, match="told"):
            await bridge.call(work())


async def test_a_cancelled_caller_cancels_the_asyncio_task_and_waits_for_its_end() -> None:
    events: list[str] = []
    started = trio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append("cancelled")
            await asyncio.sleep(0)
            events.append("ended")
            raise

    async with open_bridge() as bridge, trio.open_nursery() as nursery:
        nursery.start_soon(bridge.call, work())
        await started.wait()
        nursery.cancel_scope.cancel()
    assert events == ["cancelled", "ended"]


async def test_a_task_that_ends_in_spite_of_the_cancellation_gives_its_result() -> None:
    started = trio.Event()

    async def stubborn() -> int:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return 7
        raise AssertionError

    results: list[int] = []
    async with open_bridge() as bridge, trio.open_nursery() as nursery:

        async def caller() -> None:
            results.append(await bridge.call(stubborn()))

        nursery.start_soon(caller)
        await started.wait()
        nursery.cancel_scope.cancel()
    assert results == [7]


async def test_an_exception_while_being_cancelled_is_not_lost() -> None:
    started = trio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            raise KeyError("told")

    caught: list[KeyError] = []

    async with open_bridge() as bridge, trio.open_nursery() as nursery:

        async def caller() -> None:
            try:
                await bridge.call(work())
            except KeyError as error:
                caught.append(error)

        nursery.start_soon(caller)
        await started.wait()
        nursery.cancel_scope.cancel()
    assert [error.args for error in caught] == [("told",)]


async def test_a_task_cancelled_from_within_asyncio_is_a_lost_connection_not_a_cancellation() -> (
    None
):
    async def work() -> None:
        raise asyncio.CancelledError

    async with open_bridge() as bridge:
        with pytest.raises(ConnectionAbortedError):
            await bridge.call(work())


async def test_the_loop_still_runs_while_a_cancelled_block_cleans_up() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    result = 0
    with trio.CancelScope() as scope:
        async with open_bridge() as bridge:
            try:
                scope.cancel()
                await trio.lowlevel.checkpoint()
            finally:
                with trio.CancelScope(shield=True):
                    result = await bridge.call(work())
    assert result == 7
