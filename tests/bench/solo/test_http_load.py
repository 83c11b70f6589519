"""The end of an answer is found wherever the network cuts it, and a call without one is noticed."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.servers import HOST
from bench.solo.http_load import Answer, AnswerReader, BadAnswer, Call, HttpLoad
from tests.running import LAST_RESORT_S

ANSWER = b"HTTP/1.1 201 \r\ncontent-type: application/json\r\nContent-Length: 2\r\n\r\n{}"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"


@given(st.lists(st.integers(0, len(ANSWER)), max_size=6))
def test_an_answer_is_whole_with_its_last_byte(cuts: list[int]) -> None:
    reader = AnswerReader()
    edges = [0, *sorted(cuts), len(ANSWER)]
    for start, end in pairwise(edges):
        answer = reader.feed(ANSWER[start:end]) if start < end else None
        assert answer == (Answer(201, keep=True) if start < end == len(ANSWER) else None)
    assert reader.feed(ANSWER) == Answer(201, keep=True)


def test_an_answer_says_when_its_connection_is_not_to_be_used_again() -> None:
    closing = ANSWER.replace(b"content-type: application/json", b"Connection: close")
    assert AnswerReader().feed(closing) == Answer(201, keep=False)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 201 \r\ntransfer-encoding: chunked\r\n\r\n", id="no length"),
        pytest.param(b"nonsense\r\n\r\n", id="not HTTP"),
        pytest.param(ANSWER + b"H", id="more than one"),
    ],
)
def test_an_answer_without_an_end_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        AnswerReader().feed(data)


@contextlib.contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A server that gives each connection the answers in turn, and closes it after the last."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(LAST_RESORT_S)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        for answer in answers:
                            if not connection.recv(65536):
                                break
                            connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_each_kind_of_call_is_counted_by_its_answers() -> None:
    full = ANSWER.replace(b"201", b"409")
    with answering(ANSWER, full, ANSWER) as port, contextlib.closing(HttpLoad(port, 1)) as callers:
        outcomes = callers.run([Call("a", REQUEST), Call("b", REQUEST), Call("a", REQUEST, 0.01)])
    assert outcomes["a"].statuses == {201: 2}
    assert outcomes["b"].statuses == {409: 1}
    assert len(outcomes["a"].latencies) == 2
    assert callers.opened == 1


def test_a_broken_connection_is_a_failed_call_and_replaced_by_another() -> None:
    with (
        answering(ANSWER, b"HTTP/1.1 200") as port,
        contextlib.closing(HttpLoad(port, 1)) as callers,
    ):
        outcomes = callers.run([Call("a", REQUEST)] * 3)
    assert outcomes["a"].statuses == {201: 2, 0: 1}
    assert callers.opened == 2


def test_a_latency_counts_from_when_the_call_was_due() -> None:
    with answering(ANSWER, ANSWER) as port, contextlib.closing(HttpLoad(port, 1)) as callers:
        outcome = callers.run([Call("a", REQUEST, 0.0), Call("a", REQUEST, -1000.0)])["a"]
    assert outcome.latencies[0] < 1000 <= outcome.latencies[1]
    assert outcome.lags[1] >= 1000
