"""``python -m tests.fuzz.guided``: the same examples, chosen by the code that they reach.

libFuzzer (by atheris) changes the bytes from which Hypothesis makes an example, and keeps what
reaches code that nothing has reached before. To see that, the whole server runs in a thread of this
process, instrumented; examples still come over its sockets. The first fault ends the run with a
traceback; the bytes that caused it are then in a file, which is given as the argument to try them
again. ``--corpus`` names a folder for what was kept, to go on from there another time.
"""

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import atheris

# Before anything else imports it: the coverage of what was imported is not seen.
with atheris.instrument_imports(include=["locshare"]):
    from locshare.cli.serve import Ready
    from locshare.config.loading import load
    from locshare.server import tree
    from locshare.server.signals import StopSignals
    from locshare.telemetry import logs

import json

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.guardian import stand_guard
from bench.servers import HOST
from tests.fuzz.health import Health
from tests.fuzz.properties import KINDS, attempt_and_check
from tests.fuzz.world import settings_of, world_of
from tests.program import START_DEADLINE_S, data_directory, free_port

LONGEST = 4096
"""Bytes of an input. A conversation of twelve messages takes about half of it."""


class Lines(StringIO):
    """Takes the log of a server in this process."""

    def __init__(self, log: list[dict[str, Any]]) -> None:
        super().__init__()
        self._log = log

    def write(self, text: str) -> int:
        self._log.extend(json.loads(line) for line in text.splitlines() if line.strip())
        return len(text)


class InThisProcess:
    """A server in a thread: see :class:`tests.fuzz.world.Subject`."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.log: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self.pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._ready = threading.Event()

    @property
    def running(self) -> bool:
        """True while it has not ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Returns when it is ready."""
        logs.configure("info", "json", Lines(self.log))
        self._thread.start()
        if not self._ready.wait(START_DEADLINE_S):
            raise AssertionError(f"the server did not get ready: {self.log[-20:]}")

    def _run(self) -> None:
        trio.run(self._serve)

    async def _serve(self) -> None:
        ready = Ready()
        given = {name: value for name, value in self.environment.items() if value}
        loaded = load(environ=given).settings
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(tree.serve, loaded, StopSignals(30.0), task_status=ready))
            await ready.wait()
            self._ready.set()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. Does not return: libFuzzer ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=__doc__)
    parser.add_argument("inputs", nargs="*", help="files: try these alone")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--runs", type=int, default=-1, help="examples; by default no limit")
    parser.add_argument("--seed", type=int, default=0, help="0: another each time")
    parser.add_argument("--corpus", help="a folder to begin with and to keep inputs in")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--kind", choices=KINDS, action="append", help="only these")
    options = parser.parse_args(arguments)
    stand_guard()
    options.findings.mkdir(exist_ok=True)
    flags = [
        f"-max_total_time={int(options.minutes * 60)}", f"-runs={options.runs}",
        f"-seed={options.seed}", f"-max_len={LONGEST}", f"-artifact_prefix={options.findings}/",
        "-rss_limit_mb=4096", "-len_control=0", "-print_final_stats=1",
    ]  # fmt: skip
    if options.corpus:
        Path(options.corpus).mkdir(parents=True, exist_ok=True)
        options.inputs.append(options.corpus)
    port = free_port()
    with data_directory() as folder:
        server = InThisProcess(settings_of(folder, f"{HOST}:{port}"))
        server.start()
        with world_of(server, f"http://{HOST}:{port}", port) as world:
            health = Health(world)
            kinds = [(st.just(name), KINDS[name][0]) for name in options.kind or KINDS]

            @settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(st.one_of([st.tuples(*each) for each in kinds]))
            def each(example: tuple[str, Any]) -> None:
                attempt_and_check(world, health, *example)

            from_bytes = each.hypothesis.fuzz_one_input  # type: ignore[attr-defined] # Hypothesis's
            atheris.Setup([sys.argv[0], *flags, *options.inputs], from_bytes)
            atheris.Fuzz()


if __name__ == "__main__":
    main()
