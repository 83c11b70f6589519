"""Waiting for a name bridges the gap of a restart."""

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import Actor, Registry, StartError, open_actor_nursery
from locshare.actors.testing import Boom, Probe, Script


async def test_a_name_that_is_held_is_not_waited_for() -> None:
    names: Registry[str] = Registry()
    async with open_actor_nursery() as actors:
        ref = await actors.start(Actor(), register=names.name("key"))
        assert await names.wait("key") is ref


async def test_every_wait_for_a_name_ends_with_its_next_holder() -> None:
    names: Registry[Any] = Registry()
    found = []

    async def wait() -> None:
        found.append(await names.wait("key"))

    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        await actors.start(Actor(), register=names.name("other"))
        await wait_all_tasks_blocked()
        assert found == []
        ref = await actors.start(Actor(), register=names.name("key"))
        await wait_all_tasks_blocked()
        assert found == [ref, ref]


async def test_a_dead_holder_is_never_returned() -> None:
    """It dies in its init, before the waiter runs or after: that is the scheduler's choice."""
    names: Registry[Any] = Registry()
    alive = []

    async def wait() -> None:
        alive.append((await names.wait("key")).alive)

    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        with pytest.raises(StartError):
            await actors.start(Probe(script=Script(init_error=Boom())), register=names.name("key"))
        await wait_all_tasks_blocked()
        await actors.start(Actor(), register=names.name("key"))
        await wait_all_tasks_blocked()
        assert alive == [True]


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    names: Registry[Any] = Registry()
    with trio.move_on_after(0):
        await names.wait("key")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(names.wait, "key")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert not names._awaited
