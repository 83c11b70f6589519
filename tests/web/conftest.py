"""The pages' modules in a real browser, without a server: what they import is read from disk."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from locshare.web.pages import STATIC
from tests.browser import chromium_or_skip

ORIGIN = "https://locshare.test"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_or_skip() as started:
        yield started


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of the origin at which /static is; one for all tests of pure modules."""
    errors: list[str] = []
    opened = browser.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.route(f"{ORIGIN}/**", serve_files)
    opened.goto(f"{ORIGIN}/empty")
    yield opened
    opened.close()
    assert errors == []


def serve_files(route: Route) -> None:
    """Answer for ``ORIGIN``: its static files, and an empty page for all else."""
    path = route.request.url.removeprefix(ORIGIN)
    file = STATIC / path.removeprefix("/static/")
    if path.startswith("/static/") and file.is_file():
        route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
    else:
        route.fulfill(body="<!doctype html><title>empty</title>", content_type="text/html")


Run = Callable[..., Any]


@pytest.fixture
def run(page: Page) -> Run:
    """``run("geo", "m.distance(x.a, x.b)", a=…, b=…)``: an expression about a module ``m``."""

    def evaluate(module: str, expression: str, **values: Any) -> Any:
        script = f"async (x) => {{ const m = await import('/static/{module}.js'); {expression} }}"
        if "return" not in expression:
            script = script.replace(expression, f"return {expression};")
        return page.evaluate(script, values)

    return evaluate
