"""Every message that the server writes in a test is held to its JSON Schema, with no room for a
field that the schema does not name (tests/conftest.py). In this process at the dialects, which
write all of them; of a server in another process at the phones that read them.

What is wrong is kept until the test is over: raised where it is found, it would crash a session,
which survives that.
"""

from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any, Final

import jsonschema_rs
import msgspec

from locshare.broadcast.fanout import text_frame
from locshare.connection import phoenix
from locshare.wire.compact import TYPES, CompactDialect
from locshare.wire.phoenix import PhoenixDialect
from locshare.wire.plain import PlainDialect

_wrong: Final[list[str]] = []


def found_wrong() -> list[str]:
    """What was wrong since the last call."""
    found = [*_wrong]
    _wrong.clear()
    return found


def check(dialect: str, payload: bytes | str) -> None:
    """Hold the payload of one frame from the server to the contract."""
    try:
        message = _decode(dialect, payload)
        name = _name_of(dialect, message)
        validator = _validators(dialect).get(name)
        if validator is None:
            _wrong.append(f"{dialect}: {name!r} is no message of the contract")
        elif not validator.is_valid(message):
            for error in validator.iter_errors(message):
                _wrong.append(f"{dialect} {name}: {error.message} at {error.instance_path}")
    except Exception as error:  # noqa: BLE001 - reported with the test
        _wrong.append(f"{dialect}: {error!r}")


def _decode(dialect: str, payload: bytes | str) -> Any:
    if dialect == "compact":
        assert isinstance(payload, bytes)
        return msgspec.msgpack.decode(payload)
    return msgspec.json.decode(payload)


_NAMES: Final = {number: name for name, number in TYPES.items()}


def _name_of(dialect: str, message: Any) -> str:
    if dialect == "plain":
        return str(message["type"])
    if dialect == "compact":
        return _NAMES[message[0]]
    return str(message[3] if isinstance(message, list) else message["event"])


@cache
def _validators(dialect: str) -> Mapping[str, Any]:
    """Of each message that the server sends in ``dialect``, by name."""
    from locshare.contract.asyncapi import phoenix_messages
    from locshare.contract.messages import compact_messages, plain_messages
    from locshare.contract.schemas import Components, closed

    messages = {"plain": plain_messages, "compact": compact_messages, "phoenix": phoenix_messages}
    components = Components()
    found = [each for each in messages[dialect](components) if not each.from_client]
    held = {"components": {"schemas": closed(components.schemas)}}
    return {
        each.name: jsonschema_rs.validator_for(
            {"$schema": "https://json-schema.org/draft/2020-12/schema"}
            | closed(each.payload)
            | held,
            validate_formats=True,
        )
        for each in found
    }


# --- the dialects of this process -------------------------------------------------------------


def watch_dialects() -> None:
    """From now on each message that a dialect writes is checked."""
    for kind, dialect, names in (
        (PlainDialect, "plain", ("encode", "encode_position")),
        (CompactDialect, "compact", ("encode", "encode_position", "encode_batch")),
        (PhoenixDialect, "phoenix", ("encode", "encode_position")),
    ):
        for name in names:
            setattr(kind, name, _watched(dialect, getattr(kind, name)))
    # What a Phoenix socket says that is no message of a session.
    vars(phoenix)["text_frame"] = _frames_watched(text_frame)


def _watched(dialect: str, encode: Callable[..., bytes]) -> Callable[..., bytes]:
    @wraps(encode)
    def watched(*arguments: Any) -> bytes:
        payload = encode(*arguments)
        check(dialect, payload)
        return payload

    return watched


def _frames_watched(frame: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def watched(payload: bytes) -> bytes:
        check("phoenix", payload)
        return frame(payload)

    return watched
