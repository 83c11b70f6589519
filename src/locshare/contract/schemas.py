"""JSON Schemas (2020-12) of the structs that clients see. Pure.

msgspec writes the schema of what its decoder accepts. A contract says more about what the server
*sends*: a field with a default is always there unless the struct leaves defaults out, and every
time has an offset. And it says less of what a client may *send*: a field that may be null may be
absent, as the lenient decoders have it (:mod:`locshare.wire.lenient`).
"""

import re
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec import Struct

from locshare.contract.descriptions import description_of
from locshare.http.problems import ProblemCode
from locshare.model.participant import LeaveReason, PresenceState, Role
from locshare.model.reasons import EndReason
from locshare.wire.messages import ErrorCode

Schema = dict[str, Any]
Direction = Literal["sent", "received"]
"""By the server."""

PREFIX: Final = "#/components/schemas/"
"""Of references, in OpenAPI and AsyncAPI alike."""

NAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "Role": get_args(Role),
    "PresenceState": get_args(PresenceState),
    "LeaveReason": get_args(LeaveReason),
    "EndReason": get_args(EndReason),
    "ErrorCode": get_args(ErrorCode),
    "ProblemCode": tuple(code.name for code in ProblemCode),
}
"""Sets of texts that have a name in the contract."""

_OTHER_NAMES: Final = {"Error": "MessageError"}
"""Names that a class of ours may have, and that mean something else in other languages."""
_NAME_OF: Final = {frozenset(values): name for name, values in NAMED.items()}
_ROLE: Final = re.compile(r":\w+:`(?:~[\w.]*?(\w+)|([\w.]+))`")


