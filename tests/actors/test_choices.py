"""What OTP leaves open or does not know, and was decided: the table in docs/runtime/choices.md."""

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    Actor,
    ActorRef,
    ActorReused,
    BadReturn,
    Crash,
    ExitReason,
    LinkExit,
    Registry,
    ReplyTo,
    Request,
    Shutdown,
    StartError,
    StopActor,
    open_actor_nursery,
)
from locshare.actors.introspect import kill
from locshare.actors.testing import Echo, Probe, Raise, Script
from locshare.supervisor import (
    ChildNotFound,
    ChildSpec,
    DynamicSpec,
    Report,
    RestartBudgetExceeded,
    SupervisorSpec,
    open_supervisor,
)
from locshare.supervisor.testing import probe
from tests.conformance.kit import dynamic


class Boom(Exception):
    """What a helper raises."""


class Ask(Request[str]):
    """Answered with "well"."""


# -- helpers ---------------------------------------------------------------------------------


class Leaning(Actor):
    """Waits for a helper that crashes, in the given place."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.done = trio.Event()
        self.ends: list[ExitReason] = []

    async def help(self) -> None:
        await trio.sleep(1)
        raise Boom

    async def lean(self) -> None:
        self.spawn(self.help)
        if self.place.endswith("nursery"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.done.wait)
        else:
            await self.done.wait()

    async def init(self) -> None:
        if self.place == "init":
            await self.lean()

    async def handle_cast(self, message: Any) -> None:
        await self.lean()

    async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> None:
        await self.lean()

    async def terminate(self, reason: ExitReason) -> None:
        await trio.sleep(1)
        self.ends.append(reason)


@pytest.mark.parametrize("place", ["cast", "cast, in a nursery"])
async def test_a_handler_that_waits_for_its_crashed_helper_is_cancelled(
    autojump_clock: object, place: str
) -> None:
    """It waited forever: the helper's crash requested a stop that the handler never reached."""
    async with open_actor_nursery() as actors:
        actor = Leaning(place)
        ref = await actors.start(actor)
        ref.cast("go")
        reason = await ref.wait_exit()
        assert isinstance(reason, Crash)
        assert isinstance(reason.exception, Boom)
        assert actor.ends == [reason]
        assert trio.current_time() == 2


async def test_the_caller_of_such_a_handler_sees_the_helpers_crash(autojump_clock: object) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Leaning("call"))
        with pytest.raises(Exception, match="crash: Boom") as caught:
            await ref.call(Ask(), None)
        assert isinstance(caught.value.__cause__, Boom)


async def test_an_init_that_waits_for_its_crashed_helper_is_a_failed_start(
    autojump_clock: object,
) -> None:
    async with open_actor_nursery() as actors:
        actor = Leaning("init")
        with pytest.raises(StartError) as caught:
            await actors.start(actor)
        assert isinstance(caught.value.__cause__, Boom)
        assert actor.ends == []


async def test_a_handler_that_shields_itself_is_not_interrupted_by_its_helper(
    autojump_clock: object,
) -> None:
    class Shielded(Leaning):
        async def handle_cast(self, message: Any) -> None:
            self.spawn(self.help)
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
            self.place = "came to its end"

    async with open_actor_nursery() as actors:
        actor = Shielded("cast")
        ref = await actors.start(actor)
        ref.cast("go")
        reason = await ref.wait_exit()
        assert actor.place == "came to its end"
        assert str(reason) == "crash: Boom"
        assert actor.ends == [reason]


async def test_terminate_is_not_interrupted_by_a_helper(autojump_clock: object) -> None:
    class Late(Leaning):
        async def terminate(self, reason: ExitReason) -> None:
            self.spawn(self.help)
            await trio.sleep(3)
            self.ends.append(reason)

    async with open_actor_nursery() as actors:
        actor = Late("terminate")
        ref = await actors.start(actor)
        assert str(await ref.stop()) == "crash: Boom"
        assert actor.ends == [SHUTDOWN]


async def test_a_kill_after_a_helpers_crash_is_a_kill(autojump_clock: object) -> None:
    """`terminate` does not run, or is cut off; the reason is the crash all the same."""
    async with open_actor_nursery() as actors:
        actor = Leaning("cast")
        ref = await actors.start(actor)
        ref.cast("go")
        await trio.sleep(1.5)  # in the middle of terminate
        kill(ref)
        assert str(await ref.wait_exit()) == "crash: Boom"
        assert trio.current_time() == 1.5
        assert actor.ends == []


async def test_a_handler_is_cancelled_by_its_helper_once_and_the_supervisor_restarts_it(
    autojump_clock: object,
) -> None:
    reports: list[Report] = []
    spec = SupervisorSpec([ChildSpec("a", Leaning, ("cast",))], report=reports.append)
    async with open_supervisor(spec) as sup:
        for _ in range(2):
            ref = sup.child("a")
            assert isinstance(ref, ActorRef)
            ref.cast("go")
            await ref.wait_exit()
            await wait_all_tasks_blocked()
        assert [str(report.reason) for report in reports] == ["crash: Boom"] * 2


# -- links -----------------------------------------------------------------------------------


class Linked(Actor):
    def __init__(self, partner: ActorRef | None = None) -> None:
        self.partner = partner
        self.heard: list[object] = []

    def init(self) -> None:
        if self.partner is not None:
            self.link(self.partner)

    def handle_cast(self, message: ExitReason) -> StopActor:
        return StopActor(message)

    def handle_info(self, message: Any) -> None:
        self.heard.append(message)


class Trapping(Linked):
    trap_exits = True


