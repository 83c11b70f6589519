"""The web client's screens: for everyone, on every screen, in time. As in test_client.py."""

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, Error, Page, ViewportSize, expect

from tests.browser import Held, until_at_rest, until_drawn
from tests.e2e.phones import (
    ALEXANDERPLATZ,
    BRANDENBURG_GATE,
    LOST,
    PHONE,
    REICHSTAG,
    Phone,
    Reporter,
    client_browser,
    client_program,
    create,
    on_network,
    phone,
    session,
    two,
)
from tests.program import Program
from tests.running import given_time

AXE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

SIZES: list[ViewportSize] = [
    {"width": 320, "height": 568},
    {"width": 568, "height": 320},
    PHONE,
    {"width": 768, "height": 1024},
    {"width": 1280, "height": 800},
]

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with client_program() as started:
        yield started


@pytest.fixture(scope="module")
def browser(program: Program) -> Iterator[Browser]:
    with client_browser() as started:
        yield started


# --- how soon

FORM_MS = {"4G": 1_500, "3G": 2_500}


@pytest.mark.parametrize("kind", FORM_MS)
def test_the_form_to_join_is_there_in_time(browser: Browser, program: Program, kind: str) -> None:
    most_ms = FORM_MS[kind]
    link = session(program)

    def took(times: float) -> float:
        with phone(browser, program) as ada:
            on_network(ada, kind)
            ada.page.add_init_script(
                """new MutationObserver((_, observer) => {
                    if (document.querySelector("form input[name=name]") === null) return;
                    observer.disconnect();
                    window.shown = performance.now();
                }).observe(document, { childList: true, subtree: true });"""
            )
            ada.open(link)
            ada.page.wait_for_function("() => window.shown !== undefined")
            shown: float = ada.page.evaluate("window.shown")
            return shown / times

    found = given_time(took, lambda each: each <= most_ms)
    log.info("%s: the form to join after %.0f ms", kind, found)
    assert found <= most_ms


# --- everyone

AXE_FAULTS = """async (only) => {
    const runOnly = only === null ? [] : { runOnly: { type: "rule", values: only } };
    const { violations } = await axe.run(document, { resultTypes: ["violations"], ...runOnly });
    return violations.map(({ id, nodes }) =>
        `${id}: ${nodes.map((each) => each.html.slice(0, 160)
            + " " + each.any.map(({ message }) => message).join()).join(" | ")}`);
}"""
COLOR_RULES = ["color-contrast", "link-in-text-block"]
"""All that depend on the scheme."""
TARGETS = ".page button, .page a.button, .dialog button"
SMALL_TARGETS = """(targets) => [...document.querySelectorAll(targets)]
    .map((each) => [each, each.getBoundingClientRect()])
    .filter(([each, box]) => box.width > 0 && box.height > 0
        && !each.classList.contains("grip")
        && !each.closest(".map")
        && (box.width < 44 || box.height < 44))
    .map(([each]) => each.outerHTML.slice(0, 120))"""


