"""Back-off: when the next attempt comes, what cancels it, and which budget it spends."""

from collections.abc import Callable
from itertools import pairwise
from math import inf, nan
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from locshare.actors import SHUTDOWN
from locshare.actors.introspect import kill
from locshare.actors.testing import Boom, Probe, Script, crash, finish
from locshare.ops.inspection.text import reason
from locshare.ops.inspection.tree import TreeReader
from locshare.supervisor import (
    Backoff,
    BadSpec,
    ChildRestarting,
    ChildSpec,
    DynamicSpec,
    MaxChildren,
    RestartBudgetExceeded,
    Strategy,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
)
from locshare.supervisor.testing import TreeJournal, probe, running
from tests.conformance.kit import dynamic, static

#: Waits 1, 2, 4, 8, 8, … seconds.
STEADY = Backoff(initial_s=1, max_s=8, jitter="none", reset_after_s=20)


# -- the waits -------------------------------------------------------------------------------


def test_waits_grow_up_to_their_maximum() -> None:
    assert [STEADY.delay(failures) for failures in range(1, 7)] == [1, 2, 4, 8, 8, 8]
    assert STEADY.delay(10**9) == 8
    assert Backoff(initial_s=3, max_s=3, factor=1, jitter="none").delay(10**9) == 3


def test_a_wait_that_does_not_grow_is_found_at_once_after_any_number_of_failures() -> None:
    assert Backoff(initial_s=3, max_s=8, factor=1, jitter="none").delay(10**12) == 3


@pytest.mark.parametrize(
    ("jitter", "waits"), [("full", [0, 1, 2]), ("equal", [1, 1.5, 2]), ("none", [2, 2, 2])]
)
def test_the_jitter_says_how_much_of_a_wait_is_left_to_chance(
    jitter: Any, waits: list[float]
) -> None:
    numbers = iter([0.0, 0.5, 1.0])
    backoff = Backoff(initial_s=1, max_s=8, jitter=jitter, random=lambda: next(numbers))
    assert [backoff.delay(2) for _ in range(3)] == waits


@given(
    initial=st.floats(1e-3, 1e3),
    more=st.floats(0, 1e6),
    factor=st.floats(1, 1e6),
    failures=st.integers(1, 10_000),
    number=st.floats(),
    jitter=st.sampled_from(["full", "equal", "none"]),
)
def test_no_wait_is_beyond_its_bounds_whatever_the_source_of_chance_says(
    initial: float, more: float, factor: float, failures: int, number: float, jitter: Any
) -> None:
    backoff = Backoff(
        initial_s=initial,
        max_s=initial + more,
        factor=factor,
        jitter=jitter,
        random=lambda: number,
    )
    wait, bound = backoff.delay(failures), backoff.bound(failures)
    assert initial <= bound <= initial + more
    assert {"full": 0.0, "equal": bound / 2, "none": bound}[jitter] <= wait <= bound


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("initial_s", value) for value in (0, -1, nan, inf, "1", None, True)),
        *(("max_s", value) for value in (0.4, nan, inf, "30", None)),
        *(("factor", value) for value in (0.99, nan, inf, None)),
        *(("reset_after_s", value) for value in (-1, nan, inf, None)),
        *(("jitter", value) for value in ("some", None, 1)),
        ("random", 4),
    ],
)
def test_a_bad_backoff_is_refused_by_the_name_of_its_field(field: str, value: Any) -> None:
    with pytest.raises(BadSpec, match=field):
        Backoff(**{field: value})


@pytest.mark.parametrize("build", [ChildSpec, TaskSpec])
def test_a_spec_takes_nothing_else_for_a_backoff(build: Callable[..., Any]) -> None:
    with pytest.raises(BadSpec, match="backoff"):
        build("a", Probe, backoff=3.0)


# -- in a supervisor -------------------------------------------------------------------------


