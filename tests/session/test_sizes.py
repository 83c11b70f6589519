"""What a table is said to hold is about what it holds."""

import tracemalloc
from datetime import timedelta
from uuid import UUID, uuid4

from locshare.model.position import HeldPosition, Position
from locshare.session.sizes import table_bytes
from locshare.session.table import SessionTable
from locshare.store.port import ParticipantRecord, SessionRecord, StoredSession
from tests.session.kit import HOUR, START


def a_table(people: int) -> SessionTable:
    """With a position of each, every object made anew as if it had come from outside."""
    session = uuid4()
    stored = StoredSession(
        SessionRecord(session, "Amber Falcon", START, START + HOUR, uuid4(), True, START),
        tuple(_participant(session, number) for number in range(people)),
    )
    table = SessionTable(stored, 1.0)
    for number, user_id in enumerate(table.roster):
        at = number / 1000
        fix = Position(52.5 + at, 13.4 + at, 5.0 + at, START + timedelta(seconds=number))
        table.positions[user_id] = HeldPosition(fix, 1.0 + at, 2.0 + at)
        table.last_heard[user_id] = 3.0 + at
    return table


def _participant(session: UUID, number: int) -> ParticipantRecord:
    moment = START + timedelta(seconds=number)
    return ParticipantRecord(
        uuid4(), session, str(uuid4()), f"Person {number}", "#112233", moment, moment, True
    )


def test_the_estimate_is_within_a_third_of_what_is_allocated() -> None:
    a_table(2)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        table = a_table(200)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.66 < table_bytes(table) / (after - before) < 1.5
