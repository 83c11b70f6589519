"""The head of a request in raw bytes, without a server, split in any way."""

from typing import Any

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from locshare.http.heads import TARGET_BYTES, HeadLimits, Refused, check_bytes
from locshare.http.strict_h11 import MAX_PIECES, StrictConnection

LIMITS = HeadLimits(head_bytes=16_384)
REQUESTS = (
    b"GET /api/sessions HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 2\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"GET http://a.example:80/x?y HTTP/1.1\r\nHost: b\r\n\r\n",
    b"OPTIONS * HTTP/1.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
PIECES = (
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b":", b"\x7f", b"\xff", b",", b"#", b"@", b"/",
    b"Host: y\r\n", b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n ", b"%",
    b"HTTP/1.1", b"Expect: 100-continue\r\n", b"0", b"-",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A request with pieces inserted and removed."""
    data = bytearray(draw(st.sampled_from(REQUESTS)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        piece = draw(st.sampled_from(PIECES) | st.binary(min_size=1, max_size=3))
        if draw(st.booleans()):
            data[at:at] = piece
        else:
            del data[at : at + draw(st.integers(1, 4))]
    return bytes(data)


def result_of(parts: list[bytes]) -> Any:
    """The head, None when it is not complete, or "refused"."""
    connection = StrictConnection(LIMITS, 100_000)
    for part in parts:
        connection.receive_data(part)
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            refusal = connection.refusal
            assert refusal is not None
            assert refusal.status in (400, 405, 413, 414, 417, 431, 501, 505)
            return "refused"
        if isinstance(event, h11.Request):
            return connection.head
    return None


@given(data=mutated() | st.binary(min_size=1, max_size=80), cuts=st.lists(st.integers(0, 200)))
@example(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", [15, 16, 23, 24, 25, 26])
@example(b"GET / HTTP/1.1\r\nA: b\r\r\n\r\n", [20, 21, 22])
def test_the_result_does_not_depend_on_how_a_head_is_split(data: bytes, cuts: list[int]) -> None:
    ends = sorted({cut for cut in cuts if 0 < cut < len(data)} | {len(data)})
    parts = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert b"".join(parts) == data
    if data[:2] == b"\r\n" and len(parts[0]) < 2:
        return  # an empty line before a request is ignored when it comes in one piece
    assert result_of(parts) == result_of([data])


@given(mutated())
def test_an_accepted_head_has_one_meaning(data: bytes) -> None:
    head = result_of([data])
    if head is None or head == "refused":
        return
    request = head.request
    raw = data[: data.index(b"\r\n\r\n")]
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")
    assert b"\0" not in raw
    assert request.target.startswith(b"/") or request.target == b"*"
    names = [name for name, _ in request.headers]
    assert names.count(b"host") == 1 or request.http_version == b"1.0"
    assert names.count(b"content-length") <= 1
    assert not (b"content-length" in names and b"transfer-encoding" in names)
    assert head.chunked is (b"transfer-encoding" in names)


@pytest.mark.parametrize(
    ("head", "status", "why"),
    [
        (b"G" * (TARGET_BYTES + 65), 414, "8000 bytes"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 16_384, 431, "16384 bytes"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431, "100 header fields"),
        (b"GET / HTTP/1.1\r\nX: y\r\n z\r\n", 400, "folded"),
        (b"GET / HTTP/1.1\r\nX: y\n", 400, "CR LF"),
        (b"GET / HTTP/1.1\r\nX: \x01", 400, "control character"),
    ],
)
def test_a_refusal_names_the_limit(head: bytes, status: int, why: str) -> None:
    with pytest.raises(Refused) as refused:
        check_bytes(head, LIMITS)
    assert refused.value.status == status
    assert why in refused.value.why


def test_bytes_after_a_head_are_not_checked_with_it() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert check_bytes(head + b"\0\n\r " * 10_000, LIMITS) == head
    assert check_bytes(head[:-1], LIMITS) == head[:-1]


def test_an_empty_head_is_complete() -> None:
    assert check_bytes(b"\r\n\r\n\0", LIMITS) == b"\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "status"),
    [([50, 50], None), ([60, 41], 413), ([30, 30, 30, 11], 413), ([0, 101], 413)],
)
def test_a_body_in_parts_is_bounded_as_a_whole(parts: list[int], status: int | None) -> None:
    connection = StrictConnection(LIMITS, body_bytes=100)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    connection.receive_data(head + b"x" * parts[0])
    assert isinstance(connection.next_event(), h11.Request)
    got = None
    for part in parts[1:]:
        connection.receive_data(b"x" * part)
        try:
            while connection.next_event() is not h11.NEED_DATA:
                pass
        except Refused as refused:
            got = refused.status
    assert got == status


def test_a_body_has_a_bounded_number_of_pieces() -> None:
    """Each costs as much, however small it is. Those of the next request count anew."""
    post = b"POST / HTTP/1.1\r\nHost: x\r\n"
    connection = StrictConnection(LIMITS, body_bytes=100_000)
    for _ in range(2):
        connection.receive_data(post + b"Content-Length: %d\r\n\r\n" % MAX_PIECES)
        assert isinstance(connection.next_event(), h11.Request)
        for _ in range(MAX_PIECES):
            connection.receive_data(b"x")
            assert isinstance(connection.next_event(), h11.Data)
        assert isinstance(connection.next_event(), h11.EndOfMessage)
        connection.send(h11.Response(status_code=204, headers=[]))
        connection.send(h11.EndOfMessage())
        connection.start_next_cycle()
    chunks = b"1\r\nx\r\n" * (MAX_PIECES + 1)
    connection.receive_data(post + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert isinstance(connection.next_event(), h11.Request)
    for _ in range(MAX_PIECES):
        assert isinstance(connection.next_event(), h11.Data)
    with pytest.raises(Refused, match="more than 1000 pieces") as refused:
        connection.next_event()
    assert refused.value.status == 413


def test_the_refusal_of_a_head_request_has_no_body() -> None:
    connection = StrictConnection(LIMITS, body_bytes=100)
    connection.receive_data(b"HEAD nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(Refused):
        connection.next_event()
    sent = connection.send(h11.Response(status_code=400, headers=[]))
    assert sent.startswith(b"HTTP/1.1 400")
    assert sent.endswith(b"\r\n\r\n")
    assert connection.send(h11.EndOfMessage()) == b"", "it has been sent already"


def test_a_malformed_request_after_a_head_request_gets_its_body() -> None:
    connection = StrictConnection(LIMITS, body_bytes=100)
    connection.receive_data(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    while connection.next_event() is not h11.PAUSED:
        if connection.their_state is h11.DONE:
            break
    connection.send(h11.Response(status_code=204, headers=[]))
    connection.send(h11.EndOfMessage())
    connection.start_next_cycle()
    connection.receive_data(b"nonsense\r\n\r\n")
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()
    sent = connection.send(h11.Response(status_code=400, headers=[]))
    assert b"BAD_REQUEST" in sent
