"""The whole page for joining, with a stand-in for the server: what the host can do, what is kept
beyond the tab, and names that do not fit. Against the real server: tests/e2e/test_browser.py.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, WebSocketRoute, expect

from locshare.web.pages import STATIC
from tests.browser import DEADLINE_MS
from tests.web.conftest import ORIGIN, serve_files

pytestmark = pytest.mark.browser

ID = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"
LINK = f"{ORIGIN}/join/{ID}"
ZALGO = (
    "Z" + "".join(map(chr, range(0x300, 0x340))) + "algo" + "".join(map(chr, range(0x340, 0x36F)))
)
NAMES = [
    "Ada Lovelace the Very First of Her Name and Kind",
    "שרה בת־שבע לבית רוטשילד מירושלים הבירה",
    ZALGO,
    "👩‍🚀👨‍👩‍👧‍👦🇩🇪 a crew of many emoji and more",
    "﷽" * 8,
    "W" * 100,
    "a b",
]


class Server:
    """What the page asks for, and what it is answered."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any, str | None]] = []
        """Method, path with query, body, bearer."""
        self.refuses: dict[str, tuple[int, str]] = {}
        """By the end of a path: status and code."""
        self.role = "participant"
        self.locked = False
        self.names = ["Ada", "Bo"]
        self.sockets: list[WebSocketRoute] = []

    def serve(self, context: BrowserContext) -> None:
        context.route(f"{ORIGIN}/**", self._answer)
        context.route_web_socket("**/ws", self._connect)

    def asked(self, method: str, end: str = "") -> list[tuple[Any, str | None]]:
        """Body and bearer of such calls."""
        return [
            (body, bearer)
            for verb, path, body, bearer in self.calls
            if verb == method and path.endswith(end)
        ]

    def _answer(self, route: Route) -> None:
        request = route.request
        url = urlsplit(request.url)
        if url.path == f"/join/{ID}":
            page = (STATIC / "join.html").read_text(encoding="utf-8")
            page = page.replace("{{tile_url}}", "").replace("{{tile_attribution}}", "")
            route.fulfill(body=page, content_type="text/html")
        elif not url.path.startswith("/api/"):
            serve_files(route)
        else:
            path = url.path + (f"?{url.query}" if url.query else "")
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ") or None
            self.calls.append((request.method, path, request.post_data_json, bearer))
            self._call(route, url.path)

    def _call(self, route: Route, path: str) -> None:
        for end, (status, code) in self.refuses.items():
            if path.endswith(end):
                route.fulfill(status=status, json={"code": code, "detail": "no", "status": status})
                return
        answer: dict[str, Any]
        about = {"id": ID, "name": "Alps", "participant_count": 2, "is_active": True}
        if path.endswith("/join"):
            answer = {
                "user_id": "p0",
                "websocket_token": "MINE",
                "websocket_url": "wss://x.test/ws",
            }
        elif path.endswith("/host"):
            answer = {"host_token": "HOST", "expires_at": "2026-03-01T15:00:00Z"}
        elif "/participants/" in path:
            answer = {"success": True}
        else:
            answer = {**about, "locked": self.locked}
        route.fulfill(json=answer)

    def _connect(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        time = "2026-03-01T12:00:00Z"
        people = [
            {"user_id": f"p{n}", "display_name": name, "avatar_color": "#2f6fde", "joined_at": time,
             "last_seen": time, "is_active": True, "online": True}
            for n, name in enumerate(self.names)
        ]  # fmt: skip
        places = [
            {"user_id": f"p{n}", "lat": 52.5 + 0.01 * n, "lng": 13.4 - 0.01 * (n % 2),
             "accuracy": 8, "timestamp": time, "age_ms": 60_000 * (n % 2)}
            for n in range(1, len(self.names))
        ]  # fmt: skip
        session = {"id": ID, "name": self.names[-1], "created_at": time,
                   "expires_at": "2026-03-01T15:00:00Z", "locked": self.locked}  # fmt: skip
        self.send("session_state", session=session, you={"user_id": "p0", "role": self.role},
                  participants=people, positions=places, server_time=time, epoch="e",
                  seq=1)  # fmt: skip

    def send(self, kind: str, **data: Any) -> None:
        self.sockets[-1].send(json.dumps({"type": kind, "data": data}))


@contextmanager
def browsing(browser: Browser, server: Server, width: int = 390) -> Iterator[Page]:
    """A page at the width of a phone. Nothing may go wrong in it."""
    errors: list[str] = []
    with browser.new_context(
        viewport={"width": width, "height": 740},
        permissions=["geolocation"],
        geolocation={"latitude": 52.5, "longitude": 13.41, "accuracy": 6},
    ) as context:
        context.set_default_timeout(DEADLINE_MS)
        server.serve(context)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        yield context.new_page()
        assert errors == []


def join(page: Page, link: str = LINK) -> None:
    page.goto(link)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Join").click()


def in_session(page: Page) -> None:
    expect(page.locator("#list li").first).to_be_visible()


# --- the host ---------------------------------------------------------------------------------


@pytest.mark.parametrize("left_on", ["", ".", ")", "%3E", "&utm_source=x"])
def test_the_hosts_link_makes_the_host_and_leaves_no_key_in_the_address(
    browser: Browser, left_on: str
) -> None:
    server = Server()
    with browsing(browser, server) as page:
        page.goto(f"{LINK}#host=KEY-1{left_on}")
        expect(page.get_by_text("You are its host.")).to_be_visible()
        assert server.asked("POST", "/host") == [({"host_key": "KEY-1"}, None)]
        assert page.url == LINK
        page.get_by_label("Your name").fill("Ada")
        page.get_by_role("button", name="Join").click()
        in_session(page)
        assert server.asked("POST", "/join")[0][1] == "HOST"


def test_who_was_the_host_is_it_again_in_another_tab(browser: Browser) -> None:
    server = Server()
    with browsing(browser, server) as page:
        page.goto(f"{LINK}#host=KEY")
        expect(page.get_by_text("You are its host.")).to_be_visible()
        context = page.context
        page.close()
        other = context.new_page()
        join(other)
        in_session(other)
        assert server.asked("POST", "/join")[0][1] == "HOST"
        expect(other.get_by_role("button", name="Lock")).to_be_visible()


def test_a_hosts_link_that_is_refused_leaves_one_who_joins_like_everyone(browser: Browser) -> None:
    server = Server()
    server.refuses["/host"] = (403, "FORBIDDEN")
    with browsing(browser, server) as page:
        join(page, f"{LINK}#host=WRONG")
        in_session(page)
        assert page.url == LINK
        assert server.asked("POST", "/join")[0][1] is None
        expect(page.get_by_role("button", name="Lock")).to_be_hidden()
        expect(page.get_by_role("button", name="End")).to_be_hidden()
        expect(page.locator("#list .remove:visible")).to_have_count(0)


def test_a_server_that_does_not_answer_takes_no_key_away(browser: Browser) -> None:
    server = Server()
    server.refuses["/host"] = (503, "UNAVAILABLE")
    with browsing(browser, server) as page:
        page.goto(f"{LINK}#host=KEY")
        expect(page.get_by_role("heading", name="cannot be reached")).to_be_visible()
        server.refuses.clear()
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_text("You are its host.")).to_be_visible()


