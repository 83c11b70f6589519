"""The OpenAPI 3.1 document of the REST API, from :data:`~locshare.contract.operations.OPERATIONS`.
Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from locshare import __version__
from locshare.contract.operations import OPERATIONS, OSMAND, Composed, Operation, Parameter
from locshare.contract.schemas import Components, Schema
from locshare.http.problems import CONTENT_TYPE, ProblemCode, ProblemDetails, phrase_of

TAGS: Final[Mapping[str, str]] = {
    "Sessions": "Create, look up and join.",
    "Participants": "Who is there; leave.",
    "Hosts": "What the host may do.",
    "Reports": "Positions without a WebSocket.",
    "Server": "Health, metrics, maps.",
}

_SECURITY: Final[Mapping[str, Schema]] = {
    "host": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The token of a host: `host_token`, or that of a participant who is one.",
    },
    "participant": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The token of a participant: `websocket_token`. For reports the code, too.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "Any user name; the password is the participant's token or code.",
    },
    "code": {
        "type": "apiKey",
        "in": "query",
        "name": "id",
        "description": "The participant's token or code, as the identifier of the device.",
    },
}

_RETRY_AFTER: Final = {
    "description": "Seconds after which to try again.",
    "schema": {"type": "integer", "minimum": 1},
}
_CHALLENGE: Final = {"description": "How to authenticate.", "schema": {"type": "string"}}
_HEADERS: Final[Mapping[int, Mapping[str, Schema]]] = {
    401: {"WWW-Authenticate": _CHALLENGE},
    429: {"Retry-After": _RETRY_AFTER},
    503: {"Retry-After": _RETRY_AFTER},
}

_LINKS: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    "createSession": {
        target: {"session_id": "$response.body#/session_id"}
        for target in ("describeSession", "joinSession", "listParticipants", "joinLinkCode")
    },
    "joinSession": {
        "removeParticipant": {
            "session_id": "$request.path.session_id",
            "user_id": "$response.body#/user_id",
        },
        "getSetup": {"session_id": "$request.path.session_id"},
        "reportPositions": {"session_id": "$request.path.session_id"},
    },
}
"""What can be done next with what an answer has."""


def openapi(server_url: str = ".") -> Schema:
    """The document. ``server_url`` may be relative to where the document is."""
    components = Components()
    problem = components.sent(ProblemDetails)
    components.schemas["ProblemDetails"]["properties"]["code"] = components.named("ProblemCode")
    refusals: dict[str, Schema] = {}
    paths: dict[str, Schema] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = {
            **_head(each, components),
            "responses": _responses(each, components, refusals, problem),
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "locshare",
            "version": __version__,
            "summary": "A group sees itself live on a map, in a session that ends by itself.",
            "description": (
                "Create, join, manage and leave sessions. What happens in a session goes over the "
                "WebSocket: see `asyncapi.json`. Ignore fields that are not described here: a "
                "newer server may send more. Every `GET` has a `HEAD`."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server_url}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "responses": refusals,
            "securitySchemes": _SECURITY,
        },
    }


def _head(each: Operation, components: Components) -> Schema:
    found: Schema = {
        "operationId": each.id,
        "tags": [each.tag],
        "summary": each.summary,
    }
    if each.detail:
        found["description"] = each.detail
    if each.parameters:
        found["parameters"] = [_parameter(parameter) for parameter in each.parameters]
    if each.tokens:
        found["security"] = [
            *({name: []} for name in each.tokens),
            *([{}] if each.anonymous else []),
        ]
    if each.bodies:
        found["requestBody"] = {
            "required": each.body_required,
            "content": {
                media: {"schema": _body(kind, components)} for media, kind in each.bodies.items()
            },
        }
    return found


def _parameter(each: Parameter) -> Schema:
    return {
        "name": each.name,
        "in": each.where,
        "required": each.where == "path",
        "description": each.description,
        "schema": each.schema,
    }


def _body(kind: Any, components: Components) -> Schema:
    if kind is OSMAND:
        return {
            "type": "object",
            "properties": {
                each.name: {**each.schema, "description": each.description} for each in OSMAND
            },
        }
    if isinstance(kind, Composed):
        return {"anyOf": [*_alternatives(kind, components)]}
    return components.received(kind)


def _alternatives(kind: Composed, components: Components) -> Iterator[Schema]:
    for each, besides in kind.alternatives:
        yield besides if each is None else {"allOf": [components.received(each), besides]}


def _responses(
    each: Operation, components: Components, refusals: dict[str, Schema], problem: Schema
) -> Schema:
    success: Schema = {"description": phrase_of(each.status)}
    success["content"] = {
        media: {"schema": _answer(kind, components)} for media, kind in each.answers.items()
    }
    if links := _LINKS.get(each.id):
        success["links"] = {
            target: {"operationId": target, "parameters": dict(parameters)}
            for target, parameters in links.items()
        }
    found: Schema = {str(each.status): success}
    for status, codes in each.refused.items():
        name = ".".join([str(status), *(code.name for code in codes)])
        refusal = refusals.setdefault(name, _refusal(status, codes, problem))
        found[str(status)] = {"$ref": f"#/components/responses/{name}"}
        if status == 503 and each.unready:
            content = {
                media: {"schema": _answer(kind, components)} for media, kind in each.unready.items()
            }
            found["503"] = {**refusal, "content": {**content, **refusal["content"]}}
    return found


def _answer(kind: Any, components: Components) -> Schema:
    return {"type": "string"} if kind in (str, bytes) else components.sent(kind)


def _refusal(status: int, codes: tuple[ProblemCode, ...], problem: Schema) -> Schema:
    found: Schema = {
        "description": f"{phrase_of(status)}: {', '.join(f'`{code.name}`' for code in codes)}.",
        "content": {
            CONTENT_TYPE: {
                "schema": {
                    "allOf": [
                        problem,
                        {
                            "properties": {
                                "status": {"const": status},
                                "code": {"enum": [code.name for code in codes]},
                            }
                        },
                    ]
                }
            }
        },
    }
    if headers := _HEADERS.get(status):
        found["headers"] = dict(headers)
    return found
