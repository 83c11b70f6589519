"""The site that `make docs` builds: every link leads somewhere, nothing comes from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser import chromium_or_skip
from tests.documents.pages import ROOT
from tests.running import LAST_RESORT_S

LOADS: Final = {"img": "src", "script": "src", "iframe": "src", "source": "src", "link": "href"}
REFERENCES: Final = {"canonical", "prev", "next"}
"""What a `link` of these kinds names is not loaded."""
ELSEWHERE: Final = re.compile(r"(https?:)?//")


class Page(HTMLParser):
    """What one page loads, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADS and given.get("rel") not in REFERENCES:
            self.loaded.append(given.get(LOADS[tag]) or "")
        if tag == "a":
            self.links.append(given.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=LAST_RESORT_S,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_the_site_has_each_page_of_the_documents(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").exists(), page


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loaded = {(page.name, url) for page, found in pages(site).items() for url in found.loaded}
    assert {each for each in loaded if ELSEWHERE.match(each[1])} == set()
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.search(r"url\(\s*[\"']?(https?:)?//|@import\s+[\"'](https?:)?//", styles)


@pytest.mark.browser
def test_a_browser_asks_for_nothing_elsewhere(site: Path) -> None:
    with chromium_or_skip() as browser:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index.html", "reference/runtime.html", "decisions/0001-trio.html"):
            page.goto(f"file://{site / name}", wait_until="networkidle")
    assert asked
    assert [url for url in asked if not url.startswith("file:")] == []


def test_each_link_and_asset_of_a_page_is_in_the_site(site: Path) -> None:
    for page, found in pages(site).items():
        for url in [*found.links, *found.loaded]:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc or not parts.path or page.name == "404.html":
                continue
            target = page.parent / unquote(parts.path)
            assert target.exists(), f"{page.relative_to(site)} links to {url}"


def test_the_runtime_api_is_made_from_the_docstrings(site: Path) -> None:
    import locshare.actors
    import locshare.supervisor

    text = (site / "reference" / "runtime.html").read_text(encoding="utf-8")
    for module in (locshare.actors, locshare.supervisor):
        assert [
            name for name in module.__all__ if f'id="{module.__name__}.{name}"' not in text
        ] == []
