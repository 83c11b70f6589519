"""The server on one port behind real proxies that end TLS, with the examples of deploy/proxies."""

import itertools
import json
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.nginx import nginx_or_skip
from tests.program import data_directory, free_port, running_program
from tests.proxies import FILES, make_certificate, proxy_or_skip
from tests.running import LAST_RESORT_S, given_time

pytestmark = pytest.mark.e2e

PLACES = {"": "", "-folder": "/locshare"}
"""The folder of an example by the end of its name."""
EXAMPLES = sorted(path.name for path in FILES.iterdir())
CREATE_BURST = 5
PING_INTERVAL_S = 0.4
TIME_OUT_S = 1
IDLE_S = 1.6
"""Longer than that, which is the time-out of a proxy here."""

_clients = (f"127.0.{n // 200}.{n % 200 + 1}" for n in itertools.count(200))


class Place(NamedTuple):
    """A server that believes to be at ``url``, where no proxy runs yet."""

    url: str
    server: int
    certificate: Path
    trust: ssl.SSLContext


def folder_of(example: str) -> str:
    return PLACES["-folder" if "-folder" in example else ""]


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, Place]]:
    """By their folder; each server is started once for all proxies, which take turns."""
    with ExitStack() as stack:
        certificate = stack.enter_context(data_directory())
        make_certificate(certificate)
        trust = ssl.create_default_context(cafile=str(certificate / "fullchain.pem"))
        found = {}
        for folder in PLACES.values():
            data = stack.enter_context(data_directory())
            url, server = f"https://127.0.0.1:{free_port()}{folder}", free_port()
            settings = {
                "LOCSHARE_DATA_DIR": str(data),
                "LOCSHARE_HTTP_BIND": "",
                "LOCSHARE_WS_BIND": "",
                "LOCSHARE_BIND": f"127.0.0.1:{server}",
                "LOCSHARE_PUBLIC_URL": url,
                "LOCSHARE_PING_INTERVAL_S": str(PING_INTERVAL_S),
                "LOCSHARE_MISSED_PINGS": "10",
                # The clients here have other addresses of the loopback interface.
                "LOCSHARE_TRUSTED_PROXIES": "127.0.0.1/32",
                "LOCSHARE_CREATE_PER_SECOND": "0.001",
                "LOCSHARE_CREATE_BURST": str(CREATE_BURST),
            }
            stack.enter_context(running_program(settings))
            found[folder] = Place(url, server, certificate, trust)
        yield found


@pytest.fixture(scope="module", params=EXAMPLES)
def place(request: pytest.FixtureRequest, places: dict[str, Place]) -> Iterator[Place]:
    found = places[folder_of(request.param)]
    port = httpx.URL(found.url).port
    assert port is not None
    with proxy_or_skip(
        request.param, port=port, server=found.server, certificate=found.certificate
    ):
        yield found


def client_of(place: Place, address: str | None = None) -> httpx.Client:
    """A client with an address of its own, so that none takes from the rate of another."""
    transport = httpx.HTTPTransport(verify=place.trust, local_address=address or next(_clients))
    return httpx.Client(transport=transport, timeout=LAST_RESORT_S)


def join(http: httpx.Client, place: Place, session: str, name: str) -> dict[str, Any]:
    answer = http.post(f"{place.url}/api/sessions/{session}/join", json={"display_name": name})
    assert answer.status_code == 201, answer.text
    joined: dict[str, Any] = answer.json()
    return joined


def connected(
    place: Place, url: str, subprotocols: Sequence[str] = ()
) -> AbstractAsyncContextManager[WebSocketConnection]:
    """By trio-websocket: over TLS the threaded client of `websockets` now and then misses bytes,
    because it reads from one thread while it writes from another.
    """
    return open_websocket_url(
        url,
        ssl_context=place.trust,
        subprotocols=subprotocols,
        message_queue_size=100,  # else who does not listen answers no ping
        connect_timeout=LAST_RESORT_S,
    )


async def heard(connection: WebSocketConnection, wanted: str) -> None:
    """Wait for a message in which ``wanted`` stands."""
    with trio.fail_after(LAST_RESORT_S):
        while wanted not in str(await connection.get_message()):
            pass


def test_the_page_loads_with_all_its_files(place: Place) -> None:
    with client_of(place) as http:
        link = http.post(f"{place.url}/api/sessions").json()["join_link"]
        assert link.startswith(f"{place.url}/join/")
        waiting, seen = {f"{place.url}/", link}, set()
        while waiting:
            url = waiting.pop()
            seen.add(url)
            answer = http.get(url)
            assert answer.status_code == 200, url
            kind = answer.headers["content-type"].partition(";")[0]
            named: list[str] = []
            if kind == "text/html":
                named = re.findall(r'(?:src|href)="([^"#:]+)"', answer.text)
            elif kind == "text/javascript":
                named = re.findall(r'(?:from|import)\s*\(?"(\.[^"]+)"', answer.text)
            elif kind == "application/manifest+json":
                manifest = answer.json()
                named = [icon["src"] for icon in manifest.get("icons", ())]
                assert urljoin(url, manifest["start_url"]).startswith(f"{place.url}/")
            found = {urljoin(url, name) for name in named}
            assert all(each.startswith(f"{place.url}/") for each in found), (url, found)
            waiting |= found - seen
        assert len(seen) > 4
        assert http.get(f"{place.url}/metrics").status_code in (403, 404), "kept inside"
        bare = http.get(place.url)
        if bare.status_code != 200:
            assert bare.status_code == 308
            assert urljoin(place.url, bare.headers["Location"]) == f"{place.url}/"
        # What a messenger appended is removed by a redirect, inside the folder.
        damaged = http.get(f"{link}/%22")
        assert urljoin(f"{link}/%22", damaged.headers["Location"]) == link


