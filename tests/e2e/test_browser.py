"""The main job as people do it: the real program, a real browser, and nothing between them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.browser import DEADLINE_MS, chromium_or_skip
from tests.program import Program, data_directory, running_program

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

BRANDENBURG_GATE = (52.516272, 13.377722)
REICHSTAG = (52.518620, 13.376187)
ALEXANDERPLATZ = (52.521918, 13.413215)
PLAIN_HOST = "locshare.example"
"""This machine by a name that browsers do not take for a loopback address."""
PHONE: ViewportSize = {"width": 390, "height": 844}

expect.set_options(timeout=DEADLINE_MS)


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with data_directory() as folder, running_program({"LOCSHARE_DATA_DIR": str(folder)}) as started:
        yield started


@pytest.fixture(scope="module")
def browser(program: Program) -> Iterator[Browser]:
    with chromium_or_skip([f"--host-resolver-rules=MAP {PLAIN_HOST} 127.0.0.1"]) as started:
        yield started


class Phone:
    """One person's browser, and what its page shows."""

    def __init__(self, context: BrowserContext, page: Page, origin: str) -> None:
        self.context = context
        self.page = page
        self.origin = origin
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note)
        page.on("request", lambda request: self.hosts.add(str(httpx.URL(request.url).host)))
        page.set_default_timeout(DEADLINE_MS)

    def _note(self, message: Any) -> None:
        # A refused answer or connection is the browser's own note, and may be what a test is about.
        if message.type == "error" and "ERR_CONNECTION" not in message.text:
            self.complaints.append(message.text)

    def stand(self, place: tuple[float, float]) -> None:
        self.context.set_geolocation({"latitude": place[0], "longitude": place[1], "accuracy": 6.0})

    def open(self, link: str) -> None:
        self.page.goto(link)

    def join(self, link: str, name: str) -> None:
        """By the link, as one does who got it from somebody."""
        self.open(link)
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_role("button", name="Join").click()
        expect(self.row(f"{name} (you)")).to_be_visible()

    def row(self, name: str) -> Any:
        """The row of the list with this name."""
        return self.page.locator("#list li").filter(has=self.page.get_by_text(name, exact=True))

    def marker(self, name: str) -> Any:
        return self.page.locator(".marker").filter(has=self.page.get_by_text(name, exact=True))

    def sees(self, name: str, place: tuple[float, float]) -> None:
        """That person's marker is on the map, within 3 m of the place."""
        marker = self.marker(name)
        expect(marker.locator(".marker-dot")).to_be_in_viewport()
        self.page.wait_for_function(
            """([element, lat, lng]) => {
                const [at, to] = element.dataset.place.split(",").map(Number);
                const east = (to - lng) * Math.cos(lat * Math.PI / 180);
                return Math.hypot(at - lat, east) * 111195 < 3;
            }""",
            arg=[marker.element_handle(), *place],
            timeout=DEADLINE_MS,
        )

    def says(self, title: str) -> None:
        expect(self.page.get_by_role("heading", name=title)).to_be_visible()


@contextmanager
def phone(
    browser: Browser,
    program: Program,
    place: tuple[float, float] | None = BRANDENBURG_GATE,
    *,
    complaints: tuple[str, ...] = (),
) -> Iterator[Phone]:
    """A phone at a place; None is one that does not allow its position.

    Nothing may be wrong in its console but what ``complaints`` are part of.
    """
    context = browser.new_context(
        viewport=PHONE, has_touch=True, permissions=[] if place is None else ["geolocation"]
    )
    with context:
        opened = Phone(context, context.new_page(), program.http_url)
        if place is not None:
            opened.stand(place)
        yield opened
        unexpected = [
            each for each in opened.complaints if not any(part in each for part in complaints)
        ]
        assert unexpected == []
        assert opened.hosts <= {"127.0.0.1", PLAIN_HOST}, "the page needs nobody but its server"


@contextmanager
def two(browser: Browser, program: Program, **options: Any) -> Iterator[tuple[Phone, Phone]]:
    with (
        phone(browser, program, BRANDENBURG_GATE, **options) as first,
        phone(browser, program, ALEXANDERPLATZ, **options) as second,
    ):
        yield first, second


