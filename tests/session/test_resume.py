"""One who comes back is told what they missed, if that is known for sure; and the state anyway."""

from typing import Any

import pytest
import trio

from locshare.actors.testing import settle
from locshare.session import delivery
from locshare.session.event_log import ResumePoint, parse_resume
from locshare.session.features.feature_set import FeatureSet
from locshare.session.features.roster import ROSTER
from locshare.session.limits import SessionLimits
from tests.session.kit import Fault, House, Someone, house, position
from tests.session.notes import Notes, WriteNote


def point(who: Someone) -> str:
    """The last event that a phone knows."""
    snapshot = [each["data"] for each in who.phone.messages if each["type"] == "session_state"]
    seqs = [snapshot[-1]["seq"] if snapshot else 0, *(seq for seq, _ in who.phone.events)]
    return f"{who.epoch}.{max(seqs)}"


def missed(who: Someone) -> list[Any]:
    """What they were told that they missed: type and user_id, in order."""
    assert who.phone.snapshot["resumed"] is True
    return [(each["type"], each["data"].get("user_id")) for each in who.phone.snapshot["missed"]]


async def drops(who: Someone) -> str:
    """The connection ends; returns what its client would resume with."""
    at = point(who)
    who.link.detach()
    await settle()
    return at


async def everyone(home: House, *names: str) -> tuple[Any, list[Someone]]:
    session = await home.session()
    return session, [await home.someone(session, name) for name in names]


async def test_one_who_comes_back_is_told_the_events_they_missed_in_order() -> None:
    async with house() as home:
        session, (ada, bo) = await everyone(home, "Ada", "Bo")
        at = await drops(bo)
        cy = await home.someone(session, "Cy")
        await cy.link.update(position(3))
        await settle()
        await cy.link.leave()
        bo = await home.connect(session, bo.user_id, at)
        kinds = [kind for kind, user in missed(bo) if user == cy.user_id]
        assert kinds == ["participant_joined", "participant_updated", "participant_left"]
        seqs = [each["data"]["seq"] for each in bo.phone.snapshot["missed"]]
        assert seqs == sorted(seqs)
        assert seqs[-1] <= bo.phone.snapshot["seq"]
        assert len(bo.phone.snapshot["participants"]) == 2, "the state is the snapshot's"
        assert "location_update" not in str(bo.phone.snapshot["missed"]), "positions are not kept"
        assert ada.phone.events[-1][0] == seqs[-1], "the numbers are those that the others heard"


async def test_without_being_asked_a_snapshot_says_nothing_of_what_was_missed() -> None:
    async with house() as home:
        _, (ada,) = await everyone(home, "Ada")
        assert {"resumed", "missed"} & set(ada.phone.snapshot) == set()


async def test_one_who_missed_nothing_is_told_so() -> None:
    async with house() as home:
        session, (ada, bo) = await everyone(home, "Ada", "Bo")
        await settle()
        bo = await home.connect(session, bo.user_id, await drops(bo))
        assert missed(bo) == []
        assert ada.phone.types.count("session_state") == 1


@pytest.mark.parametrize(
    "resume",
    ["", ".", "x", "{epoch}", "{epoch}.", "{epoch}.-1", "{epoch}.1e3", "{epoch}. 1", "other.1",
     "{epoch}.99", "{epoch}." + "9" * 5000, ".1", "{epoch}.1.1", "\u0661.\u0661", "{epoch}.\u0661"],
)  # fmt: skip
async def test_what_cannot_be_resumed_is_not_resumed_and_never_refused(resume: str) -> None:
    async with house() as home:
        session, (_, bo) = await everyone(home, "Ada", "Bo")
        bo.link.detach()
        text = resume.replace("{epoch}", home.table(session).epoch)
        bo = await home.connect(session, bo.user_id, text)
        assert bo.phone.snapshot["resumed"] is False
        assert "missed" not in bo.phone.snapshot
        assert len(bo.phone.snapshot["participants"]) == 2


