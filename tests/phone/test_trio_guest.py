"""Trio in the loop of asyncio."""

import asyncio

import pytest

from phone.trio_guest import TrioGuest
from tests.phone.kit import on_the_phone


@on_the_phone
async def test_a_trio_task_is_awaited_cancelled_and_fails_where_it_is_awaited() -> None:
    import trio

    guest = TrioGuest()
    with pytest.raises(RuntimeError, match="not started"):
        await guest.run(trio.sleep, 0)
    first = asyncio.ensure_future(guest.start())
    await asyncio.sleep(0)
    await guest.start()
    assert guest.running, "whoever comes second waits as well"
    await first
    await guest.start()

    async def double(number: int) -> int:
        await trio.lowlevel.checkpoint()
        return 2 * number

    async def fail() -> None:
        raise KeyError("where it is awaited")

    cleaned: list[str] = []
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            cleaned.append("up")

    assert await asyncio.gather(*(guest.run(double, each) for each in range(5))) == [0, 2, 4, 6, 8]
    with pytest.raises(KeyError):
        await guest.run(fail)
    waiting = asyncio.ensure_future(guest.run(wait))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert cleaned == ["up"]
    begun.clear()
    other = asyncio.ensure_future(guest.run(wait))
    await begun.wait()
    await guest.stop()
    with pytest.raises(asyncio.CancelledError):
        await other
    assert cleaned == ["up", "up"]
    await guest.stop()
