"""The page's WebSocket: when it comes back, when it does not, and how it finds silence out.

The server is playwright's stand-in inside the browser, and the browser's clock is ours, so that
half a minute of silence takes no time. Against the real server: tests/e2e/test_browser.py.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute

from tests.web.conftest import ORIGIN, serve_files

pytestmark = pytest.mark.browser

URL = "wss://live.test/ws"
SNAPSHOT = '{"type":"session_state","data":{}}'


class Server:
    """The other end of every connection of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.routes: list[WebSocketRoute] = []
        self.heard: list[str] = []
        page.route_web_socket("**/ws*", self._accept)

    def _accept(self, route: WebSocketRoute) -> None:
        self.routes.append(route)
        route.on_message(lambda message: self.heard.append(str(message)))

    def connections(self, count: int) -> WebSocketRoute:
        """The newest connection, once there have been so many."""
        for _ in range(100):
            if len(self.routes) >= count:
                break
            self.page.wait_for_timeout(20)
        assert len(self.routes) == count
        return self.routes[-1]

    def snapshot(self) -> None:
        self.routes[-1].send(SNAPSHOT)
        self.page.wait_for_function("told.at(-1) === 'live'")

    def told(self) -> list[str]:
        """What the page heard of its connection so far."""
        told: list[str] = self.page.evaluate("told")
        return told

    def pass_time(self, seconds: float) -> None:
        self.page.clock.run_for(int(seconds * 1000))


@pytest.fixture
def server(browser: Browser) -> Iterator[Server]:
    """A page with a connection that has been opened, and has no snapshot yet."""
    page = browser.new_page()
    page.route(f"{ORIGIN}/**", serve_files)
    opened = Server(page)
    page.clock.install()
    page.goto(f"{ORIGIN}/empty")
    page.clock.pause_at(4_000_000_000)
    page.evaluate(
        """async (url) => {
            window.told = [];
            const { Connection } = await import("/static/connection.js");
            window.connection = new Connection(url, "TOKEN", {
                onMessage: ({ type }) => told.push(`message ${type}`),
                onStatus: (kind) => told.push(kind),
                onEnd: (why) => told.push(`end ${why}`),
            });
            connection.start();
        }""",
        URL,
    )
    opened.connections(1)
    yield opened
    page.close()


def test_the_snapshot_makes_it_live_and_the_token_is_in_no_address(server: Server) -> None:
    assert server.routes[0].url == URL
    assert server.page.evaluate("connection.send('ping')") is False, "not before the snapshot"
    server.snapshot()
    assert server.told() == ["connecting", "message session_state", "live"]
    assert server.page.evaluate("connection.send('leave')") is True
    server.page.wait_for_timeout(50)
    assert server.heard == ['{"type":"leave","data":{}}']


def test_a_lost_connection_comes_back_within_the_bounds(server: Server) -> None:
    server.snapshot()
    close(server, 1012)
    assert server.told()[-1] == "waiting"
    server.pass_time(0.9)
    server.connections(1)
    server.pass_time(4.2)
    server.connections(2)
    server.snapshot()


@pytest.mark.parametrize(
    ("code", "why"),
    [(1000, "left"), (4401, "rejoin"), (4403, "removed"), (4409, "replaced"), (4410, "ended")],
)
def test_an_end_for_good_is_told_once_and_nothing_is_tried_again(
    server: Server, code: int, why: str
) -> None:
    server.snapshot()
    close(server, code, f"end {why}")
    server.pass_time(120)
    server.connections(1)
    assert [each for each in server.told() if each.startswith("end")] == [f"end {why}"]


def test_silence_is_answered_by_a_ping_and_silence_after_that_by_a_new_connection(
    server: Server,
) -> None:
    server.snapshot()
    server.pass_time(24.9)
    assert server.heard == []
    server.pass_time(0.2)
    server.page.wait_for_timeout(50)
    assert server.heard == ['{"type":"ping","data":{}}']
    server.routes[0].send('{"type":"pong","data":{}}')
    server.page.wait_for_function("told.at(-1) === 'message pong'")
    server.pass_time(24.9)
    server.connections(1)
    server.pass_time(0.2 + 8 + 1.6)
    server.connections(2)


def test_a_server_that_never_sends_its_snapshot_is_left(server: Server) -> None:
    server.pass_time(14.9)
    server.connections(1)
    server.pass_time(0.2 + 1.6)
    server.connections(2)


def test_what_is_no_json_is_passed_over(server: Server) -> None:
    server.snapshot()
    server.routes[0].send("{")
    server.routes[0].send('{"type":"pong"}')
    server.page.wait_for_function("told.at(-1) === 'message pong'")
    assert "waiting" not in server.told()


def test_a_network_that_is_back_ends_the_wait_for_it(server: Server) -> None:
    server.snapshot()
    close(server, 1001)
    server.page.evaluate("connection.probe()")
    server.connections(2)


@pytest.mark.parametrize("code", [1013, 4429])
def test_a_server_that_asked_for_time_gets_it(server: Server, code: int) -> None:
    server.snapshot()
    close(server, code)
    server.page.evaluate("connection.probe()")
    server.pass_time(4.9)
    server.page.evaluate("connection.probe()")
    server.page.wait_for_timeout(50)
    server.connections(1)
    server.pass_time(30)
    server.page.wait_for_timeout(50)
    assert len(server.routes) > 1


def test_who_stops_it_hears_nothing_more(server: Server) -> None:
    server.snapshot()
    server.page.evaluate("connection.stop()")
    before = server.told()
    server.pass_time(120)
    server.page.evaluate("connection.probe()")
    server.connections(1)
    assert server.told() == before


def close(server: Server, code: int, then: str = "waiting") -> None:
    """Close from the server's side, and wait until the page has noticed."""
    server.routes[-1].close(code=code)
    server.page.wait_for_function("(then) => told.at(-1) === then", arg=then)