@pytest.mark.parametrize("reason", [SHUTDOWN, Shutdown("drain"), Crash(Boom()), KILLED])
async def test_a_linked_partner_ends_with_whatever_is_not_normal(reason: ExitReason) -> None:
    """Shutdown too, as in OTP."""
    async with open_actor_nursery() as actors:
        one = await actors.start(Linked())
        other = await actors.start(Linked(one))
        if reason is KILLED:
            kill(one)
        else:
            one.cast(reason)
        assert await other.wait_exit() == reason


@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, Crash(Boom())])
async def test_a_partner_that_traps_exits_hears_of_every_end(reason: ExitReason) -> None:
    async with open_actor_nursery() as actors:
        one = await actors.start(Linked())
        actor = Trapping(one)
        other = await actors.start(actor)
        one.cast(reason)
        await one.wait_exit()
        await wait_all_tasks_blocked()
        assert actor.heard == [LinkExit(one, reason)]
        assert other.alive


# -- batches ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["after_batch", "get_state", "gauges", "redact", "replace_state"])
def test_an_async_callback_that_is_not_awaited_is_refused(name: str) -> None:
    async def callback(self: Actor) -> None: ...

    with pytest.raises(TypeError, match=f"Wrong.{name} must be a plain function"):
        type("Wrong", (Actor,), {name: callback})


async def test_a_result_of_after_batch_is_a_crash() -> None:
    async def flush() -> None: ...

    class Sneaky(Actor):
        def handle_cast(self, message: Any) -> None: ...

        after_batch = staticmethod(partial(flush))  # type: ignore[assignment]

    async with open_actor_nursery() as actors:
        ref = await actors.start(Sneaky())
        ref.cast("x")
        reason = await ref.wait_exit()
        assert isinstance(reason, Crash)
        assert isinstance(reason.exception, BadReturn)
        assert "after_batch" in str(reason.exception)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "10", None, True])
def test_a_batch_is_of_at_least_one_message(limit: Any) -> None:
    with pytest.raises(ValueError, match="batch_limit"):
        type("Wrong", (Actor,), {"batch_limit": limit})


async def test_a_batch_limit_of_an_instance_is_looked_at_when_it_starts() -> None:
    def build() -> Actor:
        actor = Actor()
        actor.batch_limit = 0  # type: ignore[misc]
        return actor

    async with open_supervisor(SupervisorSpec()) as sup:
        with pytest.raises(StartError) as caught:
            await sup.start_child(ChildSpec("a", build))
        assert isinstance(caught.value.__cause__, ValueError)
        assert sup.which_children() == ()


@pytest.mark.parametrize("mailbox", [None, 10, "big"])
def test_a_mailbox_is_described_by_a_mailbox_spec(mailbox: Any) -> None:
    with pytest.raises(TypeError, match=r"Wrong\.mailbox must be MailboxSpec"):
        type("Wrong", (Actor,), {"mailbox": mailbox})


# -- one object, one life --------------------------------------------------------------------


async def test_one_actor_object_cannot_be_two_children() -> None:
    """The second took the first one's ref away: its timers and links went to the other."""
    actor = Probe()
    spec = SupervisorSpec([ChildSpec("a", lambda: actor)])
    async with open_supervisor(spec) as sup:
        with pytest.raises(StartError) as caught:
            await sup.start_child(ChildSpec("b", lambda: actor))
        assert isinstance(caught.value.__cause__, ActorReused)
        first = sup.child("a")
        assert isinstance(first, ActorRef)
        assert actor.ref is first
        assert await first.call(Echo("well")) == "well"


async def test_an_actor_object_is_not_started_again_after_its_end() -> None:
    """Its state is what broke (13)."""
    actor = Probe()
    reports: list[Report] = []

    async def run() -> None:
        spec = SupervisorSpec([ChildSpec("a", lambda: actor)], report=reports.append)
        async with open_supervisor(spec) as sup:
            ref = sup.child("a")
            assert isinstance(ref, ActorRef)
            ref.cast(Raise())
            await trio.sleep_forever()

    with pytest.raises(RestartBudgetExceeded):
        await run()
    assert [report.kind for report in reports] == ["crash", *["start_failed"] * 3, "gave_up"]
    async with open_actor_nursery() as actors:
        with pytest.raises(ActorReused):
            await actors.start(actor)


# -- a child that is being restarted, by the name that it has --------------------------------


async def test_terminate_child_by_name_works_during_the_childs_restart(
    autojump_clock: object,
) -> None:
    """A name is taken before init; that life was not known yet by its ref."""
    names: Registry[str] = Registry()
    script = Script()
    async with open_supervisor(SupervisorSpec([DynamicSpec().child("pool")])) as sup:
        pool = dynamic(sup.child("pool"))
        first = await pool.start_actor(probe("a", script=script, register=names.name("a")))
        script.init_seconds = 1  # of the next
        first.cast(Raise())
        await first.wait_exit()
        second = await names.wait("a")
        assert second is not first
        assert pool.which_children()[0].state == "restarting"
        await pool.terminate_child(names.lookup("a"))
        assert pool.which_children() == ()
        assert not second.alive
        for ref in (first, second, names.lookup("a")):
            with pytest.raises(ChildNotFound):
                await pool.terminate_child(ref)


async def test_the_old_ref_finds_a_child_during_its_restart_too(autojump_clock: object) -> None:
    script = Script()
    async with open_supervisor(SupervisorSpec([DynamicSpec().child("pool")])) as sup:
        pool = dynamic(sup.child("pool"))
        first = await pool.start_actor(probe("a", script=script))
        script.init_seconds = 1  # of the next
        first.cast(Raise())
        await trio.sleep(0.5)
        assert pool.which_children()[0].state == "restarting"
        await pool.terminate_child(first)
        assert pool.which_children() == ()
