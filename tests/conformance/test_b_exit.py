"""B. Exit, by restart type: statements 9 to 15."""

from typing import Any

import pytest

from locshare.actors import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    Actor,
    ActorRef,
    Crash,
    Exited,
    ExitReason,
    Shutdown,
)
from locshare.actors.introspect import kill
from locshare.actors.lowlevel import actor_incarnation_of, incarnation_of
from locshare.actors.testing import AddUp, Boom, Echo, Raise, crash, finish, settle
from locshare.supervisor import ChildSpec, DynamicSpec, SupervisorSpec, open_supervisor
from locshare.supervisor.testing import TreeJournal, probe, running
from tests.conformance.kit import dynamic

EXPECTED: list[ExitReason] = [NORMAL, SHUTDOWN, Shutdown("detail")]


async def end(ref: ActorRef, reason: ExitReason | None) -> None:
    if reason is None:
        await crash(ref)
    elif reason == KILLED:
        kill(ref)
        await ref.wait_exit()
        await settle()
    else:
        await finish(ref, reason)


@pytest.mark.parametrize("reason", [*EXPECTED, None, KILLED], ids=str)
async def test_s09_permanent_is_restarted_after_every_exit(
    journal: TreeJournal, reason: ExitReason | None
) -> None:
    spec = SupervisorSpec([probe("a", journal)], report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        old = running(sup, "a")
        await end(old, reason)
        assert running(sup, "a") is not old
        assert await running(sup, "a").call(Echo(1)) == 1


@pytest.mark.parametrize(
    ("reason", "again"), [*((reason, False) for reason in EXPECTED), (None, True), (KILLED, True)]
)
async def test_s10_transient_is_restarted_after_an_abnormal_exit_only(
    journal: TreeJournal, reason: ExitReason | None, again: bool
) -> None:
    spec = SupervisorSpec([probe("a", journal, restart="transient")], report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        await end(running(sup, "a"), reason)
        assert (sup.child("a") is not None) is again


@pytest.mark.parametrize("reason", [*EXPECTED, None, KILLED], ids=str)
async def test_s11_temporary_is_never_restarted_and_its_id_is_free(
    journal: TreeJournal, reason: ExitReason | None
) -> None:
    spec = SupervisorSpec([probe("a", journal, restart="temporary")], report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        await end(running(sup, "a"), reason)
        assert sup.which_children() == ()
        await sup.start_child(probe("a", journal, restart="temporary"))
        assert await running(sup, "a").call(Echo(1)) == 1


async def test_s12_a_transient_child_that_ended_as_expected_can_be_revived(
    journal: TreeJournal,
) -> None:
    children = [probe("a", journal, restart="transient"), DynamicSpec().child("d")]
    async with open_supervisor(SupervisorSpec(children)) as sup:
        await finish(running(sup, "a"))
        [info, _] = sup.which_children()
        assert (info.id, info.ref, info.state) == ("a", None, "stopped")
        ref = await sup.restart_child("a")
        assert ref.alive
        assert sup.child("a") is ref

        pool = dynamic(sup.child("d"))
        child = await pool.start_actor(probe("x", journal, restart="transient"))
        await finish(child)
        assert pool.which_children() == ()


async def test_s13_a_restart_is_a_new_incarnation(journal: TreeJournal) -> None:
    made: list[list[str]] = []

    class Keeper(Actor):
        def __init__(self) -> None:
            self.things: list[str] = []
            made.append(self.things)

        def handle_cast(self, message: Any) -> None:
            self.things.append(message)

        def handle_call(self, request: Any, reply_to: Any) -> Any:
            if isinstance(request, Raise):
                raise request.error
            return list(self.things)

    spec = SupervisorSpec([ChildSpec("a", Keeper)], report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        old = running(sup, "a")
        old.cast("before")
        assert await old.call(Echo()) == ["before"]
        old.cast(Boom)  # handled before the crash
        with pytest.raises(Exited):
            await old.call(Raise())
        await settle()
        new = running(sup, "a")
        assert new is not old
        assert new.serial != old.serial
        assert await new.call(Echo()) == []
        assert len(made) == 2
        assert made[0] is not made[1]


async def test_s14_an_old_ref_never_means_the_new_incarnation(journal: TreeJournal) -> None:
    spec = SupervisorSpec([probe("a", journal)], report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        old = running(sup, "a")
        await crash(old)
        assert not old.alive
        assert isinstance(old.exit_reason, Crash)
        old.cast("to the old one")
        assert await running(sup, "a").call(AddUp(1)) == 1
        assert "a cast to the old one" not in journal.lines


async def test_s14_a_late_exit_notice_changes_nothing(journal: TreeJournal) -> None:
    spec = SupervisorSpec([probe("a", journal)], report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        old = running(sup, "a")
        actor: Any = actor_incarnation_of(sup).actor
        [child] = actor.children()
        await crash(old)
        new = running(sup, "a")
        actor.child_exited(child, incarnation_of(old))  # the notice again, much too late
        await settle()
        assert running(sup, "a") is new
        assert journal.kinds() == ["crash"]


async def test_s15_an_abnormal_exit_makes_exactly_one_report(journal: TreeJournal) -> None:
    inner = SupervisorSpec([probe("a", journal)])
    spec = SupervisorSpec([inner.child("inner")], report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        middle: Any = sup.child("inner")
        victim = running(middle, "a")
        with pytest.raises(Exited):
            await victim.call(Raise())
        await settle()
        [report] = journal.reports
        assert (report.kind, report.supervisor, report.child_id) == ("crash", "inner", "a")
        assert report.incarnation == victim.serial
        assert isinstance(report.exception, Boom)
        assert report.exception.__traceback__ is not None
        assert report.last_message == "Raise"

        await finish(running(middle, "a"), SHUTDOWN)
        assert len(journal.reports) == 1  # an expected exit makes none


async def test_s15_a_report_says_of_message_and_state_only_what_the_actor_allows(
    journal: TreeJournal,
) -> None:
    class Discreet(Actor):
        def init(self) -> None:
            self.position = "47.3769 N"

        def handle_cast(self, message: Any) -> None:
            raise Boom

    class Open(Discreet):
        def redact(self, message: object) -> dict[str, object]:
            return {"length": len(str(message))}

    spec = SupervisorSpec(
        [ChildSpec("d", Discreet), ChildSpec("o", Open)], report=journal.reports.append
    )
    async with open_supervisor(spec) as sup:
        for name in ("d", "o"):
            ref = running(sup, name)
            ref.cast("8.5417 E")
            await ref.wait_exit()
        await settle()
    discreet, frank = journal.reports
    assert discreet.details == {}
    assert frank.details == {"length": 8}
    for report in (discreet, frank):
        assert "8.5417" not in repr(report)
        assert "47.3769" not in repr(report)
        assert report.exception is not None
        frames = report.exception.__traceback__
        while frames is not None:  # the locals of the dead frames are gone too
            assert "message" not in frames.tb_frame.f_locals
            frames = frames.tb_next
