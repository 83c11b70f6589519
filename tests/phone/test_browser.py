"""The app in a real browser against a real server, as a person uses it: one process of the app, and
one page that is opened again for each test.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium_or_skip
from tests.phone.browser_kit import BERLIN, Screen, app_process, memberships, screen
from tests.phone.others import NAMES, Others
from tests.phone.people import made
from tests.program import Program

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_or_skip() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the app keeps its settings."""
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="module")
def app(browser: Browser, program: Program, folder: Path) -> Iterator[Screen]:
    with (
        app_process(folder, program.http_url) as url,
        screen(browser, url, opened=False) as found,
    ):
        yield found


def test_create_see_three_others_move_survive_a_restart_and_leave(
    app: Screen, program: Program, folder: Path
) -> None:
    app.page.context.grant_permissions(["geolocation"])
    app.page.context.set_geolocation(BERLIN)
    app.open()
    app.shows("See each other on a map")
    app.press("new")
    app.type("name", "Ada")
    app.type("session_name", "Sunday ride")
    app.press("create")
    app.shows("1 person")
    app.shows("sharing your position")
    link = memberships(folder)[-1]
    with Others(link) as others:
        app.shows("4 people")
        for name in NAMES:
            app.shows(name)
        app.shows("live")
        moves(app, others.ids["Grace"])
        app.page.context.set_geolocation({"latitude": 52.5170, "longitude": 13.3777, "accuracy": 9})
        others.hear("Ada")
        program.stop()
        try:
            app.shows("Connection lost")
        finally:
            program.start()
        app.hides("Connection lost")
        app.shows("4 people")
    app.press("menu")
    app.press("leave")
    app.shows("Leave the session?")
    app.press("yes")
    app.shows("You have left")
    assert memberships(folder) == []
    # Flutter's engine asks for this part of an animation library, with or without animations.
    assert all("rive" in each for each in app.elsewhere), app.elsewhere


def test_a_link_joins_a_denied_location_is_said_and_a_reload_goes_on(
    app: Screen, program: Program
) -> None:
    app.page.context.clear_permissions()
    app.open(made(program.http_url)["join_link"].replace("://", "/"))
    app.shows("Alps")
    app.type("name", "Grace")
    app.press("join")
    app.shows("Share where you are")
    app.press("allow")
    app.shows("they do not see you")
    app.open()
    app.shows("1 person")
    app.shows("they do not see you")


def moves(app: Screen, user_id: str) -> None:
    """Return when somebody's marker has moved on the screen."""
    found = app.marked(f"marker-{user_id}")
    found.wait_for(state="attached")
    app.page.wait_for_function(
        """element => {
            const {x, y} = element.getBoundingClientRect();
            window.was ??= `${x} ${y}`;
            return window.was !== `${x} ${y}`;
        }""",
        arg=found.element_handle(),
    )
