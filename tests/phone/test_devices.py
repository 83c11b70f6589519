"""The phone's services, as Flet holds them."""

import gc
import os
import runpy
import ssl
from pathlib import Path

import certifi
import flet_geolocator as ftg
import flet_permission_handler as fph
import pytest

from tests.phone.kit import ENVIRONMENTS, on_the_phone, phone

NOWHERE = "http://127.0.0.1:1"


@on_the_phone
async def test_services_are_kept_as_long_as_the_page_is_served(tmp_path: Path) -> None:
    """Flet drops a service that nobody holds."""
    async with phone(tmp_path, NOWHERE) as one:
        before = {type(each) for each in one.page._services._services}
        assert ftg.Geolocator in before
        gc.collect()
        one.page._services.unregister_services()
        assert {type(each) for each in one.page._services._services} == before


@pytest.mark.parametrize("platform", ["android", "ios", "linux", "macos"])
@on_the_phone
async def test_permissions_are_asked_through_a_service_that_only_phones_have(
    platform: str, tmp_path: Path
) -> None:
    """Elsewhere it raises, and the app would not start."""
    async with phone(tmp_path, NOWHERE, platform=platform) as one:
        await one.shows("See each other on a map")
        kinds = {type(each) for each in one.page._services._services}
        assert (fph.PermissionHandler in kinds) == (platform in ("android", "ios"))


@on_the_phone
async def test_a_stream_begins_with_its_handler(tmp_path: Path) -> None:
    """Dart listens when it is told of one: nothing before, and nothing after."""
    async with phone(tmp_path, NOWHERE) as one:
        geolocator = one.service(ftg.Geolocator)
        assert not one.packed(geolocator).get("on_position_change")
        tracker = one.app.controller._tracker
        tracker.permission = "granted"
        tracker.start()
        sent = one.packed(geolocator)
        assert sent["on_position_change"] is True
        assert sent["configuration"]["foreground_notification_title"]
        tracker.stop()
        assert not one.packed(geolocator).get("on_position_change")


def test_certificates_are_those_that_the_app_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python on a phone has none. The context is made as by the WebSocket and by httpx."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", "/nonexistent")
    runpy.run_path(str(ENVIRONMENTS.parent / "main.py"), run_name="app")
    assert os.environ["SSL_CERT_FILE"] == certifi.where()
    brought = Path(certifi.where()).read_text().count("BEGIN CERTIFICATE")
    assert len(ssl.create_default_context().get_ca_certs()) == brought
    os.environ.pop("SSL_CERT_FILE")