def states(sup: Any) -> dict[str, tuple[str, float | None]]:
    """Each child's state, and in how many seconds it is started again."""
    now = trio.current_time()
    return {
        info.id: (info.state, None if info.restart_at is None else info.restart_at - now)
        for info in sup.which_children()
    }


async def test_a_restart_waits_and_is_shown_to_wait() -> None:
    journal = TreeJournal()
    spec = SupervisorSpec([probe("a", journal, backoff=STEADY), probe("b", journal)])
    async with open_supervisor(spec) as sup:
        await crash(running(sup, "a"))
        assert states(sup) == {"a": ("restarting", 1), "b": ("running", None)}
        assert sup.count_children().active == 1
        with pytest.raises(ChildRestarting):
            await sup.restart_child("a")
        await trio.sleep(0.75)
        assert states(sup)["a"] == ("restarting", 0.25)
        await trio.sleep(0.25)
        await wait_all_tasks_blocked()
        assert states(sup)["a"] == ("running", None)
        await crash(running(sup, "a"))
        assert states(sup)["a"] == ("restarting", 2)


async def test_a_child_that_waits_delays_no_other() -> None:
    journal = TreeJournal()
    spec = SupervisorSpec([probe("a", journal, backoff=STEADY), probe("b", journal)])
    async with open_supervisor(spec) as sup:
        await crash(running(sup, "a"))
        began = trio.current_time()
        await sup.start_child(probe("c", journal))
        await sup.terminate_child("b")
        await crash(running(sup, "c"))
        assert trio.current_time() == began
        assert {name: state for name, (state, _) in states(sup).items()} == {
            "a": "restarting",
            "b": "stopped",
            "c": "running",
        }


@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_a_child_with_backoff_never_spends_its_supervisors_budget(kind: str) -> None:
    """A hundred failures of every sort under supervisors without any restart budget."""
    journal = TreeJournal()
    script = Script()
    child = probe("a", journal, script, backoff=Backoff(initial_s=0.001, max_s=0.001))
    inner = (
        SupervisorSpec([child], max_restarts=0).child("inner")
        if kind == "static"
        else DynamicSpec(max_restarts=0).child("inner")
    )
    async with open_supervisor(SupervisorSpec([inner], max_restarts=0)) as root:
        sup: Any = root.child("inner")
        if kind == "dynamic":
            await sup.start_child(child)
        for number in range(100):
            info = sup.which_children()[0]
            assert info.state == "running"
            script.init_errors = [Boom()] * (number % 3)
            end = finish if number % 4 == 3 else crash
            await end(info.ref)
            await trio.sleep(0.01)
            await wait_all_tasks_blocked()
        assert root.alive
        # One attempt for each end, and one more for each init that failed.
        assert sup.which_children()[0].restarts == 100 + sum(number % 3 for number in range(100))


async def test_a_child_without_backoff_spends_it_as_before() -> None:
    journal = TreeJournal()
    spec = SupervisorSpec(
        [probe("weather", journal, backoff=STEADY), probe("bug", journal)], max_restarts=1
    )

    async def run() -> None:
        async with open_supervisor(spec) as sup:
            for _ in range(3):
                await crash(running(sup, "weather"))
                await trio.sleep(8)
            await crash(running(sup, "bug"))
            assert sup.alive
            await crash(running(sup, "bug"))
            await trio.sleep_forever()

    with pytest.raises(RestartBudgetExceeded):
        await run()
    assert journal.lines.count("init weather") == 4


async def test_attempts_that_fail_wait_longer_each_time() -> None:
    journal = TreeJournal()
    script = Script(init_errors=[None, *([Boom()] * 5)])
    instants: list[float] = []

    class Timed(Probe):
        async def init(self) -> Any:
            instants.append(trio.current_time())
            return await super().init()

    child = ChildSpec("a", Timed, ("a", journal, script), backoff=STEADY)
    async with open_supervisor(SupervisorSpec([child])) as sup:
        await crash(running(sup, "a"))
        await trio.sleep(100)
        assert running(sup, "a").alive
    waits = [round(after - before, 6) for before, after in pairwise(instants)]
    assert waits == [1, 2, 4, 8, 8, 8]


