"""Concurrent calls for the same key share one run."""

from functools import partial
from uuid import UUID

import pytest
import trio

from locshare.actors.testing import settle
from locshare.session.single_flight import SingleFlight

KEY, OTHER = UUID(int=1), UUID(int=2)


class Runs:
    """Calls that wait for ``gate``; the outcomes are used up in order."""

    def __init__(self, *outcomes: object) -> None:
        self.flights: SingleFlight[object] = SingleFlight(KeyError)
        self.gate = trio.Event()
        self.outcomes = list(outcomes)
        self.started = 0
        self.seen: list[object] = []

    async def call(self) -> object:
        self.started += 1
        outcome = self.outcomes.pop(0)
        await self.gate.wait()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def ask(self, key: UUID = KEY) -> None:
        try:
            self.seen.append(await self.flights.run(key, self.call))
        except (KeyError, ValueError) as error:
            self.seen.append(type(error))


async def test_callers_at_the_same_time_share_one_run_and_its_result() -> None:
    runs = Runs("value")
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(runs.ask)
        await settle()
        assert len(runs.flights) == 1
        runs.gate.set()
    assert runs.seen == ["value"] * 3
    assert runs.started == 1
    assert not runs.flights


async def test_other_keys_and_later_calls_run_by_themselves() -> None:
    runs = Runs(1, 2, 3)
    runs.gate.set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(runs.ask)
        nursery.start_soon(runs.ask, OTHER)
    await runs.ask()
    assert sorted(map(str, runs.seen)) == ["1", "2", "3"]


async def test_a_shared_error_reaches_every_caller() -> None:
    runs = Runs(KeyError())
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(runs.ask)
        await settle()
        runs.gate.set()
    assert runs.seen == [KeyError] * 3
    assert not runs.flights


async def test_an_error_that_is_not_shared_is_for_its_caller_and_another_runs() -> None:
    runs = Runs(ValueError(), "value")
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(runs.ask)
        await settle()
        runs.gate.set()
    assert sorted(map(str, runs.seen)) == ["<class 'ValueError'>", "value", "value"]
    assert runs.started == 2


async def test_when_the_caller_that_runs_is_cancelled_another_runs() -> None:
    runs = Runs("lost", "value")
    async with trio.open_nursery() as nursery:
        first = trio.CancelScope()

        async def cancelled() -> None:
            with first:
                await runs.ask()

        nursery.start_soon(cancelled)
        await settle()
        nursery.start_soon(runs.ask)
        await settle()
        first.cancel()
        await settle()
        runs.gate.set()
    assert runs.seen == ["value"]
    assert runs.started == 2


async def test_a_result_of_none_is_a_result() -> None:
    runs = Runs(None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(runs.ask)
        nursery.start_soon(runs.ask)
        await settle()
        runs.gate.set()
    assert runs.seen == [None, None]


async def test_a_waiting_caller_that_is_cancelled_leaves_the_run_alone() -> None:
    runs = Runs("value")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(runs.ask)
        await settle()
        with trio.move_on_after(0) as scope, pytest.raises(trio.Cancelled):
            await runs.flights.run(KEY, partial(runs.call))
        assert scope.cancel_called
        runs.gate.set()
    assert runs.seen == ["value"]
    assert runs.started == 1