def check(page: Page, where: str) -> None:
    """No fault that axe finds in either scheme, nothing wider than the screen, no target too small
    to be hit.
    """
    until_drawn(page)
    if page.evaluate("() => window.axe === undefined"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    schemes: tuple[tuple[Literal["dark", "light"], list[str] | None], ...]
    schemes = (("dark", COLOR_RULES), ("light", None))
    for scheme, rules in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        expect(page.locator("html")).to_have_attribute("data-scheme", scheme)
        faults = page.evaluate(AXE_FAULTS, rules)
        assert faults == [], f"{where}, {scheme}"
    assert not is_too_wide(page), where
    small = page.evaluate(SMALL_TARGETS, TARGETS)
    assert small == [], where


def still(page: Page, name: str) -> None:
    """Wait until what moves has come to rest."""
    page.wait_for_function(
        """(name) => {
            const found = document.querySelector(name);
            return found !== null && found.getAnimations({ subtree: true }).length === 0;
        }""",
        arg=name,
    )


def check_dialogs(ada: Phone, *items: str) -> None:
    ada.page.locator(".bar-title").click()
    still(ada.page, ".dialog")
    check(ada.page, "the menu")
    ada.page.keyboard.press("Escape")
    for item in items:
        ada.menu(item)
        still(ada.page, ".dialog")
        check(ada.page, item)
        ada.page.keyboard.press("Escape")


def test_every_screen_before_the_group_is_for_everyone(browser: Browser, program: Program) -> None:
    link = session(program)
    full = session(program)
    for name in "ABCD":
        url = f"{program.http_url}/api/sessions/{full}/join"
        assert httpx.post(url, json={"display_name": name}).status_code == 201
    with phone(browser, program, complaints=("404", "403", "409", "ERR_FAILED")) as ada:
        ada.page.goto(f"{program.http_url}/")
        ada.says("See each other on a map")
        check(ada.page, "home")
        ada.open("nonsense")
        ada.says("There is no such session")
        check(ada.page, "unknown")

        held = Held(ada.page)
        described = f"**/api/sessions/{link}"
        ada.context.route(described, held.hold)
        ada.open(link)
        expect(ada.page.locator(".spinner")).to_be_visible()
        check(ada.page, "loading")
        held.first().abort()
        ada.says("The server cannot be reached")
        check(ada.page, "unreachable")
        ada.context.unroute(described)
        ada.context.route(
            described,
            lambda route: route.fulfill(json={"id": link, "name": "x", "is_active": False}),
        )
        ada.page.get_by_role("button", name="Try again").click()
        ada.says("This session has ended")
        check(ada.page, "ended")
        ada.context.unroute(described)

        ada.open(f"{link}#host=WRONG")
        ada.says("Überlandfahrt")
        expect(ada.page.get_by_text("not the right one")).to_be_visible()
        check(ada.page, "join")
        ada.open(full)
        ada.page.get_by_label("Your name").fill("Late")
        ada.page.get_by_role("button", name="Join", exact=True).click()
        expect(ada.page.get_by_role("alert")).to_have_text("The session is full.")
        check(ada.page, "full")


def test_every_screen_of_the_group_is_for_everyone(browser: Browser, program: Program) -> None:
    created = create(program)
    link = created["session_id"]
    key = created["host_url"].partition("#")[2]
    Reporter(program, link, "Bo", ALEXANDERPLATZ)
    with phone(browser, program, complaints=LOST, reduced_motion="reduce") as ada:
        ada.join(f"{link}#{key}", "Ada")
        expect(ada.row("Bo")).to_contain_text("live")
        check(ada.page, "the group, with what is said before the phone locks")
        ada.page.get_by_role("button", name="All right").click()
        ada.page.locator(".grip").click()
        still(ada.page, ".sheet")
        check(ada.page, "the list")
        ada.row("Bo").get_by_role("button").click()
        ada.says("Bo")
        check(ada.page, "a person, for a host")
        ada.page.get_by_role("button", name="Make host").click()
        expect(ada.page.get_by_text(re.compile("Bo.? is a host now"))).to_be_visible()
        check(ada.page, "what is said in passing")
        ada.page.get_by_role("button", name="Remove").click()
        still(ada.page, ".dialog")
        check(ada.page, "Remove")
        ada.page.keyboard.press("Escape")
        check_dialogs(
            ada, "Invite", "Share with the screen off", "Settings", "Step down as host",
            "New link",
            "End for everyone", "Leave",
        )  # fmt: skip
        ada.context.set_offline(True)
        expect(ada.page.locator("#connection")).to_contain_text("offline")
        check(ada.page, "offline")
        ada.context.set_offline(False)
        expect(ada.page.locator("#connection")).to_be_hidden()
        with phone(browser, program, None, reduced_motion="reduce") as shy:
            shy.join(link, "Shy")
            shy.page.get_by_role("button", name="Help").click()
            still(shy.page, ".dialog")
            check(shy.page, "help, for who has refused")
            shy.page.keyboard.press("Escape")
            check(shy.page, "refused")
            # On a small screen, with letters twice as large: what the banner offers scrolls into
            # reach.
            shy.page.evaluate("document.documentElement.style.fontSize = '200%'")
            resize(shy.page, SIZES[0])
            shy.page.get_by_role("button", name="Help").click(trial=True)


def test_every_screen_after_the_group_is_for_everyone(browser: Browser, program: Program) -> None:
    created = create(program)
    link = created["session_id"]
    key = created["host_url"].partition("#")[2]
    with two(browser, program, complaints=("403",), reduced_motion="reduce") as (ada, bo):
        bo.join(link, "Bo")
        older = bo.page
        bo.page = bo.new_page()
        bo.open(link)
        expect(older.get_by_role("heading", name="Open somewhere else")).to_be_visible()
        check(older, "replaced")
        older.close()

        # A server that no longer understands this page.
        ada.page.route_web_socket("**/*", lambda socket: socket.close(code=4400, reason=""))
        ada.open(f"{link}#{key}")
        ada.page.get_by_label("Your name").fill("Ada")
        ada.page.get_by_role("button", name="Join", exact=True).click()
        ada.says("do not understand each other")
        check(ada.page, "failed")
        ada.page = ada.new_page()
        ada.open(link)
        ada.page.locator(".grip").click()
        ada.row("Bo").get_by_role("button").click()
        ada.page.get_by_role("button", name="Remove").click()
        ada.sure("Remove")
        bo.says("You are no longer in this session")
        check(bo.page, "removed")
        ada.menu("New link")
        ada.sure("New link")
        expect(ada.page.get_by_label("Link to join")).to_have_value(re.compile(f"{link}-"))
        ada.page.keyboard.press("Escape")
        bo.open(link)
        bo.says("This link no longer works")
        check(bo.page, "an old link")
        ada.menu("Leave")
        ada.sure("Leave")
        ada.says("You have left")
        check(ada.page, "left")


def check_within_reach(page: Page, *names: str) -> None:
    """Each of these buttons is on the screen, and what one hits in its middle is it."""
    for name in names:
        button = page.get_by_role("button", name=name)
        expect(button).to_be_in_viewport()
        with suppress(Error):  # then its name is said
            page.wait_for_function(
                """(button) => {
                    const { x, y, width, height } = button.getBoundingClientRect();
                    const hit = document.elementFromPoint(x + width / 2, y + height / 2);
                    return hit?.closest("button") === button;
                }""",
                arg=button.element_handle(),
            )
            continue
        raise AssertionError(f"{name} cannot be hit")


def resize(page: Page, size: ViewportSize) -> None:
    """Return when the page has drawn itself in its new size."""
    page.set_viewport_size(size)
    page.wait_for_function(
        "({ width, height }) => innerWidth === width && innerHeight === height", arg=size
    )
    until_drawn(page)


NO_CUT_WORD = r"""(names) => {
    const all = [...document.querySelectorAll(names)];
    const line = (each) => parseFloat(getComputedStyle(each).lineHeight);
    return all.length > 0 && all.every((each) =>
        /\s/.test(each.textContent) || each.clientHeight < 1.5 * line(each));
}"""
"""Whether single words are on one line."""


def is_too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def test_on_every_screen_half_is_map_and_nothing_is_wider(
    browser: Browser, program: Program
) -> None:
    link = session(program, "A session with a name that is longer than most of them are")
    Reporter(program, link, "W" * 60, REICHSTAG)
    with phone(browser, program) as ada:
        page = ada.page
        page.goto(f"{program.http_url}/")
        ada.says("See each other on a map")
        for size in SIZES:
            resize(page, size)
            assert not is_too_wide(page), size
        resize(page, PHONE)
        ada.join(link, "Ada Lovelace the Very First of Her Name")
        page.locator(".grip").click()
        for size in SIZES:
            resize(page, size)
            check_size(page, size)
        resize(page, SIZES[0])
        ada.row("W" * 60).get_by_role("button").click()
        ada.says("W" * 60)
        page.wait_for_function(NO_CUT_WORD, arg=".facts dt")
        page.keyboard.press("Escape")
        # Whoever has told the browser that letters must be twice as large.
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        for size in SIZES:
            resize(page, size)
            still(page, ".live")
            assert not is_too_wide(page), size
            check_within_reach(page, "Share link", "Centre on me", "Show everyone")


def check_size(page: Page, size: ViewportSize) -> None:
    still(page, ".live")
    assert not is_too_wide(page), size
    covered: float = page.evaluate(
        """() => {
            const { width, height } = document.querySelector(".sheet").getBoundingClientRect();
            return width * height / (innerWidth * innerHeight);
        }"""
    )
    assert covered <= 0.5, size
    buttons = "Share link", "Centre on me", "Show everyone"
    check_within_reach(page, *buttons)
    # As in a language that is written from right to left: mirrored, and nothing covers another.
    everyone = page.get_by_role("button", name="Show everyone")
    before = everyone.bounding_box()  # settled: drawn
    page.evaluate("Object.assign(document.documentElement, { dir: 'rtl', lang: 'ar' })")
    until_drawn(page)
    check_within_reach(page, *buttons)
    after = everyone.bounding_box()  # settled: drawn
    assert before is not None
    assert after is not None
    assert after["x"] < size["width"] / 2 < before["x"], size
    assert not is_too_wide(page), size
    page.evaluate("Object.assign(document.documentElement, { dir: 'ltr', lang: 'en' })")
    until_drawn(page)


def test_the_page_speaks_the_languages_and_units_of_its_reader(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    Reporter(program, link, "Bo", BRANDENBURG_GATE)
    with phone(browser, program, locale="de-DE") as ada:
        ada.stand(ALEXANDERPLATZ)
        ada.open(link)
        expect(ada.page.locator("html")).to_have_attribute("lang", "de")
        ada.page.get_by_label("Dein Name").fill("Ada")
        ada.page.get_by_role("button", name="Teilnehmen").click()
        expect(ada.row("Bo")).to_contain_text("2,5 km")
        ada.menu("Einstellungen")
        ada.page.get_by_text("Meilen").click()
        ada.page.get_by_text("English").click()
        ada.page.keyboard.press("Escape")
        expect(ada.row("Bo")).to_contain_text("1.5 mi")


def test_a_language_that_comes_late_does_not_undo_what_was_chosen_meanwhile(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    with phone(browser, program, locale="de-DE") as ada:
        held = Held(ada.page)
        ada.page.route(re.compile(r"/assets/de-[^/]+\.js"), held.hold)
        ada.join(link, "Ada")  # in English: the form does not wait for its words
        ada.menu("Settings")
        ada.page.get_by_text("English").click()
        german = held.first().request.url
        for each in held.routes:
            each.continue_()
        ada.page.evaluate("(url) => import(url).then(() => undefined)", german)
        ada.page.evaluate("() => new Promise((resolve) => setTimeout(resolve))")
        expect(ada.page.locator("html")).to_have_attribute("lang", "en")
        ada.page.keyboard.press("Escape")
        expect(ada.page.get_by_role("button", name="Centre on me")).to_be_visible()


def test_everything_can_be_done_with_the_keyboard(browser: Browser, program: Program) -> None:
    link = session(program)
    Reporter(program, link, "Bo")
    with phone(browser, program) as ada:
        ada.open(link)
        expect(ada.page.get_by_label("Your name")).to_be_focused()
        ada.page.keyboard.type("Ada")
        ada.page.keyboard.press("Enter")
        marker = ada.page.locator(".mk[data-user] .mk-dot")
        expect(marker).to_be_visible()
        everyone = ada.page.get_by_role("button", name="Show everyone", exact=True)
        expect(everyone).to_have_attribute("aria-pressed", "true")
        until_at_rest(ada.page)
        before = marker.bounding_box()  # settled: at rest
        assert before is not None
        ada.page.locator(".map").focus()
        ada.page.keyboard.press("ArrowLeft")
        ada.page.wait_for_function(
            "([mark, x]) => mark.getBoundingClientRect().x > x + 40",
            arg=[marker.element_handle(), before["x"]],
        )
        expect(everyone).to_have_attribute("aria-pressed", "false")
        everyone.press("Enter")
        expect(everyone).to_have_attribute("aria-pressed", "true")
        row = ada.row("Bo").get_by_role("button")
        row.press("Enter")
        expect(ada.page.get_by_role("heading", name="Bo")).to_be_focused()
        ada.page.keyboard.press("Escape")
        expect(row).to_be_focused()
        ada.page.locator(".bar-title").press("Enter")
        dialog = ada.page.get_by_role("dialog")
        expect(dialog).to_be_focused()
        for _ in range(12):
            ada.page.keyboard.press("Tab")
            expect(
                dialog.locator(":focus").or_(dialog.and_(ada.page.locator(":focus")))
            ).to_have_count(1)
        ada.page.keyboard.press("Escape")
        expect(ada.page.locator(".bar-title")).to_be_focused()


def test_names_are_text_whatever_is_in_them(browser: Browser, program: Program) -> None:
    name = "<img src=x onerror=alert(1)>&amp;"
    link = session(program, "<script>alert(2)</script>")
    Reporter(program, link, name, ALEXANDERPLATZ)
    with phone(browser, program) as bo:
        bo.join(link, "Bo")
        expect(bo.row(name)).to_be_visible()
        expect(bo.page.locator(".bar")).to_contain_text("<script>alert(2)</script>")
        expect(bo.page.locator(".live img")).to_have_count(0)


def test_other_apps_are_set_up_for_the_same_person(browser: Browser, program: Program) -> None:
    link = session(program)
    with ExitStack() as stack:
        ada = stack.enter_context(phone(browser, program))
        ada.join(link, "Ada")
        ada.menu("Share with the screen off")
        dialog = ada.page.get_by_role("dialog")
        expect(dialog.get_by_role("link", name="Set up on this phone")).to_have_attribute(
            "href", re.compile("^owntracks:///config")
        )
        expect(dialog.get_by_role("img")).to_have_attribute("src", re.compile("^blob:"))
        expect(dialog.locator("code")).not_to_be_empty()
        code = dialog.locator("code").inner_text()  # settled: waited for
        answer = httpx.post(f"{program.http_url}/api/osmand?id={code}&lat=52.5&lon=13.4")
        assert answer.status_code == 200
        dialog.get_by_text("Traccar").click()
        expect(dialog.get_by_role("link", name="Set up on this phone")).to_have_attribute(
            "href", re.compile("/api/osmand")
        )
