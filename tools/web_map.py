"""The map of the web client in a headless Chromium, without the rest of the page: measure it, and
take its pictures.

    python -m tools.web_map measure           CPU of a pan frame, and the heap, with 50 people
    python -m tools.web_map pictures FOLDER   every scene, in both schemes and three sizes
    python -m tools.web_map weigh             what loading MapLibre costs, in brotli

With ``--map-file FILE`` the map has the tiles of a PMTiles archive too.

Chromium draws in software here, so frames per second say nothing. What is measured is the CPU time
of the page's main thread (CDP, Performance.getMetrics in threadTicks), which other processes on the
machine do not add to.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import msgspec
from playwright.sync_api import Browser, CDPSession, Page

from locshare.web.archive import MapArchive
from locshare.web.built import DIST, TYPES
from locshare.web.map_config import WORLD
from locshare.web.pages import content_policy
from locshare.web.tiles import tile_json
from tests.browser import chromium

WEB: Final = Path(__file__).resolve().parent.parent / "web"
BUILT: Final = WEB / ".bench"
SOFTWARE_GL: Final = (
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)
SIZES: Final = ((393, 851), (568, 320), (1280, 800))
SCENES: Final = ("group", "pile", "dateline", "pole", "scripts", "ages")
FRAMES: Final = 40
STEPS: Final = 300
"""Of everyone, one a frame: as many as a group takes in ten minutes."""
DEADLINE_MS: Final = 100_000.0


@contextmanager
def served(map_file: Path | None = None) -> Iterator[str]:
    """Serve the built page and tiles at the address, with the policy of the server."""
    files = {"world": WORLD, **({"tiles": map_file} if map_file is not None else {})}
    archives = {name: MapArchive(path) for name, path in files.items() if path.exists()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            name, _, rest = path.partition("/")
            archive = archives.get(name.removesuffix(".json"))
            if archive is not None and not rest:
                described = tile_json(archive, f"{address}/{name.removesuffix('.json')}", None)
                self._answer(msgspec.json.encode(described), "application/json")
            elif archive is not None:
                z, x, y = (int(each.partition(".")[0]) for each in rest.split("/"))
                tile = archive.tile(z, x, y)
                packed = {"Content-Encoding": "gzip"} if tile is not None and tile.gzipped else {}
                self._answer(b"" if tile is None else tile.data, archive.content_type, packed)
            elif (file := BUILT / path).is_file() and BUILT in file.resolve().parents:
                policy = {"Content-Security-Policy": content_policy(address)}
                self._answer(file.read_bytes(), TYPES[file.suffix], policy)
            else:
                self.send_error(404)

        def _answer(
            self, body: bytes, content_type: str, headers: dict[str, str] | None = None
        ) -> None:
            self.send_response(200 if body else 204)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()


def build() -> None:
    """Build the page if it is older than the client's sources."""
    command = [sys.executable, str(WEB / "build.py")]
    subprocess.run([*command, "world"], check=True)
    page = BUILT / "map.html"
    sources = [*(WEB / "src").rglob("*"), *(WEB / "bench").rglob("*"), WEB / "package-lock.json"]
    if not page.exists() or any(
        each.stat().st_mtime > page.stat().st_mtime for each in sources if each.is_file()
    ):
        subprocess.run([*command, "build-bench"], check=True)


def opened(
    browser: Browser, address: str, query: str = "", script: str = "", **context: Any
) -> Page:
    """The page, with MapLibre shown unless ``query`` says that there is no map. ``script`` runs
    before all others.
    """
    page = browser.new_context(**context).new_page()
    page.add_init_script(script)
    page.set_default_timeout(DEADLINE_MS)
    page.goto(f"{address}/map.html?{query}")
    page.wait_for_function("window.bench !== undefined")
    if "map=none" not in query and WORLD.exists():
        page.wait_for_selector(".map > .map-ground canvas", state="attached")
        page.wait_for_selector(".map > .map-canvas", state="detached")
    return page


def busy_ms(session: CDPSession) -> float:
    """The CPU time of the page's main thread since ``Performance.enable``."""
    return _metrics(session)["TaskDuration"] * 1000


def heap_bytes(session: CDPSession) -> float:
    """What the page's objects take, after a collection."""
    for _ in range(3):  # what the first one frees may hold the last of something else
        session.send("HeapProfiler.collectGarbage")
    return _metrics(session)["JSHeapUsedSize"]


