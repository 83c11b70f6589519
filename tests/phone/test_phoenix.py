"""Servers of the same contract that are not this project's, in the Phoenix dialect."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.targets import started
from locshare.client import (
    End,
    NotConnected,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantPosition,
    ParticipantUpdated,
    Pong,
    Position,
    SessionEnded,
    Snapshot,
    Unreachable,
)
from locshare.wire.messages import Leave, Ping, Presence, SetPace
from phone.api import LenientApi
from phone.backend import Backend, Environments
from phone.phoenix import Known, PhoenixCodec, socket_address
from phone.trio_guest import TrioGuest
from tests.phone.kit import on_the_phone, phone
from tests.phone.people import BERLIN, create, friend, places
from tests.program import Program

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOPIC = "session:abc"


async def nobody() -> tuple[()]:
    return ()


def codec() -> PhoenixCodec:
    made = PhoenixCodec(TOPIC, Known("abc", "me", "Alps", NOW, nobody), lambda: NOW)
    assert msgspec.json.decode(made.join()) == ["1", "1", TOPIC, "phx_join", {}]
    return made


def frame(event: str, payload: object, ref: object = None, topic: str = TOPIC) -> bytes:
    return msgspec.json.encode(["1", ref, topic, event, payload])


def reply(status: str, response: object, ref: str = "1") -> bytes:
    return frame("phx_reply", {"status": status, "response": response}, ref)


def test_a_join_is_answered_with_the_state_or_without() -> None:
    bare = codec()
    assert bare.decode(reply("ok", {})) == (Pong(),)
    assert bare.joined
    there = {"user_id": "ada", "lat": 1, "lng": 2, "timestamp": 1772366400}
    people = [{"user_id": "ada", "display_name": "Ada"}]
    (state,) = codec().decode(reply("ok", {"participants": people, "positions": [there]}))
    assert isinstance(state, Snapshot)
    assert [each.user_id for each in state.participants] == ["me", "ada"]
    assert (state.positions[0].lat, state.positions[0].accuracy) == (1.0, None)
    assert (state.session.name, state.session.expires_at) == ("Alps", NOW)


def test_a_refused_join_says_why() -> None:
    made = codec()
    made.decode(reply("error", {"reason": "session_ended"}))
    assert (made.joined, made.refusal) == (False, "session_ended")


@pytest.mark.parametrize(
    ("event", "payload", "kind"),
    [
        ("participant_joined", {"user_id": "ada"}, ParticipantJoined),
        ("participant_joined", {"user_id": "ada", "display_name": None}, ParticipantJoined),
        ("participant_left", {"user_id": "ada"}, ParticipantLeft),
        ("participant_updated", {"user_id": "ada", "online": False}, ParticipantUpdated),
        ("location_update", {"user_id": "ada", "lat": 1, "lng": 2}, ParticipantPosition),
        ("session_ended", {}, SessionEnded),
        ("session_ended", {"reason": "moon"}, SessionEnded),
    ],
)
def test_what_another_server_leaves_out_has_a_default(
    event: str, payload: object, kind: type
) -> None:
    (found,) = codec().decode(frame(event, payload))
    assert isinstance(found, kind)


@pytest.mark.parametrize(
    ("event", "payload"),
    [("presence_diff", {}), ("location_update", {"user_id": "ada", "lat": "north", "lng": 2}),
     ("participant_joined", {}), ("location_update", {"lat": 1, "lng": 2})],
)  # fmt: skip
def test_what_is_not_understood_is_skipped(event: str, payload: object) -> None:
    with pytest.raises(msgspec.DecodeError):
        codec().decode(frame(event, payload))
    assert codec().decode(frame("x", {}, topic="session:other")) == ()


@pytest.mark.parametrize(
    ("event", "payload", "code"),
    [
        ("phx_error", {}, 1011),
        ("phx_close", {}, 4403),
        ("phx_close", {"reason": "replaced"}, 4409),
        ("phx_close", {"reason": "session_ended"}, 4410),
    ],
)
def test_the_end_of_the_channel_ends_the_connection(event: str, payload: object, code: int) -> None:
    with pytest.raises(NotConnected) as caught:
        codec().decode(frame(event, payload))
    assert caught.value.end == End.of(code)
    ended = codec()
    ended.decode(frame("session_ended", {"reason": "expired"}))
    with pytest.raises(NotConnected) as caught:
        ended.decode(frame("phx_close", {}))
    assert caught.value.end.code == 4410


def test_messages_are_pushed_on_the_channel_and_heartbeats_on_the_socket() -> None:
    made = codec()
    sent: list[Any] = [
        msgspec.json.decode(made.encode(each))
        for each in (Position(1.0, 2.0, 3.0, NOW), Ping(), Leave(), SetPace(5), Presence("hidden"))
    ]
    assert [each[3] for each in sent] == [
        "location_update", "heartbeat", "leave", "set_pace", "presence",
    ]  # fmt: skip
    assert sent[0][:3] == ["1", "2", TOPIC]
    assert sent[0][4]["lat"] == 1.0
    assert sent[1][0] is None
    assert made.decode(frame("phx_reply", {"status": "ok"}, "3", "phoenix")) == (Pong(),)


def test_the_socket_is_where_the_backend_or_the_join_says() -> None:
    here = Backend("https://a", "phoenix")
    assert socket_address(here, "wss://a/ws") == "wss://a/socket/websocket"
    assert socket_address(here, "wss://a/x/socket") == "wss://a/x/socket/websocket"
    assert socket_address(here, "wss://a/live/websocket") == "wss://a/live/websocket"
    other = Backend("https://a", "phoenix", "ws://b:4000/socket/websocket")
    assert socket_address(other, "wss://a/ws") == "ws://b:4000/socket/websocket"
    with pytest.raises(Unreachable):
        socket_address(here, "")


@pytest.mark.e2e
@on_the_phone
async def test_the_app_in_the_phoenix_dialect(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = f"{program.ws_url}/socket/websocket"
    backend = Backend(program.http_url, "phoenix", socket, "location:{session_id}")
    monkeypatch.setattr(
        "phone.app.read_environments", lambda _: Environments("other", {"other": backend})
    )
    async with phone(tmp_path, program.http_url) as one:
        link = await create(one)
        await one.stand(*BERLIN)
        await one.until(lambda: places(one) == [BERLIN], "on the map")
        mine = one.app.controller._participations[one.state.active]
        assert mine.live.dialect == "phoenix"
        async with friend(one, link, "Grace") as grace:
            await one.shows("2 people")
            await grace.stand(52.52, 13.4)
            await one.until(lambda: (52.52, 13.4) in places(one), "moved")
            await one.until(lambda: grace.sees("Ada") is not None)
            replica = grace.live.replica
            assert replica is not None
            ada = grace.sees("Ada").user_id
            await one.until(lambda: ada in replica.positions, "seen by others")
            await one.press("menu")
            await one.press("leave")
            await one.press("yes")
            await one.shows("You have left")
            await one.until(lambda: grace.sees("Ada") is None, "gone for others")


@pytest.mark.e2e
@on_the_phone
async def test_the_app_on_a_server_of_the_contract_that_others_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The benchmark's comparator: no compact dialect, no pace, no presence, no roles."""
    with started("inprocess", pin=False) as target:
        backend = Backend(target.http_url)
        monkeypatch.setattr(
            "phone.app.read_environments", lambda _: Environments("bench", {"bench": backend})
        )
        async with phone(tmp_path, target.http_url) as one:
            link = await create(one)
            async with friend(one, link, "Grace") as grace:
                await one.shows("2 people")
                await grace.stand(52.52, 13.4)
                await one.until(lambda: (52.52, 13.4) in places(one), "moved")

        async def lenient() -> tuple[str, ...]:
            async with LenientApi(target.http_url) as api:
                found = await api.create_session("Alps", expires_in_minutes=60)
                assert (await api.describe(found.session_id)).name == "Alps"
                me = await api.join(found.session_id, "Ada")
                people = await api.participants(found.session_id)
                await api.remove(found.session_id, me.user_id, me.websocket_token)
                await api.end(found.session_id, found.host_token)
                return tuple(each.display_name for each in people)

        guest = TrioGuest()
        await guest.start()
        assert await guest.run(lenient) == ("Ada",)
        await guest.stop()
