"""Sequences that the models found, each named by the rule that it broke."""

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    KILLED,
    NOPROC,
    Down,
    Exited,
    Monitor,
    ReplyTo,
    Shutdown,
    StopActor,
    open_actor_nursery,
)
from locshare.actors.introspect import inspect
from locshare.actors.testing import Probe, Raise, Script, crash
from locshare.supervisor import (
    BRUTAL_KILL,
    ChildSpec,
    DynamicSpec,
    Report,
    RestartBudgetExceeded,
    SupervisorSpec,
    open_supervisor,
)
from locshare.supervisor.testing import TreeJournal, probe, running
from tests.conformance.kit import dynamic, static


async def test_a_shutdown_time_of_zero_leaves_none_for_terminate() -> None:
    """The child was parked: the stop woke it, the kill followed at once, and terminate ran."""
    journal = TreeJournal()
    spec = SupervisorSpec([probe("a", journal, shutdown=0)], report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        ref = running(sup, "a")
        await sup.terminate_child("a")
        assert ref.exit_reason is KILLED
    assert journal.lines == ["init a"]


async def test_a_shutdown_time_of_zero_leaves_none_under_a_dynamic_supervisor_either() -> None:
    """Whether the stop or its limit came first was left to the scheduler."""
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec([DynamicSpec().child("pool")])) as sup:
        pool = dynamic(sup.child("pool"))
        for _ in range(20):
            ref = await pool.start_actor(probe("a", journal, shutdown=0))
            await pool.terminate_child(ref)
            assert ref.exit_reason is KILLED
            assert journal.take() == ["init a"]


async def test_a_handler_that_outlasts_its_brutal_kill_is_not_followed_by_terminate() -> None:
    journal = TreeJournal()

    class Shielded(Probe):
        async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            return StopActor(reply="done")

    child = ChildSpec("a", Shielded, ("a", journal), shutdown=BRUTAL_KILL)
    async with open_supervisor(SupervisorSpec([child])) as sup, trio.open_nursery() as nursery:
        ref: Any = running(sup, "a")
        nursery.start_soon(ref.call, None)
        await trio.sleep(0.5)
        await sup.terminate_child("a")
        assert trio.current_time() == 1
        assert ref.exit_reason is KILLED
    assert journal.lines == ["init a"]


async def test_a_stop_in_the_middle_of_a_start_keeps_its_reason() -> None:
    """The interrupted start put another stop in front: plain shutdown, and more time."""
    journal = TreeJournal()
    inner = SupervisorSpec([probe("a", journal)]).child("inner", restart="temporary")
    slow = probe("slow", journal, Script(init_seconds=10))
    async with open_supervisor(SupervisorSpec([inner])) as root, trio.open_nursery() as nursery:
        sup = static(root.child("inner"))
        seen = []

        async def start() -> None:
            with pytest.raises(Exited) as caught:
                await sup.start_child(slow)
            seen.append(caught.value.reason)

        nursery.start_soon(start)
        await trio.sleep(1)
        assert await sup.stop(Shutdown("for a reason")) == Shutdown("for a reason")
    assert seen == [Shutdown("for a reason")]
    assert journal.lines == ["init a", "init slow", "terminate a", "ended a"]


async def test_a_monitor_may_be_cancelled_by_the_callback_of_another() -> None:
    """The exit path was going through the monitors when one of them went away, and broke off:
    the monitors after it did not hear, nor did the supervisor.
    """
    journal = TreeJournal()
    heard = []
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))

        def first(down: Down) -> None:
            heard.append("first")
            second.cancel()

        ref.monitor(first)
        second: Monitor = ref.monitor(lambda _: heard.append("second"))
        ref.monitor(lambda _: heard.append("third"))
        await ref.stop()
        await wait_all_tasks_blocked()
        assert heard == ["first", "third"]


async def test_linking_to_the_dead_is_an_abnormal_end_however_they_died() -> None:
    """A partner that had ended normally made the link a silent nothing; OTP says noproc."""
    journal = TreeJournal()
    async with open_actor_nursery() as actors:
        gone = await actors.start(Probe("gone", journal))
        await gone.stop()
        ref = await actors.start(Probe("a", journal))
        await inspect(ref, lambda actor: actor.link(gone))
        assert await ref.wait_exit() is NOPROC


async def test_the_root_gives_up_for_the_crash_that_tripped_it() -> None:
    """A supervisor that had survived a crash was then stopped with the others, and its
    old crash became the cause.
    """
    journal = TreeJournal()
    inner = SupervisorSpec([probe("within", journal)]).child("inner")
    spec = SupervisorSpec([probe("a", journal), inner], max_restarts=0, report=ignore)

    async def run() -> None:
        async with open_supervisor(spec) as sup:
            await crash(running(static(sup.child("inner")), "within"))
            running(sup, "a").cast(Raise(LookupError()))
            await trio.sleep_forever()

    with pytest.raises(RestartBudgetExceeded) as caught:
        await run()
    assert isinstance(caught.value.__cause__, LookupError)


def ignore(report: Report) -> None:
    """The reports are not looked at here."""
