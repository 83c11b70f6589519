"""The outbox on a socket that takes any number of bytes: what arrives, in which order, and when a
receiver is given up."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from locshare.actors.testing import settle
from locshare.broadcast.backlog import ENTRY_COST, Control
from locshare.broadcast.fanout import Flush, encode_flush, text_frame
from locshare.broadcast.outbox import OutboxLimits
from locshare.connection.lifecycle import State
from locshare.model.position import HeldPosition, Position
from locshare.model.reasons import CloseReason
from locshare.wire.compact import COMPACT
from locshare.wire.dialects import Shorthand
from tests.broadcast.wire_kit import UNLIMITED, Rig, parse

PONG = b"\x8a\x02hi"


def flush_of(version: int, users: Iterable[str], padding: int = 20) -> Flush:
    return Flush({user: position_frame(user, version, padding) for user in users})


def position_frame(user: str, version: int, padding: int = 20) -> bytes:
    return text_frame(f"P {user} {version} ".encode() + b"." * padding)


def event_frame(number: int) -> bytes:
    return text_frame(f"E {number}".encode())


def texts(rig: Rig) -> list[str]:
    return [payload.decode().rstrip(". ") for first, payload in rig.wire.frames() if first == 0x81]


def half_closed(rig: Rig) -> bool:
    return rig.wire.ended


# --- a socket that takes everything -------------------------------------------------------------


async def test_a_flush_is_one_send_and_no_task_while_the_socket_takes_it(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery)
    rig.receiver.send_positions(flush_of(1, ["ada", "bob", "me"]))
    assert rig.wire.sends == 1
    assert rig.spawned == 0
    assert texts(rig) == ["P ada 1", "P bob 1"]


async def test_close_writes_the_close_frame_ends_writing_and_announces_the_linger(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery, limits=OutboxLimits(linger=3.0))
    rig.receiver.close(CloseReason.REPLACED)
    assert rig.wire.frames() == [(0x88, (4409).to_bytes(2, "big"))]
    assert rig.wire.ended
    assert rig.closing == [3.0]
    assert rig.receiver.closed


async def test_after_close_nothing_more_is_sent(nursery: trio.Nursery) -> None:
    rig = Rig(nursery)
    rig.receiver.close(CloseReason.LEFT)
    rig.receiver.send_event(event_frame(1))
    rig.receiver.send_positions(flush_of(1, ["ada"]))
    rig.outbox.send_control(Control.PONG, PONG)
    assert len(rig.wire.frames()) == 1


async def test_a_lost_socket_closes_with_peer_gone_and_raises_nothing(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery)
    rig.wire.broken = True
    rig.receiver.send_positions(flush_of(1, ["ada"]))
    rig.receiver.send_event(event_frame(1))
    assert rig.reason is CloseReason.PEER_GONE
    assert rig.closing == [0.0]
    assert rig.wire.sends == 1


# --- a socket that is blocked -------------------------------------------------------------------


async def test_while_blocked_a_flush_makes_no_system_call_and_no_second_task(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery, room=0)
    for version in range(5):
        rig.receiver.send_positions(flush_of(version, ["ada"]))
    await settle()
    assert rig.wire.sends == 1
    assert rig.spawned == 1


async def test_a_receiver_that_reads_again_gets_only_the_newest_of_each(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery, room=0)
    for version in range(100):
        rig.receiver.send_positions(flush_of(version, ["ada", "bob", "me"]))
    rig.wire.give_room(UNLIMITED)
    await settle()
    assert texts(rig) == ["P ada 99", "P bob 99"]


async def test_after_draining_the_fast_path_is_taken_again(nursery: trio.Nursery) -> None:
    rig = Rig(nursery, room=3)
    rig.receiver.send_positions(flush_of(1, ["ada"]))
    rig.wire.give_room(UNLIMITED)
    await settle()
    sends = rig.wire.sends
    rig.receiver.send_positions(flush_of(2, ["ada"]))
    assert rig.wire.sends == sends + 1
    assert texts(rig) == ["P ada 1", "P ada 2"]
    assert rig.outbox.backlog_bytes == 0


async def test_a_position_handed_over_before_participant_left_never_comes_after_it(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery, room=0)
    rig.receiver.send_positions(flush_of(1, ["ada", "bob"]))
    rig.receiver.send_event(event_frame(1))  # ada left
    rig.receiver.send_positions(flush_of(2, ["bob"]))
    rig.wire.give_room(UNLIMITED)
    await settle()
    assert texts(rig) == ["P ada 1", "E 1", "P bob 2"]


async def test_a_narrow_receiver_is_served_everyone_in_turn(nursery: trio.Nursery) -> None:
    users = [f"u{i}" for i in range(10)]
    rig = Rig(nursery, room=0)
    frame = len(position_frame("u0", 10))
    for version in range(10, 30):  # two frames of ten get through after each flush
        rig.receiver.send_positions(flush_of(version, users))
        rig.wire.give_room(2 * frame)
        await settle()
    served = {text.split()[1] for text in texts(rig)}
    assert served == set(users)


async def test_close_waits_for_the_events_and_drops_the_positions(nursery: trio.Nursery) -> None:
    rig = Rig(nursery, room=0)
    rig.receiver.send_positions(flush_of(1, ["ada"]))
    rig.receiver.send_event(event_frame(1))
    rig.receiver.close(CloseReason.SESSION_ENDED)
    assert not rig.wire.ended
    rig.wire.give_room(UNLIMITED)
    await settle()
    assert texts(rig) == ["E 1"]
    assert rig.wire.frames()[-1] == (0x88, (4410).to_bytes(2, "big"))
    assert rig.wire.ended


@pytest.mark.parametrize("room", [0, 1, 3])
async def test_a_close_frame_that_the_socket_does_not_take_is_written_before_the_half_close(
    nursery: trio.Nursery, room: int
) -> None:
    rig = Rig(nursery, room=room)
    rig.receiver.close(CloseReason.SESSION_ENDED)
    await settle()
    assert rig.outbox.backlog_bytes > 0
    assert not half_closed(rig)
    rig.receiver.send_event(event_frame(1))
    rig.outbox.send_control(Control.PONG, PONG)
    rig.wire.give_room(UNLIMITED)
    await settle()
    assert rig.wire.frames() == [(0x88, (4410).to_bytes(2, "big"))]
    assert half_closed(rig)
    assert rig.closing == [OutboxLimits().linger], "told once"


async def test_the_reply_to_a_close_is_the_last_frame_and_ends_writing(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery)
    rig.peer_closed(b"\x88\x00")
    assert rig.wire.ended
    rig.receiver.close(CloseReason.LEFT)
    assert rig.wire.frames() == [(0x88, b"")]
    assert rig.reason is CloseReason.PEER_CLOSED
    assert rig.lifecycle.state is State.CLOSED


async def test_a_verdict_while_blocked_waits_behind_the_events_and_drops_the_positions(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery, room=3)
    rig.receiver.send_event(event_frame(1))
    rig.receiver.send_positions(flush_of(1, ["ada"]))
    rig.receiver.send_event(event_frame(2))
    rig.violated(CloseReason.PROTOCOL_ERROR, b"\x88\x02\x03\xea")
    rig.peer_closed(b"\x88\x00")
    rig.wire.give_room(UNLIMITED)
    await settle()
    assert texts(rig) == ["E 1", "E 2"]
    assert rig.wire.frames()[-1] == (0x88, b"\x03\xea")
    assert rig.wire.ended


async def test_a_lost_socket_gives_its_backlog_back_and_is_written_to_no_more(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery, room=3)
    rig.receiver.send_event(event_frame(1))
    assert rig.outbox.backlog_bytes > 0
    rig.lost()
    assert rig.outbox.backlog_bytes == 0
    sends = rig.wire.sends
    rig.receiver.send_event(event_frame(2))
    rig.receiver.send_positions(flush_of(1, ["ada"]))
    rig.receiver.close(CloseReason.LEFT)
    rig.wire.give_room(UNLIMITED)
    await settle()
    assert rig.wire.sends == sends
    assert rig.closing == [0.0]
    assert not nursery.child_tasks


async def test_a_socket_that_breaks_in_a_close_keeps_the_reason_and_drops_the_backlog(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery)
    rig.wire.broken = True
    rig.receiver.close(CloseReason.REPLACED)
    assert rig.reason is CloseReason.REPLACED
    assert rig.outbox.backlog_bytes == 0


async def test_what_was_written_is_counted_and_what_was_not_is_a_stall(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery, room=1000)
    rig.receiver.send_event(event_frame(1))
    rig.receiver.send_positions(flush_of(1, ["ada", "bob"]))
    rig.outbox.send_control(Control.PING, b"\x89\x00")
    assert (rig.counters.writes, rig.counters.stalls) == (3, 0)
    assert rig.counters.size == len(rig.wire.taken)
    rig.wire.room = 1
    rig.receiver.send_event(event_frame(2))
    assert (rig.counters.writes, rig.counters.stalls) == (4, 1)
    rig.wire.give_room(UNLIMITED)
    await settle()
    assert rig.counters.size == len(rig.wire.taken)
    assert (rig.counters.writes, rig.counters.stalls) == (5, 1)


# --- a receiver that is given up ----------------------------------------------------------------


async def test_a_backlog_over_its_bound_closes_with_too_slow_and_is_given_back(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery, room=5, limits=OutboxLimits(max_bytes=10_000))
    rig.receiver.send_positions(flush_of(1, ["ada"]))
    sent = 0
    while not rig.receiver.closed:
        assert rig.outbox.backlog_bytes <= 10_000 + 100
        sent += 1
        rig.receiver.send_event(event_frame(sent))
        assert sent < 10_000
    assert rig.reason is CloseReason.TOO_SLOW
    assert rig.outbox.backlog_bytes < 2 * ENTRY_COST + 100
    rig.wire.give_room(UNLIMITED)
    await settle()
    assert texts(rig) == ["P ada 1"]
    assert rig.wire.frames()[-1] == (0x88, (4508).to_bytes(2, "big"))


@pytest.mark.parametrize("begun", [0, 5])
async def test_the_bound_counts_each_frame_with_its_bookkeeping_and_not_the_one_that_was_begun(
    nursery: trio.Nursery, begun: int
) -> None:
    """A frame of one byte takes a few hundred in memory: 128 are counted beside its own."""
    frame = b"\x81\x02ab"
    rig = Rig(nursery, room=begun, limits=OutboxLimits(max_bytes=10 * (4 + 128)))
    if begun:
        rig.receiver.send_event(text_frame(b"x" * 5_000))
    for _ in range(10):
        rig.receiver.send_event(frame)
        assert not rig.receiver.closed, "the bound itself is allowed"
    rig.receiver.send_event(frame)
    assert rig.receiver.closed


async def test_positions_count_against_the_bound_too(nursery: trio.Nursery) -> None:
    rig = Rig(nursery, room=0, limits=OutboxLimits(max_bytes=10 * (4 + 128)))
    frames = {f"u{n}": b"\x81\x02ab" for n in range(11)}
    rig.receiver.send_positions(Flush(dict(list(frames.items())[:10])))
    rig.receiver.send_positions(Flush(dict(list(frames.items())[:10])))
    assert not rig.receiver.closed
    rig.receiver.send_positions(Flush(frames))
    assert rig.reason is CloseReason.TOO_SLOW


async def test_conflated_positions_alone_never_reach_the_bound(nursery: trio.Nursery) -> None:
    rig = Rig(nursery, room=0, limits=OutboxLimits(max_bytes=10_000))
    for version in range(1000):
        rig.receiver.send_positions(flush_of(version, ["ada", "bob", "carl"]))
    assert not rig.receiver.closed


async def test_a_single_frame_larger_than_the_bound_is_still_delivered(
    nursery: trio.Nursery,
) -> None:
    rig = Rig(nursery, room=10, limits=OutboxLimits(max_bytes=1_000))
    rig.receiver.send_event(text_frame(b"s" * 5_000))
    rig.receiver.send_event(event_frame(1))
    rig.wire.give_room(UNLIMITED)
    await settle()
    assert not rig.receiver.closed
    assert [len(text) for text in texts(rig)] == [5_000, 3]


async def test_no_byte_taken_within_the_write_deadline_closes_with_too_slow(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    rig = Rig(nursery, room=0, limits=OutboxLimits(write_deadline=15.0))
    rig.receiver.send_event(event_frame(1))
    await trio.sleep(14.9)
    assert not rig.receiver.closed
    await trio.sleep(0.2)
    assert rig.reason is CloseReason.TOO_SLOW
    rig.lost()  # the connection closes the socket after the linger
    rig.wire.broken = True
    rig.wire.give_room(0)


async def test_progress_renews_the_write_deadline(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    rig = Rig(nursery, room=0, limits=OutboxLimits(write_deadline=15.0))
    rig.receiver.send_event(text_frame(b"x" * 100))
    for _ in range(8):
        await trio.sleep(14)
        rig.wire.give_room(1)
    assert not rig.receiver.closed
    rig.wire.give_room(UNLIMITED)
    await settle()
    assert texts(rig) == ["x" * 100]


async def test_a_socket_that_breaks_while_draining_ends_the_drain(nursery: trio.Nursery) -> None:
    rig = Rig(nursery, room=3)
    rig.receiver.send_event(event_frame(1))
    await settle()
    rig.wire.broken = True
    rig.wire.give_room(0)
    await settle()
    assert rig.reason is CloseReason.PEER_GONE
    assert not nursery.child_tasks


@pytest.mark.parametrize("failure", [ConnectionResetError(), trio.ClosedResourceError()], ids=repr)
async def test_a_socket_that_cannot_be_waited_for_any_more_is_lost_with_its_backlog(
    nursery: trio.Nursery, failure: Exception
) -> None:
    rig = Rig(nursery, room=3)
    rig.receiver.send_event(event_frame(1))
    await settle()
    rig.wire.fail_wait = failure
    rig.wire.give_room(UNLIMITED)
    await settle()
    assert rig.reason is CloseReason.PEER_GONE
    assert rig.closing == [0.0]
    assert rig.outbox.backlog_bytes == 0
    assert rig.wire.sends == 1
    assert not nursery.child_tasks


# --- any sequence of commands on any socket -----------------------------------------------------

USERS = ("ada", "bob", "carl", "me")
COMMANDS = st.lists(
    st.one_of(
        st.tuples(st.just("flush"), st.sets(st.sampled_from(USERS), min_size=1)),
        st.tuples(st.just("event"), st.none()),
        st.tuples(st.just("pong"), st.none()),
        st.tuples(st.just("room"), st.integers(0, 120)),
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(first_room=st.integers(0, 200), commands=COMMANDS, padding=st.sampled_from([0, 130]))
def test_whatever_happens_frames_are_whole_events_complete_positions_newest(
    first_room: int, commands: list[tuple[str, object]], padding: int
) -> None:
    trio.run(_drive, first_room, commands, padding)


async def _drive(first_room: int, commands: list[tuple[str, object]], padding: int) -> None:
    events = 0
    version = 0
    newest: dict[str, int] = {}
    events_before: dict[int, int] = {}  # version of a flush: how many events preceded it
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, room=first_room)
        for command, value in commands:
            if command == "flush":
                version += 1
                events_before[version] = events
                assert isinstance(value, set)
                rig.receiver.send_positions(flush_of(version, sorted(value), padding))
                newest.update(dict.fromkeys(value, version))
            elif command == "event":
                events += 1
                rig.receiver.send_event(event_frame(events))
            elif command == "pong":
                rig.outbox.send_control(Control.PONG, PONG)
            else:
                assert isinstance(value, int)
                rig.wire.give_room(value)
                await settle()
            assert (rig.outbox.backlog_bytes == 0) == (not nursery.child_tasks)
        rig.wire.give_room(UNLIMITED)
        await settle()
        assert rig.outbox.backlog_bytes == 0
    newest.pop("me", None)

    seen: dict[str, int] = {}
    events_seen = 0
    for first, payload in rig.wire.frames():
        if first == 0x8A:
            continue
        words = payload.decode().split()
        if words[0] == "E":
            events_seen += 1
            assert int(words[1]) == events_seen, "events in order, none missing"
        else:
            user, got = words[1], int(words[2])
            assert user != "me", "one's own position is left out"
            assert got > seen.get(user, 0), "a position never goes back"
            seen[user] = got
            assert events_before[got] == events_seen, "a position keeps its place among events"
    assert events_seen == events
    assert seen == newest, "after the pause everyone's newest position has arrived"


def test_the_parser_of_these_tests_notices_a_broken_frame() -> None:
    with pytest.raises(AssertionError, match="inside a frame"):
        parse(text_frame(b"hello")[:-1])


async def test_a_batch_that_a_socket_takes_in_part_is_finished_and_then_conflated(
    nursery: trio.Nursery,
) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    dialect = COMPACT.in_session(Shorthand.since(at, {"ada": 1, "bob": 2, "me": 3}))

    def batch(version: int, *users: str) -> Flush:
        held = HeldPosition(Position(version, 2.0, 3.0, at), 0.0, 0.0)
        return encode_flush(dict.fromkeys(users, held), 0.0, dialect)

    whole = len(batch(0, "ada", "bob", "me").joined)
    for room in range(whole + 1):
        rig = Rig(nursery, room=room)
        rig.receiver.send_positions(batch(0, "ada", "bob", "me"))
        if room < whole:
            rig.receiver.send_positions(batch(1, "me", "ada"))
            rig.receiver.send_positions(batch(2, "bob"))
            rig.receiver.send_positions(batch(3, "ada", "me"))
        rig.wire.give_room(UNLIMITED)
        await settle()
        rows = [
            [(row[0], row[1] // 10_000_000) for row in msgspec.msgpack.decode(payload)[1]]
            for _, payload in rig.wire.frames()
        ]
        first = [[(1, 0), (2, 0), (3, 0)]] if room else []
        rest = [[(1, 3)], [(2, 2)]] if room < whole else []
        assert rows == first + rest
        assert rig.outbox.backlog_bytes == 0
