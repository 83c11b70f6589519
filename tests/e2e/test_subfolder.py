"""The server in a folder of a site that has other things too, behind a real nginx."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import httpx
import pytest
import trio
from playwright.sync_api import Browser, Geolocation, Page, expect

from locshare.client import Client, connect, parse_join_link
from tests.browser import DEADLINE_MS, chromium_or_skip
from tests.clusters import give_cluster
from tests.nginx import nginx_or_skip
from tests.program import Program, data_directory, free_port
from tests.running import LAST_RESORT_S

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

GATE: Geolocation = {"latitude": 52.516272, "longitude": 13.377722, "accuracy": 6.0}

STRIPPED = """
location /map/ {{
    proxy_pass {http}/;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
}}
location = /map/ws {{
    proxy_pass {ws}/ws;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection upgrade;
}}
"""
"""Two ports."""

KEPT = STRIPPED.replace("{http}/;", "{http};").replace("{ws}/ws;", "{http};")
"""The folder's name stays on the path, and everything is on one port."""

REST_OF_THE_SITE = "location / {{ return 418; }}"


class Site(NamedTuple):
    url: str
    """Without a slash at the end."""
    program: Program


@pytest.fixture(scope="module", params=[STRIPPED, KEPT], ids=["stripped", "kept"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with ExitStack() as stack:
        folder = stack.enter_context(data_directory())
        give_cluster(folder)
        port = free_port()
        url = f"http://127.0.0.1:{port}/map"
        settings = {"LOCSHARE_DATA_DIR": str(folder), "LOCSHARE_PUBLIC_URL": url}
        if request.param is KEPT:
            settings["LOCSHARE_HTTP_BIND"] = settings["LOCSHARE_WS_BIND"] = ""
            settings["LOCSHARE_BIND"] = f"127.0.0.1:{free_port()}"
        else:
            settings["LOCSHARE_PUBLIC_WS_URL"] = url.replace("http", "ws")
        program = Program(settings)
        locations = (request.param + REST_OF_THE_SITE).format(
            http=f"http://{settings['LOCSHARE_BIND']}"
            if request.param is KEPT
            else program.http_url,
            ws=program.ws_url.replace("ws:", "http:"),
        )
        stack.enter_context(nginx_or_skip(locations, port))
        stack.callback(lambda: program.running and program.stop())
        program.start()
        yield Site(url, program)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_or_skip() as started:
        yield started


def test_the_rest_api_is_served_in_the_folder(site: Site) -> None:
    created = httpx.post(f"{site.url}/api/sessions", json={"name": "Alps"})
    assert created.status_code == 201
    link = created.json()["join_link"]
    assert link == f"{site.url}/join/{created.json()['session_id']}"
    assert httpx.get(link).status_code == 200
    session = f"{site.url}/api/sessions/{created.json()['session_id']}"
    joined = httpx.post(f"{session}/join", json={"display_name": "Ada"})
    assert joined.json()["websocket_url"] == f"{site.url.replace('http', 'ws')}/ws"
    assert httpx.get(f"{session}/participants").json()["participants"][0]["display_name"] == "Ada"
    assert httpx.get(f"{site.url}/nowhere").json()["code"] == "NOT_FOUND"
    bare = httpx.get(site.url)
    assert bare.status_code in (301, 308)
    assert str(bare.next_request and bare.next_request.url) == f"{site.url}/"
    foreign = httpx.post(f"{site.url}/api/sessions", headers={"Origin": "https://x.example"})
    assert foreign.json()["code"] == "CROSS_SITE"
    own = {"Origin": site.url.removesuffix("/map")}  # nginx puts another Host than the browser's
    assert httpx.post(f"{site.url}/api/sessions", headers=own).status_code == 201


def test_a_client_in_python_joins_by_its_link_and_is_seen(site: Site) -> None:
    async def main() -> None:
        async with Client(site.url) as client:
            link = parse_join_link((await client.create_session()).join_link)
            assert link.url == site.url
            joined = await client.join(link.session_id, "Ada")
            with trio.fail_after(LAST_RESORT_S):
                async with connect(joined.websocket_url, joined.websocket_token) as connection:
                    assert [each.display_name for each in connection.snapshot.participants] == [
                        "Ada"
                    ]

    trio.run(main)


def join(page: Page, link: str, name: str) -> None:
    page.goto(link)
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Join", exact=True).click()
    expect(page.locator("#list li").filter(has_text=f"{name} (you)")).to_be_visible()


def test_the_page_lives_in_the_folder_and_two_see_each_other(site: Site, browser: Browser) -> None:
    asked: set[str] = set()
    complaints: list[str] = []
    with ExitStack() as stack:
        pages = []
        for _ in range(2):
            context = stack.enter_context(
                browser.new_context(permissions=["geolocation"], geolocation=GATE)
            )
            page = context.new_page()
            page.set_default_timeout(DEADLINE_MS)
            page.on("request", lambda request: asked.add(request.url))
            page.on("websocket", lambda socket: asked.add(socket.url))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "console",
                lambda said: complaints.append(said.text) if said.type == "error" else None,
            )
            pages.append(page)
        host, guest = pages
        host.goto(f"{site.url}/")
        host.get_by_label("Your name").fill("Ada")
        host.get_by_role("button", name="Create session").click()
        field = host.get_by_label("Link to join")
        expect(field).to_have_value(re.compile(f"^{site.url}/join/"))
        link = field.input_value()  # settled: waited for
        expect(host).to_have_url(link)
        host.keyboard.press("Escape")
        join(guest, f"{link}/", "Bo")
        for page in (host, guest):
            expect(page.locator(".mk[data-user]")).to_have_count(2)
        assert context.cookies() == []
        host.reload()
        expect(host.locator("#list li").filter(has_text="Ada (you)")).to_be_visible()
        host.locator(".bar-title").click()
        host.get_by_role("dialog").get_by_role("button", name="End for everyone").click()
        host.get_by_role("dialog", name="End it").get_by_role(
            "button", name="End for everyone"
        ).click()
        expect(guest.get_by_role("heading", name="This session has ended")).to_be_visible()
    assert complaints == []
    outside = {url for url in asked if not url.partition("://")[2].startswith(site.url[7:] + "/")}
    assert outside == set(), "nothing is asked outside the folder"
    assert any(url.startswith("ws://") for url in asked)
