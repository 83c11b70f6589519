"""The way in which asynchronous tests are run must itself be able to fail one."""

import inspect
import sys

import pytest
import trio

from tests.running import complete, given_more_time


async def in_a_cancelled_scope(test: str) -> None:
    if test == "group":
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.lowlevel.checkpoint()
    else:
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("test", ["alone", "group"])
async def test_a_test_that_was_cancelled_half_way_fails(test: str) -> None:
    """Whoever cancels is outside: the scope of the test run, in which pytest-trio lets it pass."""
    failed = False
    with trio.CancelScope() as outside:
        outside.cancel()
        with pytest.raises(AssertionError, match="Cancelled left the test"):
            await complete(in_a_cancelled_scope)(test=test)
        failed = True
    assert failed


async def test_other_ends_are_left_as_they_are() -> None:
    async def passes() -> None:
        with trio.move_on_after(0):
            await trio.sleep_forever()

    async def fails() -> None:
        raise ZeroDivisionError

    async def fails_in_a_group() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails)

    await complete(passes)()
    with pytest.raises(ZeroDivisionError):
        await complete(fails)()
    with pytest.raises(ExceptionGroup):
        await complete(fails_in_a_group)()


async def test_an_asynchronous_test_of_any_folder_is_run_so() -> None:
    awaiting = sys._getframe(1).f_code
    assert awaiting is complete(in_a_cancelled_scope).__code__


def test_a_measurement_is_given_more_time_while_it_fails() -> None:
    given: list[int] = []

    @given_more_time
    def passes_with(times: int, enough: int) -> None:
        given.append(times)
        assert times >= enough

    assert [*inspect.signature(passes_with).parameters] == ["enough"]
    passes_with(enough=1)
    passes_with(enough=5)
    with pytest.raises(AssertionError):
        passes_with(enough=26)
    assert given == [1, 1, 5, 1, 5, 25]
