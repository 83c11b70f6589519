"""J. Registry: statements 64 to 66."""

import pytest
import trio

from locshare.actors import AlreadyRegistered, NoProc, Registry, StartError, open_actor_nursery
from locshare.actors.testing import Echo, Probe, Raise, Script, settle
from locshare.supervisor import SupervisorSpec, open_supervisor
from locshare.supervisor.testing import TreeJournal, probe, running
from tests.conformance.kit import REPEATS


async def test_s64_keys_are_unique_and_a_refused_registration_leaves_no_trace(
    journal: TreeJournal,
) -> None:
    names: Registry[str] = Registry()
    async with open_actor_nursery() as actors:
        one, two = [await actors.start(Probe(name, journal)) for name in "ab"]
        names.register("key", one)
        for ref in (two, one):  # the holder itself is refused too
            with pytest.raises(AlreadyRegistered) as caught:
                names.register("key", ref)
            assert caught.value.holder is one
        assert names.keys_of(two) == ()
        await two.stop()
        assert names.lookup("key") is one
        names.register("other", one)  # one actor may hold several
        assert set(names.keys_of(one)) == {"key", "other"} == set(names)
        assert "key" in names
        assert len(names) == 2


async def test_s64_a_child_whose_name_is_taken_does_not_start(journal: TreeJournal) -> None:
    names: Registry[str] = Registry()
    async with open_supervisor(SupervisorSpec()) as sup:
        holder = await sup.start_child(probe("a", journal, register=names.name("key")))
        with pytest.raises(StartError) as caught:
            await sup.start_child(probe("b", journal, register=names.name("key")))
        assert isinstance(caught.value.__cause__, AlreadyRegistered)
        assert caught.value.__cause__.holder is holder
        assert journal.lines == ["init a"]
        assert names.lookup("key") is holder


@pytest.mark.parametrize("repeat", REPEATS)
async def test_s65_names_vanish_at_death_and_can_be_taken_over_at_once(
    journal: TreeJournal, repeat: int
) -> None:
    names: Registry[str] = Registry()
    async with open_actor_nursery() as actors:
        old, new = [await actors.start(Probe(name, journal)) for name in "ab"]
        names.register("key", old)
        old.monitor(lambda down: names.register("key", new))  # inside the exit path itself
        old.cast(Raise())
        await old.wait_exit()
        assert names.lookup("key") is new
        names.free("key", old)  # a late clean-up
        assert names.unregister("key", old) is False
        assert names.lookup("key") is new
        assert names.unregister("key", new) is True
        assert names.lookup("key") is None


async def test_s65_registering_the_dying_has_no_effect(journal: TreeJournal) -> None:
    names: Registry[str] = Registry()
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))
        ref.monitor(lambda down: names.register("late", ref))
        await ref.stop()
        names.register("later", ref)
        assert len(names) == 0


async def test_s66_a_lookup_never_returns_the_dead_and_does_not_wait(journal: TreeJournal) -> None:
    names: Registry[str] = Registry()
    script = Script()
    spec = SupervisorSpec(
        [probe("a", journal, script, register=names.name("key"))], report=journal.reports.append
    )
    async with open_supervisor(spec) as sup:
        old = running(sup, "a")
        seen: list[object] = []
        old.monitor(lambda down: seen.append(names.lookup("key")))
        old.cast(Raise())
        await settle()
        assert seen == [None]  # the gap: no holder
        assert await names.name("key").call(Echo(1)) == 1

        await sup.terminate_child("a")
        began = trio.current_time()
        with pytest.raises(NoProc):
            await names.name("key").call(Echo())
        assert trio.current_time() == began
        await sup.restart_child("a")
        new = names.lookup("key")
        assert new is not None
        assert new is running(sup, "a")
        assert new is not old
        assert names.name("key").whereis() is new
        assert await names.name("key").call(Echo(1)) == 1
