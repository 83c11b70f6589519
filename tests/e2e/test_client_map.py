"""The map in the whole client, with people who report over HTTP. What the markers do with difficult
names and places: tests/web/test_web_map.py.
"""

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium_or_skip, until_at_rest
from tests.e2e.phones import (
    ALEXANDERPLATZ,
    REICHSTAG,
    TEMPELHOF,
    Phone,
    Reporter,
    client_program,
    on_network,
    phone,
    session,
)
from tests.program import Program
from tests.running import given_time
from tools.web_map import SOFTWARE_GL

HAMBURG = (53.5503, 9.9921)
MAP_UP_MS = 3_500

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with client_program() as started:
        yield started


@pytest.fixture(scope="module")
def browser(program: Program) -> Iterator[Browser]:
    with chromium_or_skip(SOFTWARE_GL) as started:
        yield started


def middle_of(page: Page, name: str) -> tuple[float, float]:
    """Where the marker of a name is, in pixels of the page."""
    dot = page.locator(".mk", has=page.locator(".mk-name", has_text=name)).locator(".mk-dot")
    box = dot.bounding_box()  # settled: until_at_rest comes before
    assert box is not None, name
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def pressed(ada: Phone, name: str) -> Any:
    return ada.page.get_by_role("button", name=name, exact=True)


def test_the_map_shows_the_group_follows_one_and_rests_when_its_user_moves_it(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    bo, cy, far = (Reporter(program, link, name) for name in ("Bo", "Cy", "Hanne"))
    bo.stand(REICHSTAG)
    cy.stand(REICHSTAG)
    far.stand(HAMBURG)
    with phone(browser, program, reduced_motion="reduce") as ada:
        ada.join(link, "Ada")
        page = ada.page
        # One stack of two in one place, an arrow to whom would make a dot of the rest.
        expect(page.locator(".mk-count")).to_have_text("2")
        expect(page.locator(".mk-stack .mk-name")).to_have_text("Bo, Cy")
        expect(page.locator(".ar-far")).to_have_text("254 km")
        expect(pressed(ada, "Show everyone")).to_have_attribute("aria-pressed", "true")
        until_at_rest(page)
        page.locator(".mk-count").click()
        until_at_rest(page)
        names = [re.compile("^Bo"), re.compile("^Cy")]  # and how old they are, on a slow machine
        expect(page.locator(".mk.is-fanned .mk-name")).to_have_text(names)
        expect(page.locator(".fan line[visibility=visible]")).to_have_count(2)
        page.locator(".mk.is-fanned .mk-dot").nth(1).click()
        ada.says("Cy")

        # Following one: the map goes with them.
        pressed(ada, "Follow").click()
        cy.stand(ALEXANDERPLATZ)
        expect(page.locator(".mk.is-fanned")).to_have_count(0)
        until_at_rest(page)
        before = middle_of(page, "Cy")
        cy.stand(TEMPELHOF)
        expect(page.locator(".mk", has_text="You")).to_be_hidden()  # only arrows lead there now
        until_at_rest(page)
        assert middle_of(page, "Cy") == pytest.approx(before, abs=4)

        # Moved by hand it rests, whoever moves.
        pressed(ada, "Show everyone").click()
        expect(pressed(ada, "Follow")).to_have_attribute("aria-pressed", "false")
        until_at_rest(page)
        page.locator(".map").focus()
        page.keyboard.press("ArrowLeft")
        expect(pressed(ada, "Show everyone")).to_have_attribute("aria-pressed", "false")
        until_at_rest(page)
        here = middle_of(page, "You")
        cy.stand(HAMBURG)
        expect(page.locator(".ar.is-many .ar-dot")).to_have_text("2")
        until_at_rest(page)
        assert middle_of(page, "You") == pytest.approx(here, abs=1)

        # An arrow leads to whom it stands for; and everyone is one press away.
        pressed(ada, "Back to the list").click()
        pressed(ada, "Show more of the map").click()
        page.locator(".ar.is-many .ar-dot").click()
        expect(page.locator(".mk-stack .mk-name")).to_have_text("Cy, Hanne")
        pressed(ada, "Show everyone").click()
        expect(page.locator(".ar.is-many .ar-far")).to_have_text("254 km")
        pressed(ada, "Centre on me").click()
        until_at_rest(page)
        expect(pressed(ada, "Centre on me")).to_have_attribute("aria-pressed", "true")


def test_the_map_is_up_in_time_after_the_group(browser: Browser, program: Program) -> None:
    link = session(program)
    Reporter(program, link, "Bo").stand(REICHSTAG)
    with phone(browser, program) as ada:
        ada.join(link, "Ada")
        kept = ada.context.storage_state()

    def took(times: float) -> float:
        # With an empty cache: only who they are is remembered.
        with phone(browser, program, storage_state=kept) as ada:
            on_network(ada, "4G")
            ada.page.add_init_script(
                """new MutationObserver((_, observer) => {
                    const has = (name) => document.querySelector(name) !== null;
                    if (has("#list li")) window.group ??= performance.now();
                    if (!has(".map > .map-ground") || has(".map > .map-canvas")) return;
                    observer.disconnect();
                    window.up = performance.now();
                }).observe(document, { childList: true, subtree: true });"""
            )
            ada.open(link)
            ada.page.wait_for_function("() => window.up !== undefined")
            group, up = ada.page.evaluate("[group, up]")
            assert group < up, "the group comes first"
            log.info("4G: the group after %.0f ms, the map after %.0f ms", group, up)
            return float(up) / times

    assert given_time(took, lambda each: each <= MAP_UP_MS) <= MAP_UP_MS
