"""The map file: what is served, how it is cached, and what a broken or replaced one does."""

import gzip
import os
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
import structlog
import trio
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from trio.testing import MockClock

from locshare.api import PublicUrls, create_app
from locshare.auth.tokens import TokenKeys
from locshare.cli.failures import explain
from locshare.config import Settings
from locshare.telemetry.metrics import new_registry
from locshare.web.archive import BadMapFile, MapArchive
from locshare.web.map_config import map_urls, page_config
from locshare.web.pages import content_policy, pages
from locshare.web.tiles import LOOK_EVERY_S, MapFile, tiles
from tests.api.conftest import SECRET, FakeSessions, assert_problem, client_of

PACKED = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}
TILE = b"a vector tile, or what stands for one"


def write_archive(
    path: Path,
    contents: Mapping[tuple[int, int, int], bytes],
    kind: TileType = TileType.MVT,
    compression: Compression = Compression.GZIP,
) -> None:
    """An archive that replaces ``path`` in one step."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        writer: Any = Writer(file)  # type: ignore[no-untyped-call]
        for zxy in sorted(contents, key=lambda each: zxy_to_tileid(*each)):
            writer.write_tile(zxy_to_tileid(*zxy), contents[zxy])
        header: dict[str, Any] = {
            "tile_type": kind,
            "tile_compression": compression,
            "min_lon_e7": -1_800_000_000, "min_lat_e7": -850_000_000,
            "max_lon_e7": 1_800_000_000, "max_lat_e7": 850_000_000,
            "center_zoom": 1, "center_lon_e7": 0, "center_lat_e7": 0,
        }  # fmt: skip
        writer.finalize(header, {"name": "World", "attribution": "© the map's makers"})
    part.rename(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "world.pmtiles"
    write_archive(path, {(0, 0, 0): gzip.compress(TILE), (3, 7, 7): gzip.compress(TILE * 2)})
    return path


def client(path: Path, attribution: str | None = None) -> httpx.AsyncClient:
    app = create_app(
        FakeSessions(),
        TokenKeys(SECRET),
        urls=lambda: PublicUrls("https://where.example", "wss://where.example"),
        registry=new_registry(),
        blueprints=[tiles(MapFile(path), lambda: "https://where.example", attribution)],
    )
    return client_of(app)


# --- tiles ------------------------------------------------------------------------------------


async def test_a_tile_goes_out_as_it_is_stored(path: Path) -> None:
    async with client(path) as http:
        answer = await http.get("/tiles/3/7/7.mvt", headers=PACKED)
    assert (answer.status_code, answer.content) == (200, TILE * 2)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert int(answer.headers["content-length"]) == len(gzip.compress(TILE * 2))


async def test_who_cannot_unpack_a_tile_gets_it_unpacked(path: Path) -> None:
    async with client(path) as http:
        answer = await http.get("/tiles/0/0/0", headers=PLAIN)
    assert (answer.content, "content-encoding" in answer.headers) == (TILE, False)
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_a_tile_with_the_version_is_kept_for_good_and_one_without_is_not(path: Path) -> None:
    async with client(path) as http:
        (address,) = (await http.get("/tiles.json")).json()["tiles"]
        address = address.removeprefix("https://where.example")
        first = await http.get(address.format(z=0, x=0, y=0), headers=PACKED)
        assert "immutable" in first.headers["cache-control"]
        for other in ("/tiles/0/0/0", "/tiles/0/0/0?v=older"):
            assert "immutable" not in (await http.get(other)).headers["cache-control"]
        known = {**PACKED, "If-None-Match": first.headers["etag"]}
        again = await http.get("/tiles/0/0/0", headers=known)
        assert (again.status_code, again.content) == (304, b"")
        unpacked = await http.get("/tiles/0/0/0", headers={**known, **PLAIN})
        assert unpacked.status_code == 200  # another representation has another ETag


async def test_a_place_without_a_tile_is_empty(path: Path) -> None:
    async with client(path) as http:
        answer = await http.get("/tiles/3/0/0")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    "address",
    [
        "4/0/0",
        "3/8/0",
        "3/0/8",
        "32/0/0",
        "3/-1/0",
        "3/0/0.png",
        "a/b/c",
        "٣/٣/٣",
        f"3/{'9' * 5000}/0",
    ],
)
async def test_what_cannot_be_a_tile_of_the_map_is_not_there(path: Path, address: str) -> None:
    async with client(path) as http:
        assert_problem(await http.get(f"/tiles/{address}"), 404, "NOT_FOUND")


async def test_pictures_are_served_as_such(tmp_path: Path) -> None:
    path = tmp_path / "pictures.pmtiles"
    write_archive(path, {(0, 0, 0): b"\x89PNG"}, TileType.PNG, Compression.NONE)
    async with client(path) as http:
        answer = await http.get("/tiles/0/0/0.png", headers=PACKED)
    assert (answer.content, answer.headers["content-type"]) == (b"\x89PNG", "image/png")
    assert "content-encoding" not in answer.headers


async def test_tiles_of_leaf_directories_are_found(tmp_path: Path) -> None:
    path = tmp_path / "large.pmtiles"
    side, of_any_length = 1 << 8, Random(7)  # noqa: S311 - lengths that do not compress
    contents = {
        (8, x, y): f"{x} {y}".encode() * of_any_length.randint(1, 40)
        for x in range(side)
        for y in range(side)
    }
    write_archive(path, contents, compression=Compression.NONE)
    archive = MapArchive(path)
    assert archive.header["leaf_directory_length"] > 0
    for x, y in ((0, 0), (200, 17), (255, 255)):
        tile = archive.tile(8, x, y)
        assert tile is not None
        assert tile.data == contents[8, x, y]


async def test_the_description_says_where_the_tiles_are_and_whose(path: Path) -> None:
    async with client(path) as http:
        answer = await http.get("/tiles.json")
        known = {"If-None-Match": answer.headers["etag"]}
        assert (await http.get("/tiles.json", headers=known)).status_code == 304
    found = answer.json()
    assert found["tilejson"] == "3.0.0"
    assert (found["minzoom"], found["maxzoom"]) == (0, 3)
    assert found["bounds"] == [-180, -85, 180, 85]
    assert found["attribution"] == "© the map's makers"
    async with client(path, "© somebody else") as http:
        assert (await http.get("/tiles.json")).json()["attribution"] == "© somebody else"


# --- a file that is broken, or replaced -------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"PMTiles", b"\x00" * 500, b"PMTiles\x02" + b"\x00" * 200]
)
def test_what_is_no_archive_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.pmtiles"
    path.write_bytes(content)
    with pytest.raises(BadMapFile) as caught:
        MapFile(path)
    sentence = explain(caught.value) or ""
    assert sentence.startswith(f"map_file {path}: is no readable archive")
    assert "leave map_file out" in sentence


def test_an_archive_that_is_cut_short_is_refused(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 10)
    with pytest.raises(BadMapFile, match="cut short: 10 bytes are missing"):
        MapFile(path)


def test_tiles_that_browsers_cannot_unpack_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "zstd.pmtiles"
    write_archive(path, {(0, 0, 0): b"?"}, compression=Compression.ZSTD)
    with pytest.raises(BadMapFile, match="compressed with zstd"):
        MapFile(path)


async def test_a_replaced_file_is_opened_again(path: Path, mock_clock: MockClock) -> None:
    async with client(path) as http:
        before = (await http.get("/tiles.json")).json()["version"]
        write_archive(path, {(0, 0, 0): gzip.compress(b"new")})
        mock_clock.jump(LOOK_EVERY_S)
        assert (await http.get("/tiles.json")).json()["version"] != before
        assert (await http.get("/tiles/0/0/0")).content == b"new"


async def test_a_broken_replacement_leaves_the_old_map_and_one_line_in_the_log(
    path: Path, mock_clock: MockClock
) -> None:
    broken = path.with_suffix(".broken")
    broken.write_bytes(b"no archive")
    with structlog.testing.capture_logs() as lines:
        async with client(path) as http:
            broken.rename(path)
            for _ in range(3):
                mock_clock.jump(LOOK_EVERY_S)
                assert (await http.get("/tiles/0/0/0")).content == TILE
    assert [each["event"] for each in lines if each["log_level"] == "error"] == ["map_file_refused"]


async def test_a_file_that_is_overwritten_in_place_is_not_served_from(
    path: Path, mock_clock: MockClock
) -> None:
    async with client(path) as http:
        await http.get("/tiles/0/0/0")
        os.truncate(path, 200)
        assert_problem(await http.get("/tiles/0/0/0"), 503, "UNAVAILABLE")


def test_a_tile_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pmtiles"
    write_archive(path, {(0, 0, 0): gzip.compress(b"\x00" * 9_000_000)})

    async def main() -> httpx.Response:
        async with client(path) as http:
            return await http.get("/tiles/0/0/0", headers=PLAIN)

    assert_problem(trio.run(main), 503, "UNAVAILABLE")


# --- the page's maps --------------------------------------------------------------------------


async def test_the_page_is_told_which_maps_there_are(path: Path) -> None:
    settings = Settings(
        map_file=path,
        map_satellite_url="https://{s}.tiles.example/{z}/{x}/{y}.jpg",
        tile_attribution="© tiles",
    )
    from quart_trio import QuartTrio

    app = QuartTrio("test", static_folder=None)
    app.register_blueprint(
        pages(
            public_ws_url=lambda: "wss://live.example",
            config=page_config(settings),
            map_urls=[*map_urls(settings)],
        )
    )
    async with client_of(app) as http:
        maps = (await http.get("/config.json")).json()["maps"]
        policy = (await http.get("/")).headers["content-security-policy"]
    assert [(each["name"], each["kind"]) for each in maps] == [
        ("standard", "tilejson"),
        ("satellite", "raster"),
    ]
    assert "img-src 'self' data: blob: https://*.tiles.example;" in policy
    assert "connect-src 'self' wss://live.example https://*.tiles.example;" in policy


async def test_the_world_that_comes_with_the_server_is_served_beside_a_map_file(
    path: Path, tmp_path: Path
) -> None:
    world = tmp_path / "of-the-server.pmtiles"
    write_archive(world, {(0, 0, 0): gzip.compress(b"the world")})
    app = create_app(
        FakeSessions(),
        TokenKeys(SECRET),
        urls=lambda: PublicUrls("https://where.example", "wss://where.example"),
        registry=new_registry(),
        blueprints=[
            tiles(MapFile(path), lambda: "https://where.example", None),
            tiles(MapFile(world), lambda: "https://where.example", None, "world"),
        ],
    )
    async with client_of(app) as http:
        (address,) = (await http.get("/world.json")).json()["tiles"]
        assert address.startswith("https://where.example/world/{z}/{x}/{y}.mvt?v=")
        assert (await http.get("/world/0/0/0", headers=PLAIN)).content == b"the world"
        assert (await http.get("/tiles/0/0/0", headers=PLAIN)).content == TILE
    maps = page_config(Settings(map_file=path), has_world=True).maps
    assert [each.name for each in maps] == ["standard", "world"]


def test_a_page_without_other_maps_reaches_nobody_else() -> None:
    policy = content_policy("wss://live.example", map_urls(Settings()))
    assert "img-src 'self' data: blob:;" in policy
    assert "connect-src 'self' wss://live.example;" in policy
