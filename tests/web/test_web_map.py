"""The map of the web client in a real browser: the page of web/bench, with the server's policy."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from locshare.web.map_config import WORLD
from tests.browser import chromium_or_skip, until_at_rest
from tests.running import given_time
from tools.web_map import SOFTWARE_GL, build, measure_heap, measure_pan, opened, served, weigh

PHONE: dict[str, Any] = {"viewport": {"width": 393, "height": 851}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_or_skip(SOFTWARE_GL) as started:
        yield started


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    build()
    with served() as at:
        yield at


@pytest.fixture
def errors() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    assert found == []


def show(browser: Browser, address: str, errors: list[str], query: str) -> Page:
    page = opened(browser, address, query, **PHONE)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return page


def names(page: Page) -> list[dict[str, Any]]:
    """Where each name that can be seen is, and whose it is."""
    found: list[dict[str, Any]] = page.evaluate(
        """() => [...document.querySelectorAll(".mk")]
            .filter(mk => mk.style.display !== "none")
            .map(mk => ({mk, tag: mk.querySelector(".mk-name")}))
            .filter(({tag}) => getComputedStyle(tag).display !== "none")
            .map(({mk, tag}) => {
                const box = tag.getBoundingClientRect(), at = mk.getBoundingClientRect();
                return {left: box.left, top: box.top, right: box.right, bottom: box.bottom,
                        x: at.left, y: at.top, text: tag.textContent};
            })"""
    )
    return found


@pytest.mark.parametrize("scene", ["group", "pile", "scripts", "dateline", "pole", "ages"])
def test_names_do_not_overlap_and_stand_at_their_own_marker(
    browser: Browser, address: str, errors: list[str], scene: str
) -> None:
    page = show(browser, address, errors, f"map=none&still=yes&scene={scene}")
    until_at_rest(page)
    tags = names(page)
    assert tags
    for at, one in enumerate(tags):
        assert one["left"] - 1 <= one["x"] <= one["right"] + 1
        assert 15 <= one["top"] - one["y"] <= 30
        assert one["bottom"] - one["top"] <= 21, "stacked marks grow out of their line"
        for other in tags[at + 1 :]:
            apart = (
                one["right"] <= other["left"] + 1
                or other["right"] <= one["left"] + 1
                or one["bottom"] <= other["top"] + 1
                or other["bottom"] <= one["top"] + 1
            )
            assert apart, (one["text"], other["text"])
    page.context.close()


def test_a_stack_fans_out_on_the_screen_and_shows_whom_one_presses(
    browser: Browser, address: str, errors: list[str]
) -> None:
    page = show(browser, address, errors, "map=none&still=yes&scene=pile")
    page.locator(".mk-count").click()
    dots = page.locator(".mk.is-fanned .mk-dot")
    dots.nth(48).wait_for()
    until_at_rest(page)
    boxes = [dots.nth(at).bounding_box() for at in range(49)]  # settled: at rest
    for box in boxes:
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 393
    dots.nth(20).click()
    pressed = page.evaluate("bench.happened")[-1]
    assert re.fullmatch(r"person user-\d+", pressed)
    page.mouse.click(200, 40)
    expect(page.locator(".mk.is-fanned:visible")).to_have_count(0)
    page.locator(".mk-count").wait_for()
    page.context.close()


def test_a_drag_moves_the_map_and_it_follows_nobody_more(
    browser: Browser, address: str, errors: list[str]
) -> None:
    page = show(browser, address, errors, "map=none&still=yes&scene=scripts")
    until_at_rest(page)
    dot = page.locator('[data-user="user-5"] .mk-dot')
    before = dot.bounding_box()  # settled: at rest
    page.mouse.move(60, 700)
    page.mouse.down()
    page.mouse.move(90, 650, steps=4)
    page.mouse.move(100, 640, steps=4)
    page.mouse.up()
    until_at_rest(page)
    after = dot.bounding_box()  # settled: at rest
    assert before is not None
    assert after is not None
    assert after["x"] - before["x"] == pytest.approx(40, abs=1)
    assert after["y"] - before["y"] == pytest.approx(-60, abs=1)
    assert page.evaluate("bench.happened") == ["follow nobody"]  # settled: at rest
    page.locator(".map").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("+")
    until_at_rest(page)
    assert dot.bounding_box() != after  # settled: at rest
    page.context.close()


@pytest.mark.parametrize("script", ["", "delete window.PointerEvent"], ids=["now", "iOS 12"])
def test_fingers_drag_and_pinch_the_map(
    browser: Browser, address: str, errors: list[str], script: str
) -> None:
    page = opened(browser, address, "map=none&scene=dateline", script, **PHONE, has_touch=True)
    page.on("pageerror", lambda error: errors.append(str(error)))
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y, "id": at} for at, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def place(user: str) -> tuple[float, float]:
        dot = page.locator(f'[data-user="{user}"] .mk-dot')
        box = dot.bounding_box()  # settled: at rest
        assert box is not None
        return box["x"], box["y"]

    until_at_rest(page)
    start = place("user-1")
    touch("touchStart", (200, 600))
    for step in range(1, 11):
        touch("touchMove", (200 + 6 * step, 600 - 9 * step))
    page.wait_for_timeout(150)  # settled: a finger that rests before it lets go throws nothing
    touch("touchEnd")
    until_at_rest(page)
    dragged = place("user-1")
    assert dragged[0] - start[0] == pytest.approx(60, abs=2)
    assert dragged[1] - start[1] == pytest.approx(-90, abs=2)

    apart = abs(place("user-0")[0] - place("user-2")[0])
    touch("touchStart", (150, 400), (250, 400))
    for step in range(1, 11):
        touch("touchMove", (150 - 3 * step, 400), (250 + 3 * step, 400))
    touch("touchEnd")
    until_at_rest(page)
    assert abs(place("user-0")[0] - place("user-2")[0]) / apart == pytest.approx(1.6, abs=0.08)
    assert page.evaluate("bench.happened") == ["follow nobody"]  # settled: at rest
    page.context.close()


GROUND = """() => ({
    maps: document.querySelectorAll(".map").length,
    canvases: document.querySelectorAll(".map > .map-canvas").length,
    grounds: document.querySelectorAll(".map > .map-ground").length,
    contexts: contexts.filter((each) => !each.isContextLost()).length,
    workers: workers.filter((each) => each.isRunning).length,
})"""
"""How many maps, WebGL contexts and running workers the page has."""
ONE_MAPLIBRE = {"maps": 1, "canvases": 0, "grounds": 1, "contexts": 1, "workers": 1}
ONE_CANVAS = {"maps": 1, "canvases": 1, "grounds": 0, "contexts": 0, "workers": 0}
WATCHED = """
    window.workers = [];
    window.contexts = [];
    const { terminate } = Worker.prototype;
    window.Worker = class extends Worker {
        constructor(...all) {
            super(...all);
            this.isRunning = true;
            workers.push(this);
        }
        terminate() {
            this.isRunning = false;
            super.terminate();
        }
    };
    const { getContext } = HTMLCanvasElement.prototype;
    HTMLCanvasElement.prototype.getContext = function (kind, ...all) {
        const found = getContext.call(this, kind, ...all);
        if (kind === "webgl2" && found !== null && !contexts.includes(found)) contexts.push(found);
        return found;
    };