class Components:
    """The schemas of one document, by the names of their structs."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}
        self._origins: dict[str, tuple[type, Direction]] = {}

    def sent(self, kind: Any) -> Schema:
        """The schema, or a reference to it, of a type that the server sends."""
        return self._add(kind, "sent")

    def received(self, kind: Any) -> Schema:
        """The schema, or a reference to it, of a type that clients send."""
        return self._add(kind, "received")

    def named(self, name: str) -> Schema:
        """A reference to one of :data:`NAMED`."""
        self.schemas.setdefault(name, {"type": "string", "enum": [*NAMED[name]]})
        return {"$ref": PREFIX + name}

    def _add(self, kind: Any, direction: Direction) -> Schema:
        (schema,), found = msgspec.json.schema_components([kind], ref_template=PREFIX + "{name}")
        structs = {each.__name__: each for each in structs_in(kind)}
        for name, each in found.items():
            public = _public(name)
            origin = structs[name], direction
            if self._origins.setdefault(public, origin) != origin:
                raise ValueError(f"{public} is two things in one document")
            if public not in self.schemas:
                self.schemas[public] = {}  # its place, before those that it refers to
                self.schemas[public] = self._struct(each, structs[name], direction)
        refined: Schema = self._refined(schema)
        return refined

    def _struct(self, schema: Schema, kind: type[Struct], direction: Direction) -> Schema:
        """The schema of a struct as ``direction`` has it."""
        found: Schema = {"description": text} if (text := plain_text(kind.__doc__ or "")) else {}
        if schema["type"] != "object":
            found = {**schema, **found}
        else:
            found |= self._object(schema, kind, direction)
        refined: Schema = self._refined(found)
        return refined

    def _object(self, schema: Schema, kind: type[Struct], direction: Direction) -> Schema:
        """``schema`` with the fields that are always there, and what each means."""
        config = kind.__struct_config__
        properties, required = dict(schema["properties"]), []
        if config.tag is not None:
            required.append(config.tag_field)
        for field in msgspec.structs.fields(kind):
            name = field.encode_name
            given, nullable = _without_null(properties[name])
            is_unset = field.default is msgspec.UNSET
            if direction == "sent":
                always = not is_unset and (field.required or not config.omit_defaults)
                given.pop("default", None)
            else:
                always = field.required and not nullable
            if always:
                required.append(name)
            if _is_time(field.type):
                given["format"] = "date-time"  # msgspec says so only where it demands an offset
            if nullable and (always or direction == "received"):
                given = _with_null(given)
            meaning = description_of(kind, name)
            properties[name] = {"description": meaning, **given} if meaning else given
        return {"type": "object", "properties": properties, "required": required}

    def _refined(self, schema: Any) -> Any:
        """``schema`` with patterns of JSON Schema, and names of types and enumerations."""
        if isinstance(schema, list):
            return [self._refined(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        found = {
            name: self._refined(each)
            for name, each in schema.items()
            if name != "title" or not isinstance(each, str)  # else it is a field of this name
        }
        if isinstance(pattern := found.get("pattern"), str):
            # Python's \Z is JSON Schema's $: the end, and nothing before a line break.
            found["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
        if isinstance(reference := found.get("$ref"), str):
            found["$ref"] = PREFIX + _public(reference.removeprefix(PREFIX))
        if isinstance(values := found.get("enum"), list):
            name = _NAME_OF.get(frozenset(values))
            if name is not None:
                del found["enum"]
                found |= self.named(name)
            elif len(values) == 1:
                del found["enum"]
                found["const"] = values[0]
        return found


def structs_in(kind: Any) -> Iterator[type[Struct]]:
    """Every struct that values of ``kind`` may contain, each once."""
    seen: set[type] = set()

    def walk(info: Any) -> Iterator[type[Struct]]:
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                return
            seen.add(info.cls)
            yield info.cls
            for field in info.fields:
                yield from walk(field.type)
        for name in ("types", "item_types"):
            for each in getattr(info, name, ()):
                yield from walk(each)
        for name in ("item_type", "key_type", "value_type"):
            if (each := getattr(info, name, None)) is not None:
                yield from walk(each)

    return walk(msgspec.inspect.type_info(kind))


def plain_text(docstring: str) -> str:
    """A docstring as Markdown: no roles of reStructuredText, single backticks, one line for each
    paragraph.
    """
    text = _ROLE.sub(lambda match: f"`{match[1] or match[2]}`", cleandoc(docstring))
    text = re.sub(r"\bNone\b", "null", re.sub(r"\bTrue\b", "true", text.replace("``", "`")))
    paragraphs = text.split("\n\n")
    return "\n\n".join(" ".join(each.split()) for each in paragraphs)


def closed(schema: Any) -> Any:
    """``schema`` without room for fields that it does not name. For tests: a client must ignore
    what it does not know, and the server must send nothing that is not written down.
    """
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(each) for name, each in schema.items()}
    if found.get("type") == "object" and "properties" in found:
        found.setdefault("additionalProperties", False)
    return found


def _public(name: str) -> str:
    """The name of a struct in the documents."""
    return _OTHER_NAMES.get(name, name)


def _without_null(schema: Schema) -> tuple[Schema, bool]:
    """``schema`` without the alternative null, and whether it had one."""
    found = {name: each for name, each in schema.items() if name != "anyOf"}
    if found.get("default", 0) is None:
        del found["default"]
    alternatives = schema.get("anyOf")
    if alternatives is None:
        return found, False
    kept = [each for each in alternatives if each != {"type": "null"}]
    found |= kept[0] if len(kept) == 1 else {"anyOf": kept}
    return found, len(kept) < len(alternatives)


def _with_null(schema: Schema) -> Schema:
    outside: Schema = {name: schema[name] for name in ("description", "default") if name in schema}
    inside: Schema = {name: each for name, each in schema.items() if name not in outside}
    alternatives = inside["anyOf"] if [*inside] == ["anyOf"] else [inside]
    return {**outside, "anyOf": [*alternatives, {"type": "null"}]}


def _is_time(kind: Any) -> bool:
    return any(
        isinstance(each, msgspec.inspect.DateTimeType)
        for info in [msgspec.inspect.type_info(kind)]
        for each in (info.types if isinstance(info, msgspec.inspect.UnionType) else (info,))
    )
