"""The files by which phones open join links in an app."""

from typing import Any

import httpx
import pytest

from locshare.api import PublicUrls, create_app
from locshare.auth.tokens import TokenKeys
from locshare.config import Settings
from locshare.config.fields import check_android_apps, check_apple_apps
from locshare.telemetry.metrics import new_registry
from locshare.web.well_known import app_platforms, well_known
from tests.api.conftest import SECRET, FakeSessions, assert_problem, client_of

PRINT = ":".join(["AB"] * 32)


def client(prefix: str = "", **settings: Any) -> httpx.AsyncClient:
    app = create_app(
        FakeSessions(),
        TokenKeys(SECRET),
        urls=lambda: PublicUrls("https://where.example", "wss://where.example"),
        registry=new_registry(),
        blueprints=[well_known(Settings(**settings), prefix)],
    )
    return client_of(app)


async def test_android_is_told_the_app_and_its_certificates() -> None:
    other = PRINT.replace("AB", "CD")
    apps = f"org.example.app/{PRINT}", f"org.example.app/{other}"
    async with client(android_apps=apps) as http:
        answer = await http.get("/.well-known/assetlinks.json")
    assert answer.headers["content-type"] == "application/json"
    (statement,) = answer.json()
    assert statement["relation"] == ["delegate_permission/common.handle_all_urls"]
    assert statement["target"]["package_name"] == "org.example.app"
    assert statement["target"]["sha256_cert_fingerprints"] == [PRINT, other]


@pytest.mark.parametrize(("prefix", "path"), [("", "/join/*"), ("/map", "/map/join/*")])
async def test_ios_opens_join_links_only(prefix: str, path: str) -> None:
    async with client(prefix, apple_apps=("ABCDE12345.org.example.app",)) as http:
        answer = await http.get("/.well-known/apple-app-site-association")
    assert answer.headers["content-type"] == "application/json"
    (details,) = answer.json()["applinks"]["details"]
    assert details == {"appIDs": ["ABCDE12345.org.example.app"], "components": [{"/": path}]}


@pytest.mark.parametrize("name", ["assetlinks.json", "apple-app-site-association"])
async def test_without_an_app_there_is_nothing(name: str) -> None:
    async with client() as http:
        assert_problem(await http.get(f"/.well-known/{name}"), 404, "NOT_FOUND")


@pytest.mark.parametrize("app", ["org.example.app", f"app/{PRINT}", "org.example.app/AB:CD"])
def test_an_android_app_has_a_package_and_a_fingerprint(app: str) -> None:
    with pytest.raises(ValueError, match="no package/fingerprint"):
        check_android_apps((app,))


def test_an_ios_app_has_a_team() -> None:
    assert check_apple_apps(("ABCDE12345.org.example.app",))
    with pytest.raises(ValueError, match="no team and bundle id"):
        check_apple_apps(("org.example.app",))


def test_the_page_offers_the_app_where_the_settings_name_one() -> None:
    android, ios = (f"org.example.app/{PRINT}",), ("ABCDE12345.org.example.app",)
    assert app_platforms(Settings()) == ()
    assert app_platforms(Settings(android_apps=android)) == ("android",)
    assert app_platforms(Settings(android_apps=android, apple_apps=ios)) == ("android", "ios")
