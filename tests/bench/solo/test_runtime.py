"""The comparison of the runtime with bare tasks: small, and without a look at the clock."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
import trio

from bench.solo.runtime import (
    HEAD,
    Figures,
    Plan,
    Runtime,
    line,
    open_actors,
    open_channels,
    run,
    take_turns,
)
from locshare.actors.introspect import statistics

TINY = Plan(rounds=2, messages=100, started=3, crashes=3, idle=20)


@pytest.mark.parametrize("opener", [open_actors, open_channels])
async def test_both_sides_do_every_operation(
    opener: Callable[[], AbstractAsyncContextManager[Runtime]],
) -> None:
    async with opener() as runtime:
        assert len(await runtime.call(3)) == 3
        await runtime.cast(6, 3)
        await runtime.cast(2, 1)
        await runtime.start(3)
        await runtime.stop()
        await runtime.crash(3)


async def test_the_trace_that_is_compared_is_on() -> None:
    for traced in (False, True):
        async with open_actors(traced) as actors:
            await actors.call(2)
            assert (statistics(actors._server.ref).slowest is not None) == traced


async def test_rounds_take_turns_and_the_least_of_each_figure_counts() -> None:
    order: list[str] = []

    def noting(name: str) -> Figures:
        order.append(name)
        return float(len(order)), 0.0

    async def a() -> Figures:
        return noting("a")

    async def b() -> Figures:
        return noting("b")

    assert await take_turns(2, {"a": a, "b": b}) == [(1.0, 0.0), (2.0, 0.0)]
    assert order == ["a", "b", "b", "a"]


def test_a_line_has_both_figures_and_their_ratio() -> None:
    assert line("work", "µs", 2.0, 0.5) == "| work | 2.0 µs | 0.50 µs | 4.00 |"
    assert line("work", "µs", 2.0, 0.0) == "| work | 2.0 µs | 0.00 µs | — |"


@pytest.mark.e2e
def test_a_small_run_prints_a_whole_table(capsys: pytest.CaptureFixture[str]) -> None:
    trio.run(run, TINY)
    lines = capsys.readouterr().out.strip().split("\n")
    assert {each.count("|") for each in lines} == {HEAD[0].count("|")}
    assert len(lines) == 13
