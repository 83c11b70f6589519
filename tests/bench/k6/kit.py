"""Runs the k6 scripts in node, with the stand-ins for k6's own modules."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

import bench.people
from tests.node import NODE
from tests.running import LAST_RESORT_S

SCRIPTS = Path(bench.people.__file__).parents[1] / "k6"
STANDINS = SCRIPTS / "node"
SCENARIOS = ("baseline", "storm", "flood", "stress", "faults")


def ask(module: str, expression: str, **settings: object) -> Any:
    """The value of an expression about a module ``m`` of the scripts."""
    command = [NODE, str(STANDINS / "ask.mjs"), str(SCRIPTS / module), expression]
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
    command = [NODE, "--no-warnings", "--experimental-websocket", str(STANDINS / "run.mjs")]
    command += [str(SCRIPTS / f"{scenario}.js"), *_assignments(settings)]
    environment = os.environ | {"SWALLOW": str(swallow), "RECORD": "1"}
    with trio.fail_after(LAST_RESORT_S):
        done = await trio.run_process(command, env=environment, capture_stdout=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _assignments(settings: Mapping[str, object]) -> list[str]:
    return [f"{name}={value}" for name, value in settings.items()]