def test_the_hosts_link_makes_a_host_of_whoever_is_in_the_session_already(browser: Browser) -> None:
    server = Server()
    with browsing(browser, server) as page:
        join(page)
        in_session(page)
        page.goto(f"{LINK}#host=KEY")  # the same document, but for its fragment
        expect(page.get_by_role("button", name="Lock")).to_be_visible()
        assert page.url == LINK
        assert len(server.asked("POST", "/join")) == 1


def test_what_is_shared_is_the_link_alone_and_the_hosts_own_has_the_key(browser: Browser) -> None:
    server = Server()
    with browsing(browser, server) as page:
        page.add_init_script(
            "window.copied = [];"
            "navigator.clipboard.writeText = async (text) => void copied.push(text);"
        )
        join(page, f"{LINK}?fbclid=x#host=KEY-1")
        page.get_by_role("button", name="Copy host link").click()
        page.locator("#share").click()
        expect(page.get_by_text("Copied", exact=True)).to_be_visible()
        assert page.evaluate("copied") == [f"{LINK}#host=KEY-1", LINK]


def test_the_host_locks_and_opens_the_session_and_everyone_sees_it(browser: Browser) -> None:
    server = Server()
    server.role = "host"
    with browsing(browser, server) as page:
        join(page)
        lock = page.locator("#lock")
        expect(lock).to_have_attribute("aria-pressed", "false")
        lock.click()
        expect(lock).to_have_attribute("aria-pressed", "true")
        assert server.asked("PATCH", ID) == [({"locked": True}, "MINE")]
        expect(page.get_by_text("· locked")).to_be_visible()
        server.send("session_updated", locked=False)
        expect(page.get_by_text("· locked")).to_be_hidden()
        server.send("session_updated", locked=True)
        expect(lock).to_have_attribute("aria-pressed", "true")
        lock.click()
        expect(lock).to_have_attribute("aria-pressed", "false")
        assert server.asked("PATCH", ID)[1] == ({"locked": False}, "MINE")
        server.refuses[ID] = (503, "UNAVAILABLE")
        lock.click()
        expect(page.get_by_text("The session could not be locked. no")).to_be_visible()
        expect(lock).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("ban", [True, False])