@pytest.mark.parametrize(("seconds", "wait"), [(19.9, 2), (20, 1)])
async def test_a_healthy_time_forgives_what_was_before(seconds: float, wait: float) -> None:
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec([probe("a", journal, backoff=STEADY)])) as sup:
        await crash(running(sup, "a"))
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        await trio.sleep(seconds)
        await crash(running(sup, "a"))
        assert states(sup)["a"] == ("restarting", wait)


async def test_time_spent_in_init_is_no_healthy_time() -> None:
    journal = TreeJournal()
    script = Script()
    async with open_supervisor(
        SupervisorSpec([probe("a", journal, script, backoff=STEADY)])
    ) as sup:
        script.init_seconds = 100
        script.init_errors = [Boom()]
        await crash(running(sup, "a"))
        await trio.sleep(1 + 100)
        await wait_all_tasks_blocked()
        assert states(sup)["a"] == ("restarting", 2)


@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_terminate_child_calls_the_wait_off(kind: str) -> None:
    journal = TreeJournal()
    child = probe("a", journal, backoff=STEADY)
    spec = SupervisorSpec([child, DynamicSpec().child("pool")])
    async with open_supervisor(spec) as sup:
        pool = dynamic(sup.child("pool"))
        ref = running(sup, "a") if kind == "static" else await pool.start_actor(child)
        await crash(ref)
        began = trio.current_time()
        if kind == "static":
            await sup.terminate_child("a")
            assert states(sup)["a"] == ("stopped", None)
        else:
            await pool.terminate_child(ref)
            assert states(pool) == {}
        assert trio.current_time() == began
        journal.take()
        await trio.sleep(100)
        assert journal.lines == []


async def test_a_start_by_hand_begins_the_waits_anew() -> None:
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec([probe("a", journal, backoff=STEADY)])) as sup:
        for _ in range(3):
            await crash(running(sup, "a"))
            await trio.sleep(8)
        await crash(running(sup, "a"))
        await sup.terminate_child("a")
        await sup.restart_child("a")
        await crash(running(sup, "a"))
        assert states(sup)["a"] == ("restarting", 1)


@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_a_stop_does_not_wait_for_the_next_attempt(kind: str) -> None:
    journal = TreeJournal()
    child = probe("a", journal, backoff=STEADY)
    inner = (SupervisorSpec([child]) if kind == "static" else DynamicSpec()).child("inner")
    async with open_supervisor(SupervisorSpec([inner])) as root:
        sup: Any = root.child("inner")
        ref = running(sup, "a") if kind == "static" else await sup.start_actor(child)
        await crash(ref)
        began = trio.current_time()
        await root.terminate_child("inner")
        assert trio.current_time() == began
        assert sup.exit_reason == SHUTDOWN
        journal.take()
        await trio.sleep(100)
        assert journal.lines == []


async def test_a_waiting_child_counts_against_max_children() -> None:
    journal = TreeJournal()
    pool_spec = DynamicSpec(max_children=1).child("pool")
    async with open_supervisor(SupervisorSpec([pool_spec])) as sup:
        pool = dynamic(sup.child("pool"))
        await crash(await pool.start_actor(probe("a", journal, backoff=STEADY)))
        with pytest.raises(MaxChildren):
            await pool.start_child(probe("b", journal))
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert states(pool) == {"a": ("running", None)}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_groups_restart_waits_as_a_whole_for_the_child_that_caused_it(
    strategy: Strategy,
) -> None:
    journal = TreeJournal()
    spec = SupervisorSpec(
        [probe("a", journal, backoff=STEADY), probe("b", journal)],
        strategy=strategy,
        max_restarts=0,
    )
    async with open_supervisor(spec) as sup:
        await crash(running(sup, "a"))
        b = running(sup, "b")
        await trio.sleep(0.9)
        assert b.alive
        await trio.sleep(0.2)
        assert journal.lines[-4:] == ["terminate b", "ended b", "init a", "init b"]
        assert states(sup) == {"a": ("running", None), "b": ("running", None)}


