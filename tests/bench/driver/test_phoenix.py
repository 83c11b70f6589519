"""The phoenix dialect, held to the official client from npm: the server of the tests serves that
client, and the driver; so what the driver says and understands is what the client does.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.driver.dialect import Access, Ended, Refusal, Snapshot
from bench.driver.measure import measure
from bench.driver.phoenix import PhoenixAdapter, PhoenixConversation
from bench.driver.tracker import ReceivedPosition
from tests.bench.misbehaving_server import (
    TOPIC,
    MisbehavingServer,
    Misbehaviour,
    NullObserver,
    Walker,
    misbehaving_server,
    plan,
)
from tests.npm import CLIENTS, installed
from tests.official_phoenix import OfficialClient
from tests.running import LAST_RESORT_S, given_more_time

PATIENCE_S = LAST_RESORT_S


@pytest.fixture(scope="module")
def modules() -> Path:
    """A folder with the official client, or the reason why there is none."""
    return installed(CLIENTS)


def official_client(
    modules: Path, server: MisbehavingServer, token: str, session_id: str
) -> OfficialClient:
    address = server.socket_url.removesuffix("/websocket")  # the client adds it
    return OfficialClient(modules, address, token, TOPIC.replace("{session_id}", session_id))


def join(server: MisbehavingServer, session_id: str | None = None) -> tuple[str, str, str]:
    """A new participant: session, user, token."""

    def post(path: str) -> Any:
        return httpx.post(server.http_url + path, json={}, trust_env=False).json()

    session_id = session_id or post("/api/sessions")["session_id"]
    joined = post(f"/api/sessions/{session_id}/join")
    return session_id, joined["user_id"], joined["websocket_token"]


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with misbehaving_server(dialect="phoenix") as made:
        yield made


def test_the_official_client_is_served(modules: Path, server: MisbehavingServer) -> None:
    session_id, first_id, first_token = join(server)
    _, second_id, second_token = join(server, session_id)
    first = official_client(modules, server, first_token, session_id)
    first.hears("joined")
    first.push("location_update", {"lat": 1.5, "lng": 2.5})
    assert server.has_seen(lambda: first_id in server.newest)
    second = official_client(modules, server, second_token, session_id)
    try:
        snapshot = second.hears("joined")
        assert snapshot[1] == {"positions": [{"user_id": first_id, "lat": 1.5, "lng": 2.5}]}
        second.push("location_update", {"lat": 3, "lng": 4})
        assert first.hears("location_update")[1] == {"user_id": second_id, "lat": 3, "lng": 4}
        assert server.has_seen(lambda: server.heartbeats >= 2)
        second.push("leave")
        second.hears("left")
        assert server.has_seen(lambda: server.left)  # it says so before the server knows
        assert server.left == [second_id]
    finally:
        first.close()
        second.close()


def test_the_official_client_and_the_driver_see_each_other(
    modules: Path, server: MisbehavingServer
) -> None:
    answer = server.answer
    there = threading.Event()
    guests: list[OfficialClient] = []
    received: list[Mapping[str, Any]] = []

    def with_a_guest(method: str, path: str) -> Any:
        status, body = answer(method, path)
        if path == "/api/sessions":
            _, _, token = join(server, body["session_id"])
            guests.append(official_client(modules, server, token, body["session_id"]))
            guests[0].hears("joined")
            there.set()
        return status, body

    def talk_once_both_are_there() -> None:
        there.wait(PATIENCE_S)
        while len({each["user_id"] for each in received}) < 2:
            received.append(guests[0].hears("location_update")[1])
        guests[0].push("location_update", {"lat": 5, "lng": 6})

    server.answer = with_a_guest  # type: ignore[method-assign]  # the guest must be there first
    talker = threading.Thread(target=talk_once_both_are_there, daemon=True)
    talker.start()
    try:
        run = measure(server, plan((2,), duration_s=3), NullObserver())
        talker.join(PATIENCE_S)
    finally:
        for each in guests:
            each.close()
    assert {each["user_id"] for each in received} <= set(server.newest)
    assert set(received[0]) >= {"user_id", "lat", "lng", "accuracy", "timestamp"}
    assert run.delivered == run.expected == run.sent > 5
    assert run.foreign == 2  # the guest did not join by the driver; both people got its position


# --- without node ---------------------------------------------------------------------------------


def conversation() -> PhoenixConversation:
    made = PhoenixAdapter(TOPIC).converse(Access("s1", "u1", "token"))
    assert isinstance(made, PhoenixConversation)
    return made


def text(*message: Any) -> bytes:
    return json.dumps(message).encode()


def joined() -> PhoenixConversation:
    made = conversation()
    made.hello()
    made.read(text("1", "1", "session:s1", "phx_reply", {"status": "ok", "response": {}}))
    return made


def test_messages_have_the_shape_of_serializer_version_two() -> None:
    adapter, talk = PhoenixAdapter(TOPIC), conversation()
    address = adapter.address(Access("s1", "u1", "a+b"), "ws://h/socket/websocket?x=1")
    assert address == "ws://h/socket/websocket?x=1&token=a%2Bb&vsn=2.0.0"
    hello = talk.hello()
    assert hello is not None
    assert json.loads(hello) == ["1", "1", "session:s1", "phx_join", {}]
    position = Walker(0).position(0, datetime(2026, 1, 1, tzinfo=UTC))
    assert json.loads(talk.position(position)) == [
        "1", "2", "session:s1", "location_update",
        {"lat": 10.0, "lng": 20.000_123_4, "accuracy": 5, "timestamp": "2026-01-01T00:00:00Z"},
    ]  # fmt: skip
    assert json.loads(talk.heartbeat()) == [None, "3", "phoenix", "heartbeat", {}]
    assert json.loads(talk.leave()) == ["1", "4", "session:s1", "phx_leave", {}]


def test_the_reply_to_the_join_is_the_first_message() -> None:
    talk = conversation()
    talk.hello()
    listed = {"positions": [{"user_id": "u2", "lat": 1, "lng": 2, "speed": None}]}
    reply = {"status": "ok", "response": listed}
    assert talk.read(text("1", "1", "session:s1", "phx_reply", reply)) == Snapshot(
        [ReceivedPosition("u2", 1.0, 2.0)]
    )
    assert talk.read(text(None, "2", "phoenix", "phx_reply", {"status": "ok"})) is None


def test_a_join_that_is_refused_is_an_end() -> None:
    talk = conversation()
    talk.hello()
    reply = {"status": "error", "response": {"reason": "unauthorized"}}
    found = talk.read(text("1", "1", "session:s1", "phx_reply", reply))
    assert isinstance(found, Ended)
    assert "unauthorized" in found.reason


@pytest.mark.parametrize("event", ["phx_error", "phx_close"])
def test_a_channel_that_ends_is_a_connection_that_ends(event: str) -> None:
    talk = joined()
    assert talk.read(text("0", None, "session:s1", event, {})) is None  # an older channel's
    assert isinstance(talk.read(text("1", None, "session:s1", event, {})), Ended)


def test_other_events_are_ignored_unless_they_list_positions() -> None:
    talk = joined()
    assert talk.read(text(None, None, "session:s1", "presence_diff", {"joins": {}})) is None
    listed = {"positions": [{"user_id": "u2", "lat": 1, "lng": 2}]}
    assert isinstance(talk.read(text(None, None, "session:s1", "state", listed)), Snapshot)


def test_an_update_with_other_fields_in_another_order_is_understood() -> None:
    data = {"heading": 3, "lng": 2, "user_id": "u2", "lat": 1e0}
    found = joined().read(text(None, None, "session:s1", "location_update", data))
    assert found == ReceivedPosition("u2", 1.0, 2.0)


@pytest.mark.parametrize("wrong", [b"", b"{}", b"[1,2]", b"\xff", b'[null,null,"t","e"]'])
def test_an_unreadable_message_is_a_refusal(wrong: bytes) -> None:
    assert isinstance(joined().read(wrong), Refusal)


@given_more_time
def test_a_lost_join_is_tried_again(times: int) -> None:
    with misbehaving_server(Misbehaviour(hang_up_after=3), "phoenix") as server:
        run = measure(server, plan((2,), duration_s=1.2, times=times), NullObserver())
    assert run.disconnects == 2
    assert run.connections == 4
    assert run.lost == 0
