"""The JSON Schemas of the messages: as strict as what is sent, as lenient as what is read."""

import re
from datetime import datetime
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from msgspec import Struct

from locshare.contract.descriptions import FIELDS, MESSAGES, description_of
from locshare.contract.messages import (
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    compact_messages,
    plain_messages,
)
from locshare.contract.openapi import openapi
from locshare.contract.operations import OPERATIONS, kinds_of
from locshare.contract.schemas import Components, closed, plain_text, structs_in
from locshare.http.problems import ProblemDetails
from locshare.wire.compact import COMPACT, ROW
from locshare.wire.dialects import InvalidMessage
from locshare.wire.plain import PLAIN
from tests.held_to_contract import check, found_wrong

FIX = {"lat": 52.5, "lng": 13.4, "timestamp": "2026-03-01T12:00:00Z"}


def validator(name: str, *, from_client: bool, compact: bool = False) -> Any:
    components = Components()
    messages = compact_messages if compact else plain_messages
    (found,) = (
        each
        for each in messages(components)
        if each.name == name and each.from_client is from_client
    )
    return jsonschema_rs.validator_for(
        {**found.payload, "components": {"schemas": components.schemas}}
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"accuracy": 5},
        {"accuracy": None, "speed": None},
        {"heading": 0, "altitude": -12_000, "battery": 100, "age_ms": 86_400_000},
        {"unknown": [1]},
    ],
)
def test_a_position_that_the_schema_allows_is_read(change: dict[str, Any]) -> None:
    message = {"type": "location_update", "data": FIX | change}
    assert validator("location_update", from_client=True).is_valid(message)
    PLAIN.decode(msgspec.json.encode(message))


@pytest.mark.parametrize("change", [{"lat": 91}, {"lng": "13"}, {"lat": None}, {"timestamp": 7}])
def test_a_position_that_the_schema_forbids_is_refused(change: dict[str, Any]) -> None:
    message = {"type": "location_update", "data": FIX | change}
    assert not validator("location_update", from_client=True).is_valid(message)
    with pytest.raises(InvalidMessage):
        PLAIN.decode(msgspec.json.encode(message))


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        ([1, 525_000_000, 134_000_000, 1_772_366_400_000], True),
        ([1, 525_000_000, 134_000_000, 1_772_366_400_000, None, None, 250], True),
        ([1, 525_000_000, 134_000_000], False),
        ([1, 52.5, 134_000_000, 1_772_366_400_000], False),
        ([1, 900_000_001, 134_000_000, 1_772_366_400_000], False),
    ],
)
def test_a_compact_position_is_read_as_the_schema_says(fields: list[Any], valid: bool) -> None:
    schema = validator("location_update", from_client=True, compact=True)
    assert schema.is_valid(fields) is valid
    if valid:
        COMPACT.decode(msgspec.msgpack.encode(fields))
    else:
        with pytest.raises(InvalidMessage):
            COMPACT.decode(msgspec.msgpack.encode(fields))


def test_a_ping_needs_no_data_in_any_dialect() -> None:
    assert validator("ping", from_client=True).is_valid({"type": "ping"})
    assert validator("ping", from_client=True, compact=True).is_valid([2])


def test_the_rows_of_a_client_and_of_the_server_have_the_same_elements() -> None:
    (report,) = (
        each for each in compact_messages(Components()) if each.name == "location_update"
        and each.from_client
    )  # fmt: skip
    names = [each.get("title") for each in report.payload["prefixItems"]]
    assert names[1:] == [name for name, _ in ROW][1:]


@pytest.mark.parametrize(
    "data",
    [
        {"user_id": "a", "lat": 1.0, "lng": 2.0, "timestamp": "2026-03-01T12:00:00Z"},
        FIX | {"user_id": "a", "accuracy": None, "speed": None},
        FIX | {"user_id": "a", "accuracy": 5, "surprise": 1},
        FIX | {"user_id": "a", "accuracy": 5, "timestamp": "12 o'clock"},
    ],
)
def test_a_message_that_lacks_a_field_or_has_one_too_many_is_found(data: dict[str, Any]) -> None:
    check("plain", msgspec.json.encode({"type": "location_update", "data": data}))
    assert len(found_wrong()) == 1


def test_a_message_that_is_not_in_the_contract_is_found() -> None:
    check("plain", b'{"type":"surprise","data":{}}')
    assert found_wrong() == ["plain: 'surprise' is no message of the contract"]


# --- the words of the documents ---------------------------------------------------------------


def all_structs() -> set[type[Struct]]:
    bodies = [kind for each in OPERATIONS for kind in kinds_of({**each.bodies, **each.answers})]
    kinds = [*bodies, *CLIENT_MESSAGES.values(), *SERVER_MESSAGES.values(), ProblemDetails]
    return {struct for kind in kinds for struct in structs_in(kind)}


def test_each_field_of_the_contract_says_what_it_means() -> None:
    silent = {
        f"{kind.__name__}.{field.encode_name}"
        for kind in all_structs()
        for field in msgspec.structs.fields(kind)
        if not description_of(kind, field.encode_name) and not kind.__name__.startswith("Missed")
    }
    assert silent == set(), "say it in contract/descriptions.py"


def test_each_message_says_what_it_is() -> None:
    assert {*CLIENT_MESSAGES, *SERVER_MESSAGES} - set(MESSAGES) == set()


def test_a_description_is_a_sentence() -> None:
    texts = [*FIELDS.values(), *MESSAGES.values()]
    assert [text for text in texts if not re.fullmatch(r"[A-Z0-9`].*\.", text)] == []


# --- how structs become schemas ---------------------------------------------------------------


class Inner(Struct):
    when: datetime
    note: str | None = None


class Outer(Struct, omit_defaults=True):
    """Of ``inner``, see :class:`~some.module.Inner`. None is
    nothing.

    More.
    """

    inner: Inner
    count: int | None = None


def test_what_is_sent_has_every_field_that_is_not_left_out() -> None:
    components = Components()
    components.sent(Outer)
    outer, inner = components.schemas["Outer"], components.schemas["Inner"]
    assert outer["required"] == ["inner"]
    assert outer["properties"]["count"] == {"type": "integer"}  # never null: left out instead
    assert inner["required"] == ["when", "note"]
    assert inner["properties"]["when"] == {"type": "string", "format": "date-time"}
    assert outer["description"] == "Of `inner`, see `Inner`. null is nothing.\n\nMore."


def test_what_is_received_may_lack_what_may_be_null() -> None:
    components = Components()
    components.received(Inner)
    assert components.schemas["Inner"]["required"] == ["when"]
    assert {"type": "null"} in components.schemas["Inner"]["properties"]["note"]["anyOf"]


def test_one_name_is_not_two_things_in_one_document() -> None:
    components = Components()
    components.sent(Inner)
    with pytest.raises(ValueError, match="Inner is two things"):
        components.received(Inner)


def test_a_pattern_is_one_of_json_schema() -> None:
    text = msgspec.json.encode(openapi()).decode()
    assert "\\\\A" not in text
    assert '"pattern":"^#[0-9A-Fa-f]{6}$"' in text


def test_a_docstring_loses_its_markup() -> None:
    assert plain_text("See :func:`a.b` and ``c``.\n    Next.") == "See `a.b` and `c`. Next."


def test_a_closed_schema_names_every_field() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "object"}}}
    assert closed(schema) == schema | {"additionalProperties": False}