async def test_another_childs_round_starts_the_one_that_waits() -> None:
    journal = TreeJournal()
    spec = SupervisorSpec(
        [probe("a", journal, backoff=STEADY), probe("b", journal)],
        strategy="one_for_all",
        max_restarts=1,
    )
    async with open_supervisor(spec) as sup:
        await crash(running(sup, "a"))
        await crash(running(sup, "b"))
        assert states(sup) == {"a": ("running", None), "b": ("running", None)}
        journal.take()
        await trio.sleep(100)
        assert journal.lines == []  # the wait of before is over for good


async def test_a_supervisor_may_have_a_backoff_too() -> None:
    journal = TreeJournal()
    inner = SupervisorSpec([probe("a", journal)], max_restarts=0).child("inner", backoff=STEADY)
    pool = DynamicSpec().child("pool", backoff=STEADY)
    async with open_supervisor(SupervisorSpec([inner, pool], max_restarts=0)) as root:
        await crash(running(static(root.child("inner")), "a"))
        assert states(root)["inner"] == ("restarting", 1)
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert running(static(root.child("inner")), "a").alive


async def test_a_task_may_have_a_backoff_too() -> None:
    runs: list[float] = []

    async def fail(*, task_status: trio.TaskStatus[None]) -> None:
        runs.append(trio.current_time())
        task_status.started()
        raise OSError("the database is away")

    spec = SupervisorSpec([TaskSpec("store", fail, backoff=STEADY)], max_restarts=0)
    async with open_supervisor(spec):
        began = trio.current_time()
        await trio.sleep(24)
        assert [at - began for at in runs] == [0, 1, 3, 7, 15, 23]


async def test_a_first_start_that_fails_is_no_restart() -> None:
    """It is raised where the supervisor was started, back-off or not (3)."""
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec([])) as sup:
        began = trio.current_time()
        with pytest.raises(Exception, match="did not start"):
            await sup.start_child(probe("a", journal, Script(init_error=Boom()), backoff=STEADY))
        assert trio.current_time() == began
        assert states(sup) == {}


@pytest.mark.parametrize("number", [nan, -1.0, 7.0, "half", None, OSError()])
async def test_a_broken_random_function_is_logged_and_the_bound_waited(number: Any) -> None:
    def broken() -> float:
        if isinstance(number, Exception):
            raise number
        return number  # type: ignore[no-any-return]

    journal = TreeJournal()
    backoff = Backoff(initial_s=1, max_s=8, random=broken)
    async with open_supervisor(SupervisorSpec([probe("a", journal, backoff=backoff)])) as sup:
        await crash(running(sup, "a"))
        assert states(sup)["a"] == ("restarting", 1)


async def test_a_supervisor_that_is_killed_forgets_its_waits() -> None:
    journal = TreeJournal()
    inner = SupervisorSpec([probe("a", journal, backoff=STEADY)]).child(
        "inner", restart="temporary"
    )
    async with open_supervisor(SupervisorSpec([inner])) as root:
        sup: SupervisorRef = static(root.child("inner"))
        await crash(running(sup, "a"))
        kill(sup)
        await sup.wait_exit()
        journal.take()
        await trio.sleep(100)
        assert journal.lines == []


async def test_the_tree_shows_when_a_waiting_child_is_started_again() -> None:
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec([probe("a", journal, backoff=STEADY)])) as sup:
        await crash(running(sup, "a"))
        await trio.sleep(0.25)
        [view] = (await TreeReader(sup).read()).children
        assert (view.state, view.restart_in) == ("restarting", 0.75)
        assert reason(view) == "crash: Boom in Raise; next start in 0.8 s"
        await trio.sleep(1)
        [view] = (await TreeReader(sup).read()).children
        assert (view.state, view.restart_in) == ("running", None)
        assert reason(view) == "crash: Boom in Raise"
