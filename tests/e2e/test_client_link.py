"""The join link in the web client: the host replaces it, everyone shares the new one."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.phones import client_browser, client_program, create, phone, two
from tests.program import Program

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with client_program(
        LOCSHARE_ANDROID_APPS=f"org.example.app/{':'.join(['AB'] * 32)}"
    ) as started:
        yield started


@pytest.fixture(scope="module")
def browser(program: Program) -> Iterator[Browser]:
    with client_browser() as started:
        yield started


def test_a_new_link_lets_in_who_has_it_and_the_one_of_before_says_that_it_is_old(
    browser: Browser, program: Program
) -> None:
    created = create(program, "Secret meeting")
    first, session = created["join_link"], created["session_id"]
    key = created["host_url"].partition("#")[2]
    with (
        two(browser, program) as (host, guest),
        phone(browser, program, complaints=("403",)) as late,
    ):
        host.join(f"{session}#{key}", "Ada")
        guest.join(session, "Bo")
        late.open(session)  # and has the form before them
        late.page.get_by_label("Your name").fill("Cy")

        host.menu("New link")
        expect(host.page.get_by_role("dialog")).to_contain_text("let nobody in any more")
        host.sure("New link")
        shown = host.page.get_by_label("Link to join")
        expect(shown).to_have_value(re.compile(re.escape(first) + "-[a-z2-7]{24}$"))
        new = shown.input_value()  # settled: waited for
        code = host.page.get_by_role("img", name="The link as a QR code")
        expect(code).to_have_attribute("src", re.compile(f"link_key={new[-24:]}"))
        expect(code).to_have_js_property("complete", True)
        host.page.wait_for_function("(image) => image.naturalWidth > 0", arg=code.element_handle())
        expect(host.page).to_have_url(new)  # what the browser itself shares is the new one too

        status = guest.page.get_by_role("status").filter(has_text="The host has made a new link")
        expect(status).to_be_visible()
        guest.menu("Invite")
        expect(guest.page.get_by_label("Link to join")).to_have_value(new)
        expect(guest.page).to_have_url(new)
        guest.page.goto(new)
        expect(guest.row("Bo (you)")).to_be_visible()
        guest.page.goto(first)  # a bookmark of before: who is in, is in
        expect(guest.row("Bo (you)")).to_be_visible()
        expect(guest.page).to_have_url(new)

        late.page.get_by_role("button", name="Join", exact=True).click()
        late.says("This link no longer works")
        late.open(session)
        late.says("This link no longer works")
        expect(late.page.get_by_text("Secret meeting")).to_have_count(0)
        late.page.goto(f"{new}.")  # as a messenger has left it
        late.says("Secret meeting")
        expect(late.page).to_have_url(new)
        late.page.get_by_role("button", name="Join", exact=True).click()
        expect(late.row("Cy (you)")).to_be_visible()
        late.menu("Leave")
        late.sure("Leave")
        late.page.get_by_role("button", name="Join again").click()
        late.page.get_by_role("button", name="Join", exact=True).click()
        expect(late.row("Cy (you)")).to_be_visible()

        with phone(browser, program) as other:
            other.page.goto(created["host_url"])
            expect(other.page.get_by_text("You are the host.")).to_be_visible()


ANDROID = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"


def test_a_phone_with_an_app_is_offered_it_and_goes_on_without_where_none_opens(
    browser: Browser, program: Program
) -> None:
    session = str(create(program)["session_id"])
    server = httpx.URL(program.http_url).netloc.decode()
    with phone(browser, program, user_agent=ANDROID) as ada:
        # A phone without the app does nothing. A headless browser asks, with nobody to answer.
        ada.page.add_init_script(
            "addEventListener('click', (event) => {"
            " if (event.target.closest('a[href^=locshare]')) event.preventDefault(); }, true);"
        )
        ada.open(session)
        offer = ada.page.get_by_role("link", name="Open in the app")
        expect(offer).to_have_attribute("href", f"locshare://join/http/{server}/join/{session}")
        expect(ada.page.get_by_text("Did nothing open?")).to_have_count(0)
        ada.page.get_by_label("Your name").fill("Ada")
        offer.click()
        expect(ada.page.get_by_text("Did nothing open?")).to_be_visible()
        ada.page.get_by_role("button", name="Join", exact=True).click()
        expect(ada.row("Ada (you)")).to_be_visible()
        ada.menu("Share with the screen off")
        expect(ada.page.get_by_role("link", name="Open in the app")).to_be_visible()
    for other in (IPHONE, None):
        with phone(browser, program, user_agent=other) as bo:
            bo.open(session)
            expect(bo.page.get_by_label("Your name")).to_be_visible()
            expect(bo.page.get_by_role("link", name="Open in the app")).to_have_count(0)


def test_both_of_two_see_who_is_a_host_when_the_role_is_passed_on(
    browser: Browser, program: Program
) -> None:
    created = create(program)
    key = created["host_url"].partition("#")[2]
    with two(browser, program) as (ada, bo):
        ada.join(f"{created['session_id']}#{key}", "Ada")
        bo.join(created["session_id"], "Bo")
        for each in (ada.row("Ada (you)"), bo.row("Ada")):
            expect(each).to_contain_text("Host")
        for each in (ada.row("Bo"), bo.row("Bo (you)")):
            expect(each).not_to_contain_text("Host")
        ada.page.locator(".grip").click()
        ada.row("Bo").get_by_role("button").click()
        ada.page.get_by_role("button", name="Make host").click()
        expect(bo.page.get_by_text("You are a host now")).to_be_visible()
        ada.page.get_by_role("button", name="Back to the list").click()
        for each in (ada.row("Bo"), bo.row("Bo (you)")):
            expect(each).to_contain_text("Host")
        ada.menu("Step down as host")
        ada.sure("Step down as host")
        for each in (ada.row("Ada (you)"), bo.row("Ada")):
            expect(each).not_to_contain_text("Host")
        bo.menu("Lock the session")
        expect(ada.page.locator(".bar")).to_contain_text("locked")
        for page in (ada.page, bo.page):
            page.reload()
        expect(bo.row("Bo (you)")).to_contain_text("Host")
        expect(ada.row("Bo")).to_contain_text("Host")
        expect(ada.row("Ada (you)")).not_to_contain_text("Host")
