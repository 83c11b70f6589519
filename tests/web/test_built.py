"""The built client: what is served of it, in which encoding, and for how long it may be kept."""

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from locshare.web.built import DIST, RELOAD
from locshare.web.pages import NOT_BUILT
from tests.web.test_pages import client

SCRIPT = "console.log('a script');" * 60
ID = "1f0c6b6e-6a4b-4c53-9a53-0b4f4f7a9d27"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A build of one script, with its compressed forms."""
    assets = tmp_path / "assets"
    assets.mkdir()
    (tmp_path / "index.html").write_text('<script src="./assets/index-AAAA.js"></script>')
    (tmp_path / "icon.svg").write_text("<svg/>")
    (assets / "index-AAAA.js").write_text(SCRIPT)
    (assets / "index-AAAA.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (assets / "index-AAAA.js.br").write_bytes(b"as brotli")
    return tmp_path


URL = "/assets/index-AAAA.js"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("", None), ("gzip, deflate", "gzip"), ("gzip, br;q=1.0", "br"), ("br;q=0, gzip", "gzip"),
     ("identity", None), ("BR", "br")],
)  # fmt: skip
async def test_an_asset_comes_in_the_best_encoding_that_is_accepted_and_is_kept_for_ever(
    dist: Path, accepted: str, encoding: str | None
) -> None:
    async with client(dist=dist) as http:
        answer = await http.get(URL, headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    # httpx decodes gzip, and has no decoder for the other.
    assert answer.content == (b"as brotli" if encoding == "br" else SCRIPT.encode())
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


async def test_each_encoding_has_an_etag_of_its_own(dist: Path) -> None:
    async with client(dist=dist) as http:
        tags = {}
        for accepted in ("gzip", "identity"):
            headers = {"Accept-Encoding": accepted}
            tags[accepted] = (await http.get(URL, headers=headers)).headers["etag"]
            same = await http.get(URL, headers={**headers, "If-None-Match": tags[accepted]})
            assert (same.status_code, same.content) == (304, b"")
    assert tags["gzip"] != tags["identity"]


async def test_a_script_of_an_older_build_loads_the_page_again(dist: Path) -> None:
    async with client(dist=dist) as http:
        old = "/assets/index-OLD.js"
        for headers in ({}, {"Sec-Fetch-Dest": "script"}):
            answer = await http.get(old, headers=headers)
            assert answer.status_code == 200
            assert answer.content == RELOAD
            assert answer.headers["cache-control"] == "no-store"
        fetched = await http.get(old, headers={"Sec-Fetch-Dest": "empty"})
        assert fetched.status_code == 404, "a service worker's cache gets none"
        assert (await http.get("/assets/index-OLD.css")).status_code == 404


async def test_the_page_and_what_has_no_hash_are_revalidated(dist: Path) -> None:
    async with client(dist=dist) as http:
        for path in ("/", "/icon.svg"):
            answer = await http.get(path)
            assert answer.headers["cache-control"] == "no-cache"
            tag = answer.headers["etag"]
            again = await http.get(path, headers={"If-None-Match": tag})
            assert again.status_code == 304


async def test_the_page_of_a_session_finds_its_files_a_folder_higher(dist: Path) -> None:
    async with client(dist=dist) as http:
        assert 'src="./assets/index-AAAA.js"' in (await http.get("/")).text
        answer = await http.get(f"/join/{ID}")
        assert 'src="../assets/index-AAAA.js"' in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert (await http.get("/join/x")).status_code == 404


@pytest.mark.parametrize("path", ["../built.py", "%2e%2e/built.py", "index-AAAA.js.gz", ".br"])
async def test_nothing_outside_the_build_is_served(dist: Path, path: str) -> None:
    async with client(dist=dist) as http:
        assert (await http.get(f"/assets/{path}")).status_code == 404


async def test_an_installation_without_the_client_says_so_in_one_sentence(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logged:
        http = client(dist=tmp_path / "none")
    assert [each["event"] for each in logged] == ["web_client_missing"]
    async with http:
        for path in ("/", f"/join/{ID}"):
            answer = await http.get(path)
            assert (answer.status_code, answer.text) == (503, f"{NOT_BUILT}\n")


async def test_a_link_is_previewed_with_a_picture_at_a_whole_address(dist: Path) -> None:
    (dist / "index.html").write_text('<meta property="og:image" content="{{root}}preview.png">')
    async with client(dist=dist, public_url=lambda: "https://where.example/maps") as http:
        assert '"https://where.example/maps/preview.png"' in (await http.get(f"/join/{ID}")).text


def test_a_file_of_an_unknown_kind_is_a_fault_of_the_installation(dist: Path) -> None:
    (dist / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"notes\.txt"):
        client(dist=dist)


@pytest.fixture(scope="module")
def built() -> Path:
    """The build of this checkout."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "web" / "build.py")],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return DIST


def test_the_entry_is_at_most_45_kilobytes_compressed(built: Path) -> None:
    (entry,) = (built / "assets").glob("index-*.js.gz")
    assert entry.stat().st_size <= 45_000


NEWER = re.compile(
    r"""\?\?=|\?\.[a-zA-Z\[(]|catch\{|\bglobalThis\b|\bstructuredClone\b|\.replaceChildren\(|"""
    r"""Object\.(?:hasOwn|fromEntries)|\.(?:replaceAll|flatMap|matchAll|allSettled|at)\(|import\.meta\.env"""
)
"""Syntax and calls that iOS 12 or Chrome 64 do not have."""


def test_what_every_browser_loads_is_in_the_language_of_2018(built: Path) -> None:
    """MapLibre and its worker are loaded where they can run only."""
    scripts = [*built.glob("*.js"), *(built / "assets").glob("*.js")]
    old = [each for each in scripts if not each.name.startswith(("maplibre", "map-worker", "tile"))]
    assert len(old) >= 5
    for path in old:
        found = NEWER.search(path.read_text(encoding="utf-8"))
        assert found is None, (path.name, found)


def test_every_text_of_the_build_is_compressed_and_every_address_is_relative(built: Path) -> None:
    for path in (built / "assets").glob("*.js"):
        if path.stat().st_size >= 1_000:
            assert {path.with_name(path.name + each).exists() for each in (".br", ".gz")} == {True}
    page = (built / "index.html").read_text()
    assert '="/' not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<style" not in page
