"""The web client and the place of its own device: asked for, refused, paused, rough, gone. As in
test_client.py.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.phones import (
    ALEXANDERPLATZ,
    BRANDENBURG_GATE,
    LOST,
    PLAIN_HOST,
    REICHSTAG,
    TEMPELHOF,
    client_browser,
    client_program,
    phone,
    session,
    show,
    two,
)
from tests.program import Program

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with client_program() as started:
        yield started


@pytest.fixture(scope="module")
def browser(program: Program) -> Iterator[Browser]:
    with client_browser() as started:
        yield started


def test_who_refuses_watches_and_may_think_again(browser: Browser, program: Program) -> None:
    link = session(program)
    with phone(browser, program, None) as shy, phone(browser, program, REICHSTAG) as bo:
        bo.join(link, "Bo")
        shy.open(link)
        expect(shy.page.get_by_text("Your browser asks for your location next")).to_be_visible()
        shy.join(link, "Shy")
        shy.sees("Bo", REICHSTAG)
        expect(shy.page.get_by_text("they do not see you")).to_be_visible()
        expect(bo.row("Shy")).to_contain_text("no position")
        shy.page.get_by_role("button", name="Help").click()
        expect(shy.page.get_by_role("dialog")).to_contain_text("allow")
        shy.context.grant_permissions(["geolocation"])
        shy.stand(ALEXANDERPLATZ)
        shy.sure("Try again")
        bo.sees("Shy", ALEXANDERPLATZ)
        expect(shy.page.get_by_text("they do not see you")).to_be_hidden()


def test_who_only_watches_is_not_asked_and_sees_where_they_are_themselves(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    with two(browser, program) as (shy, bo):
        shy.page.add_init_script(
            "const real = navigator.geolocation.watchPosition;"
            "window.asked = 0;"
            "navigator.geolocation.watchPosition = function (...all) {"
            " window.asked += 1; return real.apply(navigator.geolocation, all); };"
        )
        bo.join(link, "Bo")
        shy.join(link, "Shy", watches=True)
        shy.sees("Bo", ALEXANDERPLATZ)
        assert shy.page.evaluate("window.asked") == 0  # settled: she is in, unasked
        shy.page.get_by_role("button", name="Centre on me").click()
        expect(shy.row("Bo")).to_contain_text("2.5 km")
        expect(bo.row("Shy")).to_contain_text("no position")
        shy.page.get_by_role("button", name="Share", exact=True).click()
        bo.sees("Shy", BRANDENBURG_GATE)


def test_paused_and_hidden_are_said_to_the_others(browser: Browser, program: Program) -> None:
    link = session(program)
    with two(browser, program) as (ada, bo):
        ada.join(link, "Ada")
        bo.join(link, "Bo")
        bo.sees("Ada", BRANDENBURG_GATE)
        ada.page.get_by_role("button", name="Pause").click()
        expect(bo.row("Ada")).to_contain_text("paused")
        ada.stand(REICHSTAG)
        ada.page.get_by_role("button", name="Resume").click()
        bo.sees("Ada", REICHSTAG)
        expect(bo.row("Ada")).to_contain_text("live")
        bo.page.clock.install()
        show(ada.page, hidden=True)
        # Only when the last fix is no longer live: until then it says more.
        bo.page.clock.fast_forward(40_000)
        expect(bo.row("Ada")).to_contain_text("in the background")
        show(ada.page, hidden=False)
        ada.stand(TEMPELHOF)
        expect(bo.row("Ada")).to_contain_text("live")


def test_who_comes_back_while_nobody_looks_comes_back_as_hidden(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    with two(browser, program, complaints=LOST) as (ada, bo):
        ada.join(link, "Ada")
        bo.join(link, "Bo")
        show(ada.page, hidden=True)
        ada.context.set_offline(True)
        expect(ada.page.locator("#connection")).to_contain_text("offline")
        with ada.page.expect_websocket() as opened:
            ada.context.set_offline(False)
        assert "&pace=30&presence=hidden" in opened.value.url, "so that nobody is told she is back"
        expect(ada.page.locator("#connection")).to_be_hidden()
        show(ada.page, hidden=False)
        ada.stand(REICHSTAG)
        bo.sees("Ada", REICHSTAG)


def test_a_position_that_is_shared_roughly_is_exact_on_this_device_alone(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    with two(browser, program) as (ada, bo):
        bo.join(link, "Bo")
        ada.page.add_init_script(
            "localStorage.setItem('locshare-settings', JSON.stringify({ isBlurred: true }))"
        )
        ada.join(link, "Ada")
        expect(ada.row("Ada (you)")).to_contain_text("roughly")
        ada.sees("Ada (you)", BRANDENBURG_GATE)
        row = bo.row("Ada")
        expect(row).to_have_attribute("data-lat", re.compile(r"^52\.515"))
        expect(row).not_to_have_attribute("data-lng", f"{BRANDENBURG_GATE[1]:.6f}")


DYING_DEVICE = """
    const watches = [];
    const fix = (age, [latitude, longitude]) =>
        ({ coords: { latitude, longitude, accuracy: null, heading: NaN, speed: -1 },
           timestamp: Date.now() - age });
    window.device = { give: (age, place) => watches.forEach((found) => found(fix(age, place))) };
    Object.defineProperty(navigator, "geolocation", { value: {
        watchPosition: (found) => watches.push(found),
        clearWatch: () => undefined,
        getCurrentPosition: () => undefined,
    } });
"""


def test_a_geolocation_that_dies_is_not_live_and_one_that_comes_back_is(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    with two(browser, program) as (ada, bo):
        ada.page.add_init_script(DYING_DEVICE)
        ada.join(link, "Ada")
        bo.page.clock.install()
        bo.join(link, "Bo")
        ada.page.evaluate("(place) => device.give(180_000, place)", ALEXANDERPLATZ)
        expect(bo.row("Ada")).to_contain_text(re.compile("was here [3-9] min ago"))
        told = ada.page.get_by_text("Your device gives only an old position.")
        expect(told).to_be_visible()

        ada.page.evaluate("(place) => device.give(0, place)", BRANDENBURG_GATE)
        expect(bo.row("Ada")).to_contain_text("live")
        bo.sees("Ada", BRANDENBURG_GATE)
        expect(told).to_be_hidden()
        bo.page.clock.fast_forward(31_000)
        expect(bo.row("Ada")).to_contain_text(re.compile(r"was here (\d\d s|\d min) ago"))
        bo.page.locator(".grip").click()
        bo.row("Ada").get_by_role("button").click()
        said = re.compile(r"last seen (\d\d s|\d min) ago, 2\.5 km from here")
        expect(bo.page.get_by_text(said)).to_be_visible()


def test_over_plain_http_the_page_says_why_nobody_is_seen(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    # Browsers note that over plain http this header counts for nothing.
    with two(browser, program, complaints=("Cross-Origin-Opener-Policy",)) as (far, bo):
        bo.join(link, "Bo")
        far.origin = far.origin.replace("127.0.0.1", PLAIN_HOST)
        far.join(link, "Far")
        expect(far.page.get_by_text("only with pages that come over https")).to_be_visible()
        far.sees("Bo", ALEXANDERPLATZ)
        expect(bo.row("Far")).to_contain_text("no position")
