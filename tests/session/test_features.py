"""A feature is one class and one line of registration, and then works through a real session."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from locshare.actors import Exited
from locshare.actors.testing import settle
from locshare.model.reasons import CloseReason
from locshare.session.features.feature import FeatureCommand, FeatureFull
from locshare.session.features.feature_set import FeatureSet
from locshare.session.features.registry import FEATURES
from locshare.session.features.roster import ROSTER
from locshare.session.limits import SessionLimits
from tests.session.kit import Fault, House, house, position
from tests.session.notes import (
    LASTS_S,
    MAX_NOTES,
    EmptyNote,
    Notes,
    NotesPart,
    NotWelcome,
    ThrowOut,
    WriteNote,
)

pytestmark = pytest.mark.outside_contract

WITH_NOTES = FeatureSet(*FEATURES, Notes())  # the one line


@asynccontextmanager
async def house_with_notes() -> AsyncIterator[House]:
    async with house(SessionLimits(max_participants=5), features=WITH_NOTES) as home:
        yield home


def texts(phone: object) -> list[str]:
    return [data["text"] for data in phone.all("note_changed")]  # type: ignore[attr-defined]


# --- commands and events --------------------------------------------------------------------------


async def test_a_command_is_answered_and_its_event_reaches_its_audience() -> None:
    async with house_with_notes() as home:
        session, (ada, bo, cy) = await home.group("Ada", "Bo", "Cy")
        assert await ada.link.command(WriteNote("a", ada.user_id, "at the lake")) == 1
        assert await home.manager.command(session, WriteNote("b", bo.user_id, "me too", "me")) == 2
        await cy.link.command(WriteNote("c", cy.user_id, "where?", "everyone"))
        assert texts(ada.phone) == ["where?"]
        assert texts(bo.phone) == ["at the lake", "me too", "where?"]
        assert texts(cy.phone) == ["at the lake", "where?"]


async def test_a_refused_command_changes_nothing_and_crashes_nothing() -> None:
    async with house_with_notes() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        with pytest.raises(EmptyNote):
            await ada.link.command(WriteNote("a", ada.user_id, ""))
        assert bo.phone.messages == []
        assert home.table(session).parts["notes"].notes == {}
        assert home.table(session).local.incarnations == 1


async def test_a_part_never_grows_beyond_its_bound() -> None:
    async with house_with_notes() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        for key in range(MAX_NOTES):
            await ada.link.command(WriteNote(str(key), ada.user_id, "note"))
        with pytest.raises(FeatureFull):
            await ada.link.command(WriteNote("more", ada.user_id, "one too many"))
        await ada.link.command(WriteNote("0", ada.user_id, "another one in its place"))
        assert "one too many" not in texts(bo.phone)
        assert WITH_NOTES.sizes(home.table(session), home.limits)["notes"] == (MAX_NOTES, MAX_NOTES)


async def test_a_command_of_no_feature_crashes_the_session_once() -> None:
    async with house() as home:
        session, (ada, _bo) = await home.group("Ada", "Bo")
        with pytest.raises(Exited):
            await home.actor(session).call(WriteNote("a", ada.user_id, "unknown here"))
        await settle()
        assert home.table(session).local.incarnations == 2


# --- crashes --------------------------------------------------------------------------------------


async def test_a_part_survives_a_crash_of_the_session() -> None:
    async with house_with_notes() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await ada.link.command(WriteNote("a", ada.user_id, "before"))
        await home.crash(session)
        assert await bo.link.command(WriteNote("b", bo.user_id, "after")) == 2
        cy = await home.someone(session, "Cy")
        assert cy.phone.snapshot["features"]["notes"] == [
            {"user_id": ada.user_id, "text": "before"},
            {"user_id": bo.user_id, "text": "after"},
        ]


@pytest.mark.parametrize("method", ["handle", "size"])
async def test_a_crash_in_a_feature_leaves_its_part_whole_and_the_command_is_handled_again(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async with house_with_notes() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        fault = Fault(monkeypatch, Notes, method)
        fault.left = 1
        assert await ada.link.command(WriteNote("a", ada.user_id, "once")) == 1
        assert texts(bo.phone) == ["once"]
        assert home.table(session).local.incarnations == 2


async def test_a_crash_after_the_decision_delivers_its_event_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house_with_notes() as home:
        _, (ada, bo) = await home.group("Ada", "Bo")
        Fault(monkeypatch, Notes, "due").left = 1  # asked after each delivery
        await ada.link.command(WriteNote("a", ada.user_id, "heard"))
        await settle()
        assert texts(bo.phone)[0] == "heard"
        assert set(texts(bo.phone)) == {"heard"}


@pytest.mark.parametrize("method", ["member_joined", "member_left"])
async def test_a_crash_in_a_hook_leaves_the_roster_and_the_parts_in_step(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async with house_with_notes() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.command(WriteNote("b", bo.user_id, "bye"))
        Fault(monkeypatch, Notes, method).left = 1
        cy = await home.join(session, "Cy")
        await bo.link.leave()
        await settle()
        table = home.table(session)
        assert set(table.roster) == {ada.user_id, cy}
        assert table.parts["notes"].notes == {}
        assert table.parts["notes"].guest_book[-1] == cy
        assert len(ada.phone.all("participant_joined")) == 1
        assert len(ada.phone.all("participant_left")) == 1
        assert home.table(session).local.incarnations == 2


# --- the snapshot ---------------------------------------------------------------------------------


async def test_a_feature_with_nothing_to_show_has_no_section() -> None:
    async with house_with_notes() as home:
        _session, (ada,) = await home.group("Ada")
        again = await home.connect(_session, ada.user_id)
        assert "features" not in again.phone.snapshot
        await ada.link.command(WriteNote("a", ada.user_id, "shown"))
        again = await home.connect(_session, ada.user_id)
        assert again.phone.snapshot["features"] == {
            "notes": [{"user_id": ada.user_id, "text": "shown"}]
        }


# --- members --------------------------------------------------------------------------------------


async def test_what_is_a_members_is_forgotten_when_they_leave_and_when_they_are_removed() -> None:
    async with house_with_notes() as home:
        session, (ada, bo, cy) = await home.group("Ada", "Bo", "Cy")
        for each in (ada, bo, cy):
            await each.link.command(WriteNote(each.user_id, each.user_id, "mine"))
        await bo.link.leave()
        await home.manager.remove(session, cy.user_id)
        assert [*home.table(session).parts["notes"].notes] == [ada.user_id]
        kinds = [m["type"] for m in ada.phone.messages if m["data"]["user_id"] == bo.user_id]
        assert kinds == ["note_changed", "participant_left", "note_changed"]


async def test_what_is_a_members_is_forgotten_when_they_lose_an_unused_seat() -> None:
    async with house_with_notes() as home:
        session, _ = await home.group("Ada")
        late = await home.join(session, "Late")
        await trio.sleep(LASTS_S)
        await home.manager.command(session, WriteNote("late", late, "on my way"))
        await trio.sleep(121 - LASTS_S)
        assert home.table(session).parts["notes"].notes == {}


async def test_a_feature_hears_of_each_who_joins_once() -> None:
    async with house_with_notes() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        late = await home.join(session, "Late")
        await trio.sleep(121)
        await home.connect(session, late)
        book = home.table(session).parts["notes"].guest_book
        assert book == (bo.user_id, late, late), "a seat that is taken again is a join"
        assert ada.user_id not in book


async def test_a_feature_removes_a_participant_and_the_core_closes_their_connection() -> None:
    async with house_with_notes() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await ada.link.command(ThrowOut(bo.user_id))
        assert bo.phone.reason is CloseReason.FORBIDDEN
        assert ada.phone.all("participant_left") == [{"user_id": bo.user_id, "reason": "removed"}]
        assert bo.user_id not in home.table(session).roster


async def test_a_feature_refuses_candidates_and_they_learn_its_reason() -> None:
    async with house_with_notes() as home:
        session, (ada,) = await home.group("Ada")
        await ada.link.command(WriteNote("a", ada.user_id, "nobody else, please"))
        with pytest.raises(NotWelcome):
            await home.join(session, "Bo")
        assert len(home.table(session).roster) == 1
        await trio.sleep(LASTS_S + 0.1)
        await home.join(session, "Bo")


# --- time and positions ---------------------------------------------------------------------------


async def test_what_expires_is_forgotten_at_its_time_the_earliest_first() -> None:
    async with house_with_notes() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await ada.link.command(WriteNote("a", ada.user_id, "first"))
        await trio.sleep(40)
        await bo.link.command(WriteNote("b", bo.user_id, "second"))
        await trio.sleep(LASTS_S - 40 - 0.1)
        assert len(home.table(session).parts["notes"].notes) == 2
        await trio.sleep(0.2)
        assert [*home.table(session).parts["notes"].notes] == ["b"]
        await home.crash(session)
        await trio.sleep(40)
        assert home.table(session).parts["notes"] == NotesPart(
            {}, (ada.user_id, bo.user_id), frozenset()
        )
        assert texts(ada.phone) == ["second", "", ""]


async def test_a_feature_that_watches_positions_hears_of_each_flush() -> None:
    async with house_with_notes() as home:
        _, (ada, bo) = await home.group("Ada", "Bo")
        for lat in (79, 81, 82, 10, 85):
            await ada.link.update(position(lat))
            await settle()
        assert texts(bo.phone) == ["is far north", "is far north"]
        assert [m["type"] for m in bo.phone.messages[:3]] == [
            "location_update", "location_update", "note_changed",
        ]  # fmt: skip


# --- sleep and end --------------------------------------------------------------------------------


async def test_what_a_feature_keeps_is_there_after_a_sleep_and_no_longer_than_the_session() -> None:
    async with house_with_notes() as home:
        session, (ada,) = await home.group("Ada")
        await ada.link.update(position(85))
        await settle()
        await ada.link.command(WriteNote("a", ada.user_id, "back soon"))
        ada.link.detach()
        await trio.sleep(61)
        assert home.manager.directory.tables() == ()
        again = await home.connect(session, ada.user_id)
        assert again.phone.snapshot["features"]["notes"][0]["text"] == "back soon"
        assert home.table(session).parts["notes"].went_north == frozenset()
        assert len(home.manager._kept) == 0
        await again.link.command(WriteNote("a", ada.user_id, "away again"))
        again.link.detach()
        await trio.sleep(61)
        assert len(home.manager._kept) == 1
        await trio.sleep(3700)
        assert not home.store.sessions[session].is_active
        assert len(home.manager._kept) == 0


async def test_of_a_feature_that_keeps_nothing_nothing_is_kept() -> None:
    async with house_with_notes() as home:
        _, (ada,) = await home.group("Ada")
        ada.link.detach()
        await trio.sleep(61)
        assert len(home.manager._kept) == 0


# --- registration ---------------------------------------------------------------------------------


def test_no_two_features_share_a_name_or_a_command() -> None:
    class Other(Notes):  # type: ignore[misc]  # it is final to all but this test
        name = "other"

    with pytest.raises(ValueError, match="name"):
        FeatureSet(ROSTER, ROSTER)
    with pytest.raises(ValueError, match="command"):
        FeatureSet(Notes(), Other())


def test_every_registered_feature_has_commands_of_its_own() -> None:
    assert ROSTER in [*FEATURES]
    for feature in FEATURES:
        assert feature.commands
        assert all(issubclass(command, FeatureCommand) for command in feature.commands)
    assert FEATURES.watching == (), "watching costs each flush a call"
