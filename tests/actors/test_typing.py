"""The types are part of the surface: mypy accepts what is right and refuses what is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

PREAMBLE = """
from dataclasses import dataclass
from typing import Any
from locshare.actors import Actor, ActorRef, Name, Registry, ReplyTo, Request
from locshare.supervisor import ChildSpec, SupervisorSpec, TaskSupervisorRef

@dataclass(frozen=True)
class Total(Request[int]):
    name: str

class Counter(Actor):
    def __init__(self, start: int, label: str) -> None: ...

async def work(number: int) -> str: return str(number)
"""

RIGHT = """
async def right(ref: ActorRef, name: Name[str], tasks: TaskSupervisorRef) -> None:
    total: int = await ref.call(Total("a"))
    again: int = await name.call(Total("a"), 1.0)
    text: str = await tasks.run(work, 3)
    spec = ChildSpec("counter", Counter, (3, "label"), restart="transient", shutdown=2.0)
    SupervisorSpec([spec], strategy="rest_for_one")
    Registry[str]().register("key", ref)
    reply: ReplyTo[int]
"""

WRONG = {
    "a reply of another type": 'async def f(r: ActorRef) -> str: return await r.call(Total("a"))',
    "a call of what is no request": 'async def f(r: ActorRef) -> None: await r.call("total")',
    "a reply that does not fit": 'def f(r: ReplyTo[int]) -> None: r.reply("three")',
    "a start argument of another type": 'ChildSpec("c", Counter, ("three", "label"))',
    "a start argument too few": 'ChildSpec("c", Counter, (3,))',
    "an unknown restart type": 'ChildSpec("c", Counter, (3, "l"), restart="always")',
    "an unknown strategy": 'SupervisorSpec([], strategy="all_for_one")',
    "a key of another type": 'def f(r: Registry[int], a: ActorRef) -> None: r.register("k", a)',
    "a task's argument of another type": (
        'async def f(t: TaskSupervisorRef) -> None: await t.run(work, "3")'
    ),
}


def check(tmp_path: Path, source: str) -> list[str]:
    """The lines, after the preamble, in which mypy finds fault."""
    file = tmp_path / "example.py"
    file.write_text(PREAMBLE + source)
    root = Path(__file__).resolve().parent.parent.parent
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary"),
            *("--config-file=", f"--cache-dir={root / '.mypy_cache' / 'examples'}"),
            str(file),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"MYPYPATH": str(root / "src"), "PATH": ""},
        timeout=240,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if "example.py" in line and "error" in line]


def test_what_is_right_passes(tmp_path: Path) -> None:
    assert check(tmp_path, RIGHT) == []


def test_what_is_wrong_does_not(tmp_path: Path) -> None:
    lines = [line.replace("def f(", f"def f{n}(") for n, line in enumerate(WRONG.values())]
    errors = check(tmp_path, "\n".join(lines))
    first = PREAMBLE.count("\n") + 1
    faulty = {int(line.split(":")[1]) for line in errors}
    passed = [what for number, what in enumerate(WRONG, first) if number not in faulty]
    assert passed == [], "mypy accepts these"


@pytest.mark.parametrize("module", ["locshare.actors", "locshare.supervisor"])
def test_everything_public_is_documented(module: str) -> None:
    package = __import__(module, fromlist=["__all__"])
    for name in package.__all__:
        thing = getattr(package, name)
        if isinstance(thing, type) and thing.__module__.startswith("locshare"):
            assert (thing.__doc__ or "").strip(), name
