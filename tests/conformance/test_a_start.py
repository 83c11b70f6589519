"""A. Start order and start failure: statements 1 to 8."""

from math import nan
from typing import Any

import pytest
import trio

from locshare.actors import Actor, InitTimeout, Registry, StartError
from locshare.actors.testing import Boom, Echo, Script, finish, no_leaks, settle
from locshare.supervisor import (
    AlreadyPresent,
    AlreadyStarted,
    AnySpec,
    BadSpec,
    ChildSpec,
    DynamicSpec,
    Event,
    Stopped,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
    run_root,
)
from locshare.supervisor.testing import TreeJournal, probe, running
from tests.conformance.kit import REPEATS, dynamic


@pytest.mark.parametrize("repeat", REPEATS)
async def test_s01_children_start_in_order_each_after_the_init_before(
    journal: TreeJournal, repeat: int
) -> None:
    class Slow(Actor):
        def __init__(self, name: str, seconds: float) -> None:
            self.name, self.seconds = name, seconds

        async def init(self) -> None:
            journal.note(f"begin {self.name}")
            await trio.sleep(self.seconds)
            journal.note(f"done {self.name}")

    children = [ChildSpec(name, Slow, (name, s)) for name, s in (("a", 3.0), ("b", 0.0), ("c", 1))]
    async with open_supervisor(SupervisorSpec(children)):
        assert journal.take() == ["begin a", "done a", "begin b", "done b", "begin c", "done c"]


async def test_s02_a_failed_init_stops_the_earlier_ones_in_reverse_and_starts_no_later_one(
    journal: TreeJournal,
) -> None:
    boom = Boom()
    spec = SupervisorSpec(
        [
            probe("a", journal),
            probe("b", journal),
            probe("c", journal, Script(init_error=boom)),
            probe("d", journal),
        ]
    )
    with pytest.raises(StartError) as caught:
        await run_root(spec)
    assert caught.value.child == "c"
    assert caught.value.__cause__ is boom
    assert journal.take() == [
        *("init a", "init b", "init c"),
        *("terminate b", "ended b", "terminate a", "ended a"),
    ]


async def test_s02_the_earlier_ones_are_stopped_with_their_own_shutdown_settings(
    journal: TreeJournal,
) -> None:
    began = trio.current_time()
    spec = SupervisorSpec(
        [
            probe("a", journal, Script(terminate_seconds=9), shutdown=2.0),
            probe("b", journal, Script(terminate_seconds=9), shutdown=3.0),
            probe("c", journal, Script(init_error=Boom())),
        ]
    )
    with pytest.raises(StartError):
        await run_root(spec)
    assert trio.current_time() - began == 5.0


async def test_s03_a_failed_first_start_is_not_retried_and_fails_the_whole_boot(
    journal: TreeJournal,
) -> None:
    leaf = probe("leaf", journal, Script(init_error=Boom()))
    middle = SupervisorSpec([leaf], report=journal.reports.append)
    spec = SupervisorSpec([middle.child("middle")], report=journal.reports.append)
    with pytest.raises(StartError) as caught:
        await run_root(spec)
    assert caught.value.child == "middle"
    assert isinstance(caught.value.__cause__, StartError)
    assert caught.value.__cause__.child == "leaf"
    assert journal.take() == ["init leaf"]
    assert journal.reports == []


async def test_s04_an_init_that_takes_too_long_is_an_error_and_leaves_no_task(
    journal: TreeJournal,
) -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    began = trio.current_time()
    spec = SupervisorSpec([probe("a", journal, Script(init_seconds=99), init_timeout=2.0)])
    with pytest.raises(InitTimeout) as caught:
        await run_root(spec)
    assert caught.value.child == "a"
    assert trio.current_time() - began == 2.0
    # The clock's own task stays for the length of the run.
    assert trio.lowlevel.current_statistics().tasks_living <= before + 1


