"""K. Inspection, tracing, terminate: statements 67 to 69."""

from typing import Any

import pytest
import trio

from locshare.actors import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    Actor,
    CallTimeout,
    Crash,
    Exited,
    ExitReason,
    NoProc,
    Shutdown,
    StartError,
    open_actor_nursery,
)
from locshare.actors.introspect import (
    TraceEvent,
    get_state,
    kill,
    replace_state,
    resume,
    statistics,
    suspend,
    trace,
    trace_events,
)
from locshare.actors.testing import AddUp, Boom, Echo, Finish, Probe, Raise, Script, Sleep, settle
from locshare.supervisor import BRUTAL_KILL, SupervisorSpec, open_supervisor
from locshare.supervisor.testing import TreeJournal, probe, running


async def test_s67_get_state_answers_between_messages_and_times_out_on_a_busy_actor(
    journal: TreeJournal,
) -> None:
    class Halves(Actor):
        def init(self) -> None:
            self.left = self.right = 0

        async def handle_cast(self, message: Any) -> None:
            self.left += 1
            await trio.sleep(3)
            self.right += 1

    async with open_actor_nursery() as actors:
        ref = await actors.start(Halves())
        ref.cast("go")
        await settle()
        with pytest.raises(CallTimeout):
            await get_state(ref, timeout=1)
        ref.cast("again")  # inspection overtakes it
        state: Any = await get_state(ref)
        assert (state["left"], state["right"]) == (1, 1)
        await trio.sleep(9)
        await ref.stop()
        with pytest.raises(NoProc):
            await get_state(ref)


async def test_s67_replace_state_and_a_failing_function_changes_nothing(
    journal: TreeJournal,
) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))
        await ref.call(AddUp(3))

        def fail(state: Any) -> Any:
            raise Boom

        with pytest.raises(Boom):
            await replace_state(ref, fail)
        with pytest.raises(TypeError):
            await replace_state(ref, lambda state: 3)
        assert await ref.call(AddUp(0)) == 3
        await replace_state(ref, lambda state: {**state, "sum": 40})
        assert await ref.call(AddUp(2)) == 42


async def test_s67_a_suspended_actor_queues_messages_but_answers_inspection_and_obeys_stop(
    journal: TreeJournal,
) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))
        await suspend(ref)
        ref.cast("queued")
        with pytest.raises(CallTimeout):
            await ref.call(Echo(), 1)
        assert journal.take() == ["init a"]
        assert statistics(ref).status == "suspended"
        assert isinstance(await get_state(ref), dict)
        await resume(ref)
        assert await ref.call(Echo(1)) == 1
        assert journal.take() == ["a cast queued"]
        await suspend(ref)
        assert await ref.stop() == SHUTDOWN


async def test_s67_an_inspection_under_way_when_the_actor_dies_fails(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        ref = await actors.start(Probe("a", journal))

        async def ask() -> None:
            with pytest.raises(Exited):
                await get_state(ref, None)

        with trio.move_on_after(1):
            await ref.call(Sleep(3))
        nursery.start_soon(ask)
        await settle()
        kill(ref)


async def test_s68_a_trace_is_switched_on_and_off_at_run_time(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))
        await ref.call(Echo())
        assert trace_events(ref) == ()
        assert statistics(ref).busy is None
        heard: list[TraceEvent] = []
        trace(ref, length=2, listener=heard.append)
        ref.cast("secret")
        ref.info("secret")
        await ref.call(Echo("secret"))
        await settle()
        assert [(event.kind, event.type) for event in heard] == [
            *(("cast", "str"), ("info", "str"), ("call", "Echo"))
        ]
        assert trace_events(ref) == tuple(heard[1:])
        assert "secret" not in repr(trace_events(ref))
        numbers = statistics(ref)
        assert numbers.busy is not None
        assert numbers.busy > 0
        assert (numbers.handled, numbers.waiting, numbers.high_water) == (4, 0, 3)
        trace(ref, on=False)
        await ref.call(Echo())
        assert len(heard) == 3
        assert trace_events(ref) == ()


async def test_s68_the_last_events_go_into_the_crash_report(journal: TreeJournal) -> None:
    spec = SupervisorSpec([probe("a", journal)], report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        ref = running(sup, "a")
        trace(ref)
        await ref.call(Echo())
        ref.cast(Raise())
        await ref.wait_exit()
        await settle()
    [report] = journal.reports
    assert [event.type for event in report.last_events if isinstance(event, TraceEvent)] == ["Echo"]


@pytest.mark.parametrize("end", ["stop", "crash", "bad return", "StopActor", "supervisor"])
async def test_s69_terminate_runs_after(journal: TreeJournal, end: str) -> None:
    class Wrong(Probe):
        def handle_info(self, message: Any) -> Any:
            return message

    async with open_supervisor(SupervisorSpec(report=journal.reports.append)) as sup:
        spec = probe("a", journal, restart="temporary")
        object.__setattr__(spec, "start", Wrong)
        ref: Any = await sup.start_child(spec)
        match end:
            case "stop":
                await ref.stop()
            case "crash":
                ref.cast(Raise())
            case "bad return":
                ref.info("wrong")
            case "StopActor":
                ref.cast(Finish())
            case "supervisor":
                await sup.terminate_child("a")
        await ref.wait_exit()
        assert journal.lines == ["init a", "terminate a", "ended a"]


async def test_s69_terminate_never_runs_after_a_failed_init_or_a_brutal_kill(
    journal: TreeJournal,
) -> None:
    spec = SupervisorSpec([probe("a", journal, shutdown=BRUTAL_KILL)])
    async with open_supervisor(spec) as sup:
        with pytest.raises(StartError):
            await sup.start_child(probe("b", journal, Script(init_error=Boom())))
    assert journal.lines == ["init a", "init b"]


@pytest.mark.parametrize("end", [Finish(NORMAL), Finish(Shutdown("x")), Raise()])
async def test_s69_a_crash_in_terminate_replaces_the_reason_and_keeps_the_first(
    journal: TreeJournal, end: Any
) -> None:
    class Actor_(Actor):  # noqa: N801 - a plain, not async, terminate
        def handle_cast(self, message: Any) -> Any:
            return Probe.handle_cast(self, message)  # type: ignore[arg-type]

        def terminate(self, reason: ExitReason) -> None:
            raise Boom("in terminate")

    async with open_actor_nursery() as actors:
        for actor in (Probe("a", journal, Script(terminate_error=Boom("in terminate"))), Actor_()):
            ref = await actors.start(actor)
            ref.cast(end)
            reason = await ref.wait_exit()
            assert isinstance(reason, Crash)
            assert str(reason.exception) == "in terminate"
            assert not reason.expected
            if isinstance(end, Raise):
                assert reason.exception.__context__ is end.error
                assert isinstance(reason.previous, Crash)
            else:
                assert reason.previous == end.reason


async def test_s69_a_kill_cuts_terminate_short(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal, Script(terminate_seconds=99)))
        ref.cast(Raise())
        await settle()
        kill(ref)
        assert await ref.wait_exit() == KILLED
        assert journal.lines == ["init a", "terminate a"]
