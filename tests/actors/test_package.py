"""The runtime stands alone: what it imports, what is public in it, and what it never names."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "src" / "locshare"
RUNTIME = [SOURCE / "actors", SOURCE / "supervisor"]
DOCS = ROOT / "docs" / "runtime"

#: Modules that others may import. What is not named here can change without notice.
PUBLIC = {
    "locshare.actors",
    "locshare.actors.introspect",
    "locshare.actors.loop_profiler",
    "locshare.actors.lowlevel",
    "locshare.actors.testing",
    "locshare.supervisor",
    "locshare.supervisor.lowlevel",
    "locshare.supervisor.testing",
}

PROGRAM = """
import sys
from dataclasses import dataclass

import trio

from locshare.actors import Actor, ReplyTo, Request
from locshare.supervisor import ChildSpec, SupervisorSpec, open_supervisor


@dataclass(frozen=True)
class Double(Request[int]):
    number: int


class Doubler(Actor):
    def handle_call(self, request: Double, reply_to: ReplyTo[int]) -> int:
        return 2 * request.number


async def main():
    async with open_supervisor(SupervisorSpec([ChildSpec("doubler", Doubler)])) as root:
        assert await root.child("doubler").call(Double(21)) == 42


trio.run(main)
print(*sorted(name for name in sys.modules if name.startswith("locshare.")))
"""


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports from this project, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = (SOURCE.parent / inner.replace(".", "/")).with_suffix(".py").exists()
                yield inner if is_module else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def test_no_module_of_the_runtime_is_in_an_import_cycle() -> None:
    """Imports for the type checker and those inside functions count too."""
    graph = {
        module_name(path): {name for name in imports(path) if name.startswith("locshare.")}
        for path in files(*RUNTIME)
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_the_supervisor_imports_the_public_interface_of_actors_only() -> None:
    """Its test kit extends that of the actors."""
    for path in files(SOURCE / "supervisor"):
        allowed = {"locshare.actors", "locshare.actors.lowlevel"}
        if path.name == "testing.py":
            allowed.add("locshare.actors.testing")
        used = {name for name in imports(path) if name.startswith("locshare.actors")}
        assert used <= allowed, path.name


def test_the_program_imports_public_modules_of_the_runtime_only() -> None:
    for path in files(SOURCE):
        if path.parent in RUNTIME:
            continue
        used = {
            n for n in imports(path) if n.startswith(("locshare.actors", "locshare.supervisor"))
        }
        assert used <= PUBLIC, path.relative_to(SOURCE)


@pytest.mark.parametrize(
    "path", [*files(*RUNTIME), *sorted(DOCS.glob("*.md"))], ids=lambda path: path.name
)
def test_the_runtime_does_not_name_the_program(path: Path) -> None:
    """Its own import path apart, neither code nor documentation knows what it is used for."""
    text = re.sub(r"\blocshare[./](actors|supervisor)\b", "", path.read_text())
    assert not re.findall(r"(?i)locshare|\bpositions?\b|websocket|participant|\bphones?\b", text)


def test_the_runtime_runs_from_a_folder_with_nothing_else_in_it(tmp_path: Path) -> None:
    package = tmp_path / "locshare"
    package.mkdir()
    (package / "__init__.py").touch()
    for folder in RUNTIME:
        shutil.copytree(folder, package / folder.name, ignore=shutil.ignore_patterns("*.pyc"))
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", start + PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rooms = {name.split(".")[1] for name in done.stdout.split()}
    assert rooms == {"actors", "supervisor"}


def test_the_runtime_needs_trio_and_outcome_only() -> None:
    known = {"trio", "outcome", "locshare", "typing_extensions", *sys.stdlib_module_names}
    for path in files(*RUNTIME):
        assert {name.partition(".")[0] for name in imports(path)} <= known, path.name