def _metrics(session: CDPSession) -> dict[str, float]:
    found = session.send("Performance.getMetrics")["metrics"]
    return {each["name"]: each["value"] for each in found}


PAN: Final = """frames => new Promise(done => {
    const map = document.querySelector(".map");
    const box = map.getBoundingClientRect();
    const send = (type, x, y) => map.dispatchEvent(new PointerEvent(type, {
        pointerId: 1, button: 0, clientX: x, clientY: y, bubbles: true, pointerType: "touch",
    }));
    map.setPointerCapture = () => {};
    map.hasPointerCapture = () => true;
    let [count, x, y] = [0, box.width / 2, box.height / 2];
    send("pointerdown", x, y);
    const step = () => {
        count += 1;
        const turn = count / 30 * Math.PI;
        x += 5 * Math.cos(turn);
        y += 3 * Math.sin(turn);
        send("pointermove", x, y);
        if (count < frames) requestAnimationFrame(step);
        else { send("pointercancel", x, y); done(); }
    };
    requestAnimationFrame(step);
})"""
"""Drag the map about, one move for each frame."""


def measure_pan(page: Page, frames: int = FRAMES) -> float:
    """Milliseconds of the main thread for one frame of a drag; the page's own clock is running."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.evaluate(PAN, 30)  # until all is compiled
    before = busy_ms(session)
    page.evaluate(PAN, frames)
    return (busy_ms(session) - before) / frames


def measure_heap(page: Page, steps: int) -> tuple[float, float]:
    """The heap in bytes after half of the steps, when all code has run, and after all of them."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    run = """count => new Promise(done => {
        const step = () => {
            window.bench.step();
            if (--count > 0) requestAnimationFrame(step); else done();
        };
        step();
    })"""
    page.evaluate(run, steps // 2)
    early = heap_bytes(session)
    page.evaluate(run, steps - steps // 2)
    return early, heap_bytes(session)


def weigh() -> dict[str, int]:
    """Bytes of brotli of what the built client loads for MapLibre."""
    return {
        path.stem: path.stat().st_size
        for path in sorted((DIST / "assets").glob("*.js.br"))
        if path.name.startswith(("maplibre-", "map-worker-", "tile_cache-", "pbf-", "style-"))
    }


def _measure(map_file: Path | None) -> None:
    with served(map_file) as address, chromium(SOFTWARE_GL, has_gpu=True) as browser:
        file = "map=file" if map_file is not None else ""
        for name, query in (("MapLibre", file), ("canvas", "map=none")):
            page = opened(
                browser, address, query, viewport={"width": 393, "height": 851}, has_touch=True,
            )  # fmt: skip
            page.wait_for_timeout(1_000)
            rounds = sorted(measure_pan(page) for _ in range(3))
            print(
                f"{name}: {rounds[1]:.2f} ms of CPU a pan frame with 50 people "
                f"({rounds[0]:.2f} to {rounds[2]:.2f})"
            )
            early, late = measure_heap(page, STEPS)
            print(
                f"{name}: heap {early / 1e6:.2f} MB after {STEPS // 2} steps of everyone, "
                f"{late / 1e6:.2f} after {STEPS}"
            )
            page.context.close()


def _pictures(folder: Path, map_file: Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = "&map=file" if map_file is not None else ""
    with served(map_file) as address, chromium(SOFTWARE_GL) as browser:
        for width, height in SIZES:
            for scheme in ("light", "dark"):
                for scene in SCENES:
                    page = opened(
                        browser, address, f"scene={scene}&still=yes{file}",
                        viewport={"width": width, "height": height}, color_scheme=scheme,
                    )  # fmt: skip
                    page.wait_for_timeout(600)  # until names have come in
                    page.screenshot(path=folder / f"{scene}-{width}x{height}-{scheme}.png")
                    page.context.close()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tools.web_map", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("what", choices=("measure", "pictures", "weigh"))
    parser.add_argument("folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--map-file", type=Path, help="a PMTiles archive")
    given = parser.parse_args(arguments)
    if given.what != "weigh":
        build()
    if given.what == "measure":
        _measure(given.map_file)
    elif given.what == "pictures":
        _pictures(given.folder, given.map_file)
    else:
        sizes = weigh()
        for name, size in sizes.items():
            print(f"{name}: {size} B")
        print(f"together: {sum(sizes.values()) / 1000:.0f} KB of brotli")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