def create(program: Program, name: str = "Überlandfahrt") -> dict[str, Any]:
    answer = httpx.post(f"{program.http_url}/api/sessions", json={"name": name})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def test_two_who_join_by_link_see_each_other_move_and_leave(
    browser: Browser, program: Program
) -> None:
    link = create(program)["join_link"]
    with two(browser, program) as (ada, bo):
        ada.join(link, "Ada")
        bo.join(link, "Bo")
        ada.sees("Bo", ALEXANDERPLATZ)
        bo.sees("Ada", BRANDENBURG_GATE)
        expect(ada.row("Bo")).to_contain_text("km E")
        expect(bo.row("Ada")).to_contain_text("km W")
        expect(bo.row("Ada")).to_contain_text("live")

        ada.stand(REICHSTAG)
        bo.sees("Ada", REICHSTAG)
        ada.sees("You", REICHSTAG)

        ada.page.get_by_role("button", name="Leave").click()
        ada.page.get_by_role("dialog").get_by_role("button", name="Leave").click()
        ada.says("You have left")
        expect(bo.marker("Ada")).to_have_count(0)
        expect(bo.row("Ada")).to_have_count(0)
        expect(bo.page.locator("#unfold")).to_contain_text("1 person")


def test_who_creates_a_session_shares_its_link_and_ends_it_for_all(
    browser: Browser, program: Program
) -> None:
    with two(browser, program) as (host, guest):
        host.open(program.http_url)
        host.page.get_by_label("Name of the session").fill("Sunday ride")
        host.page.get_by_label("Ends after").select_option("1 hour")
        host.page.get_by_role("button", name="Create").click()
        field = host.page.get_by_label("Link to join")
        expect(field).to_have_value(re.compile(f"^{program.http_url}/join/"))
        link = field.input_value()
        host.page.get_by_role("link", name="Join it yourself").click()
        host.page.get_by_label("Your name").fill("Ada")
        host.page.get_by_role("button", name="Join").click()
        guest.join(link, "Bo")
        host.says("Sunday ride")
        expect(guest.page.get_by_text("ends in 59 min")).to_be_visible()
        host.sees("Bo", ALEXANDERPLATZ)
        expect(guest.page.get_by_role("button", name="End")).to_be_hidden()

        host.page.get_by_role("button", name="End").click()
        host.page.get_by_role("dialog").get_by_role("button", name="End for everyone").click()
        for each in (host, guest):
            each.says("This session has ended")
            expect(each.page.get_by_text("The host has ended it.")).to_be_visible()
            assert not each.page.evaluate(
                "Object.keys(sessionStorage).some((key) => key.startsWith('locshare:'))"
            ), "its token is gone"
        guest.open(link)
        guest.says("This session has ended")


def test_the_host_locks_bans_and_comes_back_on_another_device(
    browser: Browser, program: Program
) -> None:
    created = create(program)
    link = created["join_link"]
    refused = ("Failed to load resource",)
    with two(browser, program, complaints=refused) as (host, guest):
        host.join(created["host_url"], "Ada")
        assert host.page.url == link, "what is passed on has no key in it"
        guest.join(link, "Bo")
        host.page.get_by_role("button", name="Lock").click()
        expect(guest.page.get_by_text("· locked")).to_be_visible()
        expect(guest.page.get_by_role("button", name="Remove")).to_have_count(0)
        with phone(browser, program, None) as late:
            late.open(link)
            expect(late.page.get_by_text("The host has locked it")).to_be_visible()
        host.page.get_by_role("button", name="Locked").click()
        expect(guest.page.get_by_text("· locked")).to_be_hidden()

        host.row("Bo").get_by_role("button", name="Remove").click()
        host.page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        guest.says("You are no longer in this session")
        expect(host.row("Bo")).to_have_count(0)
        guest.open(link)
        guest.page.get_by_role("button", name="Join").click()
        expect(guest.page.get_by_role("alert")).to_contain_text("The host has removed you")

        context = host.context
        host.page.close()
        again = context.new_page()
        again.goto(link)
        expect(again.get_by_text("You are its host.")).to_be_visible()
    with phone(browser, program) as other:
        other.join(created["host_url"], "Ada on a tablet")
        other.page.get_by_role("button", name="End").click()
        other.page.get_by_role("dialog").get_by_role("button", name="End for everyone").click()
        other.says("This session has ended")
        assert (
            other.page.evaluate(
                "localStorage.getItem('locshare-host:' + location.pathname.slice(6))"
            )
            is None
        )


