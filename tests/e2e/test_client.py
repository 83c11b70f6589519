"""The web client as people use it: the real program, real browsers, and nothing between them."""

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.phones import (
    ALEXANDERPLATZ,
    BRANDENBURG_GATE,
    LOST,
    REICHSTAG,
    TEMPELHOF,
    Reporter,
    client_browser,
    client_program,
    create,
    phone,
    session,
    show,
    two,
)
from tests.program import Program
from tests.running import given_time

GONE = ("Failed to load resource", "Refused to apply style")

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with client_program() as started:
        yield started


@pytest.fixture(scope="module")
def browser(program: Program) -> Iterator[Browser]:
    with client_browser() as started:
        yield started


# --- coming in


COUNT = """
    addEventListener("DOMContentLoaded", () => {
        new MutationObserver((_, observer) => {
            if (document.querySelector("#list li") === null) return;
            observer.disconnect();
            window.painted = performance.now();
        }).observe(document.body, { childList: true, subtree: true });
    });
"""
"""When the group is there: what is asked for after that does not keep it waiting."""


def requests_to_the_group(page: Page) -> list[str]:
    """What was asked for until then, the WebSocket too."""
    page.wait_for_function("() => window.painted !== undefined")
    found: list[str] = page.evaluate(
        """() => performance.getEntriesByType("resource")
            .filter((each) => each.startTime <= window.painted).map((each) => each.name)"""
    )
    return [page.url, *found, "the WebSocket"]


def test_with_one_tap_a_session_is_there_and_its_link_can_be_shared(
    browser: Browser, program: Program
) -> None:
    with phone(browser, program) as ada:
        ada.page.add_init_script(COUNT)
        ada.page.goto(f"{program.http_url}/")
        ada.page.get_by_label("Your name").fill("Ada")
        ada.page.get_by_label("Name of the session").fill("Sunday ride")
        expect(ada.page.get_by_text("6 hours")).to_be_visible()
        ada.page.get_by_role("button", name="Create session").click()
        expect(ada.row("Ada (you)")).to_contain_text("sharing your position")
        asked = requests_to_the_group(ada.page)
        assert len(asked) <= 8, asked
        dialog = ada.page.get_by_role("dialog")
        field = dialog.get_by_label("Link to join")
        expect(field).to_have_value(re.compile("/join/"))
        link = field.input_value()  # settled: waited for
        assert re.fullmatch(f"{program.http_url}/join/[0-9a-f-]{{36}}", link)
        ada.page.wait_for_function(
            "() => document.images.length > 0"
            " && [...document.images].every((each) => each.complete && each.naturalWidth > 0)"
        )
        ada.page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(ada.page).to_have_url(link)


