"""What one connection counts: every delivery once, and every kind of wrong one as what it is."""

import socket
import time
from collections.abc import Iterator

import pytest
from websockets.frames import Frame
from websockets.protocol import SERVER, Protocol

from bench.errors import NotServing
from bench.solo.codecs import PlainCodec
from bench.solo.crowd import Counters, Load, Person
from bench.solo.frames import PONG, SPAN_US, clock_us, write_position
from locshare.broadcast.fanout import text_frame
from tests.running import LAST_RESORT_S

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
SNAPSHOT = text_frame(b'{"type":"session_state","data":{"positions":[{"lat":1,"lng":2}]}}')
SIZE = 3


class Line:
    """A person of the second session of three, and the server's end of their connection."""

    def __init__(self) -> None:
        self.counters = Counters(counted_from_us=clock_us(time.monotonic()))
        self.person = Person(3, SIZE, 1, self.counters, PlainCodec(3, "", False))
        self.person.socket, self.server = socket.socketpair()
        self.person.socket.setblocking(False)

    def give(self, *pieces: bytes) -> bool:
        """Send each piece by itself. Returns whether the connection lives."""
        for piece in pieces:
            self.server.sendall(piece)
            if not self.person.receive():
                return False
        return True

    def close(self) -> None:
        self.person.socket.close()
        self.server.close()


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


def moved(sender: int, moment_us: int) -> bytes:
    lat, lng = write_position(sender, moment_us % SPAN_US)
    return text_frame(
        f'{{"type":"location_update","data":{{"user_id":"u","lat":{lat},"lng":{lng}}}}}'.encode()
    )


def test_a_client_is_open_with_the_snapshot_whose_positions_are_no_delivery(line: Line) -> None:
    seen = []
    for piece in (SWITCHING[:20], SWITCHING[20:], SNAPSHOT[:30], SNAPSHOT[30:]):
        assert line.give(piece)
        seen.append(line.person.open)
    assert seen == [False, False, False, True]
    assert line.counters.delivered == 0


def test_a_protocol_ping_may_come_before_the_snapshot(line: Line) -> None:
    assert line.give(SWITCHING, b"\x89\x00", SNAPSHOT)
    assert line.person.open
    assert line.server.recv(100)[0] == 0x80 | PONG


def test_what_comes_with_the_snapshot_in_one_piece_counts(line: Line) -> None:
    assert line.give(SWITCHING + SNAPSHOT + moved(4, clock_us(time.monotonic())))
    assert line.person.open
    assert line.counters.delivered == 1


def test_a_refused_upgrade_and_a_first_message_that_is_no_snapshot_end_the_run(line: Line) -> None:
    with pytest.raises(NotServing, match="401"):
        line.give(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
    other = Line()
    with pytest.raises(NotServing, match="snapshot"):
        other.give(SWITCHING, text_frame(b'{"type":"pong","data":{}}'))
    other.close()


def test_a_flush_of_several_positions_is_several_deliveries_with_their_latencies(
    line: Line,
) -> None:
    line.give(SWITCHING, SNAPSHOT)
    now = clock_us(time.monotonic())
    assert line.give(moved(4, now) + moved(5, now))
    assert line.counters.delivered == 2
    assert len(line.counters.latencies) == 2
    assert all(0 <= each < LAST_RESORT_S for each in line.counters.latencies)
    assert (line.counters.repeated, line.counters.foreign, line.counters.unreadable) == (0, 0, 0)


def test_an_update_from_before_the_window_is_a_delivery_without_a_latency(line: Line) -> None:
    line.give(SWITCHING, SNAPSHOT)
    assert line.give(moved(4, clock_us(time.monotonic()) - 3_000_000))
    assert line.counters.delivered == 1
    assert not line.counters.latencies


def test_one_that_comes_twice_or_late_is_repeated(line: Line) -> None:
    line.give(SWITCHING, SNAPSHOT)
    now = clock_us(time.monotonic())
    assert line.give(moved(4, now), moved(4, now), moved(4, now - 1000), moved(4, now + 1000))
    assert line.counters.repeated == 2


@pytest.mark.parametrize("sender", [2, 6])
def test_one_of_another_session_is_foreign(line: Line, sender: int) -> None:
    line.give(SWITCHING, SNAPSHOT)
    assert line.give(moved(sender, clock_us(time.monotonic())))
    assert line.counters.foreign == 1


def test_an_error_reply_is_counted_and_an_event_is_not(line: Line) -> None:
    line.give(SWITCHING, SNAPSHOT)
    assert line.give(
        text_frame(b'{"type":"error","data":{"code":"RATE_LIMITED","message":""}}'),
        text_frame(b'{"type":"participant_updated","data":{}}'),
    )
    assert (line.counters.errors, line.counters.delivered) == (1, 0)


def test_a_ping_is_answered_with_its_payload(line: Line) -> None:
    line.give(SWITCHING, SNAPSHOT)
    assert line.give(b"\x89\x04abcd")
    protocol = Protocol(SERVER)
    protocol.receive_data(line.server.recv(100))
    [frame] = protocol.events_received()
    assert isinstance(frame, Frame)
    assert (int(frame.opcode), frame.data) == (PONG, b"abcd")


@pytest.mark.parametrize(
    "ending",
    [pytest.param(b"\x88\x02\x11\x3a", id="close"), pytest.param(b"\x82\x00", id="binary")],
)
def test_a_close_frame_or_a_wrong_frame_ends_the_connection(line: Line, ending: bytes) -> None:
    line.give(SWITCHING, SNAPSHOT)
    assert not line.give(ending)
    assert not line.person.open


def test_the_end_of_the_stream_ends_the_connection(line: Line) -> None:
    line.give(SWITCHING, SNAPSHOT)
    line.server.shutdown(socket.SHUT_WR)
    assert not line.person.receive()
    assert not line.person.open


def test_a_load_is_as_many_people_as_its_sessions_hold() -> None:
    assert Load(20, 50).people == 1000
