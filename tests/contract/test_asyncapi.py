"""The AsyncAPI document of the WebSocket."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from locshare.connection import phoenix
from locshare.connection.refusal import Refusal
from locshare.contract.asyncapi import asyncapi, close_codes, refusals
from locshare.contract.messages import CLIENT_MESSAGES, SERVER_MESSAGES
from locshare.model.reasons import CloseReason
from locshare.wire.compact import TYPES
from tests.documents.pages import ROOT
from tests.node import NODE
from tests.npm import installed
from tests.running import LAST_RESORT_S


def test_the_official_parser_reads_the_document_and_finds_no_fault() -> None:
    done = subprocess.run(
        [NODE, str(ROOT / "tests" / "asyncapi_parser.mjs")],
        input=json.dumps(asyncapi("wss://where.example/folder")),
        env=os.environ | {"MODULES": str(installed(ROOT / "tests" / "contract"))},
        capture_output=True, text=True, check=True, timeout=LAST_RESORT_S,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["problems"] == []
    assert [each["address"] for each in found["channels"]] == ["/ws", "/ws", "/socket/websocket"]
    for channel in found["channels"]:
        assert {*CLIENT_MESSAGES, *SERVER_MESSAGES} <= set(channel["messages"])


def test_the_document_names_the_address_at_which_this_server_is_reached() -> None:
    server = asyncapi("wss://where.example:444/folder")["servers"]["this"]
    assert (server["protocol"], server["host"]) == ("wss", "where.example:444")
    assert server["pathname"] == "/folder"
    assert "pathname" not in asyncapi("ws://127.0.0.1:8081")["servers"]["this"]


def references(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        if isinstance(found.get("$ref"), str):
            yield found["$ref"]
        for each in found.values():
            yield from references(each)
    if isinstance(found, list):
        for each in found:
            yield from references(each)


def test_each_reference_leads_somewhere() -> None:
    document = asyncapi()
    for reference in references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def test_every_message_of_every_dialect_is_in_one_operation() -> None:
    document = asyncapi()
    for name, channel in document["channels"].items():
        operations = [
            each for key, each in document["operations"].items() if key.startswith(f"{name}.")
        ]
        held = [each["$ref"] for one in operations for each in one["messages"]]
        assert sorted(held) == sorted(
            f"#/channels/{name}/messages/{each}" for each in channel["messages"]
        )


def test_the_table_of_close_codes_is_that_of_the_server() -> None:
    assert {each["code"] for each in close_codes()} == {each.code for each in CloseReason}


def test_each_refusal_is_named_for_every_kind_of_client() -> None:
    codes = {each.code for each in CloseReason}
    assert len(refusals()) == len(Refusal)
    assert all(each["close_code"] in codes and each["join_reason"] for each in refusals())


def test_the_compact_dialect_has_a_number_for_each_message() -> None:
    assert set(TYPES) == {*CLIENT_MESSAGES, *SERVER_MESSAGES}


@pytest.mark.parametrize("name", [*CLIENT_MESSAGES])
def test_a_phoenix_client_may_send_each_message_of_a_client(name: str) -> None:
    assert f"phoenix.client.{name}" in asyncapi()["components"]["messages"]
    assert asyncapi()["channels"]["phoenix"]["address"] == phoenix.PATH
