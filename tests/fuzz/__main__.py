"""``python -m tests.fuzz``: the tests of this folder for as long as wanted, by default an hour.

Each round tries a number of examples of every kind against one real server, and then looks at what
that holds while nobody is connected. A line says what was done so far. What fails is written into
a file, and the run goes on with a new server. The exit status is 1 when something failed or grew.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from bench.guardian import stand_guard
from tests.fuzz.health import Health, Holding
from tests.fuzz.properties import KINDS, fuzz
from tests.fuzz.world import World, a_world

WARM_UP = 3
"""So many rounds count for nothing: caches fill, modules are imported."""
BLOCKS_PER_EXAMPLE = 5.0
"""More than this, over the whole run of a server, is growth: to remember one participant takes six.
Less comes of garbage that is not collected yet, and of labels of metrics that are new."""
ENOUGH = 10_000
"""Examples, before which garbage hides what grows, and the pool of the database still fills."""


class Report:
    """What was done, and what was found."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._began = time.monotonic()
        self.examples = 0
        self.failures = 0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def failed(self, kind: str, number: int) -> None:
        """The exception that is being handled."""
        self.failures += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{kind}-{number}.txt"
        file.write_text(traceback.format_exc(), encoding="utf-8")
        self.say(f"FAILED {kind}, round {number}: {file}")

    def say(self, text: str) -> None:
        sys.stdout.write(f"{self.elapsed_s / 60:6.1f} min  {text}\n")
        sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--examples", type=int, default=200, help="of a kind in a round")
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only these")
    parser.add_argument("--two-ports", action="store_true", help="without the REST kinds")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args(arguments)
    stand_guard()
    report = Report(options.findings)
    kinds = options.kind or list(KINDS)
    if options.two_ports:
        kinds = [kind for kind in kinds if kind not in ("rest", "reports")]
    number, grown = options.seed, False
    until = options.minutes * 60
    while report.elapsed_s < until:
        with a_world(two_ports=options.two_ports) as world:
            held: list[Holding] = []
            first = report.examples
            failures = report.failures
            while report.elapsed_s < until and report.failures == failures:
                for kind in kinds:
                    _try(report, world, kind, options.examples, number)
                    if report.failures != failures:
                        break
                else:
                    world.close()
                    world.spoil()
                    held.append(Health(world).idle())
                    report.say(f"round {number}, {report.examples:,} examples: {held[-1]}")
                number += 1
            grown |= _has_grown(report, held, report.examples - first)
    report.say(f"{report.examples:,} examples, {report.failures} failures")
    return int(grown or report.failures > 0)


def _try(report: Report, world: World, kind: str, examples: int, number: int) -> None:
    try:
        fuzz(world, kind, examples, number)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - whatever it is, it is what was looked for
        report.failed(kind, number)
    report.examples += examples


def _has_grown(report: Report, held: Sequence[Holding], examples: int) -> bool:
    """Compares the first third of the rounds after the warm-up with the last. The least of
    each counts: the server collects garbage rarely, and a spare thread stays for a while.
    """
    rounds = held[WARM_UP:]
    third = len(rounds) // 3
    if not third:
        return False
    begin, end = rounds[:third], rounds[-third:]
    apart = examples * (len(rounds) - third) / len(held)
    blocks = (min(h.blocks for h in end) - min(h.blocks for h in begin)) / apart
    report.say(f"{blocks:+.3f} blocks of memory for each example")
    if examples < ENOUGH:
        return False
    more = [
        name
        for name in ("files", "threads", "actors")
        if min(getattr(h, name) for h in end) > min(getattr(h, name) for h in begin)
    ]
    more += ["memory"] if blocks > BLOCKS_PER_EXAMPLE else []
    if more:
        report.say(f"GROWN: {', '.join(more)}")
    return bool(more)


if __name__ == "__main__":
    sys.exit(main())
