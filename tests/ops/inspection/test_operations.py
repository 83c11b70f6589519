"""Looking into a small tree, and acting on it, over a real control socket."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from locshare.actors import ActorRef
from locshare.actors.testing import Probe, Raise, Run
from locshare.ops.control import ControlClient, ControlError, ControlServer, open_control
from locshare.ops.inspection.operations import Inspector
from locshare.ops.inspection.text import as_text
from locshare.ops.inspection.views import (
    ActorView,
    Kill,
    ProcessInfo,
    Restart,
    Resume,
    Suspend,
    Terminate,
    Trace,
    TraceLine,
    Tree,
    TreeSnapshot,
    Watch,
)
from locshare.supervisor import (
    ChildSpec,
    DynamicSpec,
    DynamicSupervisorRef,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
)
from locshare.supervisor.testing import probe
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S


class Work(Probe):
    """Keeps something, and says how much."""

    def gauges(self) -> dict[str, int]:
        return {"people": 3, "bytes": 1_000_000}


CRASH = Raise(ValueError("with something private in it"))


async def never(_actor: object) -> None:
    await trio.sleep_forever()


ENDLESS = Run(never)


class Setting:
    """The tree, and a connection to its inspector."""

    def __init__(self, root: SupervisorRef, control: ControlClient, path: Path) -> None:
        self.root = root
        self.control = control
        self.path = path

    @property
    def pool(self) -> DynamicSupervisorRef:
        pool = self.root.child("pool")
        assert isinstance(pool, DynamicSupervisorRef)
        return pool

    def worker(self) -> ActorRef:
        worker = self.root.child("worker")
        assert isinstance(worker, ActorRef)
        return worker

    async def views(self, **arguments: Any) -> dict[str, ActorView]:
        snapshot = await self.control.ask(Tree(**arguments), TreeSnapshot)
        return {view.path: view for _, view in snapshot.root.flat()}


async def idle(*, task_status: trio.TaskStatus[None]) -> None:
    task_status.started()
    await trio.sleep_forever()


@asynccontextmanager
async def setting() -> AsyncIterator[Setting]:
    roots: list[SupervisorRef] = []
    inspector = Inspector(
        lambda: roots[0] if roots else None,
        lambda: ProcessInfo(version="1", pid=1, uptime=1.0, rss=1),
    )
    tree = SupervisorSpec(
        [
            ChildSpec("worker", Work),
            probe("stuck", shutdown=0),
            TaskSpec("task", idle),
            DynamicSpec().child("pool"),
        ],
        max_restarts=100,
        report=lambda _report: None,
    )
    with tempfile.TemporaryDirectory(prefix="locshare-") as folder, trio.fail_after(DEADLINE_S):
        path = Path(folder) / "control.sock"
        async with trio.open_nursery() as nursery:
            await nursery.start(ControlServer(path, inspector.operations()).serve)
            async with open_control(path) as control:
                with pytest.raises(ControlError, match="starting"):
                    await control.ask(Tree())
                async with open_supervisor(tree) as root:
                    roots.append(root)
                    yield Setting(root, control, path)
            nursery.cancel_scope.cancel()


async def settled(here: Setting, path: str, **expected: Any) -> ActorView:
    """Until the child at ``path`` looks like this."""
    while True:
        view = (await here.views())[path]
        if all(getattr(view, name) == value for name, value in expected.items()):
            return view
        await trio.sleep(0.005)


async def test_the_snapshot_shows_every_child_with_its_counters() -> None:
    async with setting() as here:
        worker = here.worker()
        for _ in range(7):
            worker.cast("go on")
        view = await settled(here, "worker", handled=7)
        assert view.kind == "actor"
        assert view.state == view.status == "running"
        assert view.incarnation == worker.serial
        assert (view.mailbox, view.capacity, view.high_water) == (0, 1024, 7)
        assert view.gauges == {"people": 3}
        assert view.bytes is not None
        assert view.bytes > 1_000_000
        views = await here.views()
        assert list(views) == [".", "worker", "stuck", "task", "pool"]
        assert [views[path].kind for path in (".", "task", "pool")] == [
            "supervisor", "task", "supervisor",
        ]  # fmt: skip
        assert views["task"].mailbox is None
        assert views["."].capacity is None, "a supervisor's mailbox has no bound"


async def test_a_crash_is_counted_and_its_reason_named_but_not_quoted() -> None:
    async with setting() as here:
        here.worker().cast(CRASH)
        view = await settled(here, "worker", restarts=1, state="running")
        assert view.last_reason == "crash: ValueError in Raise"
        assert view.handled == 0, "counters are of the incarnation"


async def test_what_waits_in_a_mailbox_is_seen_while_its_actor_is_in_the_middle() -> None:
    async with setting() as here:
        stuck = here.root.child("stuck")
        assert isinstance(stuck, ActorRef)
        for _ in range(5):
            stuck.cast(ENDLESS)
        view = await settled(here, "stuck", mailbox=4)
        assert view.high_water == 5


async def test_a_dynamic_supervisor_shows_those_with_the_most_and_counts_the_others() -> None:
    async with setting() as here:
        for number in range(6):
            actor = await here.pool.start_actor(ChildSpec(f"n{number}", Work))
            for _ in range(number):
                actor.cast("go on")
        await trio.testing.wait_all_tasks_blocked()
        views = await here.views(limit=2, sort="handled")
        assert [path for path in views if path.startswith("pool/")] == ["pool/n5", "pool/n4"]
        assert views["pool"].hidden == 4
        views = await here.views(limit=0, sort="id")
        assert len([path for path in views if path.startswith("pool/")]) == 6
        assert views["pool"].hidden == 0


async def test_children_of_the_same_id_have_paths_of_their_own() -> None:
    async with setting() as here:
        one = await here.pool.start_actor(ChildSpec("same", Work))
        two = await here.pool.start_actor(ChildSpec("same", Work))
        views = await here.views(sort="id")
        assert views["pool/same"].incarnation == one.serial
        await here.control.ask(Kill(f"pool/same~{two.serial}"))
        assert one.alive
        assert not two.alive


async def test_watching_measures_and_stops_measuring_with_the_last_watcher() -> None:
    async with setting() as here:
        async with open_control(here.path) as second:
            snapshots = second.stream(Watch(interval=0.1), TreeSnapshot)
            first = await anext(snapshots)
            assert first.root.load is None, "there is nothing yet to compare with"
            for _ in range(300):
                here.worker().cast("go on")
            snapshot = await anext(snapshots)
            (worker,) = [view for _, view in snapshot.root.flat() if view.path == "worker"]
            assert worker.busy
            assert worker.load is not None
            assert 0 < worker.load < 1
            assert snapshot.process.longest_step is not None
            assert snapshot.process.cpu is not None
        await settled(here, "worker", busy=None)


@pytest.mark.parametrize("interval", [0.0, -1.0, 1e9])
async def test_an_interval_out_of_bounds_is_refused(interval: float) -> None:
    async with setting() as here:
        with pytest.raises(ControlError, match=r"allowed are 0\.1 to 3600 seconds"):
            await anext(here.control.stream(Watch(interval=interval), TreeSnapshot))


async def test_a_suspended_actor_takes_nothing_until_it_is_resumed() -> None:
    async with setting() as here:
        await here.control.ask(Suspend("worker"))
        assert (await here.views())["worker"].status == "suspended"
        here.worker().cast("wait")
        await settled(here, "worker", mailbox=1)
        await here.control.ask(Resume("worker"))
        await settled(here, "worker", mailbox=0, handled=1, status="running")


async def test_an_actor_in_the_middle_of_a_message_cannot_be_suspended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("locshare.ops.inspection.operations._TIMEOUT_S", 0.05)
    async with setting() as here:
        stuck = here.root.child("stuck")
        assert isinstance(stuck, ActorRef)
        stuck.cast(ENDLESS)
        await settled(here, "stuck", high_water=1)
        with pytest.raises(ControlError, match="in the middle of a message") as error:
            await here.control.ask(Suspend("stuck"))
        assert error.value.code == "busy"


async def test_a_trace_tells_types_and_times_until_the_actor_ends() -> None:
    async with setting() as here:
        worker = here.worker()
        lines = here.control.stream(Trace("worker"), TraceLine)
        found: list[TraceLine] = []
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                found.extend([line async for line in lines])

            nursery.start_soon(read)
            await settled_trace(here)
            worker.cast("something private")
            worker.cast(17)
            worker.cast(CRASH)
        assert [(line.kind, line.type) for line in found] == [("cast", "str"), ("cast", "int")]
        assert all(line.seconds >= 0 for line in found)
        assert (await here.views())["worker"].traced is False


async def settled_trace(here: Setting) -> None:
    """Until the worker is traced, asked on a connection of its own."""
    async with open_control(here.path) as other:
        while True:
            snapshot = await other.ask(Tree(), TreeSnapshot)
            if any(view.traced for _, view in snapshot.root.flat()):
                with pytest.raises(ControlError, match="another client"):
                    await anext(other.stream(Trace("worker"), TraceLine))
                return
            await trio.sleep(0.005)


async def test_the_trace_ends_when_its_client_is_gone() -> None:
    async with setting() as here:
        async with open_control(here.path) as other:
            lines = other.stream(Trace("worker"), TraceLine)
            with trio.move_on_after(0.05):
                await anext(lines)
            await settled(here, "worker", traced=True)
        # It notices when it next has something to say, or soon by itself.
        here.worker().cast("one more")
        await settled(here, "worker", traced=False)


async def test_terminate_stops_in_order_and_restart_starts_again() -> None:
    async with setting() as here:
        before = here.worker()
        await here.control.ask(Terminate("worker"))
        assert not before.alive
        assert (await here.views())["worker"].state == "stopped"
        with pytest.raises(ControlError, match="worker is stopped"):
            await here.control.ask(Suspend("worker"))
        await here.control.ask(Restart("worker"))
        assert here.worker().alive
        with pytest.raises(ControlError, match="is running"):
            await here.control.ask(Restart("worker"))


async def test_a_terminated_child_of_a_dynamic_supervisor_is_gone() -> None:
    async with setting() as here:
        await here.pool.start_actor(ChildSpec("one", Work))
        with pytest.raises(ControlError, match="cannot be restarted"):
            await here.control.ask(Restart("pool/one"))
        await here.control.ask(Terminate("pool/one"))
        assert "pool/one" not in await here.views()


async def test_kill_is_a_crash_to_the_supervisor() -> None:
    async with setting() as here:
        for path in ("worker", "task", "pool"):
            before = here.root.child(path)
            assert before is not None
            await here.control.ask(Kill(path))
            assert not before.alive
            view = await settled(here, path, restarts=1, state="running")
            assert view.last_reason == "killed"


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (Kill("."), "send it SIGTERM"),
        (Kill("warker"), "the root has no child 'warker'; there are: worker, stuck, task, pool"),
        (Kill("worker/x"), "worker is running and has no children"),
        (Kill("pool/x"), "pool has no child 'x'; there are: none"),
        (Suspend("task"), "task is a task"),
        (Suspend("pool"), "pool is a supervisor"),
        (Tree(limit=-1), "limit is -1"),
    ],
)
async def test_an_impossible_request_is_refused_with_the_reason(request_: Any, says: str) -> None:
    async with setting() as here:
        with pytest.raises(ControlError, match=says.replace(".", r"\.")):
            await here.control.ask(request_)


async def test_as_text() -> None:
    async with setting() as here:
        for number in range(3):
            await here.pool.start_actor(ChildSpec(f"n{number}", Work))
        here.worker().cast(CRASH)
        await settled(here, "worker", restarts=1, state="running")
        text = as_text(await here.control.ask(Tree(limit=1), TreeSnapshot))
        lines = text.splitlines()
        assert lines[0].startswith("locshare 1, pid 1, up 1 s, 1 B in RAM")
        (worker,) = [line for line in lines if line.startswith("  worker")]
        assert worker.split() == [
            "worker", "running", "0/1024", "0", "0", "1", "crash:", "ValueError", "in", "Raise",
        ]  # fmt: skip
        assert "    … 2 more" in lines
