"""The test kit: a probe, expectations that explain themselves, ends and restarts, leaks."""

from dataclasses import dataclass

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from locshare.actors import KILLED, SHUTDOWN, Actor, Crash, Request, open_actor_nursery
from locshare.actors.introspect import kill
from locshare.actors.testing import (
    AddUp,
    Boom,
    Echo,
    Journal,
    Leak,
    NotReceived,
    Probe,
    Run,
    Script,
    Sleep,
    StillRunning,
    crash,
    finish,
    no_leaks,
    wait_down,
)
from locshare.supervisor import ChildSpec, SupervisorSpec, open_supervisor
from locshare.supervisor.testing import (
    TreeJournal,
    gives_up,
    probe,
    running,
    wait_restarted,
)


@dataclass(frozen=True)
class Greet:
    name: str


@dataclass(frozen=True)
class Ask(Request[str]):
    name: str = "x"


async def test_a_probe_records_what_it_receives_in_order() -> None:
    async with open_actor_nursery() as actors:
        double = Probe()
        ref = await actors.start(double)
        double.answer(Ask, "yes")
        ref.cast(Greet("a"))
        ref.info(3)
        assert await ref.call(Ask()) == "yes"
        assert double.messages() == [Greet("a"), 3, Ask()]
        assert double.messages("cast") == [Greet("a")]
        assert double.messages("call") == [Ask()]


async def test_an_expected_message_is_taken_once_and_others_wait(autojump_clock: MockClock) -> None:
    async with open_actor_nursery() as actors:
        double = Probe()
        ref = await actors.start(double)
        ref.cast(Greet("a"))
        ref.cast(3)
        ref.cast(Greet("b"))
        assert await double.expect(int) == 3
        assert await double.expect(Greet) == Greet("a")
        assert await double.expect(Greet) == Greet("b")
        double.expect_nothing()
        with pytest.raises(NotReceived):
            await double.expect(Greet)


async def test_a_message_may_come_later_than_it_is_expected(autojump_clock: MockClock) -> None:
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        double = Probe()
        ref = await actors.start(double)

        async def later() -> None:
            await trio.sleep(3)
            ref.cast("too early")
            ref.cast(Greet("a"))

        nursery.start_soon(later)
        assert await double.expect(Greet, timeout=4) == Greet("a")
        assert trio.current_time() == pytest.approx(3)


async def test_what_did_not_come_is_explained_by_what_came(autojump_clock: MockClock) -> None:
    async with open_actor_nursery() as actors:
        double = Probe("owner")
        ref = await actors.start(double)
        with pytest.raises(NotReceived, match=r"in 2 s; it received nothing$"):
            await double.expect(Greet, timeout=2)
        assert trio.current_time() == pytest.approx(2)
        ref.cast(Greet("a"))
        ref.info("news")
        await wait_all_tasks_blocked()
        assert await double.expect(Greet) == Greet("a")
        with pytest.raises(NotReceived) as caught:
            await double.expect(Greet)
        assert str(caught.value) == (
            "owner did not receive Greet in 5 s; it received info 'news' (and 1 taken before)"
        )
        with pytest.raises(NotReceived, match=r"nothing more; it received info 'news'"):
            double.expect_nothing()


async def test_a_call_is_answered_on_demand(autojump_clock: MockClock) -> None:
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        double = Probe()
        ref = await actors.start(double)
        replies: list[str] = []

        async def ask() -> None:
            replies.append(await ref.call(Ask("me")))

        nursery.start_soon(ask)
        reply_to = await double.expect_call(Ask)
        assert reply_to.request == Ask("me")
        assert replies == []
        reply_to.reply("well")
        await wait_all_tasks_blocked()
        assert replies == ["well"]


async def test_a_cast_is_no_call(autojump_clock: MockClock) -> None:
    async with open_actor_nursery() as actors:
        double = Probe()
        ref = await actors.start(double)
        ref.cast(Ask())
        with pytest.raises(NotReceived, match="is no call"):
            await double.expect_call(Ask)


async def test_a_probe_crashes_and_ends_on_command(autojump_clock: MockClock) -> None:
    async with open_actor_nursery() as actors:
        one, two, three = [await actors.start(Probe()) for _ in range(3)]
        reason = await crash(one)
        assert isinstance(reason, Crash)
        assert isinstance(reason.exception, Boom)
        assert isinstance(await crash(two, KeyError()), Crash)
        assert await finish(three, SHUTDOWN) == SHUTDOWN