async def test_a_position_goes_from_one_dialect_to_another(place: Place) -> None:
    with client_of(place) as http:
        session = http.post(f"{place.url}/api/sessions").json()["session_id"]
        ada, bo = join(http, place, session, "Ada"), join(http, place, session, "Bo")
        websocket = f"{place.url.replace('https', 'wss')}/ws"
        assert ada["websocket_url"] == websocket
        # Requests and upgrades share the connections that the proxy keeps to the server.
        assert http.get(f"{place.url}/api/sessions/{session}").status_code == 200

    offered = ["locshare.v1", f"locshare.bearer.{ada['websocket_token']}"]
    channels = f"{websocket.removesuffix('/ws')}/socket/websocket"
    async with (
        connected(place, websocket, offered) as plain,
        connected(place, f"{channels}?vsn=2.0.0&token={bo['websocket_token']}") as phoenix,
    ):
        assert plain.subprotocol == "locshare.v1"
        await heard(plain, "session_state")
        topic = f"location:{session}"
        await phoenix.send_message(json.dumps(["1", "1", topic, "phx_join", {}]))
        await heard(phoenix, "session_state")
        fix = {"lat": 52.5, "lng": 13.4, "accuracy": 5, "timestamp": "2030-01-01T12:00:00Z"}
        await plain.send_message(json.dumps({"type": "location_update", "data": fix}))
        await heard(phoenix, "52.5")


@pytest.mark.parametrize("example", EXAMPLES)
def test_who_says_nothing_for_longer_than_the_time_out_of_a_proxy_stays_connected(
    places: dict[str, Place], example: str
) -> None:
    """By the pings of the server."""
    there = places[folder_of(example)]
    port = free_port()
    place = there._replace(url=there.url.replace(f":{httpx.URL(there.url).port}", f":{port}"))

    async def hears(idle_s: float) -> bool:
        with client_of(place) as http:
            session = http.post(f"{place.url}/api/sessions").json()["session_id"]
            ada = join(http, place, session, "Ada")
        offered = ["locshare.v1", f"locshare.bearer.{ada['websocket_token']}"]
        async with connected(place, f"{place.url.replace('https', 'wss')}/ws", offered) as silent:
            try:
                with trio.move_on_after(idle_s):
                    while True:
                        await silent.get_message()
                with client_of(place) as http:
                    join(http, place, session, "Bo")
                await heard(silent, "participant_joined")
            except ConnectionClosed:
                return False
            finally:
                # The library leaves it open when it was closed, and fails at a ping that comes
                # while it closes.
                await silent._close_stream()
            return True

    def stays(times: float) -> bool:
        with proxy_or_skip(
            example,
            port=port,
            server=there.server,
            certificate=there.certificate,
            time_out_s=round(times * TIME_OUT_S),
        ):
            return trio.run(hears, times * IDLE_S)

    assert given_time(stays, bool)


def test_clients_are_counted_by_the_address_that_the_proxy_saw(place: Place) -> None:
    greedy, other = next(_clients), next(_clients)
    with client_of(place, greedy) as http:
        answers = [
            http.post(
                f"{place.url}/api/sessions",
                headers={"X-Forwarded-For": f"203.0.113.{n}"},  # forged
            ).status_code
            for n in range(CREATE_BURST + 1)
        ]
    assert answers == [201] * CREATE_BURST + [429]
    with client_of(place, other) as http:
        assert http.post(f"{place.url}/api/sessions").status_code == 201


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_waits_for_longer_than_the_time_between_two_pings(example: str) -> None:
    text = (FILES / example).read_text()
    waits = re.findall(
        r"(?:timeout (?:client|server|tunnel)|read_timeout|ProxyTimeout) +(\d+)", text
    )
    assert all(int(seconds) > 2 * 20 for seconds in waits)
    assert waits or example.startswith("Caddy"), "Caddy has no such limit"


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_guide_links_every_example_and_shows_it_as_it_is(example: str) -> None:
    guide = (FILES.parents[1] / "docs" / "guides" / "deploy.md").read_text()
    assert f"(../../deploy/proxies/{example})" in guide
    first = (FILES / example).read_text().splitlines()[0]
    if first in guide:
        assert f"```\n{(FILES / example).read_text()}```" in guide


@pytest.mark.parametrize("one_port", [True, False], ids=["one port", "two ports"])
def test_behind_an_nginx_that_is_not_set_up_for_websockets_the_answer_says_what_to_set(
    one_port: bool,
) -> None:
    with data_directory() as data:
        port = free_port()
        binds = {"LOCSHARE_HTTP_BIND": "", "LOCSHARE_WS_BIND": "", "PORT": str(port)}
        settings = {"LOCSHARE_DATA_DIR": str(data), **(binds if one_port else {})}
        with running_program(settings) as program, ExitStack() as stack:
            server = (
                f"http://127.0.0.1:{port}" if one_port else program.ws_url.replace("ws", "http")
            )
            there = f"location / {{ proxy_pass {server}; }}"
            address = stack.enter_context(nginx_or_skip(there))
            with pytest.raises(InvalidStatus) as refused, connect(f"ws://{address}/ws?token=x"):
                pass
        answer = refused.value.response
        assert answer.status_code == 426
        problem = json.loads(answer.body or b"")
        assert problem["code"] == "BAD_HANDSHAKE"
        assert "came as HTTP/1.0" in problem["detail"]
        assert "proxy_http_version 1.1" in problem["detail"]
