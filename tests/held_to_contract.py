"""Every message that the server writes in a test is held to its JSON Schema, with no room for a
field that the schema does not name (tests/conftest.py). In this process at the dialects, which
write all of them (so is what locshare.client sends), and at httpx, which carries the answers of the
API; of a server in another process at the phones that read them.

What is wrong is kept until the test is over: raised where it is found, it would crash a session,
which survives that.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, wraps
from typing import Any, Final

import httpx
import jsonschema_rs
import msgspec
import pytest

from bench.targets import STARTABLE
from locshare.broadcast.fanout import text_frame
from locshare.client.codecs import CompactCodec, PlainCodec
from locshare.connection import phoenix
from locshare.wire.compact import TYPES, CompactDialect
from locshare.wire.phoenix import PhoenixDialect
from locshare.wire.plain import PlainDialect

COMPARATORS: Final = frozenset(STARTABLE) - {"locshare"}

_wrong: Final[list[str]] = []
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def is_held(item: pytest.Item) -> bool:
    """False for a test that makes the server write what only the test has, and for one of a
    comparator, which has no more than the parts that tests/contract asks of every server.
    """
    callspec = getattr(item, "callspec", None)
    values = () if callspec is None else callspec.params.values()
    of_comparator = any(isinstance(value, str) and value in COMPARATORS for value in values)
    return not of_comparator and item.get_closest_marker("outside_contract") is None


def found_wrong() -> list[str]:
    """What was wrong since the last call."""
    found = [*_wrong]
    _wrong.clear()
    return found


def check(dialect: str, payload: bytes | str, *, from_client: bool = False) -> None:
    """Hold the payload of one frame to the contract."""
    try:
        message = _decode(dialect, payload)
        name = _name_of(dialect, message)
        validator = _validators(dialect, from_client).get(name)
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
def _validators(dialect: str, from_client: bool) -> Mapping[str, Any]:
    """Of each message in ``dialect`` and this direction, by name."""
    from locshare.contract.asyncapi import phoenix_messages
    from locshare.contract.messages import compact_messages, plain_messages
    from locshare.contract.schemas import Components, closed

    messages = {"plain": plain_messages, "compact": compact_messages, "phoenix": phoenix_messages}
    components = Components()
    found = [each for each in messages[dialect](components) if each.from_client is from_client]
    held = {"components": {"schemas": closed(components.schemas)}}
    return {
        each.name: jsonschema_rs.validator_for(
            {"$schema": _DIALECT} | closed(each.payload) | held, validate_formats=True
        )
        for each in found
    }


def check_answer(method: str, path: str, status: int, media: str, body: bytes) -> None:
    """Hold an answer of the API to the contract. What is no call of it is passed over."""
    operation = next(
        (each for pattern, each in _operations(method) if pattern.fullmatch(path)), None
    )
    if operation is None or not body:
        return
    at = f"{method} {path} {status}"
    contents = operation.get(str(status))
    if contents is None:
        if status not in (405, 421):  # of the method, of the port: not of the call
            _wrong.append(f"{at}: no status of this call")
        return
    validator = contents.get(media.partition(";")[0])
    if validator is None:
        _wrong.append(f"{at}: answers with {media}")
    elif media.endswith("json"):
        message = msgspec.json.decode(body)
        for error in validator.iter_errors(message):
            _wrong.append(f"{at}: {error.message} at {error.instance_path}")


@cache
def _operations(method: str) -> list[tuple[re.Pattern[str], Mapping[str, Mapping[str, Any]]]]:
    """The calls with ``method``: a pattern of the path, and by status and media type how to
    validate the answer.
    """
    from locshare.contract.openapi import openapi
    from locshare.contract.schemas import closed

    document = openapi()
    responses = document["components"]["responses"]
    # Refusals are an allOf, which cannot be closed: each part would forbid the fields of others.
    schemas = document["components"]["schemas"]
    open_part = {"ProblemDetails": schemas["ProblemDetails"]}
    components = {"components": {"schemas": closed(schemas) | open_part}}
    found: list[tuple[re.Pattern[str], Mapping[str, Mapping[str, Any]]]] = []
    for path, methods in document["paths"].items():
        each = methods.get("get" if method == "HEAD" else method.lower())
        if each is None:
            continue
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path.replace(".", r"\.")))
        answers = {
            status: {
                media: jsonschema_rs.validator_for(
                    {"$schema": _DIALECT} | content["schema"] | components, validate_formats=True
                )
                for media, content in responses.get(one.get("$ref", "").rpartition("/")[2], one)[
                    "content"
                ].items()
            }
            for status, one in each["responses"].items()
        }
        found.append((pattern, answers))
    return found


# --- what this process writes -------------------------------------------------------------


def watch() -> None:
    """From now on what dialects, the client and the API write is checked."""
    for kind, dialect, names in (
        (PlainDialect, "plain", ("encode", "encode_position")),
        (CompactDialect, "compact", ("encode", "encode_position", "encode_batch")),
        (PhoenixDialect, "phoenix", ("encode", "encode_position")),
    ):
        for name in names:
            setattr(kind, name, _watched(dialect, getattr(kind, name)))
    for codec, dialect in ((PlainCodec, "plain"), (CompactCodec, "compact")):
        encode = _watched(dialect, codec.encode, from_client=True)
        codec.encode = encode  # type: ignore[method-assign]
    httpx.ASGITransport.handle_async_request = _answers_watched(  # type: ignore[method-assign]
        httpx.ASGITransport.handle_async_request
    )
    # What a Phoenix socket says that is no message of a session.
    vars(phoenix)["text_frame"] = _frames_watched(text_frame)


def _watched(dialect: str, encode: Callable[..., Any], *, from_client: bool = False) -> Any:
    @wraps(encode)
    def watched(*arguments: Any) -> Any:
        payload = encode(*arguments)
        check(dialect, payload, from_client=from_client)
        return payload

    return watched


Ask = Callable[[httpx.ASGITransport, httpx.Request], Awaitable[httpx.Response]]


def _answers_watched(ask: Ask) -> Any:
    """Of applications in this process."""

    async def watched(transport: httpx.ASGITransport, request: httpx.Request) -> httpx.Response:
        answer = await ask(transport, request)
        body = await answer.aread()
        path, media = request.url.path, answer.headers.get("content-type", "")
        check_answer(request.method, path, answer.status_code, media, body)
        return answer

    return watched


def _frames_watched(frame: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def watched(payload: bytes) -> bytes:
        check("phoenix", payload)
        return frame(payload)

    return watched
