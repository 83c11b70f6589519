"""What version 1 promised, and a comparison that names what a change takes back of it
(docs/reference/compatibility.md).

``python -m tests.contract.compatibility`` writes ``v1.json``: once, for the first release, and
after that only to add what is new.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from locshare.contract.asyncapi import asyncapi
from locshare.contract.openapi import openapi
from locshare.contract.schemas import Schema

BASELINE: Final = Path(__file__).with_name("v1.json")

Direction = Literal["sent", "received"]

OPEN: Final = frozenset({"code", "reason"})
"""Fields whose set of words grows: clients know that."""

_DOWN: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
"""Bounds that may be lowered for what is received; the others may be raised."""
_UP: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_KEPT: Final = (
    *_DOWN, *_UP, "type", "const", "enum", "pattern", "format", "required", "not", "default",
)  # fmt: skip


# --- what is promised -------------------------------------------------------------------------


def promise() -> Schema:
    """The contract of this version of the code, without words and names of types."""
    rest, socket = openapi(), asyncapi()
    return {
        "calls": dict(_calls(rest)),
        "messages": {
            name: _shape(each["payload"], socket)
            for name, each in socket["components"]["messages"].items()
        },
        "closing": {str(each["code"]): each["reconnect"] for each in socket["x-close-codes"]},
    }


def _calls(rest: Schema) -> Iterator[tuple[str, Schema]]:
    for path, methods in rest["paths"].items():
        for method, each in methods.items():
            status = min(each["responses"])
            success = each["responses"][status]
            yield (
                f"{method.upper()} {path}",
                {
                    "status": int(status),
                    "parameters": {
                        one["name"]: _shape(one["schema"], rest)
                        for one in each.get("parameters", ())
                    },
                    "bodies": {
                        media: _shape(content["schema"], rest)
                        for media, content in each.get("requestBody", {}).get("content", {}).items()
                    },
                    "answers": {
                        media: _shape(content["schema"], rest)
                        for media, content in success["content"].items()
                    },
                },
            )


def _shape(schema: Schema, document: Schema) -> Schema:
    """``schema`` with what it refers to, and nothing that is for people."""
    if "$ref" in schema:
        return _shape(document["components"]["schemas"][schema["$ref"].split("/")[-1]], document)
    found: Schema = {key: schema[key] for key in _KEPT if key in schema}
    if "properties" in schema:
        found["properties"] = {
            name: _shape(each, document) for name, each in schema["properties"].items()
        }
    items = schema.get("prefixItems", schema.get("items"))
    if isinstance(items, list):
        found["elements"] = [_shape(each, document) for each in items]
    elif items is not None:
        found["items"] = _shape(items, document)
    for key in ("anyOf", "allOf"):
        if key in schema:
            found[key] = [_shape(each, document) for each in schema[key]]
    return found


def written(promised: Schema) -> str:
    """JSON with a line for each call, message and close code, so that a change is a line."""
    parts = []
    for part, entries in promised.items():
        lines = ",\n".join(
            f"  {json.dumps(name)}: {json.dumps(each, sort_keys=True)}"
            for name, each in entries.items()
        )
        parts.append(f" {json.dumps(part)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


# --- what is taken back -----------------------------------------------------------------------


def taken_back(old: Schema, new: Schema) -> list[str]:
    """What ``new`` does not keep of the promise ``old``."""
    return [*_calls_taken_back(old["calls"], new["calls"]), *_messages_taken_back(old, new)]


def _calls_taken_back(old: Schema, new: Schema) -> Iterator[str]:
    for call, was in old.items():
        if call not in new:
            yield f"{call} is gone"
            continue
        now = new[call]
        if was["status"] != now["status"]:
            yield f"{call} succeeds with {now['status']} instead of {was['status']}"
        for kind, direction in (
            ("parameters", "received"), ("bodies", "received"), ("answers", "sent"),
        ):  # fmt: skip
            for name, shape in was[kind].items():
                if name not in now[kind]:
                    yield f"{call} {name} is gone"
                else:
                    yield from broken(shape, now[kind][name], direction, f"{call} {name}")


def _messages_taken_back(old: Schema, new: Schema) -> Iterator[str]:
    for name, shape in old["messages"].items():
        if name not in new["messages"]:
            yield f"{name} is gone"
            continue
        direction = "received" if ".client." in name else "sent"
        yield from broken(shape, new["messages"][name], direction, name)
    for code, reconnect in old["closing"].items():
        if new["closing"].get(code) is not reconnect:
            yield f"close code {code} is gone, or means something else"


def broken(old: Schema, new: Schema, direction: Any, at: str) -> Iterator[str]:
    """What a client that knows ``old`` cannot do with ``new``."""
    if direction == "sent":
        yield from _no_longer_within(new, old, at)
    else:
        yield from _no_longer_within(old, new, at)
        for name in set(old.get("properties", ())) - set(new.get("properties", ())):
            yield f"{at}.{name} is gone"


def _no_longer_within(inner: Schema, outer: Schema, at: str) -> Iterator[str]:
    """Why some value of ``inner`` may be none of ``outer``: what is sent has to stay within what
    was promised, what was allowed within what is read.
    """
    if "anyOf" in inner or "anyOf" in outer:
        yield from _alternatives(inner, outer, at)
        return
    if (types := _types(outer)) and not _types(inner) <= types:
        yield f"{at} may be {', '.join(sorted(_types(inner) - types))}"
        return
    yield from _words(inner, outer, at)
    yield from _bounds(inner, outer, at)
    for name in set(outer.get("required", ())) - set(inner.get("required", ())):
        yield f"{at}.{name} may be absent"
    theirs = inner.get("properties", {})
    for name, shape in outer.get("properties", {}).items():
        if name in theirs:
            yield from _no_longer_within(theirs[name], shape, f"{at}.{name}")
    if "items" in outer and "items" in inner:
        yield from _no_longer_within(inner["items"], outer["items"], f"{at}[]")
    ours = inner.get("elements", [])
    for place, shape in enumerate(outer.get("elements", [])):
        if place < len(ours):
            yield from _no_longer_within(ours[place], shape, f"{at}[{place}]")


def _alternatives(inner: Schema, outer: Schema, at: str) -> Iterator[str]:
    wider = outer.get("anyOf", [outer])
    for each in inner.get("anyOf", [inner]):
        reasons = [[*_no_longer_within(each, one, at)] for one in wider]
        if all(reasons):
            yield from min(reasons, key=len)


def _types(schema: Schema) -> frozenset[str]:
    """The types of values; every one when none is said. An integer is a number."""
    found = schema.get("type")
    if found is None:
        values = schema.get("enum", [schema["const"]] if "const" in schema else [])
        found = [_JSON[type(value)] for value in values]
    names = {found} if isinstance(found, str) else set(found)
    return frozenset(names | {"integer"} if "number" in names else names)


_JSON: Final = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def _words(inner: Schema, outer: Schema, at: str) -> Iterator[str]:
    if at.rpartition(".")[2] in OPEN:
        return
    allowed = outer.get("enum", [outer["const"]] if "const" in outer else None)
    if allowed is None:
        return
    found = inner.get("enum", [inner["const"]] if "const" in inner else None)
    if found is None:
        yield f"{at} may be any text"
    elif more := [each for each in found if each not in allowed]:
        yield f"{at} may be {', '.join(map(str, more))}"


def _bounds(inner: Schema, outer: Schema, at: str) -> Iterator[str]:
    for key in _DOWN:
        if key in outer and inner.get(key, float("-inf")) < outer[key]:
            yield f"{at} has {key} {outer[key]}"
    for key in _UP:
        if key in outer and inner.get(key, float("inf")) > outer[key]:
            yield f"{at} has {key} {outer[key]}"
    for key in ("pattern", "format"):
        if key in outer and inner.get(key) != outer[key]:
            yield f"{at} has {key} {outer[key]}"


if __name__ == "__main__":
    argparse.ArgumentParser(description="Write what this version promises to v1.json.").parse_args()
    BASELINE.write_text(written(promise()))
