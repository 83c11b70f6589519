"""What the pages are served with."""

from typing import Any

import httpx
import pytest
import structlog
from quart_trio import QuartTrio

from locshare.telemetry.metrics import new_registry
from locshare.web.built import DIST, read_files
from locshare.web.map_config import MapType, PageConfig
from locshare.web.pages import content_policy, pages


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")


def client(**options: Any) -> httpx.AsyncClient:
    app = QuartTrio("test", static_folder=None)
    app.register_blueprint(pages(public_ws_url=lambda: "wss://live.example:8443", **options))
    return client_of(app)


UNKNOWN = "1f0c6b6e-6a4b-4c53-9a53-0b4f4f7a9d27"
JOIN = f"/join/{UNKNOWN}"


@pytest.mark.parametrize("path", ["/", JOIN])
async def test_a_page_may_load_and_reach_this_server_only(path: str) -> None:
    async with client() as http:
        answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' wss://live.example:8443"
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "geolocation=(self)" in answer.headers["permissions-policy"]


def test_a_page_has_nothing_inline_that_the_policy_would_forbid() -> None:
    text = (DIST / "index.html").read_text(encoding="utf-8")
    assert "<style" not in text
    assert " style=" not in text
    assert "javascript:" not in text
    assert " onclick=" not in text
    for script in text.split("<script")[1:]:
        assert "src=" in script.split(">")[0]


async def test_the_servers_of_maps_may_be_asked_for_tiles_and_for_nothing_else() -> None:
    tiles = "https://{s}.tiles.example/{z}/{x}/{y}.png?a=1&b=2"
    config = PageConfig((MapType("standard", "raster", tiles, '© "them" <b>'),))
    async with client(config=config, map_urls=[tiles]) as http:
        answer = await http.get(JOIN)
    policy = answer.headers["content-security-policy"]
    assert "img-src 'self' data: blob: https://*.tiles.example;" in policy
    assert policy.count("tiles.example") == 2, "as images, and as data that WebGL draws"
    assert "script-src 'self';" in policy
    assert "a=1&amp;b=2" in answer.text
    assert "<b>" not in answer.text.split("</head>")[0]


def test_tiles_of_this_server_need_no_further_permission() -> None:
    assert "img-src 'self' data: blob:;" in content_policy("ws://a")


def test_an_address_that_the_policy_cannot_name_is_allowed_by_its_scheme() -> None:
    assert "connect-src 'self' ws:;" in content_policy("ws://[::1]:8081")


@pytest.mark.parametrize("wrong", ["", "x", "%00", UNKNOWN + "0", "0" + UNKNOWN, "%E2%28"])
async def test_an_id_that_cannot_be_one_gets_the_page_with_404(wrong: str) -> None:
    async with client() as http:
        answer = await http.get(f"/join/{wrong}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_page_says_for_which_phones_there_is_an_app() -> None:
    async with client(app_platforms=("android", "ios")) as http:
        assert '<meta name="apps" content="android ios">' in (await http.get(JOIN)).text
    async with client() as http:
        assert '<meta name="apps" content="">' in (await http.get(JOIN)).text


async def test_every_file_is_served_with_its_type_and_again_with_304() -> None:
    async with client() as http:
        for name, file in read_files().items():
            if name == "index.html":
                continue
            answer = await http.get(f"/{name}", headers={"Accept-Encoding": "identity"})
            assert answer.status_code == 200
            assert answer.content == file.bodies[""]
            assert answer.headers["content-type"] == file.content_type
            again = await http.get(
                f"/{name}",
                headers={"Accept-Encoding": "identity", "If-None-Match": answer.headers["etag"]},
            )
            assert again.status_code == 304
            assert again.content == b""
        page = await http.get("/")
        same = await http.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert same.status_code == 304
        assert same.headers["content-security-policy"]
        other = await http.get("/", headers={"If-None-Match": '"other"'})
        assert other.status_code == 200


async def test_head_is_get_without_the_body() -> None:
    async with client() as http:
        whole, head = await http.get("/"), await http.head("/")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize(
    "path",
    ["/assets/", "/assets/../pages.py", "/assets/%2e%2e/pages.py", "/assets/none.css",
     "/assets//etc/passwd", "/index.html"],
)  # fmt: skip
async def test_nothing_else_is_served(path: str) -> None:
    async with client() as http:
        assert (await http.get(path)).status_code == 404


async def test_the_api_puts_no_headers_over_those_of_the_pages() -> None:
    from locshare.api import create_app
    from locshare.auth.tokens import TokenKeys
    from tests.api.conftest import URLS, FakeSessions

    with structlog.testing.capture_logs():
        app = create_app(
            FakeSessions(),
            TokenKeys("s" * 32),
            urls=lambda: URLS,
            registry=new_registry(),
            blueprints=[pages(public_ws_url=lambda: "ws://a:1")],
        )
        async with client_of(app) as http:
            answer = await http.get(JOIN)
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-cache"


ID = JOIN.removeprefix("/join/")


@pytest.mark.parametrize(
    "asked",
    [
        f"{ID}/", f"{ID}.", f"{ID})", f"{ID}%2E", f"{ID}%3E", f"%3C{ID}%3E", f"{ID}%22", f"{ID}'",
        f"{ID}%20", f"{ID}%2F", f"{ID}%2F/", f"{ID}./", f"{ID}%E2%80%8B", f"{ID}/a/b", f"/{ID}",
        f"{ID}%252E", f"{ID.upper()},", f"{ID}.?fbclid=x", f"{{{ID}}}",
        f"{ID}%0d%0aSet-Cookie:%20x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("folder", ["", "/maps"])
async def test_text_appended_to_a_link_is_removed_also_under_a_path(
    asked: str, folder: str
) -> None:
    async with client() as http:
        # As by a proxy that serves this in a folder: it takes the folder off before it asks.
        answer = await http.get(f"/join/{asked}")
        assert answer.status_code == 302
        clean = resolved(f"{folder}/join/{asked.partition('?')[0]}", answer.headers["location"])
        assert clean == f"{folder}/join/{ID}"
        assert (await http.get(clean.removeprefix(folder))).status_code == 200


@pytest.mark.parametrize(
    "asked", ["/nonsense/", "/nonsense/x/y", "//evil.example/x", "/%0d%0aX: y/", "/%2F%2Fx.y/", ""]
)
async def test_a_path_without_an_id_gets_the_page_that_reports_it(asked: str) -> None:
    path = f"/join{asked}"
    async with client() as http:
        answer = await http.get(path)
        if answer.status_code == 302:
            path = resolved(path, answer.headers["location"])
            answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert path.startswith("/join/")
    assert path.count("/") == 2, "the page's own addresses are relative to this"


def resolved(path: str, location: str) -> str:
    """As browsers do it, which count empty segments; Python's urljoin does not."""
    assert not location.startswith("/")
    segments = path.split("/")[:-1]
    for part in location.split("/"):
        if part == "..":
            segments.pop()
        else:
            segments.append(part)
    return "/".join(segments)
