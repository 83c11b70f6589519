"""The end of an answer is found wherever the network cuts it, and a small run joins everyone."""

import json
from itertools import pairwise

import pytest
from bench.solo.join import Answer, AnswerReader, BadAnswer, main
from hypothesis import given
from hypothesis import strategies as st

ANSWER = b"HTTP/1.1 201 \r\ncontent-type: application/json\r\nContent-Length: 2\r\n\r\n{}"


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


@pytest.mark.e2e
def test_a_small_run_joins_everyone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rate=50", "--seconds=0.5", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["results"] == {"201": 25}
    assert (result["joins"], result["failed"]) == (25, 0)
    assert 0 < result["latency_ms"]["p50"] <= result["latency_ms"]["max"] < 2000
