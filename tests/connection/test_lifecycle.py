"""The table of closing: every state with every event, and the handshakes of RFC 6455 as walks."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.connection import lifecycle
from locshare.connection.lifecycle import (
    TRANSITIONS,
    Action,
    Event,
    IllegalTransition,
    Lifecycle,
    State,
)
from locshare.model.reasons import CloseReason

E, S, A = Event, State, Action
PAIRS = list(itertools.product(State, Event))
LEGAL = {
    S.HANDSHAKE: {E.ANSWERED, E.REJECTED, E.CLOSE, E.PEER_GONE, E.CRASHED, E.ABORT},
    S.ANSWERING: {E.UPGRADED, E.REJECTED, E.CLOSE, E.PEER_GONE, E.CRASHED, E.ABORT},
    S.OPEN: {*Event} - {E.ANSWERED, E.UPGRADED, E.REJECTED},
    S.CLOSING: {*Event} - {E.ANSWERED, E.UPGRADED, E.REJECTED},
    S.CLOSE_SENT: {E.PEER_CLOSED, E.CLOSE, E.PEER_GONE, E.CRASHED, E.ABORT},
    S.CLOSE_RECEIVED: {*Event} - {E.ANSWERED, E.UPGRADED, E.REJECTED, E.PEER_CLOSED},
    S.CLOSED: {E.CLOSE, E.PEER_GONE, E.CRASHED, E.ABORT},
}


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_an_event_is_legal_or_raises_and_changes_nothing(state: State, event: Event) -> None:
    connection = Lifecycle(state)
    if event in LEGAL[state]:
        connection.feed(event, CloseReason.LEFT)
        return
    with pytest.raises(IllegalTransition, match=f"{event.name} cannot happen in {state.name}") as e:
        connection.feed(event, CloseReason.LEFT)
    assert (connection.state, connection.reason) == (state, None)
    assert (e.value.state, e.value.event) == (state, event)


WALKS: list[tuple[str, list[tuple[Event, State, tuple[Action, ...]]]]] = [
    (
        "we close",
        [
            (E.CLOSE, S.CLOSING, (A.STOP, A.START_LINGER, A.QUEUE_CLOSE)),
            (E.DRAINED, S.CLOSE_SENT, (A.SHUT_WRITING,)),
            (E.PEER_CLOSED, S.CLOSED, (A.END,)),
        ],
    ),
    (
        "the peer closes",
        [
            (E.PEER_CLOSED, S.CLOSE_RECEIVED, (A.STOP, A.START_LINGER, A.QUEUE_CLOSE)),
            (E.DRAINED, S.CLOSED, (A.SHUT_WRITING, A.END)),
        ],
    ),
    (
        "both close, and ours is still unwritten",
        [
            (E.CLOSE, S.CLOSING, (A.STOP, A.START_LINGER, A.QUEUE_CLOSE)),
            (E.PEER_CLOSED, S.CLOSE_RECEIVED, ()),
            (E.DRAINED, S.CLOSED, (A.SHUT_WRITING, A.END)),
        ],
    ),
    (
        "the peer reads too slowly, for the close frame too",
        [
            (E.CLOSE_SLOW, S.CLOSING, (A.STOP, A.START_LINGER, A.QUEUE_CLOSE_ALONE)),
            (E.CLOSE_SLOW, S.CLOSING, ()),
            (E.ABORT, S.CLOSED, (A.END,)),
        ],
    ),
    ("the peer vanishes", [(E.PEER_GONE, S.CLOSED, (A.STOP, A.END)), (E.ABORT, S.CLOSED, ())]),
    ("a write fails", [(E.WRITE_FAILED, S.CLOSED, (A.STOP, A.END)), (E.PEER_GONE, S.CLOSED, ())]),
    (
        "the task crashes",
        [
            (E.CRASHED, S.CLOSING, (A.STOP, A.START_LINGER, A.QUEUE_CLOSE)),
            (E.DRAINED, S.CLOSE_SENT, (A.SHUT_WRITING,)),
            (E.PEER_GONE, S.CLOSED, (A.END,)),
        ],
    ),
    ("the task is cancelled", [(E.ABORT, S.CLOSED, (A.STOP, A.END))]),
    (
        "a backlog comes and goes",
        [(E.DRAINED, S.OPEN, ()), (E.DRAINED, S.OPEN, ())],
    ),
]


@pytest.mark.parametrize(("name", "steps"), WALKS, ids=[name for name, _ in WALKS])
def test_a_closing_handshake(
    name: str, steps: list[tuple[Event, State, tuple[Action, ...]]]
) -> None:
    connection = Lifecycle(S.OPEN)
    for event, after, actions in steps:
        assert connection.feed(event, CloseReason.LEFT) == actions, name
        assert connection.state is after
    assert connection.reason is (None if connection.state is S.OPEN else CloseReason.LEFT)


def test_a_request_is_answered_once_and_then_open_or_refused() -> None:
    granted = Lifecycle()
    assert granted.feed(E.CLOSE, CloseReason.RESTART) == (A.REFUSE,)
    assert (granted.state, granted.reason) == (S.HANDSHAKE, None)
    granted.feed(E.ANSWERED)
    granted.feed(E.UPGRADED)
    assert granted.state is S.OPEN
    for before in (S.HANDSHAKE, S.ANSWERING):
        refused = Lifecycle(before)
        assert refused.feed(E.REJECTED) == (A.START_LINGER,)
        assert refused.state is S.CLOSE_SENT
        assert refused.feed(E.PEER_GONE) == (A.END,)
        assert refused.reason is None, "it never was open"


def test_the_first_reason_stands() -> None:
    connection = Lifecycle(S.OPEN)
    connection.feed(E.CLOSE, CloseReason.REPLACED)
    connection.feed(E.CLOSE_SLOW, CloseReason.TOO_SLOW)
    connection.feed(E.WRITE_FAILED, CloseReason.PEER_GONE)
    connection.feed(E.CLOSE, CloseReason.SESSION_ENDED)
    assert connection.reason is CloseReason.REPLACED


def test_whatever_leaves_open_stops_the_messages_first() -> None:
    for (state, _), (after, actions) in TRANSITIONS.items():
        assert (actions[:1] == (A.STOP,)) is (state is S.OPEN and after is not S.OPEN)


def test_the_writing_side_is_shut_only_behind_the_last_frame() -> None:
    for (_, event), (_, actions) in TRANSITIONS.items():
        assert A.SHUT_WRITING not in actions or event is E.DRAINED


def test_the_task_ends_exactly_on_the_way_into_closed() -> None:
    for (state, _), (after, actions) in TRANSITIONS.items():
        assert (actions[-1:] == (A.END,)) is (after is S.CLOSED and state is not S.CLOSED)


@pytest.mark.parametrize("event", [E.PEER_GONE, E.ABORT])
@pytest.mark.parametrize("state", State)
def test_a_lost_peer_and_an_abort_close_from_every_state(state: State, event: Event) -> None:
    connection = Lifecycle(state)
    connection.feed(event)
    assert connection.state is S.CLOSED


@given(st.lists(st.sampled_from(Event), max_size=30))
def test_whatever_happens_there_is_one_close_frame_and_one_end(events: list[Event]) -> None:
    connection = Lifecycle()
    done: list[Action] = []
    for event in events:
        if (connection.state, event) in TRANSITIONS:
            done += connection.feed(event, CloseReason.LEFT)
    assert done.count(A.QUEUE_CLOSE) + done.count(A.QUEUE_CLOSE_ALONE) <= 1
    assert done.count(A.SHUT_WRITING) <= 1
    assert done.count(A.END) == (connection.state is S.CLOSED)


def test_the_drawing_names_every_state() -> None:
    drawing = (lifecycle.__doc__ or "").partition("The states are")[0]
    assert all(state.name in drawing for state in State)
    for event in (E.ANSWERED, E.UPGRADED, E.REJECTED, E.CLOSE, E.PEER_CLOSED, E.DRAINED, E.ABORT):
        assert event.name.lower() in drawing
