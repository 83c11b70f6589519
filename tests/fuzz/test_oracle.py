"""What the fuzzer takes for a fault: it finds nothing unless it looks."""

import json

import msgspec
import pytest

from tests.fuzz.conversations import DialectName
from tests.fuzz.oracle import check_answer, check_close, check_message
from tests.fuzz.sockets import Answer, Fault
from tests.phones import BERLIN

MOVED = {"user_id": "ada", **BERLIN}


def plain(kind: str, data: object) -> bytes:
    return json.dumps({"type": kind, "data": data}).encode()


@pytest.mark.parametrize(
    ("dialect", "opcode", "payload"),
    [
        ("plain", 1, plain("location_update", MOVED | {"lat": 91})),
        ("plain", 1, plain("location_update", MOVED | {"speed": float("nan")})),
        ("plain", 1, plain("location_update", MOVED | {"timestamp": None})),
        ("plain", 1, plain("dance", {})),
        ("plain", 1, b'{"type": "pong"}'),
        ("plain", 1, b"\xff"),
        ("plain", 2, plain("pong", {})),
        ("compact", 1, msgspec.msgpack.encode([4, {}])),
        ("compact", 2, msgspec.msgpack.encode([99, {}])),
        ("compact", 2, msgspec.msgpack.encode([1, [[0, 1_000_000_000, 0, 0]]])),
        ("phoenix-2", 1, b'["1", "1", "t", "phx_reply", {}]'),
        ("phoenix-2", 1, json.dumps(["1", None, "t", "location_update", {}]).encode()),
        ("phoenix-1", 1, b'["1", "1", "t", "phx_close", {}]'),
    ],
)
def test_a_message_that_is_not_of_the_contract_is_a_fault(
    dialect: DialectName, opcode: int, payload: bytes
) -> None:
    with pytest.raises(Fault):
        check_message(dialect, opcode, payload)


@pytest.mark.parametrize(
    ("dialect", "opcode", "payload"),
    [
        ("plain", 1, plain("location_update", MOVED)),
        ("plain", 1, plain("pong", {})),
        ("compact", 2, msgspec.msgpack.encode([1, [[0, 900_000_000, 0, 0]]])),
        ("phoenix-1", 1, b'{"event": "phx_close", "payload": {}, "topic": "t"}'),
        ("phoenix-2", 1, json.dumps(["1", None, "t", "location_update", MOVED]).encode()),
    ],
)
def test_a_message_of_the_contract_is_none(
    dialect: DialectName, opcode: int, payload: bytes
) -> None:
    check_message(dialect, opcode, payload)


@pytest.mark.parametrize("code", [1006, 1011, 1012, 1013, 4508, 4999])
def test_a_close_that_no_client_can_cause_is_a_fault(code: int) -> None:
    with pytest.raises(Fault):
        check_close(code.to_bytes(2, "big"), sent_by_us=False)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, {"content-type": "application/problem+json"}, b"{}"),
        Answer(404, {"content-type": "text/html"}, b"<p>"),
        Answer(404, {"content-type": "application/problem+json"}, b'{"status": 400, "code": "X"}'),
        Answer(200, {"content-type": "application/json"}, b'{"lat": NaN}'),
    ],
)
def test_an_answer_that_no_call_may_have_is_a_fault(answer: Answer) -> None:
    with pytest.raises((Fault, LookupError)):
        check_answer(answer, "/api/sessions")