"""
STEADY_S = 31
"""Then MapLibre runs well, and comes back at once."""


def watched(browser: Browser, address: str, errors: list[str]) -> Page:
    page = opened(browser, address, "still=yes&scene=group", WATCHED, **PHONE)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    until_the_ground_is(page, ONE_MAPLIBRE)
    return page


def until_the_ground_is(page: Page, wanted: dict[str, int]) -> None:
    script = f"""(wanted) => {{
        const found = ({GROUND})();
        return Object.keys(wanted).every((each) => found[each] === wanted[each]);
    }}"""
    with suppress(Error):  # then it is said what there is instead
        page.wait_for_function(script, arg=wanted)
    assert page.evaluate(GROUND) == wanted  # settled: waited for


@pytest.mark.skipif(not WORLD.exists(), reason="the world was not built: tippecanoe is missing")
def test_maplibre_takes_over_under_the_policy_and_comes_back_after_a_lost_context(
    browser: Browser, address: str, errors: list[str]
) -> None:
    page = watched(browser, address, errors)
    expect(page.locator(".map-credit")).to_have_text("Natural Earth")
    page.clock.install()
    for _ in range(2):
        lose = """() => {
            window.losing = contexts[contexts.length - 1].getExtension("WEBGL_lose_context");
            losing.loseContext();
        }"""
        page.evaluate(lose)
        until_the_ground_is(page, ONE_CANVAS)
        expect(page.locator(".mk").nth(10)).to_be_attached()
        page.clock.fast_forward(6_000)
        page.evaluate("bench.step()")
        until_the_ground_is(page, ONE_MAPLIBRE)
        page.evaluate("losing.restoreContext()")  # as the system may do with the old one
        until_the_ground_is(page, ONE_MAPLIBRE)
    page.context.close()


@pytest.mark.skipif(not WORLD.exists(), reason="the world was not built: tippecanoe is missing")
def test_a_worker_that_was_killed_while_nobody_looked_is_another_one_afterwards(
    browser: Browser, address: str, errors: list[str]
) -> None:
    page = watched(browser, address, errors)
    page.clock.install()
    for turn in range(4):  # more often than it may fail: each time it had run well
        page.clock.fast_forward(STEADY_S * 1000)
        page.evaluate("bench.map.pause()")
        page.evaluate(
            "workers.filter((each) => each.isRunning).forEach((each) => each.terminate())"
        )
        page.evaluate("bench.map.resume()")
        page.clock.fast_forward(3_500)  # it does not answer
        page.wait_for_function("(count) => workers.length === count", arg=turn + 2)
        until_the_ground_is(page, ONE_MAPLIBRE)
    page.context.close()


@pytest.mark.skipif(not WORLD.exists(), reason="the world was not built: tippecanoe is missing")
def test_the_canvas_draws_the_world_where_maplibre_cannot_run(
    browser: Browser, address: str, errors: list[str]
) -> None:
    page = browser.new_context(**PHONE).new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script("delete Object.hasOwn")  # as on iOS before 15.4
    page.goto(f"{address}/map.html?still=yes&scene=group")
    page.wait_for_function("window.bench !== undefined")
    page.evaluate("() => { for (let i = 0; i < 9; i += 1) bench.map.zoomBy(-1); }")
    page.wait_for_function(
        """() => {
            const canvas = document.querySelector(".map-canvas");
            const {data} = canvas.getContext("2d").getImageData(0, 0, 393, 851);
            const colours = new Set();
            for (let i = 0; i < data.length; i += 4 * 97)
                colours.add([data[i], data[i + 1], data[i + 2]].join());
            return colours.has("188,216,230") && colours.has("246,243,236");  // sea and land
        }"""
    )
    expect(page.locator(".map-credit")).to_have_text("Natural Earth")
    expect(page.locator(".map-ground")).to_have_count(0)
    page.context.close()


def test_maplibre_is_loaded_in_at_most_370_kb() -> None:
    parts = weigh()
    assert len(parts) == 5
    assert sum(parts.values()) <= 370_000


def test_the_heap_stays_flat_while_people_move(
    browser: Browser, address: str, errors: list[str]
) -> None:
    page = show(browser, address, errors, "map=none&scene=group")
    early, late = measure_heap(page, 120)
    assert late < early * 1.08
    page.context.close()


def test_a_frame_of_a_drag_takes_at_most_5_ms_of_the_processor(
    browser: Browser, address: str, errors: list[str]
) -> None:
    page = show(browser, address, errors, "map=none&scene=group")
    assert given_time(lambda times: measure_pan(page) / times, lambda each: each <= 5) <= 5
    page.context.close()
