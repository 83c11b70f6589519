"""A stranger's link leads to a stranger's server: whatever it answers, the app goes on, says one
sentence, and uses no more memory than an answer may have.
"""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from locshare.client.exchange import LARGEST
from phone.api import LenientApi
from phone.fetch import fetch_maps
from phone.settings import SettingsFile
from phone.trio_guest import TrioGuest
from tests.phone.kit import Phone, on_the_phone, phone
from tests.phone.stranger import ID, Stranger, stranger

NOWHERE = "http://127.0.0.1:1"
HTML = b"<!doctype html><title>It works!</title>" + b"<p>welcome</p>" * 200


def endless(one: Stranger) -> None:
    one.answers[""] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n["
    one.endless = True


def endless_header(one: Stranger) -> None:
    one.answers[""] = b"HTTP/1.1 200 OK\r\nX: x"
    one.endless = True


def bomb(one: Stranger) -> None:
    one.says("", gzip.compress(b" " * 50_000_000), Content_Encoding="gzip")


def nested(one: Stranger) -> None:
    one.says("", b"[" * 500_000)


ANSWERS: dict[str, Callable[[Stranger], None]] = {
    "a page": lambda one: one.says("", HTML),
    "nonsense": lambda one: one.answers.update({"": bytes(range(256)) * 20}),
    "nothing": lambda one: one.answers.update({"": b""}),
    "an endless answer": endless,
    "an endless header": endless_header,
    "a compressed nothing of 50 MB": bomb,
    "half a million brackets": nested,
    "another type": lambda one: one.says("", [1, 2, 3]),
    "another place": lambda one: one.says("", b"", "302 Found", Location="http://127.0.0.1:1/"),
}


async def opens(one: Phone, url: str) -> None:
    await one.type("link", f"{url}/join/{ID}")
    await one.press("open")


@pytest.mark.parametrize("kind", ANSWERS)
@on_the_phone
async def test_an_answer_that_is_none_is_one_sentence(kind: str, tmp_path: Path) -> None:
    async with (
        stranger(ANSWERS[kind]) as one,
        phone(tmp_path, NOWHERE) as app,
    ):
        await opens(app, one.url)
        await app.shows("The server cannot be reached.")
        # What fits into the sockets between them was written too.
        assert one.written < LARGEST + 16_000_000


@pytest.mark.parametrize("kind", ANSWERS)
@on_the_phone
async def test_the_calls_of_other_servers_and_of_maps_are_bounded_too(kind: str) -> None:
    guest = TrioGuest()
    await guest.start()
    try:
        async with stranger(ANSWERS[kind]) as one:
            assert await guest.run(fetch_maps, one.url) == ()

            async def ask() -> Any:
                async with LenientApi(one.url) as api:
                    return await api.describe(ID)

            with pytest.raises(Exception, match=r"answer|no ") as caught:
                await guest.run(ask)
            assert type(caught.value).__name__ == "Unreachable"
            assert one.written < 2 * (LARGEST + 16_000_000)
    finally:
        await guest.stop()


@on_the_phone
async def test_a_refusal_of_a_thousand_lines_is_one_short_sentence(tmp_path: Path) -> None:
    body = {"code": "NO", "detail": "no way\n" * 10_000}
    async with (
        stranger(lambda one: one.says("", body, "418 No")) as one,
        phone(tmp_path, NOWHERE) as app,
    ):
        await opens(app, one.url)
        await app.shows("That did not work. no way")
        assert len(app.state.problem) < 300


@on_the_phone
async def test_a_wrong_answer_to_the_upgrade_is_tried_again(tmp_path: Path) -> None:
    def set_up(one: Stranger) -> None:
        one.hosts()
        one.accepts = False

    async with stranger(set_up) as one, phone(tmp_path, NOWHERE) as app:
        await opens(app, one.url)
        await app.type("name", "Grace")
        await app.press("join")
        await app.shows("Connection lost")
        await app.until(lambda: one.upgrades >= 2, "tried again")


@on_the_phone
async def test_an_error_that_nobody_thought_of_ends_the_session_on_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And does not leave it there as if it were live, with the location on."""

    async def fail(_: object) -> None:
        raise OverflowError("a number of a stranger")

    monkeypatch.setattr("phone.participation.Participation.run", fail)
    async with stranger(Stranger.hosts) as one, phone(tmp_path, NOWHERE) as app:
        await opens(app, one.url)
        await app.type("name", "Grace")
        await app.press("join")
        await app.shows("This app and the server do not understand each other")
        assert app.app.controller._participations == {}
        assert not app.app.controller._tracker.running


FRAMES: dict[str, tuple[bytes, ...]] = {
    "nonsense": (b"\xff\xfe", b"{}", b'{"type": 5}'),
    "brackets": (b"[" * 200_000,),
    "nested": (b'{"type": "x", "data": ' + b'{"a":' * 100_000,),
    "too long": (b"x" * 3_000_000,),
}


@pytest.mark.parametrize("kind", FRAMES)
@on_the_phone
async def test_nonsense_on_the_websocket_is_said_and_can_be_left(kind: str, tmp_path: Path) -> None:
    def set_up(one: Stranger) -> None:
        one.hosts()
        one.frames = FRAMES[kind]

    async with stranger(set_up) as one, phone(tmp_path, NOWHERE) as app:
        await opens(app, one.url)
        await app.shows("Alps")
        await app.type("name", "Grace")
        await app.press("join")
        await app.until(lambda: one.upgrades, "connected")
        if kind in ("brackets", "nested"):  # skipped: a newer server may have other messages
            await app.shows("Connect")
            await app.press("menu")
            await app.press("leave")
            await app.press("yes")
            await app.shows("You have left")
        else:
            await app.shows("This app and the server do not understand each other")
        assert app.app.controller._participations == {}


@on_the_phone
async def test_long_names_are_cut_and_what_is_kept_can_be_read_again(tmp_path: Path) -> None:
    long = "Ж" * 10_000

    def set_up(one: Stranger) -> None:
        one.hosts(long)
        now = datetime.now(UTC)
        person = {
            "user_id": "she", "display_name": f"{long}\n{long}", "avatar_color": "red" * 1_000,
            "joined_at": now, "last_seen": now, "is_active": True, "online": True,
        }  # fmt: skip
        state = {
            "session": {
                "id": ID, "name": long, "created_at": now,
                "expires_at": now + timedelta(hours=1),
            },
            "you": {"user_id": "me", "role": "participant"},
            "participants": [person | {"user_id": "me"}, person], "server_time": now,
            "positions": [
                {"user_id": "she", "lat": 1, "lng": 2, "accuracy": -5, "timestamp": now,
                 "age_ms": -(10**12)},
            ], "epoch": "e", "seq": 1,
        }  # fmt: skip
        one.frames = (msgspec.json.encode({"type": "session_state", "data": state}),)

    async with stranger(set_up) as one, phone(tmp_path, NOWHERE) as app:
        await opens(app, one.url)
        await app.shows("ЖЖЖ")
        assert len(app.state.invitation.name) <= 255
        await app.type("name", "Grace")
        await app.press("join")
        await app.shows("2 people")
        assert max(len(each.name) for each in app.state.group.people) <= 100
        assert len(app.state.group.name) <= 255
        assert all(len(each) < 400 for each in app.texts)
        await app.until(lambda: app.state.group.person("she").place is not None, "on the map")
        [kept] = SettingsFile(tmp_path).read().memberships
        assert len(kept.name) <= 255