def test_who_joins_has_the_group_after_at_most_8_requests(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    Reporter(program, link, "Bo", ALEXANDERPLATZ)
    with phone(browser, program) as ada:
        ada.page.add_init_script(COUNT)
        ada.join(link, "Ada")
        ada.sees("Bo", ALEXANDERPLATZ)
        asked = requests_to_the_group(ada.page)
        assert len(asked) <= 8, asked
        expect(ada.page.locator(".mk[data-user]")).to_have_count(2)


def test_three_see_each_other_move_and_leave(browser: Browser, program: Program) -> None:
    link = session(program)
    with two(browser, program) as (ada, bo), phone(browser, program, TEMPELHOF) as cy:
        ada.join(link, "Ada")
        bo.join(link, "Bo")
        cy.join(link, "Cy")
        for each in (ada, cy):
            each.sees("Bo", ALEXANDERPLATZ)
        bo.sees("Ada", BRANDENBURG_GATE)
        expect(ada.row("Bo")).to_contain_text("2.5 km")
        expect(bo.row("Ada")).to_contain_text("W")
        ada.stand(REICHSTAG)
        bo.sees("Ada", REICHSTAG)
        expect(bo.row("Ada")).to_contain_text("live")  # she stood there just now
        ada.sees("Ada (you)", REICHSTAG)

        ada.page.locator(".grip").click()
        ada.row("Bo").get_by_role("button").click()
        ada.says("Bo")
        expect(ada.page.get_by_text("Distance")).to_be_visible()
        expect(ada.page.get_by_role("link", name="Directions")).to_have_attribute(
            "href", re.compile(r"openstreetmap|geo:")
        )
        ada.page.get_by_role("button", name="Follow").click()
        expect(ada.page.get_by_role("button", name="Follow")).to_have_attribute(
            "aria-pressed", "true"
        )

        ada.menu("Leave")
        ada.sure("Leave")
        ada.says("You have left")
        ada.keeps("profile", "settings", "device")  # the token is erased
        expect(bo.row("Ada")).to_have_count(0)
        expect(bo.page.get_by_text("2 people")).to_be_visible()
        expect(
            bo.page.get_by_role("status").filter(has_text=re.compile("Ada.? left"))
        ).to_be_visible()


def test_who_closes_the_tab_comes_back_as_the_same_person(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    with two(browser, program) as (ada, bo):
        ada.join(link, "Ada")
        bo.join(link, "Bo")
        expect(bo.row("Ada")).to_contain_text("live")
        ada.page.close()
        ada.page = ada.new_page()
        ada.open(link)
        expect(ada.row("Ada (you)")).to_be_visible()
        expect(bo.page.locator("#list li")).to_have_count(2)
        # And from the first page.
        ada.page.goto(f"{program.http_url}/")
        expect(ada.page.get_by_label("Your name")).to_have_value("Ada")
        ada.page.get_by_role("button", name="Überlandfahrt").click()
        expect(ada.row("Ada (you)")).to_be_visible()


def test_somebody_is_in_two_sessions_at_once(browser: Browser, program: Program) -> None:
    first, second = session(program, "Alps"), session(program, "Beach")
    with phone(browser, program) as ada, phone(browser, program, REICHSTAG) as bo:
        bo.join(first, "Bo")
        ada.join(first, "Ada")
        ada.menu("Create another one")
        ada.page.get_by_role("button", name="Alps").wait_for()
        ada.page.evaluate(
            "(url) => { history.pushState(null, '', url); dispatchEvent(new Event('popstate')); }",
            f"{program.http_url}/join/{second}",
        )
        ada.page.get_by_role("button", name="Join", exact=True).click()
        expect(ada.page.locator(".bar")).to_contain_text("Beach")
        expect(ada.page.locator(".bar")).to_contain_text("1 more session")
        ada.stand(TEMPELHOF)
        bo.sees("Ada", TEMPELHOF)
        ada.menu("Alps")
        ada.sees("Bo", REICHSTAG)
        expect(ada.page.locator(".ground > *")).to_have_count(1)  # one map, whatever it shows


# --- the host


def test_the_host_locks_removes_passes_the_role_on_and_ends(
    browser: Browser, program: Program
) -> None:
    created = create(program)
    link = created["session_id"]
    key = created["host_url"].partition("#")[2]
    refused = ("Failed to load resource",)
    with two(browser, program, complaints=refused) as (host, guest):
        host.join(f"{link}#{key}", "Ada")
        expect(host.page).to_have_url(created["join_link"])  # what is passed on has no key in it
        guest.join(link, "Bo")
        guest.page.locator(".bar-title").click()
        expect(guest.page.get_by_role("button", name="Lock the session")).to_have_count(0)
        expect(guest.page.get_by_role("button", name="End for everyone")).to_have_count(0)
        guest.page.keyboard.press("Escape")

        host.menu("Lock the session")
        expect(guest.page.locator(".bar")).to_contain_text("locked")
        with phone(browser, program, None, complaints=refused) as late:
            late.open(link)
            expect(late.page.get_by_text("The host has locked it")).to_be_visible()
            late.page.get_by_label("Your name").fill("Late")
            late.page.get_by_role("button", name="Join", exact=True).click()
            expect(late.page.get_by_role("alert")).to_contain_text("locked")
        host.menu("Unlock the session")
        expect(guest.page.locator(".bar")).not_to_contain_text("locked")

        host.page.locator(".grip").click()
        host.row("Bo").get_by_role("button").click()
        host.page.get_by_role("button", name="Make host").click()
        expect(guest.page.get_by_text("You are a host now")).to_be_visible()
        host.menu("Step down as host")
        host.sure("Step down as host")
        host.page.locator(".bar-title").click()
        expect(host.page.get_by_role("button", name="Lock the session")).to_have_count(0)
        host.page.keyboard.press("Escape")

        guest.page.locator(".grip").click()
        guest.row("Ada").get_by_role("button").click()
        guest.page.get_by_role("button", name="Remove").click()
        guest.sure("Remove")
        host.says("You are no longer in this session")
        host.page.get_by_role("button", name="Join again").click()
        host.page.get_by_role("button", name="Join", exact=True).click()
        expect(host.page.get_by_role("alert")).to_contain_text("The host has removed you")

        guest.menu("End for everyone")
        guest.sure("End for everyone")
        guest.says("This session has ended")
        expect(guest.page.get_by_text("The host has ended it.")).to_be_visible()
        guest.keeps("profile", "settings")  # and nothing of a session that is over
        guest.open(link)
        guest.says("This session has ended")


def test_the_hosts_link_makes_a_host_on_another_device_and_of_who_is_in_already(
    browser: Browser, program: Program
) -> None:
    created = create(program)
    link = str(created["session_id"])
    with phone(browser, program, complaints=("403", "503")) as ada:
        # A messenger has left something on it, and the server does not answer at first.
        ada.context.route("**/host", lambda route: route.fulfill(status=503, json={}))
        ada.page.goto(f"{created['host_url']}.")
        ada.says("cannot be reached")
        ada.context.unroute("**/host")
        ada.page.get_by_role("button", name="Try again").click()
        expect(ada.page.get_by_text("You are the host.")).to_be_visible()
        expect(ada.page).to_have_url(created["join_link"])  # what is passed on has no key in it
        ada.join(link, "Ada")
        ada.menu("Lock the session")
        expect(ada.page.locator(".bar")).to_contain_text("locked")
        ada.menu("Unlock the session")
        with phone(browser, program, complaints=("403",)) as bo:
            bo.open(f"{link}#host=WRONG")
            expect(bo.page.get_by_text("not the right one")).to_be_visible()
            bo.join(link, "Bo")
            bo.page.locator(".bar-title").click()
            expect(bo.page.get_by_role("button", name="Settings")).to_be_visible()
            expect(bo.page.get_by_role("button", name="End for everyone")).to_have_count(0)
            bo.page.keyboard.press("Escape")
            bo.page.goto(created["host_url"])  # the same document, but for its fragment
            expect(bo.row("Bo (you)")).to_be_visible()
            bo.menu("End for everyone")
            bo.sure("End for everyone")
            ada.says("This session has ended")


def test_what_is_shared_is_the_link_alone_and_the_hosts_own_has_the_key(
    browser: Browser, program: Program
) -> None:
    created = create(program)
    with phone(browser, program) as ada:
        ada.page.add_init_script(
            "window.copied = [];"
            "navigator.clipboard.writeText = async (text) => void copied.push(text);"
        )
        ada.page.goto(created["host_url"])
        ada.page.get_by_label("Your name").fill("Ada")
        ada.page.get_by_role("button", name="Join", exact=True).click()
        ada.menu("Invite")
        ada.sure("Copy link")
        ada.page.get_by_role("button", name=re.compile("Copy the host.s link")).click()
        expect(ada.page.get_by_role("status").filter(has_text="copied")).to_be_visible()
        copied = ada.page.wait_for_function("() => copied.length === 2 && copied").json_value()
        assert copied == [created["join_link"], created["host_url"]]


def test_who_thinks_better_of_it_does_nothing(browser: Browser, program: Program) -> None:
    created = create(program)
    with phone(browser, program) as ada:
        ada.page.goto(created["host_url"])
        ada.page.get_by_label("Your name").fill("Ada")
        ada.page.get_by_role("button", name="Join", exact=True).click()
        for item in ("Leave", "End for everyone"):
            ada.menu(item)
            ada.sure("Cancel")
            expect(ada.page.get_by_role("dialog")).to_have_count(0)
        expect(ada.row("Ada (you)")).to_be_visible()


# --- what cannot be


@pytest.mark.parametrize("left_on", ["/", "%2E", "/?fbclid=x", "%E2%80%9D#top"])
def test_a_link_with_something_left_on_it_leads_into_its_session(
    browser: Browser, program: Program, left_on: str
) -> None:
    link = session(program, "Sunday ride")
    with phone(browser, program) as ada:
        ada.open(link + left_on)
        ada.says("Sunday ride")
        clean = re.escape(f"{program.http_url}/join/{link}")
        expect(ada.page).to_have_url(re.compile(f"^{clean}(#|$)"))  # what is passed on


def test_the_same_person_in_two_tabs_is_in_the_newer_one(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    with phone(browser, program) as ada:
        ada.join(link, "Ada")
        older = ada.page
        ada.page = ada.new_page()
        ada.open(link)
        expect(older.get_by_role("heading", name="Open somewhere else")).to_be_visible()
        expect(ada.row("Ada (you)")).to_be_visible()
        older.get_by_role("button", name="Use it here").click()
        ada.says("Open somewhere else")
        expect(older.locator("#list li")).to_have_count(1)


@pytest.mark.parametrize("path", ["00000000-0000-4000-8000-000000000000", "nonsense", "%E0%A4%A"])
def test_a_link_that_leads_nowhere_says_so(browser: Browser, program: Program, path: str) -> None:
    with phone(browser, program, complaints=("404",)) as lost:
        lost.open(path)
        lost.says("There is no such session")
        lost.page.get_by_role("button", name="Create a session").click()
        lost.says("See each other on a map")


def test_who_finds_no_seat_is_told(browser: Browser, program: Program) -> None:
    link = session(program)
    for name in "ABCD":
        url = f"{program.http_url}/api/sessions/{link}/join"
        assert httpx.post(url, json={"display_name": name}).status_code == 201
    with phone(browser, program, complaints=("409",)) as late:
        late.open(link)
        late.page.get_by_label("Your name").fill("Late")
        late.page.get_by_role("button", name="Join", exact=True).click()
        expect(late.page.get_by_role("alert")).to_have_text("The session is full.")


def test_the_time_of_a_session_runs_out(browser: Browser, program: Program) -> None:
    """It ends at the server. Here the server's answer is that it has, as after that."""
    link = session(program)
    with phone(browser, program, complaints=("410",)) as late:
        late.context.route(
            f"**/api/sessions/{link}",
            lambda route: route.fulfill(json={"id": link, "name": "x", "is_active": False}),
        )
        late.open(link)
        late.says("This session has ended")


# --- recovery


def test_after_a_crash_of_the_server_everyone_is_there_again_within_5_s(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    with two(browser, program, complaints=LOST) as (ada, bo):
        ada.join(link, "Ada")
        bo.join(link, "Bo")
        ada.sees("Bo", ALEXANDERPLATZ)
        expect(ada.page.locator(".mk[data-user]")).to_have_count(2)

        def took(times: float) -> float:
            program.kill()
            for each in (ada, bo):
                expect(each.page.locator("#connection")).to_contain_text("Connection lost")
                expect(each.row("Ada")).not_to_contain_text("live")
            program.start()
            began = time.monotonic()
            for each in (ada, bo):
                expect(each.page.locator("#connection")).to_be_hidden()
            return (time.monotonic() - began) / times

        assert given_time(took, lambda each: each <= 5) <= 5
        ada.stand(REICHSTAG)
        bo.sees("Ada", REICHSTAG)
        expect(ada.page.locator("#list li")).to_have_count(2)


def test_offline_is_said_within_a_second_and_a_reload_shows_the_group_as_last_known(
    browser: Browser, program: Program
) -> None:
    link = session(program)
    with two(browser, program, complaints=LOST) as (ada, bo):
        ada.join(link, "Ada")
        bo.join(link, "Bo")
        ada.sees("Bo", ALEXANDERPLATZ)
        ada.page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
        show(ada.page, hidden=True)  # keeps the picture
        show(ada.page, hidden=False)

        def took(times: float) -> float:
            ada.context.set_offline(False)
            expect(ada.page.locator("#connection")).to_be_hidden()
            began = time.monotonic()
            ada.context.set_offline(True)
            expect(ada.page.locator("#connection")).to_contain_text("offline")
            return (time.monotonic() - began) / times

        assert given_time(took, lambda each: each <= 1.5) <= 1.5
        expect(ada.row("Bo")).not_to_contain_text("live")
        ada.page.reload()
        expect(ada.page.locator("#connection")).to_contain_text("offline")
        ada.sees("Bo", ALEXANDERPLATZ)
        expect(ada.row("Bo")).to_contain_text("last seen")
        ada.context.set_offline(False)
        expect(ada.page.locator("#connection")).to_be_hidden()
        expect(ada.row("Bo")).to_contain_text("live")


def test_a_page_of_an_older_build_that_misses_its_styles_loads_itself_again(
    browser: Browser, program: Program
) -> None:
    with phone(browser, program, complaints=GONE) as ada:
        ada.page.goto(f"{program.http_url}/")
        seen: list[str] = []

        def older(route: Any) -> None:
            seen.append(route.request.url)
            page = route.fetch().text()
            if len(seen) == 1:  # as a proxy would give it that has kept it
                page = re.sub(r"index-[\w-]+\.(css|js)", r"index-OLDER.\1", page)
            route.fulfill(body=page, content_type="text/html")

        ada.context.route("**/", older)
        ada.page.goto(f"{program.http_url}/")
        ada.says("See each other on a map")
        assert len(seen) == 2