def test_after_a_crash_of_the_server_everyone_is_there_again(
    browser: Browser, program: Program
) -> None:
    link = create(program)["join_link"]
    lost = ("WebSocket", "Failed to load resource")
    with two(browser, program, complaints=lost) as (ada, bo):
        ada.join(link, "Ada")
        bo.join(link, "Bo")
        ada.sees("Bo", ALEXANDERPLATZ)
        program.kill()
        for each in (ada, bo):
            expect(each.page.get_by_text("Connection lost")).to_be_visible()
            # Without the seconds, which a screen reader would say anew each second.
            spoken = each.page.get_by_role("status").filter(has_text="Connection lost")
            expect(spoken.locator(":not([aria-hidden])")).to_have_text(
                "Connection lost. Trying again"
            )
        program.start()
        for each in (ada, bo):
            expect(each.page.locator("#connection")).to_be_hidden()
        ada.stand(REICHSTAG)
        bo.sees("Ada", REICHSTAG)
        ada.sees("Bo", ALEXANDERPLATZ)
        expect(ada.page.locator("#list li")).to_have_count(2)


def test_a_reload_comes_back_as_the_same_person(browser: Browser, program: Program) -> None:
    link = create(program)["join_link"]
    with two(browser, program) as (ada, bo):
        ada.join(link, "Ada")
        bo.join(link, "Bo")
        ada.page.reload()
        ada.sees("Bo", ALEXANDERPLATZ)
        expect(bo.page.locator("#list li")).to_have_count(2)
        expect(bo.row("Ada")).to_contain_text("live")


def test_the_same_person_in_two_tabs_is_in_the_newer_one(
    browser: Browser, program: Program
) -> None:
    link = create(program)["join_link"]
    with phone(browser, program) as older:
        older.join(link, "Ada")
        kept = older.page.evaluate("({...sessionStorage})")
        newer = older.context.new_page()
        newer.goto(program.http_url)
        newer.evaluate("(kept) => Object.assign(sessionStorage, kept)", kept)
        newer.goto(link)
        older.says("Open somewhere else")
        expect(newer.get_by_text("Ada (you)", exact=True)).to_be_visible()
        older.page.get_by_role("button", name="Use it here").click()
        expect(older.row("Ada (you)")).to_be_visible()
        expect(newer.get_by_role("heading", name="Open somewhere else")).to_be_visible()


def test_who_does_not_share_a_position_sees_the_others_and_is_told(
    browser: Browser, program: Program
) -> None:
    link = create(program)["join_link"]
    with phone(browser, program, None) as shy, phone(browser, program, REICHSTAG) as bo:
        shy.join(link, "Shy")
        bo.join(link, "Bo")
        shy.sees("Bo", REICHSTAG)
        expect(shy.page.get_by_text("they do not see you")).to_be_visible()
        expect(bo.row("Shy")).to_contain_text("no position")
        expect(bo.marker("Shy")).to_have_count(0)


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
    link = create(program)["join_link"]
    with two(browser, program) as (ada, bo):
        ada.page.add_init_script(DYING_DEVICE)
        ada.join(link, "Ada")
        bo.page.clock.install()
        bo.join(link, "Bo")
        ada.page.evaluate("(place) => device.give(180_000, place)", ALEXANDERPLATZ)
        expect(bo.row("Ada")).to_contain_text("was here 3 min ago")
        told = ada.page.get_by_text("Your device gives only an old position.")
        expect(told).to_be_visible()

        ada.page.evaluate("(place) => device.give(0, place)", BRANDENBURG_GATE)
        expect(bo.row("Ada")).to_contain_text("live")
        bo.sees("Ada", BRANDENBURG_GATE)
        expect(told).to_be_hidden()

        bo.page.clock.pause_at(bo.page.evaluate("Date.now()") / 1000 + 0.1)
        bo.page.clock.run_for(21_000)
        expect(bo.row("Ada")).to_contain_text(re.compile(r"was here \d\d s ago"))
        name = bo.page.locator(".marker-name").filter(has_text=re.compile(r"Ada · \d\d s ago"))
        expect(name).to_be_visible()
        bo.page.clock.run_for(10_000)
        expect(bo.row("Ada")).to_contain_text("no position")
        bo.page.clock.resume()

        ada.page.evaluate("(place) => device.give(0, place)", REICHSTAG)
        expect(bo.row("Ada")).to_contain_text("live")
        bo.sees("Ada", REICHSTAG)


