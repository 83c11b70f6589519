"""Every dialect against the real program: the driver delivers all, and reads what it is sent."""

import pytest

from bench.driver.compact import CompactAdapter, CompactConversation
from bench.driver.dialect import Access, Ended, Refusal, Snapshot
from bench.driver.measure import measure
from bench.driver.tracker import ReceivedPosition
from bench.results import Run
from bench.targets import parse, started
from locshare.model.events import ParticipantJoined, SessionEnded
from locshare.model.participant import ParticipantView, You
from locshare.model.position import HeldPosition, ParticipantPosition, Position
from locshare.model.session import SessionView
from locshare.model.session import Snapshot as State
from locshare.wire.compact import COMPACT
from locshare.wire.dialects import Shorthand
from locshare.wire.messages import Error, Pong
from tests.bench.misbehaving_server import NullObserver, plan
from tests.client.kit import NOW, PLACE

ACCESS = Access("s", "ada", "token")
DIALECT = COMPACT.in_session(Shorthand.since(NOW, {"ada": 0, "bo": 1, "cy": 2}))


def read(conversation: CompactConversation, *messages: object) -> list[object]:
    return [conversation.read(DIALECT.encode(each)) for each in messages]  # type: ignore[arg-type]


def test_a_flush_is_the_positions_of_others_who_were_announced() -> None:
    conversation = CompactConversation("ada")
    people = tuple(
        ParticipantView(each, each, "#112233", NOW, NOW, True, True) for each in ("ada", "bo")
    )
    at_bo = ParticipantPosition("bo", 1.0, 2.0, None, NOW)
    state = State(
        SessionView("s", "Alps", NOW, NOW), You("ada", "participant"), people, (at_bo,), NOW, "e", 0
    )
    held = HeldPosition(Position(52.1234567, -13.7654321, None, NOW), 0.0, 0.0)
    assert DIALECT.encode_batch is not None
    flush = DIALECT.encode_batch({"ada": held, "bo": held, "cy": held}, 0.0)
    assert isinstance(conversation.read(flush), Refusal), "before the snapshot"
    assert read(conversation, state) == [Snapshot([ReceivedPosition("bo", 1.0, 2.0)])]
    assert isinstance(conversation.read(flush), Refusal), "cy was not announced"
    assert read(conversation, ParticipantJoined("cy", "Cy", "#112233"), Pong()) == [None, None]
    assert conversation.read(flush) == [
        ReceivedPosition("bo", 52.1234567, -13.7654321),
        ReceivedPosition("cy", 52.1234567, -13.7654321),
    ]


def test_an_end_an_error_and_what_cannot_be_read() -> None:
    conversation = CompactConversation("ada")
    assert read(conversation, SessionEnded("expired"), Error("RATE_LIMITED", "slow")) == [
        Ended("the session ended: expired", reconnect=False),
        Refusal("RATE_LIMITED: slow"),
    ]
    for nonsense in (b"", b"\xc1", b"\x92\x01\x07", b"{}"):
        assert isinstance(conversation.read(nonsense), Refusal)


def test_the_server_reads_what_the_conversation_writes() -> None:
    adapter = CompactAdapter()
    conversation = adapter.converse(ACCESS)
    assert conversation.hello() is None
    assert COMPACT.decode(conversation.position(PLACE)) == PLACE
    assert adapter.address(ACCESS, "ws://h/ws") == "ws://h/ws?token=token"


def complete(run: Run) -> bool:
    return run.lost == run.foreign == run.disconnects == run.refused == 0 < run.delivered


@pytest.mark.e2e
def test_the_real_server_loses_nothing_in_any_dialect() -> None:
    with started("locshare", dialect="phoenix", pin=False) as server:
        phoenix = measure(server, plan((3, 2)), NullObserver())
        same = parse(f"same={server.http_url},dialect=compact")
        compact = measure(same, plan((3, 2)), NullObserver())
    for run in (compact, phoenix):
        assert complete(run), run
        assert run.delivered == run.expected


def test_a_comparator_speaks_plain_only() -> None:
    with (
        pytest.raises(ValueError, match="speaks plain and not compact"),
        started("inprocess", dialect="compact"),
    ):
        pass
