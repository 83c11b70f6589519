"""Mutation tests: change one small thing of the program at a time, and see whether a test fails.

    python -m tools.mutants session                 all of a room
    python -m tools.mutants --sample 100            a hundred of each room, the same every time
    python -m tools.mutants actors --file loop.py   those of some files
    python -m tools.mutants wire --only 1a2b3c4d    one again; its tests' output is in .mutants/

The end is a table: of what was tried, how much was killed. Exit status 1 when less than --floor.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter
from typing import Final

from rich.console import Console
from rich.table import Table

try:
    from tools.mutants.making import Mutant, mutants_of
except ModuleNotFoundError as missing:
    sys.exit(f"{missing.name} is not installed: `make mutants` installs it and runs this.")
from tools.mutants.equivalents import accepted, key_of, stale
from tools.mutants.recording import record
from tools.mutants.rooms import ROOMS, ROOT, Room
from tools.mutants.running import Verdict, run

FLOOR: Final = 90.0
Row = Counter[str]


def main() -> int:
    """Returns the exit status."""
    options = _options()
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    rooms = [ROOMS[name] for name in options.rooms or ROOMS]
    rows = {room.name: _measure(room, options) for room in rooms}
    _show(rows)
    low = [name for name, row in rows.items() if _rate(row) < options.floor]
    if low:
        print(f"below {options.floor:g} %: {', '.join(low)}")
    return 1 if low else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument("--sample", type=int, metavar="N", help="N of each room, by chance")
    parser.add_argument("--seed", type=int, default=1, help="of that chance (default: 1)")
    parser.add_argument("--file", help="only files whose path ends so")
    parser.add_argument("--only", action="append", metavar="ID", help="only these mutants")
    parser.add_argument("--list", action="store_true", help="show the mutants, run nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time")
    parser.add_argument("--floor", type=float, default=FLOOR, help="per cent (default: 90)")
    options = parser.parse_args()
    unknown = set(options.rooms) - ROOMS.keys()
    if unknown:
        parser.error(f"no room {', '.join(unknown)}; there are {', '.join(ROOMS)}")
    return options


def _measure(room: Room, options: argparse.Namespace) -> Row:
    mutants = [mutant for path in room.files() for mutant in mutants_of(path)]
    if old := stale(mutants):
        lines = "\n".join(f"  {file}: {before!r} → {after!r}" for file, before, after in old)
        sys.exit(f"equivalents.toml has entries that are no mutants any more:\n{lines}")
    chosen = _chosen(mutants, options)
    known = accepted()
    tried = [mutant for mutant in chosen if key_of(mutant) not in known]
    print(f"{room.name}: {len(mutants)} mutants, {len(tried)} to try", flush=True)
    row: Row = Counter(equivalent=len(chosen) - len(tried))
    if options.list:
        print(*chosen, sep="\n")
        return row
    recorded = record(room)
    began = time.monotonic()
    for done, (mutant, verdict) in enumerate(run(recorded, tried, options.jobs), 1):
        row[verdict] += 1
        _tell(room, mutant, verdict)
        if done % 20 == 0 or done == len(tried):
            spent = time.monotonic() - began
            print(
                f"{room.name}: {done} of {len(tried)} in {spent:.0f} s, {row['survived']} survived",
                flush=True,
            )
    return row


def _chosen(mutants: list[Mutant], options: argparse.Namespace) -> list[Mutant]:
    chosen = [
        mutant
        for mutant in mutants
        if (not options.file or mutant.file.endswith(options.file))
        and (not options.only or mutant.id in options.only)
    ]
    if options.sample is not None and options.sample < len(chosen):
        chosen = random.Random(options.seed).sample(chosen, options.sample)  # noqa: S311
    return chosen


def _tell(room: Room, mutant: Mutant, verdict: Verdict) -> None:
    if verdict != "killed":
        print(f"{room.name}: {verdict.upper()} {mutant}", flush=True)


def _rate(row: Row) -> float:
    """Of those that can be killed, how many were, in per cent. A hang is noticed, too."""
    tried = row["killed"] + row["timeout"] + row["survived"]
    return 100.0 * (tried - row["survived"]) / tried if tried else 100.0


def _show(rows: dict[str, Row]) -> None:
    table = Table("room", *("killed", "timeout", "survived", "equivalent", "rate"))
    total: Row = Counter()
    for name, row in rows.items():
        total += row
        table.add_row(name, *_cells(row))
    if len(rows) > 1:
        table.add_section()
        table.add_row("all", *_cells(total))
    Console().print(table)


def _cells(row: Row) -> list[str]:
    counts = [str(row[name]) for name in ("killed", "timeout", "survived", "equivalent")]
    return [*counts, f"{_rate(row):.1f} %"]


if __name__ == "__main__":
    sys.exit(main())
