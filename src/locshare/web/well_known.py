"""``/.well-known``: that join links may open in an app. Served only if the settings name the app;
else the address is a 404 as any other. And the platforms for which the page offers to open it.

Sources: Digital Asset Links (Android App Links); Apple's "Supporting associated domains".
"""

from typing import Any, Final

import msgspec
from quart import Blueprint, Response

from locshare.config.settings import Settings

_HEADERS: Final = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}


def well_known(settings: Settings, prefix: str) -> Blueprint:
    """The routes. ``prefix`` is the path of the public URL. Both files belong to the root of a
    domain: behind a proxy that serves a folder, the proxy has to pass them on.
    """
    routes = Blueprint("well_known", __name__)

    def add(name: str, content: Any) -> None:
        body = msgspec.json.encode(content)

        async def serve() -> Response:
            return Response(body, content_type="application/json", headers=_HEADERS)

        routes.add_url_rule(f"/.well-known/{name}", name.replace(".", ":"), serve)

    if settings.android_apps:
        add("assetlinks.json", asset_links(settings.android_apps))
    if settings.apple_apps:
        add("apple-app-site-association", site_association(settings.apple_apps, prefix))
    return routes


def app_platforms(settings: Settings) -> tuple[str, ...]:
    """Where the settings name an app: ``android``, ``ios``."""
    named = {"android": settings.android_apps, "ios": settings.apple_apps}
    return tuple(platform for platform, apps in named.items() if apps)


def asset_links(apps: tuple[str, ...]) -> list[dict[str, Any]]:
    """``apps`` are ``package/fingerprint``; a package with several stands once for each."""
    prints: dict[str, list[str]] = {}
    for each in apps:
        package, _, fingerprint = each.partition("/")
        prints.setdefault(package, []).append(fingerprint)
    return [
        {
            "relation": ["delegate_permission/common.handle_all_urls"],
            "target": {
                "namespace": "android_app",
                "package_name": package,
                "sha256_cert_fingerprints": fingerprints,
            },
        }
        for package, fingerprints in prints.items()
    ]


def site_association(apps: tuple[str, ...], prefix: str) -> dict[str, Any]:
    """``apps`` are ``TEAMID.bundle.id``. Only join links open in the app."""
    components = [{"/": f"{prefix}/join/*"}]
    return {"applinks": {"details": [{"appIDs": [*apps], "components": components}]}}