def test_the_host_removes_somebody_and_keeps_them_out_unless_they_may_come_back(
    browser: Browser, ban: bool
) -> None:
    server = Server()
    server.role = "host"
    with browsing(browser, server) as page:
        join(page)
        page.get_by_role("button", name="Remove Bo").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading")).to_have_text("Remove Bo?")
        if not ban:
            dialog.get_by_role("checkbox").uncheck()
        end = "/participants/p1" + ("?ban=true" if ban else "")
        with page.expect_response(lambda answer: answer.request.method == "DELETE"):
            dialog.get_by_role("button", name="Remove").click()
        expect(dialog).to_be_hidden()
        assert server.asked("DELETE", end) == [(None, "MINE")]
        server.send("participant_left", user_id="p1", reason="removed")
        expect(page.locator("#list li")).to_have_count(1)


def test_who_thinks_better_of_it_removes_nobody(browser: Browser) -> None:
    server = Server()
    server.role = "host"
    with browsing(browser, server) as page:
        join(page)
        page.get_by_role("button", name="Remove").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Leave").click()
        expect(page.get_by_role("dialog").get_by_role("checkbox")).to_be_hidden()
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        assert server.asked("DELETE") == []


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (409, "SESSION_LOCKED", "The host has locked the session: nobody else can join."),
        (409, "SESSION_FULL", "The session is full."),
        (403, "BANNED", "The host has removed you, and lets you join no more."),
        (429, "RATE_LIMITED", "That did not work. no"),
    ],
)
def test_who_may_not_join_is_told_why(browser: Browser, status: int, code: str, told: str) -> None:
    server = Server()
    server.refuses["/join"] = (status, code)
    with browsing(browser, server) as page:
        join(page)
        expect(page.get_by_role("alert")).to_have_text(told)


def test_a_locked_session_says_so_before_anybody_types_a_name(browser: Browser) -> None:
    server = Server()
    server.locked = True
    with browsing(browser, server) as page:
        page.goto(LINK)
        expect(page.get_by_text("The host has locked it: nobody else can join.")).to_be_visible()


def test_a_device_is_known_again_in_its_session_and_in_no_other(browser: Browser) -> None:
    server = Server()
    with browsing(browser, server) as page:
        join(page)
        in_session(page)
        page.evaluate("sessionStorage.clear()")
        join(page)
        in_session(page)
        keys = [body["device_key"] for body, _ in server.asked("POST", "/join")]
        assert keys[0] == keys[1]
        assert len(keys[0]) == 32
        assert set(keys[0]) <= set("0123456789abcdef")
        other = page.evaluate(
            "async () => (await import('/static/keeping.js')).deviceKey('another session')"
        )
        assert other != keys[0]


