"""A feature that no release has: short notes, each of one participant, that expire. All that a
feature is: its part, its commands, its event, its rules."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal, cast, final

from msgspec import Struct, structs

from locshare.broadcast.addressed import EVERYONE, Addressed, Audience, EveryoneBut, Only
from locshare.model.errors import LocshareError
from locshare.model.events import Event, SessionEvent
from locshare.session.features.feature import (
    Candidate,
    Core,
    Feature,
    FeatureCommand,
    Outcome,
)
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.store.port import SessionRecord

MAX_NOTES = 3
LASTS_S = 100.0
NORTH = 80.0


class NoteChanged(SessionEvent, frozen=True):
    user_id: str
    text: str


class EmptyNote(LocshareError):
    """A note needs a text."""


class NotWelcome(LocshareError):
    """A note says that nobody else may come."""


class WriteNote(FeatureCommand[int], frozen=True):
    """Replies with the number of notes. To whom the event goes is the test's choice."""

    key: str
    user_id: str
    text: str
    to: Literal["everyone", "others", "me"] = "others"


class ThrowOut(FeatureCommand[None], frozen=True):
    """Removes everybody whose note is gone."""

    user_id: str


class Note(Struct, frozen=True):
    user_id: str
    text: str
    until: float


class NotesPart(Struct, frozen=True):
    notes: Mapping[str, Note] = {}
    guest_book: tuple[str, ...] = ()
    """Everybody who joined, the newest three."""
    went_north: frozenset[str] = frozenset()


@final
class Notes(Feature[NotesPart]):
    name: ClassVar[str] = "notes"
    commands: ClassVar[tuple[type[FeatureCommand[Any]], ...]] = (WriteNote, ThrowOut)

    def begin(self, session: SessionRecord, kept: NotesPart | None) -> NotesPart:
        return kept or NotesPart()

    def keep(self, part: NotesPart) -> NotesPart | None:
        return structs.replace(part, went_north=frozenset()) if part.notes else None

    def size(self, part: NotesPart) -> int:
        return len(part.notes)

    def max_size(self, limits: SessionLimits) -> int:
        return MAX_NOTES

    def handle(
        self,
        part: NotesPart,
        command: WriteNote | ThrowOut,
        core: Core,
        moment: Moment,
    ) -> Outcome[NotesPart]:
        if isinstance(command, ThrowOut):
            return Outcome(part, removed=(command.user_id,))
        if not command.text:
            raise EmptyNote
        note = Note(command.user_id, command.text, moment.clock + LASTS_S)
        notes = {**part.notes, command.key: note}
        audience: dict[str, Audience] = {
            "everyone": EVERYONE,
            "others": EveryoneBut(command.user_id),
            "me": Only(command.user_id),
        }
        event = changed(note.user_id, note.text, audience[command.to])
        return Outcome(structs.replace(part, notes=notes), (event,), len(notes))

    def refusal(
        self,
        part: NotesPart,
        candidate: Candidate,
        core: Core,
        clock: float,
    ) -> LocshareError | None:
        closed = any(note.text == "nobody else, please" for note in part.notes.values())
        return NotWelcome() if closed else None

    def member_joined(self, part: NotesPart, user_id: str, origin: object) -> Outcome[NotesPart]:
        return Outcome(structs.replace(part, guest_book=(*part.guest_book, user_id)[-3:]))

    def member_left(self, part: NotesPart, user_id: str) -> Outcome[NotesPart]:
        kept = {key: note for key, note in part.notes.items() if note.user_id != user_id}
        gone = len(kept) < len(part.notes)
        events = (changed(user_id, "", EVERYONE),) if gone else ()
        return Outcome(structs.replace(part, notes=kept), events)

    def positions_moved(
        self,
        part: NotesPart,
        moved: Collection[str],
        core: Core,
        clock: float,
    ) -> Outcome[NotesPart]:
        far = {each for each in moved if core.positions[each].position.lat > NORTH}
        events = [changed(each, "is far north", EVERYONE) for each in far - part.went_north]
        return Outcome(
            structs.replace(part, went_north=part.went_north - {*moved} | far), tuple(events)
        )

    def due(self, part: NotesPart) -> float | None:
        return min((note.until for note in part.notes.values()), default=None)

    def time_passed(self, part: NotesPart, core: Core, moment: Moment) -> Outcome[NotesPart]:
        kept = {key: note for key, note in part.notes.items() if note.until > moment.clock}
        gone = [note for key, note in part.notes.items() if key not in kept]
        events = tuple(changed(note.user_id, "", EVERYONE) for note in gone)
        return Outcome(structs.replace(part, notes=kept), events)

    def snapshot(self, part: NotesPart, user_id: str, core: Core) -> object | None:
        return [NoteChanged(note.user_id, note.text) for note in part.notes.values()] or None


def changed(user_id: str, text: str, audience: Audience) -> Addressed:
    # The events of a real feature are among those of the model.
    return Addressed(cast("Event", NoteChanged(user_id, text)), audience)
