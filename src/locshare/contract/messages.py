"""The messages of the WebSocket as each dialect writes them: which there are, and their schemas.
Pure.

All follows from the structs of the decoders and encoders: a message that is added there is here.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, get_args

from msgspec import Struct, structs

from locshare.contract.descriptions import FIELDS, MESSAGES
from locshare.contract.schemas import PREFIX, Components, Schema
from locshare.model.events import Event, ParticipantJoined
from locshare.model.position import ParticipantPosition
from locshare.model.session import Snapshot
from locshare.wire.compact import ARRAYS_FROM_CLIENT, ROW, ROW_ALWAYS, TYPES
from locshare.wire.messages import ServerMessage, message_type
from locshare.wire.plain import ENVELOPES_FROM_CLIENT

SERVER_MESSAGES: Final[Mapping[str, type[Struct]]] = {
    message_type(kind): kind for kind in get_args(ServerMessage)
}
"""The type of each message that the server sends, with the struct of its data."""

_ENVELOPES: Final[Mapping[str, type[Struct]]] = {
    str(each.__struct_config__.tag): each for each in ENVELOPES_FROM_CLIENT
}
CLIENT_MESSAGES: Final[Mapping[str, type[Struct]]] = {
    name: structs.fields(each)[0].type for name, each in _ENVELOPES.items()
}
"""The type of each message that a client sends, with the struct of its data."""

_ARRAYS: Final[Mapping[str, type[Struct]]] = {
    name: each
    for each in ARRAYS_FROM_CLIENT
    for name, number in TYPES.items()
    if number == each.__struct_config__.tag
}
_EVENTS: Final = frozenset(message_type(kind) for kind in get_args(Event))
_UNITS: Final[Mapping[str, int]] = dict(ROW)
_ROW_FIELDS: Final = {
    "number": "The number of the participant.",
    "timestamp": "Milliseconds: from the server since `time_base`, from a client since 1970.",
    "accuracy": "Radius of 68 % confidence in metres.",
}
_DEGREES: Final = {"lat": 90, "lng": 180}


class Message(NamedTuple):
    """One message in one dialect."""

    name: str
    from_client: bool
    summary: str
    payload: Schema


# --- plain ------------------------------------------------------------------------------------


def plain_messages(components: Components) -> Iterator[Message]:
    """The plain dialect: objects of ``type`` and ``data``."""
    for name, kind in CLIENT_MESSAGES.items():
        data_may_be_absent = not structs.fields(_ENVELOPES[name])[0].required
        payload = _envelope(name, components.received(kind), optional=data_may_be_absent)
        yield Message(name, True, MESSAGES[name], payload)
    for name, kind in SERVER_MESSAGES.items():
        yield Message(name, False, MESSAGES[name], _envelope(name, components.sent(kind)))


def _envelope(name: str, data: Schema, *, optional: bool = False) -> Schema:
    return {
        "type": "object",
        "properties": {"type": {"const": name}, "data": data},
        "required": ["type"] if optional else ["type", "data"],
    }


# --- compact ----------------------------------------------------------------------------------


def compact_messages(components: Components) -> Iterator[Message]:
    """The compact dialect: arrays that begin with a number, in MessagePack."""
    for name, kind in _ARRAYS.items():
        yield Message(name, True, MESSAGES[name], _client_array(name, kind))
    for name, kind in SERVER_MESSAGES.items():
        yield Message(name, False, MESSAGES[name], _pair(name, _compact_data(components, kind)))


def _client_array(name: str, kind: type[Struct]) -> Schema:
    """The array of a client's message. The schema of the struct is used once, so it is inline."""
    own = Components()
    own.received(kind)
    (schema,) = own.schemas.values()
    schema = {key: each for key, each in schema.items() if key != "description"}
    items = schema.get("prefixItems", [])
    items[0] = {"const": TYPES[name], "description": name}
    for item, field in zip(items[1:], structs.fields(kind), strict=True):
        item["title"] = field.name
        if field.name in _UNITS:
            item["description"] = _meaning(field.name, _UNITS[field.name])
        item.pop("default", None)
    return {**schema, "prefixItems": items}