def test_what_is_kept_of_sessions_that_are_over_is_forgotten(browser: Browser) -> None:
    with browsing(browser, Server()) as page:
        page.goto(LINK)
        left = page.evaluate(
            """async () => {
                const { keepHost, host } = await import("/static/keeping.js");
                localStorage.clear();
                const old = JSON.stringify({ token: "OLD", keptAt: Date.now() - 49 * 3_600_000 });
                localStorage.setItem("locshare-host:old", old);
                localStorage.setItem("locshare-device:broken", "{");
                localStorage.setItem("locshare-profile", "{}");
                localStorage.setItem("of somebody else", "x");
                keepHost("new", { token: "NEW", key: "K" });
                return [Object.keys(localStorage).sort(), host("new").token, host("old")];
            }"""
        )
        kept = ["locshare-host:new", "locshare-profile", "of somebody else"]
        assert left == [kept, "NEW", None]


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 360, 390, 1100])
def test_whatever_is_in_a_name_stays_in_its_box(browser: Browser, width: int) -> None:
    server = Server()
    server.role, server.names = "host", NAMES
    with browsing(browser, server, width) as page:
        join(page)
        expect(page.locator(".marker")).to_have_count(len(NAMES))
        outside = page.evaluate(
            """() => {
                const wrong = [];
                const within = (inner, outer, slack = 0.5) =>
                    inner.left >= outer.left - slack && inner.right <= outer.right + slack &&
                    inner.top >= outer.top - slack && inner.bottom <= outer.bottom + slack;
                const box = (element) => element.getBoundingClientRect();
                for (const each of document.querySelectorAll("#list bdi, #live h1, .avatar, " +
                        ".marker-dot, .marker-name, .marker-name bdi")) {
                    const style = getComputedStyle(each);
                    if (style.overflowX !== "hidden" || style.overflowY !== "hidden") {
                        wrong.push([each.className || each.tagName, "does not clip"]);
                    }
                }
                for (const row of document.querySelectorAll("#list li")) {
                    if (box(row).height > 60) wrong.push(["row", box(row).height]);
                    const parts = "b, bdi, small, .far, .remove, .avatar";
                    for (const part of row.querySelectorAll(parts)) {
                        if (part.offsetParent !== null && !within(box(part), box(row))) {
                            wrong.push([part.className || part.tagName, "is outside its row"]);
                        }
                    }
                }
                for (const name of document.querySelectorAll(".marker-name")) {
                    const { width, height } = box(name);
                    if (width > 191 || height > 24) wrong.push(["marker", width, height]);
                }
                const wide = document.documentElement.scrollWidth - innerWidth;
                if (wide > 0) wrong.push(["page is too wide by", wide]);
                return wrong;
            }"""
        )
        assert outside == []


def test_a_name_from_right_to_left_is_cut_off_at_its_end_and_turns_nothing_round(
    browser: Browser,
) -> None:
    server = Server()
    server.names = ["שרה", NAMES[1], "Bo"]
    with browsing(browser, server, 320) as page:
        join(page)
        expect(page.locator("#list b").first).to_have_text("שרה (you)")
        places = page.evaluate(
            """() => [...document.querySelectorAll("#list b")].map((line) => {
                const [name, mine] = [...line.children].map((each) => each.getBoundingClientRect());
                const { scrollWidth, clientWidth } = line.firstElementChild;
                return [getComputedStyle(line.firstElementChild).direction,
                        name.right <= mine.left + 0.5, scrollWidth > clientWidth];
            })"""
        )
        assert places == [["rtl", True, False], ["ltr", True, False], ["rtl", True, True]]


@pytest.mark.parametrize("width", [320, 360])
def test_the_form_fits_on_a_small_phone(browser: Browser, width: int) -> None:
    with browsing(browser, Server(), width) as page:
        page.goto(LINK)
        expect(page.get_by_label("Your name")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == width
