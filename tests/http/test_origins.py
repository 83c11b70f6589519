"""Which web pages may change something, and the host names of an internal port."""

import httpx
import pytest

from locshare.api import create_internal_app, health_blueprint
from locshare.http import HttpMetrics
from locshare.http.origins import Hosts, Origins
from locshare.telemetry.metrics import new_registry
from tests.api.conftest import Api, FakeSessions, MakeApp, assert_problem, client_of

OTHER = "https://other.example"
OWN = "https://where.example"


def headers(**given: str) -> list[tuple[bytes, bytes]]:
    return [(k.replace("_", "-").encode(), v.encode()) for k, v in given.items()]


@pytest.mark.parametrize(
    ("given", "foreign"),
    [
        ({}, False),  # no browser
        ({"host": "where.example"}, False),
        ({"sec_fetch_site": "same-origin"}, False),
        ({"sec_fetch_site": "same-origin", "origin": OWN, "host": "127.0.0.1:8080"}, False),
        ({"sec_fetch_site": "none"}, False),  # the user's own doing
        ({"sec_fetch_site": "cross-site"}, True),
        ({"sec_fetch_site": "same-site"}, True),
        ({"sec_fetch_site": "cross-site", "origin": "https://x.example"}, True),
        ({"sec_fetch_site": ""}, True),
        ({"sec_fetch_site": "cross-site", "origin": OTHER}, False),
        ({"origin": OTHER}, False),
        ({"origin": "https://x.example", "host": "where.example"}, True),
        ({"origin": "null", "host": "where.example"}, True),
        ({"origin": "", "host": ""}, True),
        ({"origin": OWN}, False),
        ({"origin": "http://where.example", "host": "x"}, True),  # another scheme is another origin
        ({"origin": "HTTPS://WHERE.example", "host": "x"}, False),
        ({"origin": "http://192.168.1.5:8080", "host": "192.168.1.5:8080"}, False),
        ({"origin": "http://192.168.1.5:9090", "host": "192.168.1.5:8080"}, True),
        ({"origin": "http://where.example.evil", "host": "where.example"}, True),
    ],
)
def test_a_request_that_changes_something_from_another_page_is_refused(
    given: dict[str, str], foreign: bool
) -> None:
    origins = Origins([OTHER], lambda: OWN)
    for method in ("POST", "DELETE", "PATCH", "PUT", "BREW"):
        assert origins.is_foreign(method, headers(**given)) is foreign
    for method in ("GET", "HEAD", "OPTIONS"):
        assert not origins.is_foreign(method, headers(**given))


def test_a_star_lets_every_page_in() -> None:
    origins = Origins(["*"], lambda: OWN)
    given = headers(origin="https://x.example", sec_fetch_site="cross-site")
    assert not origins.is_foreign("POST", given)
    assert origins.is_foreign("POST", headers(sec_fetch_site="cross-site")), "without its name"


async def test_a_bodyless_post_of_another_page_makes_no_session(
    make_app: MakeApp, manager: FakeSessions
) -> None:
    async with client_of(make_app()) as client:
        for foreign in (
            {"Sec-Fetch-Site": "cross-site", "Origin": OTHER},
            {"Origin": OTHER},
            {"Origin": "null"},
        ):
            answer = await client.post("/api/sessions", headers=foreign)
            assert_problem(answer, 403, "CROSS_SITE")
        assert (await client.post("/api/sessions", headers={"Origin": "http://test"})).is_success


async def test_no_call_that_changes_something_is_open_to_another_page(
    api: Api, client: httpx.AsyncClient
) -> None:
    path = f"/api/sessions/{(await api.create())['session_id']}"
    for method, url in (
        ("POST", f"{path}/join"), ("DELETE", path), ("DELETE", f"{path}/participants/x"),
        ("PATCH", path), ("POST", "/nowhere"),
    ):  # fmt: skip
        answer = await client.request(method, url, headers={"Sec-Fetch-Site": "cross-site"})
        assert_problem(answer, 403, "CROSS_SITE")
    assert (await client.get(path, headers={"Sec-Fetch-Site": "cross-site"})).is_success


# --- internal ports -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("127.0.0.1:8082", True),
        ("10.1.2.3", True),
        ("[::1]:8082", True),
        ("[fe80::1%25eth0]", True),
        ("localhost", True),
        ("LOCALHOST:8082", True),
        ("localhost.:8082", True),
        ("locshare:8082", True),
        ("Locshare", True),
        ("", True),
        ("evil.example", False),
        ("evil.example:8082", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("locshare.evil", False),
        ("[evil]", False),
        ("x", False),
    ],
)
async def test_an_internal_port_answers_to_addresses_and_to_names_that_were_given(
    host: str, answered: bool
) -> None:
    assert Hosts(["locshare"]).answers_to(headers(host=host)) is answered
    registry = new_registry()
    app = create_internal_app(HttpMetrics(registry), [health_blueprint(registry, {})], ["locshare"])
    async with client_of(app) as client:
        for path in ("/health/live", "/health/ready", "/metrics", "/nowhere"):
            answer = await client.get(path, headers={"Host": host})
            if answered:
                assert answer.status_code == (404 if path == "/nowhere" else 200)
            else:
                assert_problem(answer, 421, "WRONG_HOST")


def test_a_star_answers_to_every_name_and_no_host_is_no_browser() -> None:
    assert Hosts(["*"]).answers_to(headers(host="evil.example"))
    assert Hosts([]).answers_to([])
