"""The nursery of connections: cancelled only after it has drained."""

import pytest
import trio
import trio.testing

from locshare.net.draining import open_draining_nursery


async def test_a_cancelled_block_drains_before_its_tasks_are_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ends: list[str] = []

    async def connection(name: str, seconds: float) -> None:
        try:
            await trio.sleep(seconds)
            ends.append(f"{name} finished")
        except trio.Cancelled:
            ends.append(f"{name} cancelled")
            raise

    async def drain() -> None:
        ends.append("draining")
        await trio.sleep(5)

    with trio.move_on_after(1):
        async with open_draining_nursery(drain) as nursery:
            nursery.start_soon(connection, "quick", 3)
            nursery.start_soon(connection, "slow", 60)
            await trio.sleep_forever()
    assert ends == ["draining", "quick finished", "slow cancelled"]
    assert trio.current_time() == 6


async def test_the_blocks_own_error_leaves_bare_after_the_drain() -> None:
    drained = trio.Event()

    async def drain() -> None:
        drained.set()

    with pytest.raises(OSError, match="taken"):
        async with open_draining_nursery(drain):
            raise OSError("taken")
    assert drained.is_set()


async def test_a_cancelled_start_returns() -> None:
    async def drain() -> None:
        raise AssertionError("nothing was opened")

    with trio.CancelScope() as scope:
        scope.cancel()
        async with open_draining_nursery(drain):
            raise AssertionError("entered")
    assert scope.cancelled_caught