class LateActor(Actor):
    """Its init ignores the kill and succeeds."""

    async def init(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(2)

    def handle_cast(self, message: Any) -> None:
        raise AssertionError("it has not started")


async def late_task(*, task_status: trio.TaskStatus[str]) -> None:
    """As :class:`LateActor`."""
    with trio.CancelScope(shield=True):
        await trio.sleep(2)
    task_status.started("too late")


@pytest.mark.parametrize("where", ["static", "dynamic"])
@pytest.mark.parametrize(
    "spec",
    [ChildSpec("late", LateActor, init_timeout=1.0), TaskSpec("late", late_task, init_timeout=1.0)],
    ids=["actor", "task"],
)
async def test_s04_an_init_that_succeeds_after_its_timeout_has_failed(
    journal: TreeJournal, spec: AnySpec, where: str
) -> None:
    events: list[Event] = []
    root = SupervisorSpec(
        [DynamicSpec().child("pool")], report=journal.reports.append, telemetry=events.append
    )
    async with no_leaks(), open_supervisor(root) as sup:
        events.clear()
        with pytest.raises(InitTimeout):
            await (sup if where == "static" else dynamic(sup.child("pool"))).start_child(spec)
        await settle()
        assert [type(event) for event in events] == [Stopped]
        assert sup.count_children().specs == 1, "the pool"
        assert journal.reports == []


async def test_s05_an_init_may_decline(journal: TreeJournal) -> None:
    spec = SupervisorSpec(
        [
            probe("a", journal, Script(declines=True)),
            probe("b", journal, Script(declines=True), restart="temporary"),
            probe("c", journal),
        ]
    )
    async with open_supervisor(spec) as sup:
        assert [(info.id, info.ref is None) for info in sup.which_children()] == [
            ("a", True),
            ("c", False),
        ]
        ref = await sup.start_child(probe("d", journal, Script(declines=True)))
        assert not ref.alive
        assert sup.count_children().specs == 3
    assert "terminate a" not in journal.lines


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("id", lambda: ChildSpec("", Actor)),
        ("id", lambda: ChildSpec(None, Actor)),  # type: ignore[call-overload]  # the point
        ("start", lambda: ChildSpec("a", None)),  # type: ignore[call-overload]  # the point
        ("args", lambda: TaskSpec("a", trio.sleep, [1])),  # type: ignore[call-overload]  # the point
        ("restart", lambda: ChildSpec("a", Actor, restart="always")),  # type: ignore[call-overload]
        ("shutdown", lambda: ChildSpec("a", Actor, shutdown=-1)),
        ("shutdown", lambda: ChildSpec("a", Actor, shutdown=nan)),
        ("type", lambda: ChildSpec("a", Actor, type="boss")),  # type: ignore[call-overload]
        ("init_timeout", lambda: ChildSpec("a", Actor, init_timeout=0)),
        ("max_restarts", lambda: SupervisorSpec(max_restarts=-1)),
        ("max_restarts", lambda: DynamicSpec(max_restarts=1.5)),  # type: ignore[arg-type]
        ("max_seconds", lambda: SupervisorSpec(max_seconds=0)),
        ("max_children", lambda: DynamicSpec(max_children=-1)),
        ("strategy", lambda: SupervisorSpec(strategy="some_for_one")),  # type: ignore[arg-type]
        ("children", lambda: SupervisorSpec([Actor])),  # type: ignore[list-item]  # the point
        ("id", lambda: SupervisorSpec([ChildSpec("a", Actor), ChildSpec("a", Actor)])),
    ],
)
def test_s06_a_bad_spec_is_refused_and_the_error_names_the_field(field: str, build: Any) -> None:
    with pytest.raises(BadSpec) as caught:
        build()
    assert caught.value.field == field
    assert field in str(caught.value)


async def test_s06_a_factory_that_makes_no_actor_is_a_bad_spec() -> None:
    spec = SupervisorSpec([ChildSpec("a", lambda: 3)])  # type: ignore[arg-type, return-value]
    with pytest.raises(StartError) as caught:
        await run_root(spec)
    assert isinstance(caught.value.__cause__, BadSpec)
    assert caught.value.__cause__.field == "start"


async def test_s07_start_child_on_a_static_supervisor(journal: TreeJournal) -> None:
    async with open_supervisor(SupervisorSpec()) as sup:
        ref = await sup.start_child(probe("a", journal, restart="transient"))
        assert await running(sup, "a").call(Echo(1)) == 1
        with pytest.raises(AlreadyStarted, match=r"^a is already running$") as caught:
            await sup.start_child(probe("a", journal))
        assert caught.value.ref is ref
        await finish(running(sup, "a"))
        with pytest.raises(AlreadyPresent):
            await sup.start_child(probe("a", journal))
        with pytest.raises(StartError) as failed:
            await sup.start_child(probe("b", journal, Script(init_error=Boom())))
        assert isinstance(failed.value.__cause__, Boom)
        assert [info.id for info in sup.which_children()] == ["a"]


@pytest.mark.parametrize("repeat", REPEATS)
async def test_s08_a_failed_start_has_freed_its_name_before_the_starter_knows(
    journal: TreeJournal, repeat: int
) -> None:
    names: Registry[str] = Registry()
    script = Script(init_errors=[Boom(), None], init_seconds=1)
    async with open_supervisor(SupervisorSpec()) as sup:
        spec = probe("a", journal, script, register=names.name("the-a"))
        with pytest.raises(StartError):
            await sup.start_child(spec)
        assert names.lookup("the-a") is None
        ref = await sup.start_child(spec)
        assert names.lookup("the-a") is ref
