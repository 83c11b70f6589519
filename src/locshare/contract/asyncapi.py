"""The AsyncAPI 3 document of the WebSocket, in all dialects. Pure.

A dialect is a channel: what is written, and where one connects for it. ``send`` and ``receive`` are
the server's. The schemas are those of JSON Schema draft 7, which is what AsyncAPI has.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args
from urllib.parse import urlsplit

from locshare import __version__
from locshare.connection import phoenix
from locshare.connection.admission import BEARER_PREFIX, PATH
from locshare.connection.refusal import Refusal
from locshare.contract.descriptions import MESSAGES
from locshare.contract.messages import (
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    Message,
    compact_messages,
    plain_messages,
)
from locshare.contract.schemas import Components, Schema
from locshare.model.pace import MAX_INTERVAL_S
from locshare.model.participant import PresenceState
from locshare.model.reasons import CloseReason
from locshare.wire.compact import COMPACT
from locshare.wire.phoenix import ARRAYS, OBJECTS, REPLY
from locshare.wire.plain import PLAIN

_JSON: Final = "application/json"
_MESSAGE_PACK: Final = "application/vnd.msgpack"

_TOKEN: Final[Schema] = {
    "type": "string",
    "description": f"The participant's token; better as the subprotocol `{BEARER_PREFIX}TOKEN`.",
}
_OPTIONS: Final[Schema] = {
    "resume": {
        "type": "string",
        "description": "`EPOCH.SEQ` of the newest event that the client knows.",
    },
    "pace": {
        "type": "number",
        "minimum": 0,
        "maximum": MAX_INTERVAL_S,
        "description": "As `set_pace`, from the beginning. Ignored where it is malformed.",
    },
    "presence": {
        "type": "string",
        "enum": [*get_args(PresenceState)],
        "description": "As `presence`, from the beginning. Ignored where it is malformed.",
    },
}
_REF: Final[Schema] = {"type": ["string", "integer", "null"]}


class _Dialect:
    """A channel that is being written."""

    def __init__(
        self, name: str, address: str, title: str, about: str, query: Schema, media: str
    ) -> None:
        self.name = name
        self.media = media
        self.channel: Schema = {
            "address": address,
            "title": title,
            "description": about,
            "servers": [{"$ref": "#/servers/this"}],
            "messages": {},
            "bindings": {"ws": {"method": "GET", "query": _object(query)}},
        }
        self.messages: dict[str, Schema] = {}

    def add(self, message: Message) -> None:
        """Add ``message`` to the channel."""
        side = "client" if message.from_client else "server"
        identifier = f"{self.name}.{side}.{message.name}"
        self.messages[identifier] = {
            "name": message.name,
            "title": message.name,
            "summary": message.summary,
            "contentType": self.media,
            "payload": message.payload,
        }
        self.channel["messages"][f"{side}.{message.name}"] = {
            "$ref": f"#/components/messages/{identifier}"
        }

    def operations(self) -> Iterator[tuple[str, Schema]]:
        """What goes in each direction, and what answers a ping."""
        for action, side, summary in (
            ("receive", "client", "What a client sends."),
            ("send", "server", "What the server sends. Skip what you do not know."),
        ):
            yield (
                f"{self.name}.{action}",
                {
                    "action": action,
                    "summary": summary,
                    "channel": self._reference(),
                    "messages": [
                        self._reference(each)
                        for each in self.channel["messages"]
                        if each.startswith(side) and each != "client.ping"
                    ],
                },
            )
        answer = f"server.{REPLY}" if self.name == "phoenix" else "server.pong"
        yield (
            f"{self.name}.ping",
            {
                "action": "receive",
                "summary": "A ping and its answer.",
                "channel": self._reference(),
                "messages": [self._reference("client.ping")],
                "reply": {"channel": self._reference(), "messages": [self._reference(answer)]},
            },
        )

    def _reference(self, message: str = "") -> Schema:
        place = f"#/channels/{self.name}"
        return {"$ref": f"{place}/messages/{message}" if message else place}


def asyncapi(ws_url: str = "ws://127.0.0.1:8081") -> Schema:
    """The document of a server that clients reach at ``ws_url``."""
    components = Components()
    address = urlsplit(ws_url)
    plain = _Dialect(
        "plain", PATH, f"Plain, {PLAIN.name}",
        f"The default. One JSON object in each text frame. Subprotocol `{PLAIN.name}`, or none.",
        {"token": _TOKEN, **_OPTIONS}, _JSON,
    )  # fmt: skip
    compact = _Dialect(
        "compact", PATH, f"Compact, {COMPACT.name}",
        f"A tenth of the bytes for each position: an array of MessagePack in each binary frame. "
        f"Subprotocol `{COMPACT.name}`. All positions of a flush come in one frame, which has the "
        "receiver's own position too.",
        {"token": _TOKEN, **_OPTIONS}, _MESSAGE_PACK,
    )  # fmt: skip
    socket = _Dialect(
        "phoenix", phoenix.PATH, "Phoenix Channels",
        "For the clients of Phoenix, on the topic `location:{session_id}`.",
        {
            "token": {**_TOKEN, "description": "The participant's token."},
            "vsn": {"type": "string", "enum": [OBJECTS.vsn, ARRAYS.vsn], "default": OBJECTS.vsn},
        },
        _JSON,
    )  # fmt: skip
    for dialect, messages in (
        (plain, plain_messages(components)),
        (compact, compact_messages(components)),
        (socket, phoenix_messages(components)),
    ):
        for message in messages:
            dialect.add(message)
    dialects = (plain, compact, socket)
    found: Schema = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "locshare",
            "version": __version__,
            "description": (
                "What happens in a session, live. A client joins over REST (`openapi.json`) and "
                "connects with the token that it gets there. The first message of the server is "
                "`session_state`. Ignore fields and messages that are not described here: a newer "
                "server may send more."
            ),
            "license": {"name": "MIT"},
        },
        "defaultContentType": _JSON,
        "servers": {
            "this": {
                "host": address.netloc,
                "protocol": address.scheme,
                "description": "This server.",
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            }
            | ({"pathname": address.path} if address.path else {})
        },
        "channels": {each.name: each.channel for each in dialects},
        "operations": {name: each for dialect in dialects for name, each in dialect.operations()},
        "components": {
            "messages": {name: each for d in dialects for name, each in d.messages.items()},
            "schemas": components.schemas,
            "securitySchemes": {
                "token": {
                    "type": "httpApiKey",
                    "in": "query",
                    "name": "token",
                    "description": "Or as a subprotocol, which stays out of logs.",
                }
            },
        },
        "x-close-codes": close_codes(),
        "x-refusals": refusals(),
    }
    document: Schema = draft_7(found)
    return document


# --- Phoenix Channels -------------------------------------------------------------------------


def phoenix_messages(components: Components) -> Iterator[Message]:
    """The events of a channel, as each serializer writes them."""
    nothing: Schema = {"type": "object"}
    reason = components.sent(phoenix.Reason)
    joined = components.sent(phoenix.Joined)

    def event(name: str, from_client: bool, summary: str, payload: Schema) -> Message:
        return Message(name, from_client, summary, _frames(name, payload))

    join = components.received(phoenix.JoinPayload)
    yield event("phx_join", True, "Joins the session of the topic.", join)
    yield event("phx_leave", True, "Leaves the channel, and is offline.", nothing)
    yield event("heartbeat", True, "Keeps the socket; on the topic `phoenix`.", nothing)
    for name, kind in CLIENT_MESSAGES.items():
        yield event(name, True, MESSAGES[name], components.received(kind))
    reply: Schema = {
        "type": "object",
        "properties": {
            "status": {"type": "string", "enum": ["ok", "error"]},
            "response": {"anyOf": [joined, reason, {"type": "object", "maxProperties": 0}]},
        },
        "required": ["status", "response"],
    }
    yield event(REPLY, False, "Answers a message that has a ref.", reply)
    yield event("phx_close", False, "The channel has ended: stay away.", reason)
    yield event("phx_error", False, "The channel has ended: join again.", reason)
    for name, kind in SERVER_MESSAGES.items():
        payload = reason if name == "error" else components.sent(kind)
        yield event(name, False, MESSAGES[name], payload)


def _frames(event: str, payload: Schema) -> Schema:
    name = {"const": event}
    array = {
        "description": f"vsn {ARRAYS.vsn}",
        "type": "array",
        "prefixItems": [
            {"title": "join_ref", **_REF},
            {"title": "ref", **_REF},
            {"title": "topic", "type": "string"},
            {"title": "event", **name},
            {"title": "payload", **payload},
        ],
        "minItems": 5,
    }
    fields: Schema = {
        "join_ref": _REF, "ref": _REF, "topic": {"type": "string"}, "event": name,
        "payload": payload,
    }  # fmt: skip
    return {
        "anyOf": [
            array,
            {
                **_object(fields),
                "description": f"vsn {OBJECTS.vsn}",
                "required": ["topic", "event", "payload"],
            },
        ]
    }


# --- parts ------------------------------------------------------------------------------------


def close_codes() -> list[Mapping[str, Any]]:
    """Every close code, and what a client does after it."""
    return [
        {
            "code": each.code,
            "reason": each.label,
            "description": each.text,
            "reconnect": each.reconnect,
            "wait_s": [*each.wait_s],
            "sent": each.is_sent,
        }
        for each in sorted(CloseReason, key=lambda each: each.code)
    ]


def refusals() -> list[Mapping[str, Any]]:
    """Every answer to a request to connect that is none, and the same in other words: the close
    code for a browser, whose scripts see no status; the reason of a Phoenix client's join.
    """
    return [
        {
            "status": each.status,
            "code": each.code,
            "close_code": each.reason.code,
            "join_reason": phoenix.JOIN_REFUSALS.get(each, phoenix.UNAVAILABLE),
            "description": each.text,
        }
        for each in sorted(Refusal, key=lambda each: each.status)
    ]


def draft_7(schema: Any) -> Any:
    """JSON Schema 2020-12 as draft 7 writes it: tuples are ``items``, and no OpenAPI keyword."""
    if isinstance(schema, Mapping):
        found = {name: draft_7(each) for name, each in schema.items() if name != "discriminator"}
        if isinstance(found.get("prefixItems"), list):
            found["items"] = found.pop("prefixItems")
        return found
    if isinstance(schema, Iterable) and not isinstance(schema, str):
        return [draft_7(each) for each in schema]
    return schema


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}
