"""What a server may say: everything else is a fault."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import msgspec

from locshare.connection.refusal import Refusal
from locshare.connection.upgrade import BAD_HANDSHAKE
from locshare.http.problems import ProblemCode
from locshare.model.reasons import CloseReason, reason_of
from locshare.wire.compact import TYPES
from locshare.wire.plain import decode_from_server
from tests.fuzz.conversations import DialectName
from tests.fuzz.sockets import Answer, Busy, Fault

NOT_FOR_A_CLIENT: Final = {
    CloseReason.INTERNAL_ERROR, CloseReason.RESTART, CloseReason.OVERLOADED, CloseReason.TOO_SLOW,
    CloseReason.SILENT,
}  # fmt: skip
"""No message may have these consequences: that the server failed, or has no room for others."""
NOT_FOR_A_CALL: Final = {500, 502, 503, 504}
CODES: Final = (
    {code.name: code.status for code in ProblemCode}
    | {refusal.code: refusal.status for refusal in Refusal}
    | {BAD_HANDSHAKE: None}
)
_NO_PROBLEM: Final = {"/health/ready"}
_NO_PAGE: Final = b"The web client is not part of this installation."


def check_close(payload: bytes, sent_by_us: bool) -> int:
    """The code of a close frame. An echo may be anything that a client may send."""
    if not payload:
        return 1005
    code = int.from_bytes(payload[:2], "big")
    payload[2:].decode()
    reason = reason_of(code)
    if not sent_by_us and (reason is None or not reason.is_sent or reason in NOT_FOR_A_CLIENT):
        kind = Busy if reason is CloseReason.OVERLOADED else Fault
        raise kind(f"closed with {code}, {payload[2:]!r}")
    return code


def check_message(dialect: DialectName, opcode: int, payload: bytes) -> None:
    """A message is whole, of its dialect, and of a type that there is."""
    if opcode != (2 if dialect == "compact" else 1):
        raise Fault(f"a message with the opcode {opcode}: {payload[:200]!r}")
    try:
        _CHECKS[dialect](payload)
    except Fault:
        raise
    except (ValueError, msgspec.DecodeError, LookupError, TypeError) as error:
        raise Fault(f"{error!r} for {payload[:500]!r}") from error


def _plain(payload: bytes) -> None:
    message = _strict(payload)
    if message.keys() != {"type", "data"}:
        raise Fault(f"a message has the fields {sorted(message)}")
    _event(message["type"], message["data"])


def _event(kind: str, data: Any) -> None:
    decode_from_server(json.dumps({"type": kind, "data": data}))
    if kind == "location_update":
        _on_earth(data)
    for position in data.get("positions", ()):
        _on_earth(position)


def _on_earth(position: Mapping[str, Any]) -> None:
    if not (-90 <= position["lat"] <= 90 and -180 <= position["lng"] <= 180):
        raise Fault(f"nowhere on earth: {position}")


def _compact(payload: bytes) -> None:
    kind, data = msgspec.msgpack.decode(payload)
    if kind not in TYPES.values():
        raise Fault(f"a message of the type {kind!r}")
    rows = data if kind == TYPES["location_update"] else ()
    for row in data["positions"] if kind == TYPES["session_state"] else rows:
        _on_earth({"lat": row[1] / 1e7, "lng": row[2] / 1e7})


def _phoenix_1(payload: bytes) -> None:
    message = _strict(payload)
    _phoenix(message["event"], message["payload"])


def _phoenix_2(payload: bytes) -> None:
    _join_ref, _ref, _topic, event, data = _strict(payload)
    _phoenix(event, data)


def _phoenix(event: str, data: Any) -> None:
    if event == "phx_reply":
        if data.keys() != {"status", "response"} or data["status"] not in ("ok", "error"):
            raise Fault(f"a reply with {data}")
    elif not event.startswith("phx_") and event != "error":
        _event(event, data)


def _no_constant(name: str) -> NoReturn:
    raise Fault(f"JSON with {name}")


def _strict(payload: bytes) -> Any:
    return json.loads(payload.decode(), parse_constant=_no_constant)


_CHECKS: Final[Mapping[DialectName, Callable[[bytes], None]]] = {
    "plain": _plain,
    "compact": _compact,
    "phoenix-1": _phoenix_1,
    "phoenix-2": _phoenix_2,
}


def check_answer(answer: Answer, path: str, *, to_head: bool = False) -> None:
    """An answer of HTTP: no failure of the server, a whole problem where it refuses."""
    status, headers, body = answer
    kind = headers.get("content-type", "")
    if status == 503 and _NO_PAGE in body:
        return  # where it was not built, as in a checkout; the calls do not need it
    if status in NOT_FOR_A_CALL and path not in _NO_PROBLEM:
        raise (Busy if status == 503 else Fault)(f"{status} {body[:300]!r}")
    if to_head or status in (101, 204, 304):
        return
    if status >= 400 and path not in _NO_PROBLEM:
        if kind.startswith("text/html") and status == 404 and b"<!doctype html>" in body:
            return  # the page, which tells people that there is no such session
        if kind != "application/problem+json":
            raise Fault(f"{status} of the type {kind!r}: {body[:200]!r}")
        problem = _strict(body)
        if problem["status"] != status or CODES[problem["code"]] not in (status, None):
            raise Fault(f"{status} with {problem}")
    elif kind.startswith("application/json"):
        _strict(body)
