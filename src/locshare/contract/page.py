"""The documents as a page: one file of HTML without scripts, that needs nothing from elsewhere.
Pure.

Made from the OpenAPI and AsyncAPI documents and nothing else, so it shows what tools read.
"""

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from locshare.contract.schemas import PREFIX, Schema

STYLE: Final = "docs/style.css"
"""The address of the style sheet, from ``/docs``."""

_CODE: Final = re.compile(r"`([^`]+)`")
_LIMITS: Final = (
    ("minimum", "≥ {}"), ("exclusiveMinimum", "> {}"), ("maximum", "≤ {}"),
    ("exclusiveMaximum", "< {}"), ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"), ("minItems", "at least {}"),
    ("maxItems", "at most {}"), ("pattern", "{}"), ("default", "default {}"),
)  # fmt: skip
_EVERY: Final = frozenset({"400", "414", "417", "431", "500", "501", "503", "505"})
"""Statuses that every call may have: listed once."""


def page(openapi: Schema, asyncapi: Schema) -> str:
    """The whole page."""
    body = "".join(
        (
            _navigation(openapi, asyncapi),
            "<main>",
            _head(openapi),
            *_rest(openapi),
            *_websocket(asyncapi),
            _refusals(asyncapi["x-refusals"]),
            _close_codes(asyncapi["x-close-codes"]),
            *_types({**asyncapi["components"]["schemas"], **openapi["components"]["schemas"]}),
            "</main>",
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>locshare: the API</title><link rel="stylesheet" href="{STYLE}"></head>'
        f'<body><a class="skip" href="#top">Skip the list of contents</a>{body}</body></html>\n'
    )


def _head(openapi: Schema) -> str:
    info = openapi["info"]
    return (
        f'<header id="top"><h1>The API of this server</h1><p class="lead">{_text(info["summary"])}'
        f"</p><p>Version {escape(info['version'])}. For tools: "
        '<a href="openapi.json">openapi.json</a> (REST, OpenAPI 3.1) and '
        '<a href="asyncapi.json">asyncapi.json</a> (WebSocket, AsyncAPI 3).</p></header>'
    )


def _navigation(openapi: Schema, asyncapi: Schema) -> str:
    parts = ['<nav aria-label="Contents"><a class="home" href="#top">locshare API</a><h2>REST</h2>']
    for tag, operations in _by_tag(openapi):
        parts.append(f"<h3>{escape(tag)}</h3><ul>")
        parts += [
            f'<li><a href="#{each["operationId"]}">{_method(method)}'
            f"<span>{_text(each['summary'].rstrip('.'))}</span></a></li>"
            for method, _, each in operations
        ]
        parts.append("</ul>")
    parts.append("<h2>WebSocket</h2><ul>")
    for name, channel in asyncapi["channels"].items():
        parts.append(f'<li><a href="#{name}">{escape(channel["title"])}</a></li>')
    parts.append('<li><a href="#refusals">Refusals</a></li>')
    parts.append('<li><a href="#close-codes">Close codes</a></li></ul><h2>Types</h2><ul>')
    schemas = {**asyncapi["components"]["schemas"], **openapi["components"]["schemas"]}
    parts += [f'<li><a href="#type-{name}">{name}</a></li>' for name in sorted(schemas)]
    return "".join([*parts, "</ul></nav>"])


# --- REST -------------------------------------------------------------------------------------


def _by_tag(openapi: Schema) -> Iterator[tuple[str, list[tuple[str, str, Schema]]]]:
    for tag in openapi["tags"]:
        yield (
            tag["name"],
            [
                (method, path, each)
                for path, methods in openapi["paths"].items()
                for method, each in methods.items()
                if tag["name"] in each["tags"]
            ],
        )


def _rest(openapi: Schema) -> Iterator[str]:
    yield f'<section><h2 id="rest">REST</h2><p>{_text(openapi["info"]["description"])}</p>'
    yield (
        "<p>Every refusal is a "
        f"{_link('ProblemDetails')} (RFC 9457), whose <code>code</code> is stable. Any call may be "
        "answered so:</p>"
    )
    refusals = openapi["components"]["responses"]
    anywhere = openapi["paths"]["/config.json"]["get"]["responses"]
    yield _rows(
        ("status", "codes"),
        (
            (f"<code>{status}</code>", _text(_resolve(each, refusals)["description"]))
            for status, each in anywhere.items()
            if status in _EVERY
        ),
    )
    yield "</section>"
    about = {tag["name"]: tag["description"] for tag in openapi["tags"]}
    for tag, operations in _by_tag(openapi):
        yield f"<section><h2>{escape(tag)}</h2><p>{_text(about[tag])}</p>"
        for method, path, each in operations:
            yield from _operation(method, path, each, openapi)
        yield "</section>"


def _operation(method: str, path: str, each: Schema, openapi: Schema) -> Iterator[str]:
    yield f'<article id="{each["operationId"]}"><h3>{_method(method)}'
    yield f'<code>{_path(path)}</code></h3><p class="what">{_text(each["summary"])}</p>'
    if "description" in each:
        yield f"<p>{_text(each['description'])}</p>"
    if "security" in each:
        yield f"<p><b>Token:</b> {_tokens(each['security'])}.</p>"
    if parameters := each.get("parameters"):
        yield "<h4>Parameters</h4>" + _rows(
            ("name", "type", "meaning"),
            (
                (
                    f"<code>{escape(one['name'])}</code>{_mark(one['required'])}",
                    _type(one["schema"]),
                    _text(one["description"]),
                )
                for one in parameters
            ),
        )
    if body := each.get("requestBody"):
        optional = "" if body["required"] else ", may be absent"
        for media, content in body["content"].items():
            yield f"<h4>Body <small>{escape(media)}{optional}</small></h4>"
            if media == "application/x-www-form-urlencoded":
                yield "<p>The parameters.</p>"
            else:
                yield _body(content["schema"], openapi)
    refusals = openapi["components"]["responses"]
    yield "<h4>Answers</h4>" + _rows(
        ("status", "body"),
        (
            (f"<code>{status}</code>", _answer(_resolve(one, refusals)))
            for status, one in each["responses"].items()
            if status not in _EVERY or _has_more(status, one, openapi)
        ),
    )
    yield "</article>"


def _has_more(status: str, response: Schema, openapi: Schema) -> bool:
    """Whether an operation's refusal says more than that of any call."""
    return bool(response != openapi["paths"]["/config.json"]["get"]["responses"].get(status))


def _body(schema: Schema, openapi: Schema) -> str:
    schemas = openapi["components"]["schemas"]
    alternatives = schema.get("anyOf", [schema])
    return "<p>or</p>".join(_alternative(each, schemas) for each in alternatives)


def _alternative(schema: Schema, schemas: Mapping[str, Schema]) -> str:
    name = _name_in(schema)
    if name is None:
        return f"<p>{_text(schema.get('description', 'Any object.'))}</p>"
    return f"<p>{_link(name)}</p>{_fields(schemas[name])}"


def _name_in(schema: Schema) -> str | None:
    for each in schema.get("allOf", [schema]):
        if "$ref" in each:
            return str(each["$ref"]).removeprefix(PREFIX)
    return None


def _answer(response: Schema) -> str:
    parts = []
    for media, content in response.get("content", {}).items():
        if media == "application/problem+json":
            parts.append(_text(response["description"]))
        elif media == "application/json":
            parts.append(_type(content["schema"]))
        else:
            parts.append(f"<code>{escape(media)}</code>")
    return "; ".join(parts)


def _tokens(security: list[Schema]) -> str:
    words = {
        "host": "a host's",
        "participant": "the participant's own",
        "basic": "as the password of HTTP Basic",
        "code": "as the parameter <code>id</code>",
    }
    return ", or ".join(words[next(iter(each))] if each else "none" for each in security)


# --- WebSocket --------------------------------------------------------------------------------


def _websocket(asyncapi: Schema) -> Iterator[str]:
    server = asyncapi["servers"]["this"]
    root = f"{server['protocol']}://{server['host']}{server.get('pathname', '')}"
    yield f'<section><h2 id="websocket">WebSocket</h2><p>{_text(asyncapi["info"]["description"])}'
    yield "</p></section>"
    for name, channel in asyncapi["channels"].items():
        yield f'<section><h2 id="{name}">{escape(channel["title"])}</h2>'
        yield f"<p><code>{escape(root + channel['address'])}</code></p>"
        yield f"<p>{_text(channel['description'])}</p>"
        query = channel["bindings"]["ws"]["query"]["properties"]
        yield _rows(
            ("query", "type", "meaning"),
            (
                (f"<code>{escape(key)}</code>", _type(one), _text(one.get("description", "")))
                for key, one in query.items()
            ),
        )
        for side, title in (("client", "Client to server"), ("server", "Server to client")):
            yield f"<h3>{title}</h3>" + _rows(
                ("message", "data", "meaning"),
                (
                    (f"<code>{escape(each['name'])}</code>", _data(each), _text(each["summary"]))
                    for each in _messages(asyncapi, name, side)
                ),
            )
        yield "</section>"


def _messages(asyncapi: Schema, channel: str, side: str) -> Iterator[Schema]:
    found = asyncapi["components"]["messages"]
    return (each for name, each in found.items() if name.startswith(f"{channel}.{side}."))


def _data(message: Schema) -> str:
    """The data of a message: of an envelope its ``data``, of a frame what follows its type."""
    payload = message["payload"]
    if "anyOf" in payload:  # Phoenix: the last element of the array
        return _type(payload["anyOf"][0]["items"][-1])
    if payload["type"] == "object":
        return _type(payload["properties"]["data"])
    first, *rest = payload["items"]
    number = f"<code>{first['const']}</code>"
    if not rest:
        return number
    if len(rest) == 1:
        return f"{number}, {_type(rest[0])}"
    return f"{number}, " + ", ".join(f"<code>{escape(each['title'])}</code>" for each in rest)


def _refusals(refusals: list[Schema]) -> str:
    return (
        '<section><h2 id="refusals">Refusals</h2><p>The answer to a request to connect that is '
        f"refused: an HTTP status with {_link('ProblemDetails')}. A request with an "
        "<code>Origin</code> is upgraded and closed at once with the close code, because a "
        "browser's script sees no status. A Phoenix client's join is answered with the reason.</p>"
        + _rows(
            ("status", "code", "close code", "reason of a join", "why"),
            (
                (
                    f"<code>{each['status']}</code>",
                    f"<code>{escape(each['code'])}</code>",
                    f"<code>{each['close_code']}</code>",
                    f"<code>{escape(each['join_reason'])}</code>",
                    escape(each["description"]),
                )
                for each in refusals
            ),
        )
        + "</section>"
    )


def _close_codes(codes: list[Schema]) -> str:
    return (
        '<section><h2 id="close-codes">Close codes</h2><p>A code that is not listed says by its '
        "range what to do: after 4000 to 4499 do not reconnect, after any other do.</p>"
        + _rows(
            ("code", "reason", "reconnect"),
            (
                (
                    f"<code>{each['code']}</code>",
                    escape(each["description"]),
                    _when(each["reconnect"], each["wait_s"]),
                )
                for each in codes
            ),
        )
        + "</section>"
    )


def _when(reconnect: bool, wait_s: list[float]) -> str:
    if not reconnect:
        return "no"
    return f"yes, after {wait_s[0]:g} to {wait_s[1]:g} s" if any(wait_s) else "yes"


# --- types ------------------------------------------------------------------------------------


def _types(schemas: Mapping[str, Schema]) -> Iterator[str]:
    yield '<section><h2 id="types">Types</h2>'
    for name in sorted(schemas):
        schema = schemas[name]
        yield f'<article id="type-{name}"><h3><code>{name}</code></h3>'
        for paragraph in schema.get("description", "").split("\n\n"):
            yield f"<p>{_text(paragraph)}</p>" if paragraph else ""
        if "properties" in schema:
            yield _fields(schema)
        elif elements := schema.get("prefixItems") or schema.get("items"):
            yield _elements(elements)
        else:
            yield f"<p>{_type(schema)}</p>"
        yield "</article>"
    yield "</section>"


def _fields(schema: Schema) -> str:
    if not schema["properties"]:
        return "<p>No fields.</p>"
    return _rows(
        ("field", "type", "meaning"),
        (
            (
                f"<code>{escape(name)}</code>{_mark(name in schema['required'])}",
                _type(each),
                _text(each.get("description", "")),
            )
            for name, each in schema["properties"].items()
        ),
    )


def _elements(elements: Any) -> str:
    if not isinstance(elements, list):
        return f"<p>An array of {_type(elements)}.</p>"
    return _rows(
        ("place", "element", "type", "meaning"),
        (
            (
                str(place),
                f"<code>{escape(each.get('title', ''))}</code>",
                _type(each),
                _text(each.get("description", "")),
            )
            for place, each in enumerate(elements)
        ),
    )


def _type(schema: Schema) -> str:
    """A schema in one line, with links to what it names."""
    if "$ref" in schema:
        return _link(str(schema["$ref"]).removeprefix(PREFIX))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if "enum" in schema:
        words = ", ".join(
            f"<code>{escape(str(each)) or '(empty)'}</code>" for each in schema["enum"]
        )
        return f"one of {words}"
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        kind = " or ".join(kind)
    if kind == "array" and isinstance(schema.get("items"), dict):
        return f"array of {_type(schema['items'])}{_limits(schema)}"
    if kind == "string" and schema.get("format") == "date-time":
        kind = "time (RFC 3339)"
    return escape(kind) + _limits(schema)


def _limits(schema: Schema) -> str:
    found = [
        escape(words.format(f"{value:,}" if isinstance(value, int) else value))
        for name, words in _LIMITS
        if (value := schema.get(name)) not in (None, "")
    ]
    return f" <small>{', '.join(found)}</small>" if found else ""


# --- parts ------------------------------------------------------------------------------------


def _resolve(response: Schema, refusals: Mapping[str, Schema]) -> Schema:
    reference = response.get("$ref")
    return response if reference is None else refusals[reference.rpartition("/")[2]]


def _rows(titles: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{each}</th>' for each in titles)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="table">{table}</div>'


def _mark(required: bool) -> str:
    return "" if required else " <small>optional</small>"


def _method(method: str) -> str:
    return f'<b class="method {method}">{method.upper()}</b>'


def _path(path: str) -> str:
    return re.sub(r"\{(\w+)\}", r"<i>{\1}</i>", escape(path).replace("/", "/<wbr>"))


def _link(name: str) -> str:
    return f'<a href="#type-{name}"><code>{name}</code></a>'


def _text(text: str) -> str:
    """Text with code between backticks."""
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))
