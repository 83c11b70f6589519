"""Several sessions, and what a person chooses: language, server, the way back."""

from pathlib import Path

from locshare.client import parse_join_link
from phone.app import App
from tests.phone.kit import ENVIRONMENTS, on_the_phone, phone
from tests.phone.people import APP, BERLIN, create, friend, streaming

pytestmark = APP


@on_the_phone
async def test_several_sessions_run_at_once_and_are_switched(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        first = await create(one, session="First")
        await one.press("menu")
        await one.press("new")
        await create(one, session="Second")
        async with friend(one, first, "Grace") as grace:
            await one.stand(*BERLIN)
            replica = grace.live.replica
            assert replica is not None
            await one.until(lambda: len(replica.positions) == 1, "sharing in both")
            await one.press("menu")
            await one.press(f"session-{parse_join_link(first).session_id}")
            await one.shows("2 people")
            await one.press("menu")
            await one.press("leave")
            await one.press("yes")
            await one.shows("You have left")
        assert streaming(one)
        await one.press("home")
        await one.shows("Go back into")
        await one.press(f"back-{one.state.groups[0].session_id}")
        await one.shows("Second")


@on_the_phone
async def test_the_app_speaks_the_phones_language_or_the_one_that_is_chosen(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server, language="de") as one:
        await one.shows("Seht einander auf der Karte")
        await one.press("settings")
        await one.shows("Sprache")
        await one.choose("language", "en")
        await one.shows("Language")
        await one.press("back")
        await one.shows("See each other on a map")
    async with phone(tmp_path, server, language="de") as again:
        await again.shows("See each other on a map")


@on_the_phone
async def test_the_hidden_screen_chooses_the_server(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        await one.press("settings")
        for _ in range(7):
            await one.press("version")
        await one.shows("For whoever runs or tests a server")
        await one.press("environment-local")
        assert one.by_key("url").value == "http://127.0.0.1:8080"
        await one.type("url", "no server")
        await one.press("save")
        await one.shows("is not like https://")
        await one.choose("dialect", "phoenix")
        await one.type("url", "https://other.example")
        await one.type("topic", "session:{session_id}")
        await one.press("save")
        await one.shows("Settings")
        assert one.state.backend.topic == "session:{session_id}"
        await one.press("back")
        await one.shows("on other.example")
    assert App(ENVIRONMENTS, tmp_path).state.backend.url == server


@on_the_phone
async def test_the_back_button_leaves_what_is_open_and_then_the_app(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        view = one.page.views[0]
        await one.press("menu")
        await one.event(view, "confirm_pop")
        assert one.state.sheet == ""
        await one.event(view, "confirm_pop")
        assert one.state.screen == "home"
        await one.event(view, "confirm_pop")
        assert [args["should_pop"] for name, args in one.calls if name == "confirm_pop"] == [
            False, False, True,
        ]  # fmt: skip
