"""``locshare-client``: the client alone, as the phone app depends on it."""

import ast
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from tests.program import Program
from tests.running import LAST_RESORT_S

ROOT: Final = Path(__file__).resolve().parents[2]
LIBRARY: Final = ROOT / "clients" / "library"
OWN: Final[dict[str, Any]] = tomllib.loads((LIBRARY / "pyproject.toml").read_text())
SERVER: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())
JOINS: Final = """
import sys
import trio
from locshare.client import Client, connect, parse_join_link

async def main():
    async with Client(sys.argv[1]) as client:
        session = await client.create_session("Alps")
        link = parse_join_link(session.join_link)
        me = await client.join(link.session_id, "Ada")
    async with connect(me.websocket_url, me.websocket_token) as connection:
        print(connection.dialect, *(each.display_name for each in connection.snapshot.participants))
        await connection.leave()

trio.run(main)
assert "locshare.session" not in sys.modules
"""


@cache
def needed() -> tuple[frozenset[str], frozenset[str]]:
    """The files that ``locshare.client`` imports, below src, and the packages of others."""
    files: set[str] = set()
    others: set[str] = set()

    def visit(module: str) -> None:
        inner = module.replace(".", "/")
        places = (f"{inner}.py", f"{inner}/__init__.py")
        name = next((each for each in places if (ROOT / "src" / each).exists()), None)
        if name is None or name in files:
            return
        files.add(name)
        if "." in module:
            visit(module.rpartition(".")[0])
        for node in ast.walk(ast.parse((ROOT / "src" / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
            else:
                continue
            for each in found:
                if each.partition(".")[0] == "locshare":
                    visit(each)
                else:
                    others.add(each.partition(".")[0])

    visit("locshare.client")
    return frozenset(files), frozenset(others - sys.stdlib_module_names)


def test_the_wheel_lists_what_the_client_imports_and_nothing_else() -> None:
    files = OWN["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {*files.values()} == {*needed()[0]}
    assert {source.removeprefix("../../src/") for source in files} == {*files.values()}


def test_it_depends_on_what_the_client_imports_and_as_the_server_does() -> None:
    declared = OWN["project"]["dependencies"]
    assert {each.partition(">")[0].replace("-", "_") for each in declared} == {*needed()[1]}
    assert {*declared} <= {*SERVER["project"]["dependencies"]}
    assert OWN["project"]["version"] == SERVER["project"]["version"]
    assert OWN["project"]["requires-python"] == SERVER["project"]["requires-python"]


@pytest.mark.e2e
def test_in_an_empty_environment_it_joins_a_session(program: Program, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=LIBRARY, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {each for each in archive.namelist() if each.startswith("locshare/")}
    assert inside == {*needed()[0]}
    installed = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet",
         "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt"), str(wheel)],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    joined = subprocess.run(
        [str(python), "-I", "-c", JOINS, program.http_url],
        capture_output=True, text=True, check=False, timeout=LAST_RESORT_S,
    )  # fmt: skip
    assert joined.returncode == 0, joined.stderr
    assert joined.stdout.split() == ["locshare.v1.compact", "Ada"]
