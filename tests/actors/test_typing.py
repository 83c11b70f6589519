"""The types are part of the surface: mypy accepts what is right and refuses what is wrong.

The examples are in ``tests/typing``. They are read with the settings of this project.
"""

import inspect
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import pytest

from locshare.actors import ActorRef, Name, Registry
from locshare.supervisor import ChildSpec, SupervisorRef, TaskSpec
from tests.test_docs import examples

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = Path("tests", "typing")

MARK = re.compile(r"# E: ([a-z, -]+)$")
FINDING = re.compile(r"(?P<file>[^:]+):(?P<line>\d+): error: .* \[(?P<code>[a-z-]+)\]$")

Findings = dict[int, list[str]]
"""Error codes by line."""


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Findings]:
    """What mypy says of each example, and of those of the runtime pages."""
    folder = tmp_path_factory.mktemp("docs")
    documented = []
    for page in sorted((ROOT / "docs" / "runtime").glob("*.md")):
        for example in examples(page):
            file = folder / f"documented_{page.stem}.py"
            file.write_text(example)
            documented.append(str(file))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context"),
            f"--cache-dir={ROOT / '.mypy_cache' / 'examples'}",
            *(str(EXAMPLES / name) for name in ("right.py", "wrong.py")),
            *documented,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PATH": ""},
    )
    assert done.stderr == ""
    found: dict[str, Findings] = defaultdict(lambda: defaultdict(list))
    for line in done.stdout.splitlines():
        if ": note: " not in line:
            finding = FINDING.match(line)
            assert finding is not None, line
            found[Path(finding["file"]).name][int(finding["line"])].append(finding["code"])
    return found


def test_what_is_right_passes(findings: dict[str, Findings]) -> None:
    assert findings["right.py"] == {}


def test_the_types_of_the_documented_examples_are_right(findings: dict[str, Findings]) -> None:
    assert [name for name in findings if name.startswith("documented")] == []


def test_what_is_wrong_is_refused_for_its_own_reason(findings: dict[str, Findings]) -> None:
    lines = (ROOT / EXAMPLES / "wrong.py").read_text().splitlines()
    marks = {n: mark[1] for n, line in enumerate(lines, 1) if (mark := MARK.search(line))}
    found = {n: ", ".join(sorted(codes)) for n, codes in findings["wrong.py"].items()}
    assert len(marks) > 60
    assert found == marks


def test_types_cost_nothing_at_run_time() -> None:
    for cls in (ActorRef, SupervisorRef, Registry, Name, ChildSpec, TaskSpec):
        assert cls.__dictoffset__ == 0, f"{cls.__name__} has grown a __dict__"
    without = "import sys; sys.modules['typing_extensions'] = None; import locshare.supervisor"
    subprocess.run([sys.executable, "-c", without], check=True, cwd=ROOT / "src", timeout=60)


PACKAGES = ["locshare.actors", "locshare.supervisor"]


def public(package: str) -> Iterator[tuple[str, object, list[type]]]:
    """Everything exported: its name, itself, and, for a method, the classes that define it."""
    module = __import__(package, fromlist=["__all__"])
    for name in module.__all__:
        thing = getattr(module, name)
        if isinstance(thing, FunctionType):
            yield name, thing, []
        if not isinstance(thing, type) or not thing.__module__.startswith("locshare"):
            continue
        yield name, thing, []
        ours = [cls for cls in thing.__mro__ if cls.__module__.startswith("locshare")]
        for method in sorted({method for cls in ours for method in vars(cls)}):
            found = inspect.getattr_static(thing, method)
            if not method.startswith("_") and isinstance(found, FunctionType | property):
                yield f"{name}.{method}", found, [cls for cls in ours if method in vars(cls)]


def told(name: str, thing: object, classes: list[type]) -> str:
    """The docstring, which an override may leave to the method that it overrides."""
    method = name.rpartition(".")[2]
    docs = [vars(cls)[method].__doc__ for cls in classes] or [thing.__doc__]
    doc = next((doc for doc in docs if doc), "")
    return "" if doc.startswith(f"{name}(") else doc  # what a dataclass writes by itself


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_public_is_documented(package: str) -> None:
    silent = [name for name, thing, classes in public(package) if not told(name, thing, classes)]
    assert not silent, ", ".join(silent)


@pytest.mark.parametrize("package", PACKAGES)
def test_whatever_waits_says_what_cancelling_does(package: str) -> None:
    """In its own docstring, or for all its methods in that of a class that defines it."""
    silent = []
    for name, thing, classes in public(package):
        function = inspect.unwrap(thing) if isinstance(thing, FunctionType) else thing
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            docs = [told(name, thing, classes), *(cls.__doc__ or "" for cls in classes)]
            if not any("cancel" in doc.lower() for doc in docs):
                silent.append(name)
    assert not silent, ", ".join(silent)
