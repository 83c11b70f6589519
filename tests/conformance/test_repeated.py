"""A repetition is worth something only if it sees another schedule."""

import pytest
import trio

TASKS = 32
seen: set[tuple[int, ...]] = set()


async def schedule() -> tuple[int, ...]:
    """The order in which Trio runs pairs of tasks that are started together."""
    first: list[int] = []
    for _ in range(TASKS):
        ran: list[int] = []

        async def run(number: int, ran: list[int] = ran) -> None:
            ran.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, 0)
            nursery.start_soon(run, 1)
        first.append(ran[0])
    return tuple(first)


async def test_no_two_repetitions_have_the_same_schedule() -> None:
    order = await schedule()
    assert order not in seen
    seen.add(order)


def test_each_asynchronous_test_is_repeated(request: pytest.FixtureRequest) -> None:
    repeated = [item for item in request.session.items if "no_two_repetitions" in item.name]
    assert len(repeated) in (0, request.config.getoption("--repeat"))  # 0: it was not selected
