"""What is written behind, without a database: bounds, order, overlay."""

from datetime import timedelta
from uuid import uuid4

import pytest

from locshare.store.port import StoredSession
from locshare.store.write_behind import WriteBehind
from tests.store.kit import START, a_participant, a_session

HOUR = timedelta(hours=1)
A, B, C = uuid4(), uuid4(), uuid4()


def test_removals_are_taken_oldest_first_and_a_batch_is_bounded() -> None:
    behind = WriteBehind(max_removals=10, max_touches=10)
    for session_id in (A, B, C):
        behind.end(session_id)
    assert list(behind.take(2, touches=False).ends) == [A, B]
    assert behind.removals == 3
    behind.done()
    assert list(behind.take(2, touches=False).ends) == [C]


def test_a_batch_that_could_not_be_written_waits_again_before_all_others() -> None:
    behind = WriteBehind(max_removals=10, max_touches=10)
    behind.end(A)
    behind.take(10, touches=True)
    behind.end(B)
    behind.requeue()
    assert list(behind.take(10, touches=True).ends) == [A, B]


def test_there_is_one_batch_at_a_time() -> None:
    behind = WriteBehind(max_removals=10, max_touches=10)
    behind.end(A)
    behind.take(1, touches=True)
    with pytest.raises(RuntimeError, match="being written"):
        behind.take(1, touches=True)


def test_a_note_that_was_made_during_a_failed_write_is_not_replaced_by_the_older_one() -> None:
    behind = WriteBehind(max_removals=10, max_touches=10)
    behind.touch(A, START, {"ana": START})
    behind.take(10, touches=True)
    behind.touch(A, START + HOUR, {"ana": START + HOUR})
    behind.requeue()
    batch = behind.take(10, touches=True)
    assert batch.activity == {A: START + HOUR}
    assert batch.seen == {(A, "ana"): START + HOUR}


def test_beyond_the_bound_the_oldest_leave_is_dropped_and_then_the_oldest_end() -> None:
    behind = WriteBehind(max_removals=2, max_touches=10)
    behind.leave(A, "ana")
    behind.end(A)
    behind.end(B)
    assert not behind.waits((A, "ana"))
    behind.end(C)
    assert behind.ending() == {B, C}
    assert behind.dropped == 2


def test_when_a_batch_comes_back_the_bound_holds() -> None:
    behind = WriteBehind(max_removals=2, max_touches=2)
    behind.end(A)
    behind.touch(A, START, {})
    behind.touch(B, START, {})
    behind.take(10, touches=True)
    for session_id in (B, C):
        behind.end(session_id)
        behind.touch(session_id, START, {})
    behind.requeue()
    assert behind.ending() == {B, C}
    assert behind.touches == 2


def test_too_many_notes_are_dropped_and_counted_but_known_ones_go_on() -> None:
    behind = WriteBehind(max_removals=10, max_touches=1)
    behind.touch(A, START, {"ana": START, "ben": START})
    behind.touch(A, START + HOUR, {})
    assert behind.dropped == 1
    assert behind.take(10, touches=True).activity == {A: START + HOUR}


@pytest.mark.parametrize("stage", ["waiting", "being written", "written while it was read"])
def test_what_was_read_is_seen_as_it_is_once_all_is_written(stage: str) -> None:
    session = a_session()
    ana, ben = a_participant(session.id), a_participant(session.id)
    behind = WriteBehind(max_removals=10, max_touches=10)
    behind.end(session.id)
    behind.leave(session.id, ana.user_id)
    behind.touch(session.id, START + HOUR, {ben.user_id: START + HOUR, ana.user_id: START - HOUR})
    with behind.reading() as written:
        if stage != "waiting":
            behind.take(10, touches=True)
        if stage == "written while it was read":
            behind.done()
    seen = behind.overlay(StoredSession(session, (ana, ben)), written)
    assert seen.session.is_active is False
    assert seen.session.last_activity == START + HOUR
    assert [(each.id, each.last_seen) for each in seen.participants] == [(ben.id, START + HOUR)]


def test_another_session_is_seen_as_it_is() -> None:
    session = a_session()
    stored = StoredSession(session, (a_participant(session.id, user_id="ana"),))
    behind = WriteBehind(max_removals=10, max_touches=10)
    behind.end(A)
    behind.leave(A, "ana")
    behind.touch(A, START + HOUR, {"ana": START + HOUR})
    assert behind.overlay(stored) == stored


def test_of_a_batch_that_comes_back_every_kind_waits_again_and_is_counted() -> None:
    behind = WriteBehind(max_removals=10, max_touches=10)
    behind.end(A)
    behind.leave(B, "ana")
    behind.touch(C, START, {"ben": START, "cy": START})
    assert (behind.removals, behind.touches) == (2, 3)
    behind.take(10, touches=True)
    assert (behind.removals, behind.touches) == (2, 3)
    behind.requeue()
    assert (behind.removals, behind.touches) == (2, 3)
    again = behind.take(10, touches=True)
    assert list(again.ends) == [A]
    assert list(again.leaves) == [(B, "ana")]
    assert again.activity == {C: START}
    assert again.seen == {(C, "ben"): START, (C, "cy"): START}
    behind.done()
    assert (behind.removals, behind.touches) == (0, 0)
    assert behind.dropped == 0


def test_a_batch_that_can_never_be_written_is_dropped_and_all_of_it_counted() -> None:
    behind = WriteBehind(max_removals=10, max_touches=10)
    behind.end(A)
    behind.leave(B, "ana")
    behind.touch(C, START, {"ben": START, "cy": START})
    behind.take(10, touches=True)
    behind.discard()
    assert behind.dropped == 5
    assert (behind.removals, behind.touches) == (0, 0)
    assert not behind.take(10, touches=True)


def test_edge_cases_of_the_write_behind() -> None:
    behind = WriteBehind(max_removals=2, max_touches=1)
    behind.touch(A, START, {})
    assert not behind.take(10, touches=False), "touches are written at their own pace"
    assert behind.active_since(START) == {A}
    assert behind.active_since(START + timedelta(microseconds=1)) == set()
    assert behind.take(10, touches=True), "activity alone is something to write"
    behind.done()
    for number in range(5):
        behind.leave(A, str(number))
    assert behind.removals == 2, "leaves are bounded without an end"
    assert behind.waits((A, "4"))
    assert not behind.waits((A, "0"))
    behind.touch(A, START, {})
    for _ in range(2):
        behind.touch(B, START, {})
    assert behind.dropped == 3 + 2
    with behind.reading():
        assert behind._readers
    assert not behind._readers
