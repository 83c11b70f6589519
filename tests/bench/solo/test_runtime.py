"""The comparison of the runtime with others: small, and without a look at the clock."""

import re
from contextlib import AbstractAsyncContextManager

import pytest
import trio

from bench.solo.rounds import Figures, best, surplus, take_turns
from bench.solo.runtime import HEAD, Comparison, Figure, Plan, comparisons, run
from bench.solo.runtimes import Restarting, System
from bench.solo.runtimes.actors import ECHO, open_actors
from bench.solo.runtimes.channels import open_channels
from bench.solo.runtimes.footprint import footprint
from bench.solo.runtimes.stripped import SERVANTS, UnknownLoop, loop_source, start_as, variant
from bench.solo.runtimes.threads import open_threads
from locshare.actors.introspect import statistics

TINY = Plan(
    rounds=2,
    messages=100,
    started=3,
    crashed=3,
    crowd=20,
    crowd_rounds=1,
    idle=20,
    idle_rounds=1,
    sets=1,
    pairs=2,
    pair=10,
)


@pytest.fixture(params=[open_actors, open_channels, open_threads])
def opened(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[System]:
    opener: AbstractAsyncContextManager[System] = request.param()
    return opener


async def test_every_system_does_every_operation(
    opened: AbstractAsyncContextManager[System],
) -> None:
    async with opened as system:
        await system.calls(3)
        assert len(await system.latencies(3)) == 3
        await system.casts(6, 3)
        await system.casts(2, 1)
        await system.start(3)
        await system.stop()
        await system.crowd(3)
        if isinstance(system, Restarting):
            await system.crashes(3)


async def test_only_pykka_restarts_nothing() -> None:
    async with open_actors() as actors, open_channels() as channels, open_threads() as threads:
        systems = (actors, channels, threads)
        assert [isinstance(each, Restarting) for each in systems] == [True, True, False]


async def test_the_trace_that_is_compared_is_on() -> None:
    for traced in (False, True):
        async with open_actors(traced) as actors:
            await actors.calls(2)
            assert (statistics(actors._server.ref).slowest is not None) == traced


async def test_each_line_has_a_cell_for_each_column() -> None:
    async with open_actors() as actors, open_channels() as channels, open_threads() as threads:
        systems: dict[str, System] = {"actors": actors, "channels": channels, "threads": threads}
        columns = HEAD[0].count("|")
        for comparison in comparisons(TINY, systems, actors)[:-3]:  # without subprocesses
            lines = await comparison.lines()
            assert len(lines) == len(comparison.figures)
            assert all(line.count("|") == columns for line in lines)
            assert all("| |" not in line for line in lines)


async def test_what_a_system_cannot_do_is_a_dash() -> None:
    async def two() -> Figures:
        return (2.0,)

    async def four() -> Figures:
        return (4.0,)

    async def not_here() -> Figures:
        return (float("nan"),)

    figure = Figure("work", rate=True)
    them = {"actors": two, "channels": four, "threads": not_here}
    expected = "| work | 2.0 µs (500,000/s) | 4.0 µs (250,000/s) | 0.50 | — | — |"
    assert await Comparison((figure,), them, 1).lines() == [expected]
    del them["threads"]
    assert await Comparison((figure,), them, 1).lines() == [expected]


@pytest.mark.parametrize("traced", [False, True])
async def test_the_memory_of_idle_ones_is_some(traced: bool) -> None:
    # Nobody traces here: zero then. A process that is not new may have room for them already.
    kib = await footprint("channels", 10, traced)
    assert kib == 0 if traced else kib >= 0


@pytest.mark.e2e
def test_a_small_run_prints_two_whole_tables(capsys: pytest.CaptureFixture[str]) -> None:
    trio.run(run, TINY)
    printed = capsys.readouterr()
    first, second = (table.split("\n") for table in printed.out.strip().split("\n\n"))
    for table in (first, second):
        assert len({line.count("|") for line in table}) == 1
        assert all(re.search(r"\d", line) for line in table[2:])
    assert "crash to the next incarnation" in printed.err


def test_the_stripped_loop_is_the_real_one_without_trace_and_statistics() -> None:
    whole, nothing = loop_source(frozenset())
    source, removed = loop_source()
    assert not nothing
    assert not [name for name in SERVANTS if re.search(rf"\b{name}\b", source)]
    assert all(name in whole for name in SERVANTS)
    assert len(removed) >= 7
    taken = {line.strip() for each in removed for line in each.split("\n")}
    assert stripped_lines(source) | taken == stripped_lines(whole)


def stripped_lines(source: str) -> set[str]:
    return {line.strip() for line in source.split("\n")}


def test_a_loop_that_lacks_what_is_to_be_taken_out_is_refused() -> None:
    with pytest.raises(UnknownLoop, match="does not mention ticks"):
        loop_source(SERVANTS | {"ticks"})
    with pytest.raises(UnknownLoop, match="does not stand"):
        loop_source(frozenset({"reason"}))  # all that a block does


@pytest.mark.parametrize("without", [frozenset(), SERVANTS])
async def test_an_actor_with_such_a_loop_answers_and_counts_as_that_loop_does(
    without: frozenset[str],
) -> None:
    async with trio.open_nursery() as nursery:
        ref, server = await start_as(variant(without), nursery)
        ref.cast(1)
        assert await ref.call(ECHO) == 1
        await trio.testing.wait_all_tasks_blocked()
        assert server.received == 1
        assert statistics(ref).handled == (0 if without else 2)
        await ref.stop()


async def test_rounds_take_turns_and_everyone_begins_once() -> None:
    order: list[str] = []

    def noting(name: str) -> Figures:
        order.append(name)
        return (float(len(order)), 0.0)

    async def a() -> Figures:
        return noting("a")

    async def b() -> Figures:
        return noting("b")

    found = await take_turns(2, {"a": a, "b": b})
    assert order == ["a", "b", "b", "a"]
    assert found == {"a": [(1.0, 0.0), (4.0, 0.0)], "b": [(2.0, 0.0), (3.0, 0.0)]}
    assert best(found["a"]) == (1.0, 0.0)


def test_a_surplus_is_the_median_of_pairs_with_its_quartiles() -> None:
    assert str(surplus([1.01, 2.04, 4.2], [1.0, 2.0, 4.0])) == "+2.0 % (+1.5 to +3.5)"