async def test_commands_are_carried_out_and_not_recorded(autojump_clock: MockClock) -> None:
    async with open_actor_nursery() as actors:
        double = Probe()
        ref = await actors.start(double)
        assert await ref.call(Echo("x")) == "x"
        assert await ref.call(AddUp(2)) == 2
        assert await ref.call(AddUp(3)) == 5
        assert await ref.call(Sleep(2, "done")) == "done"
        assert await ref.call(Run(lambda actor: actor.name)) == "probe"
        ref.cast(Run(lambda actor: actor.ref.stop()))  # its own end: a crash
        assert isinstance(await wait_down(ref), Crash)
        double.expect_nothing()


async def test_the_journal_tells_the_story_of_all_incarnations(autojump_clock: MockClock) -> None:
    journal = TreeJournal()
    script = Script(init_errors=[None, Boom()], terminate_seconds=1)
    spec = SupervisorSpec([probe("a", journal, script)], report=journal.reports.append)
    async with open_supervisor(spec) as root:
        running(root, "a").cast("hello")
        await crash(running(root, "a"))
        assert journal.take() == [
            "init a",
            "a cast hello",
            "terminate a",
            "ended a",
            *["init a"] * 2,
        ]
        assert journal.kinds() == ["crash", "start_failed"]
    assert journal.take() == ["terminate a", "ended a"]


async def test_an_end_that_does_not_come_is_explained(autojump_clock: MockClock) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe(), name="slow")
        with pytest.raises(StillRunning, match=r"slow#.* is still running after 2 s"):
            await wait_down(ref, 2)
        kill(ref)
        assert await wait_down(ref) == KILLED


async def test_a_restart_is_waited_for_through_failed_attempts(autojump_clock: MockClock) -> None:
    script = Script(init_errors=[None, Boom(), Boom()])
    spec = SupervisorSpec([probe("a", Journal(), script)], report=lambda _report: None)
    async with open_supervisor(spec) as root:
        before = running(root, "a")
        kill(before)
        now = await wait_restarted(root, before)
        assert now.alive
        assert now is not before
        assert await wait_restarted(root, before) is now
        with pytest.raises(StillRunning, match="was not replaced within 1 s"):
            await wait_restarted(root, now, 1)


async def test_a_child_that_does_not_run_is_named() -> None:
    async with open_supervisor(SupervisorSpec()) as root:
        with pytest.raises(AssertionError, match="no actor runs as 'a'"):
            running(root, "a")


async def test_a_tree_that_should_give_up_and_does_not_fails_the_test(
    autojump_clock: MockClock,
) -> None:
    spec = SupervisorSpec([probe("a")], max_restarts=0, report=lambda _report: None)
    async with gives_up(spec) as root:
        running(root, "a").cast(Boom)
        kill(running(root, "a"))
    with pytest.raises(AssertionError, match="did not give up"):
        async with gives_up(spec) as root:
            await root.stop()


# -- leaks -------------------------------------------------------------------------------------


async def test_a_block_that_cleans_up_leaks_nothing(autojump_clock: MockClock) -> None:
    async with no_leaks(), open_actor_nursery() as actors:
        ref = await actors.start(Probe())
        await ref.call(Sleep(1), timeout=2)


async def test_a_task_that_is_left_is_named() -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(Leak, match="left behind: sleeper"):
            async with no_leaks():
                nursery.start_soon(trio.sleep_forever, name="sleeper")
        nursery.cancel_scope.cancel()


async def test_an_actor_and_its_timer_that_are_left_are_named() -> None:
    class Timed(Actor):
        def init(self) -> None:
            self.send_after(1000, "later")

    async with open_supervisor(SupervisorSpec()) as root:
        with pytest.raises(Leak, match=r"left behind: timed#\d+ \(1\); 1 timers"):
            async with no_leaks():
                await root.start_child(ChildSpec("timed", Timed))


async def test_the_error_of_the_block_goes_before_a_leak() -> None:
    async def block(nursery: trio.Nursery) -> None:
        async with no_leaks():
            nursery.start_soon(trio.sleep_forever)
            raise KeyError

    async with trio.open_nursery() as nursery:
        with pytest.raises(KeyError):
            await block(nursery)
        nursery.cancel_scope.cancel()
