"""When the screens are given a new state."""

import asyncio

from phone.publisher import Publisher
from tests.phone.kit import on_the_phone


@on_the_phone
async def test_many_changes_are_one_state_and_none_while_nobody_looks() -> None:
    times: list[float] = []
    published = asyncio.Event()

    def publish() -> None:
        times.append(asyncio.get_running_loop().time())
        published.set()

    publisher = Publisher(publish, period_s=0.05, ageing_s=60.0)
    publisher.changed()
    assert times == []
    publisher.shown()
    for _ in range(50):
        publisher.changed()
    assert len(times) == 1
    published.clear()
    await published.wait()
    assert len(times) == 2
    assert times[1] - times[0] >= 0.04
    publisher.hidden()
    publisher.changed()
    publisher.now()
    assert len(times) == 2
    publisher.shown()
    assert len(times) == 3
    publisher.hidden()


@on_the_phone
async def test_what_shows_an_age_ages_although_nothing_changes() -> None:
    count = 0
    twice = asyncio.Event()

    def publish() -> None:
        nonlocal count
        count += 1
        if count == 3:
            twice.set()

    publisher = Publisher(publish, period_s=0.01, ageing_s=0.02)
    publisher.shown()
    await twice.wait()
    publisher.hidden()