def _pair(name: str, data: Schema) -> Schema:
    return {
        "type": "array",
        "prefixItems": [{"const": TYPES[name], "description": name}, data],
        "minItems": 2,
    }


def _compact_data(components: Components, kind: type[Struct]) -> Schema:
    if kind is ParticipantPosition:
        components.schemas.setdefault("Row", row_schema())
        return {"type": "array", "items": {"$ref": PREFIX + "Row"}}
    if kind is Snapshot:
        return _compact_snapshot(components)
    if kind is ParticipantJoined:
        return _numbered(components, kind)
    return components.sent(kind)


def _compact_snapshot(components: Components) -> Schema:
    """The data of the compact ``session_state``: as plain's, but for what is shortened."""
    plain = _inline(components, Snapshot)
    properties = plain["properties"]
    views = _resolved(components, properties["participants"]["items"])
    components.schemas["NumberedParticipantView"] = _with_number(views)
    properties["participants"]["items"] = {"$ref": PREFIX + "NumberedParticipantView"}
    properties["positions"]["items"] = {"$ref": PREFIX + "Row"}
    if "missed" in properties:
        events = [
            _pair(name, _compact_data(components, kind))
            for name, kind in SERVER_MESSAGES.items()
            if name in _EVENTS
        ]
        properties["missed"] = {
            "description": properties["missed"]["description"],
            "type": "array",
            "items": {"anyOf": events},
        }
    properties["time_base"] = {
        "type": "integer",
        "description": "From when the timestamps of rows count, in milliseconds since 1970.",
    }
    components.schemas.setdefault("Row", row_schema())
    plain["required"].append("time_base")
    components.schemas["CompactSnapshot"] = plain
    return {"$ref": PREFIX + "CompactSnapshot"}


def _numbered(components: Components, kind: type[Struct]) -> Schema:
    name = f"Numbered{kind.__name__}"
    components.schemas[name] = _with_number(_inline(components, kind))
    return {"$ref": PREFIX + name}


def _with_number(schema: Schema) -> Schema:
    number = {
        "type": "integer",
        "minimum": 0,
        "description": "Stands for the participant in rows.",
    }
    return {
        **schema,
        "properties": {"number": number, **schema["properties"]},
        "required": ["number", *schema["required"]],
    }


def _inline(components: Components, kind: type[Struct]) -> Schema:
    return _resolved(components, components.sent(kind))


def _resolved(components: Components, reference: Schema) -> Schema:
    """A copy of what ``reference`` refers to."""
    found = components.schemas[reference["$ref"].rpartition("/")[2]]
    return {
        **found,
        "properties": {name: dict(each) for name, each in found["properties"].items()},
        "required": [*found["required"]],
    }


def row_schema() -> Schema:
    """One position in the compact dialect."""
    return {
        "description": (
            "One position. What is unknown is null, or absent at the end; ignore what follows."
        ),
        "type": "array",
        "prefixItems": [_element(name, unit) for name, unit in ROW],
        "minItems": ROW_ALWAYS,
    }


def _meaning(name: str, unit: int) -> str:
    """What the element of a row means, and in which unit."""
    text = _ROW_FIELDS.get(name) or FIELDS[name]
    return text if unit == 1 else f"{text} In units of 1/{unit:,} of that."


def _element(name: str, unit: int) -> Schema:
    found: Schema = {"title": name, "description": _meaning(name, unit)}
    if name in _DEGREES:
        bound = _DEGREES[name] * unit
        return {**found, "type": "integer", "minimum": -bound, "maximum": bound}
    required = name in ("number", "timestamp")
    return {**found, "type": "integer" if required else ["integer", "null"]}