def test_over_plain_http_the_page_says_why_nobody_is_seen(
    browser: Browser, program: Program
) -> None:
    link = create(program)["join_link"]
    # Browsers note that over plain http this header counts for nothing.
    with two(browser, program, complaints=("Cross-Origin-Opener-Policy",)) as (far, bo):
        bo.join(link, "Bo")
        far.join(link.replace("127.0.0.1", PLAIN_HOST), "Far")
        expect(far.page.get_by_text("only with pages that come over https")).to_be_visible()
        far.sees("Bo", ALEXANDERPLATZ)
        far.page.get_by_role("button", name="Dismiss").click()
        expect(far.page.get_by_text("they do not see you")).to_be_hidden()
        expect(bo.row("Far")).to_contain_text("no position")


def test_a_connection_that_is_gone_shows_its_person_as_offline(
    browser: Browser, program: Program
) -> None:
    link = create(program)["join_link"]
    with phone(browser, program, REICHSTAG) as bo:
        bo.join(link, "Bo")
        with phone(browser, program) as ada:
            ada.join(link, "Ada")
            bo.sees("Ada", BRANDENBURG_GATE)
        expect(bo.row("Ada")).to_contain_text("offline")


def test_names_are_text_whatever_is_in_them(browser: Browser, program: Program) -> None:
    name = "<img src=x onerror=alert(1)>&amp;"
    link = create(program, "<script>alert(2)</script>")["join_link"]
    with two(browser, program) as (ada, bo):
        ada.join(link, name)
        bo.join(link, "Bo")
        expect(bo.row(name)).to_be_visible()
        bo.says("<script>alert(2)</script>")
        assert bo.page.locator("#live img").count() == 0


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/join/00000000-0000-4000-8000-000000000000", "There is no such session"),
        ("/join/nonsense", "There is no such session"),
        ("/join/%E0%A4%A", "There is no such session"),
    ],
)
def test_a_link_that_leads_nowhere_says_so(
    browser: Browser, program: Program, path: str, title: str
) -> None:
    with phone(browser, program, complaints=("404",)) as lost:
        lost.open(program.http_url + path)
        lost.says(title)
        expect(lost.page.get_by_role("link", name="Create a session")).to_be_visible()


@pytest.mark.parametrize("left_on", ["/", ".", ")", "%2E", "%3E", "/?fbclid=x", "%E2%80%9D#top"])
def test_a_link_with_something_left_on_it_leads_into_its_session(
    browser: Browser, program: Program, left_on: str
) -> None:
    link = create(program, "Sunday ride")["join_link"]
    with phone(browser, program) as ada:
        ada.open(link + left_on)
        ada.says("Sunday ride")
        assert ada.page.url.partition("#")[0] == link, "what is passed on is clean"


def test_everything_can_be_done_with_the_keyboard(browser: Browser, program: Program) -> None:
    link = create(program)["join_link"]
    with phone(browser, program) as ada:
        ada.open(link)
        expect(ada.page.get_by_label("Your name")).to_be_focused()
        ada.page.keyboard.type("Ada")
        ada.page.keyboard.press("Enter")
        ada.sees("You", BRANDENBURG_GATE)
        dot = ada.marker("You").locator(".marker-dot")
        ada.page.locator("#map").focus()
        before = dot.bounding_box()
        assert before is not None
        ada.page.keyboard.press("ArrowLeft")
        ada.page.wait_for_function(
            "([dot, x]) => Math.abs(dot.getBoundingClientRect().x - x) < 2",
            arg=[dot.element_handle(), before["x"] + 80],
        )
        expect(ada.page.get_by_role("button", name="Show everyone")).to_have_attribute(
            "aria-pressed", "false"
        )
        ada.page.get_by_role("button", name="Show everyone").press("Enter")
        expect(ada.page.get_by_role("button", name="Show everyone")).to_have_attribute(
            "aria-pressed", "true"
        )