async def test_a_crash_of_the_session_keeps_epoch_and_events_and_a_sleep_does_not() -> None:
    async with house() as home:
        session, (ada, bo) = await everyone(home, "Ada", "Bo")
        at = await drops(bo)
        cy = await home.someone(session, "Cy")
        await home.crash(session)
        bo = await home.connect(session, bo.user_id, at)
        assert ("participant_joined", cy.user_id) in missed(bo)
        points = [await drops(each) for each in (ada, bo, cy)]
        await trio.sleep(80)
        assert session not in home.manager.directory._tables
        back = await home.connect(session, bo.user_id, points[1])
        assert back.phone.snapshot["resumed"] is False
        assert back.epoch != bo.epoch


async def test_events_are_kept_for_ten_minutes_and_then_gone_from_memory() -> None:
    async with house() as home:
        session, (_ada, bo, cy) = await everyone(home, "Ada", "Bo", "Cy")
        await settle()
        at = await drops(bo)
        await trio.sleep(20)
        await home.manager.set_locked(session, True)
        await trio.sleep(590)
        again = await home.connect(session, bo.user_id, at)
        assert missed(again) == [("session_updated", None)], "a connection of somebody is news too"
        await trio.sleep(11)
        assert (await home.connect(session, bo.user_id, at)).phone.snapshot["resumed"] is False
        await trio.sleep(631)
        assert not len(home.table(session).log)
        assert cy.phone.closed is False


async def test_no_more_events_are_kept_than_the_bound() -> None:
    async with house(SessionLimits(max_participants=5, kept_events=4)) as home:
        session, (_, bo) = await everyone(home, "Ada", "Bo")
        await settle()
        at = await drops(bo)
        for locked in (True, False) * 2:
            await home.manager.set_locked(session, locked)
        bo = await home.connect(session, bo.user_id, at)
        assert [kind for kind, _ in missed(bo)] == ["session_updated"] * 4
        at = await drops(bo)
        for locked in (True, False, True, False, True):
            await home.manager.set_locked(session, locked)
        bo = await home.connect(session, bo.user_id, at)
        assert bo.phone.snapshot["resumed"] is False
        assert len(home.table(session).log) == 4


@pytest.mark.outside_contract
async def test_nothing_is_missed_that_was_not_for_the_receiver() -> None:
    async with house(features=FeatureSet(ROSTER, Notes())) as home:
        session, (ada, bo, cy) = await everyone(home, "Ada", "Bo", "Cy")
        await settle()
        at = await drops(bo)
        for to in ("everyone", "others", "me"):
            await ada.link.command(WriteNote(to, ada.user_id, to, to))
        await ada.link.command(WriteNote("me", bo.user_id, "hidden from me", "others"))
        bo = await home.connect(session, bo.user_id, at)
        assert all(user != bo.user_id for _, user in missed(bo)), "nothing about oneself"
        told = [kind for kind, user in missed(bo) if user == ada.user_id]
        assert told == ["note_changed"] * 2, "the events of features too"
        assert cy.phone.snapshot["you"]["user_id"] == cy.user_id


async def test_what_was_before_one_joined_is_not_for_them() -> None:
    async with house() as home:
        session, (ada, bo) = await everyone(home, "Ada", "Bo")
        await bo.link.leave()
        cy = await home.join(session, "Cy")
        first = await home.connect(session, cy, f"{ada.epoch}.0")
        assert first.phone.snapshot["resumed"] is False


async def test_an_event_that_cannot_be_encoded_is_missed_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, (ada, bo) = await everyone(home, "Ada", "Bo")
        await settle()
        at = await drops(bo)
        fault = Fault(monkeypatch, delivery, "encode_frame")
        fault.left = 1
        await home.manager.set_locked(session, True)
        await home.manager.set_locked(session, False)
        bo = await home.connect(session, bo.user_id, at)
        told = [seq for seq, kind in ada.phone.events if kind == "session_updated"]
        heard = [
            each["data"]["seq"]
            for each in bo.phone.snapshot["missed"]
            if each["type"] == "session_updated"
        ]
        assert told == heard


async def test_the_log_dies_with_the_session() -> None:
    async with house() as home:
        session, (ada, _bo) = await everyone(home, "Ada", "Bo")
        table = home.table(session)
        await home.manager.end(session)
        assert ada.phone.types[-1] == "session_ended"
        assert len(table.log) == 0


def test_a_point_is_an_epoch_and_a_number() -> None:
    assert parse_resume("a1.07") == ResumePoint("a1", 7)
    assert parse_resume("a.b.7") == ResumePoint("a.b", 7)
    assert parse_resume("a1") is None
