"""Runs the k6 scripts in node, with stand-ins for k6's own modules (``standins/``)."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trio

import bench.people

SCRIPTS = Path(bench.people.__file__).parents[1] / "k6"
STANDINS = Path(__file__).parent / "standins"
SCENARIOS = ("baseline", "storm", "flood", "stress", "faults")


@cache
def why_not() -> str | None:
    """Why node cannot be used; None when it can."""
    if (node := shutil.which("node")) is None:
        return "node is not installed"
    probe = subprocess.run(
        [node, "--experimental-websocket", "--print", "typeof WebSocket"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if probe.stdout.strip() != "function":
        return "node is too old: it has no WebSocket"
    return None


needs_node = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def ask(module: str, expression: str, **settings: object) -> Any:
    """The value of an expression about a module ``m`` of the scripts."""
    command = ["node", str(STANDINS / "ask.mjs"), str(SCRIPTS / module), expression]
    command += _assignments(settings)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


async def run_script(
    scenario: str, settings: Mapping[str, object], *, swallow: int = 0
) -> dict[str, Any]:
    """What came of a script that was run to its end; ``settings`` is its environment. Every
    ``swallow``-th update that arrives is kept from it.
    """
    command = ["node", "--no-warnings", "--experimental-websocket", str(STANDINS / "run.mjs")]
    command += [str(SCRIPTS / f"{scenario}.js"), *_assignments(settings)]
    environment = os.environ | {"SWALLOW": str(swallow)}
    with trio.fail_after(60):
        done = await trio.run_process(command, env=environment, capture_stdout=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _assignments(settings: Mapping[str, object]) -> list[str]:
    return [f"{name}={value}" for name, value in settings.items()]
