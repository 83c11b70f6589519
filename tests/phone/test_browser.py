"""The app in a real browser against a real server, as a person uses it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium_or_skip
from tests.phone.browser_kit import BERLIN, Screen, app_process, memberships, screen
from tests.phone.others import NAMES, Others
from tests.program import Program

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_or_skip() as started:
        yield started


def test_create_see_three_others_move_survive_a_restart_and_leave(
    browser: Browser, program: Program, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"geolocation": BERLIN, "permissions": ["geolocation"]}
    with app_process(tmp_path, program.http_url) as url, screen(browser, url, **options) as app:
        app.shows("See each other on a map")
        app.press("new")
        app.type("name", "Ada")
        app.type("session_name", "Sunday ride")
        app.press("create")
        app.shows("1 person")
        app.shows("sharing your position")
        link = memberships(tmp_path)[-1]
        with Others(link) as others:
            app.shows("4 people")
            for name in NAMES:
                app.shows(name)
            app.shows("live")
            moves(app, others.ids["Grace"])
            app.page.context.set_geolocation(
                {"latitude": 52.5170, "longitude": 13.3777, "accuracy": 9}
            )
            others.hear("Ada")
            program.stop()
            app.shows("Connection lost")
            program.start()
            app.hides("Connection lost")
            app.shows("4 people")
        app.press("menu")
        app.press("leave")
        app.shows("Leave the session?")
        app.press("yes")
        app.shows("You have left")
        assert memberships(tmp_path) == []
        # Flutter's engine asks for this part of an animation library, with or without animations.
        assert all("rive" in each for each in app.elsewhere), app.elsewhere


def test_a_reload_is_a_new_page_of_the_same_app_and_a_denied_location_is_said(
    browser: Browser, program: Program, tmp_path: Path
) -> None:
    with app_process(tmp_path, program.http_url) as url, screen(browser, url) as app:
        app.press("new")
        app.type("name", "Ada")
        app.press("create")
        app.shows("Share where you are")
        app.press("allow")
        app.shows("they do not see you")
        app.open(url)
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
