"""On the smallest phone: what is taller than the screen scrolls, and all of it is reached."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium_or_skip
from tests.phone.browser_kit import Screen, app_process, screen
from tests.program import Program

pytestmark = [pytest.mark.e2e, pytest.mark.browser]
WITHIN = """identifier => {
    const found = document.querySelector(`[flt-semantics-identifier="${identifier}"]`);
    const { top, bottom } = found?.getBoundingClientRect() ?? { top: -1, bottom: -1 };
    return top >= 0 && bottom > top && bottom <= innerHeight;
}"""


@pytest.fixture
def app(program: Program, tmp_path: Path) -> Iterator[Screen]:
    with (
        chromium_or_skip() as browser,
        app_process(tmp_path, program.http_url) as url,
        screen(browser, url, opened=False) as found,
    ):
        found.page.set_viewport_size({"width": 320, "height": 480})
        yield found


def test_the_last_line_of_a_menu_taller_than_the_screen_is_reached(app: Screen) -> None:
    app.open()
    app.press("new")
    app.type("name", "Ada")
    app.page.mouse.move(160, 300)
    app.page.mouse.wheel(0, 2_000)
    app.page.wait_for_function(WITHIN, arg="create")
    app.press("create")
    app.shows("Share where you are")
    app.close()
    app.press("menu")
    app.marked("leave").wait_for(state="attached")
    app.page.mouse.move(160, 300)
    app.page.mouse.wheel(0, 2_000)
    app.page.wait_for_function(WITHIN, arg="leave")
    app.press("leave")
    app.shows("Leave the session?")
