"""Nothing that version 1 promised is taken back (docs/reference/compatibility.md)."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.compatibility import BASELINE, promise, taken_back


@pytest.fixture(scope="module")
def first() -> dict[str, Any]:
    """As it was first published."""
    found: dict[str, Any] = json.loads(BASELINE.read_text())
    return found


def test_this_version_keeps_what_version_1_promised(first: dict[str, Any]) -> None:
    assert taken_back(first, promise()) == []


JOIN = "POST /api/sessions/{session_id}/join"


def body(new: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = new["calls"][JOIN]["bodies"]["application/json"]
    return found


def data(new: dict[str, Any], message: str) -> dict[str, Any]:
    found: dict[str, Any] = new["messages"][message]["properties"]["data"]
    return found


Change = Callable[[dict[str, Any]], object]


def changed(first: dict[str, Any], change: Change) -> list[str]:
    new = copy.deepcopy(first)
    change(new)
    return taken_back(first, new)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda new: new["calls"].pop(JOIN), f"{JOIN} is gone"),
        (lambda new: new["calls"][JOIN].update(status=200), f"{JOIN} succeeds with 200"),
        (lambda new: body(new)["required"].append("avatar_color"), "avatar_color may be absent"),
        (lambda new: body(new)["properties"].pop("device_key"), "device_key is gone"),
        (
            lambda new: body(new)["properties"]["display_name"].update(maxLength=50),
            "display_name has maxLength 50",
        ),
        (lambda new: new["messages"].pop("plain.server.pong"), "plain.server.pong is gone"),
        (
            lambda new: data(new, "plain.server.location_update")["required"].remove("lat"),
            "plain.server.location_update.data.lat may be absent",
        ),
        (
            lambda new: data(new, "plain.server.location_update")["properties"]["lat"].update(
                type=["number", "null"]
            ),
            "data.lat may be null",
        ),
        (
            lambda new: data(new, "plain.server.session_state")["properties"]["you"]["properties"][
                "role"
            ]["enum"].append("guest"),
            "data.you.role may be guest",
        ),
        (
            lambda new: data(new, "plain.client.location_update")["properties"]["lat"].update(
                maximum=80
            ),
            "data.lat has maximum 80",
        ),
        (
            lambda new: new["messages"]["compact.server.pong"]["elements"][0].update(const=99),
            "compact.server.pong[0] may be 99",
        ),
        (lambda new: new["closing"].update({"4508": False}), "close code 4508"),
        (lambda new: new["closing"].pop("4508"), "close code 4508"),
    ],
)
def test_what_is_taken_back_is_named(first: dict[str, Any], change: Change, named: str) -> None:
    assert any(named in each for each in changed(first, change)), changed(first, change)


@pytest.mark.parametrize(
    "change",
    [
        lambda new: new["calls"].update({"GET /api/new": new["calls"][JOIN]}),
        lambda new: new["messages"].update({"plain.server.new": {}}),
        lambda new: body(new)["properties"].update(new={"type": "string"}),
        lambda new: body(new)["properties"]["display_name"].update(maxLength=200),
        lambda new: data(new, "plain.server.session_ended")["properties"]["reason"]["enum"].append(
            "new"
        ),
        lambda new: data(new, "plain.server.location_update")["properties"].update(
            new={"type": "string"}
        ),
        lambda new: new["closing"].update({"4499": False}),
    ],
)
def test_what_is_new_takes_nothing_back(first: dict[str, Any], change: Change) -> None:
    assert changed(first, change) == []
