"""The command ``python -m bench``: run scenarios, list them, make a report, or the benchmarks of
this server alone.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from bench.guardian import stand_guard
from bench.observers.prometheus import Exporter
from bench.people.population import recorded_tracks
from bench.report import write_report
from bench.results import BadResults, Dialect, load, merged
from bench.runner import Order, run
from bench.scenarios import SCENARIOS, Options
from bench.solo import short
from bench.solo.short import LONG_FORMS, SHORT_FORMS
from bench.targets import OF_EVERY_DIALECT, STARTABLE, parse
from locshare.simulate.gpx import UnusableTrack
from locshare.simulate.track import Track

FAILED, BAD_USAGE, INTERRUPTED = 1, 2, 130
ALL = "all"
SOLO = (*SHORT_FORMS, *LONG_FORMS)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit status: 0 when all was measured, 1 when something could not be
    or went wrong, 2 for bad usage, 130 when it was interrupted.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    match typed:
        case ["solo", name, flag, *more] if name in SOLO and flag.startswith("-"):
            return short.run_one(name, [flag, *more])
    options = parser.parse_args(typed)
    stand_guard()
    try:
        match options.command:
            case "run":
                return _run(parser, options, shlex.join(["python", "-m", "bench", *typed]))
            case "report":
                return _report(options)
            case "solo":
                return _solo(parser, options.names)
            case _:
                return _list()
    except KeyboardInterrupt:
        print("\ninterrupted; earlier results are kept", file=sys.stderr)
        return INTERRUPTED


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace, command: str) -> int:
    order = _order(parser, options, command)
    out: Path = options.out
    results, failures = run(order)
    if results.runs:
        for path in write_report(results, out):
            print(path)
    for failure in failures:
        print(failure, file=sys.stderr)
    return FAILED if failures or not results.runs else 0


def _order(parser: argparse.ArgumentParser, options: argparse.Namespace, command: str) -> Order:
    """Validate the arguments. Exits for bad usage."""
    names = options.scenarios or [ALL]
    chosen = list(SCENARIOS) if ALL in names else list(dict.fromkeys(names))
    if unknown := [name for name in chosen if name not in SCENARIOS]:
        parser.error(f"no scenario is called {unknown[0]!r}; there are {', '.join(SCENARIOS)}, all")
    if not options.start and not options.target:
        parser.error(
            f"nothing to measure: name a server to start (--start {' or '.join(STARTABLE)}) or one "
            "that runs (--target NAME=URL)"
        )
    mute = [name for name in options.start if name not in OF_EVERY_DIALECT]
    if mute and options.dialect != "plain":
        parser.error(f"--dialect {options.dialect}: {mute[0]} speaks plain only; leave it out")
    try:
        targets = [parse(text) for text in options.target]
        _check_names([*options.start, *(each.description.name for each in targets)])
        wanted = Options(
            short=options.short,
            scale=options.scale,
            duration_s=options.duration,
            seed=options.seed,
            tracks=_tracks(options.gpx),
        )
        for name in chosen:
            SCENARIOS[name].plans(wanted)
        options.out.mkdir(parents=True, exist_ok=True)
        exporter = None if options.metrics is None else Exporter(options.metrics)
    except OSError as error:
        what = "--out" if error.filename else f"--metrics {options.metrics}"
        parser.error(f"{what}: {error}")
    except (ValueError, UnusableTrack) as error:
        parser.error(str(error))
    return Order(
        scenarios=[SCENARIOS[name] for name in chosen],
        targets=targets,
        start=options.start,
        dialect=options.dialect,
        options=wanted,
        out=options.out,
        exporter=exporter,
        command=command,
    )


def _check_names(names: Sequence[str]) -> None:
    if double := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"target {double[0]!r} is named twice: give one of them another name")


def _tracks(files: Sequence[Path]) -> Sequence[Track]:
    try:
        return recorded_tracks(files)
    except OSError as error:
        raise ValueError(f"--gpx {error.filename}: {error.strerror}") from error


def _report(options: argparse.Namespace) -> int:
    try:
        results = merged([load(path) for path in options.results])
    except (BadResults, OSError) as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    options.out.mkdir(parents=True, exist_ok=True)
    for path in write_report(results, options.out):
        print(path)
    return 0


def _solo(parser: argparse.ArgumentParser, names: Sequence[str]) -> int:
    if unknown := [name for name in names if name not in SOLO]:
        parser.error(f"no benchmark is called {unknown[0]!r}; there are {', '.join(SOLO)}")
    return short.run(names)


def _list() -> int:
    width = max(map(len, (*SCENARIOS, *STARTABLE)))
    print("scenarios:")
    for name, scenario in SCENARIOS.items():
        print(f"  {name:<{width}}  {scenario.about}")
        short = ", ".join(
            f"{each.people:,} people for {each.duration_s:g} s" for each in scenario.short_sizes
        )
        print(f"  {'':<{width}}  short: {short}")
    print("servers to start:")
    for name, title in STARTABLE.items():
        print(f"  {name:<{width}}  {title}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__.partition("\n\n")[0].replace("\n", " ")
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="run scenarios against servers, write a report"))
    commands.add_parser("list", help="what scenarios there are, and what servers can be started")
    report = commands.add_parser("report", help="make the report of results files again")
    report.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help="results.json")
    report.add_argument("--out", type=Path, default=Path("bench-report"), metavar="DIR")
    solo = commands.add_parser("solo", help="the short benchmarks of this server alone")
    solo.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(SHORT_FORMS)} (default: all), {', '.join(LONG_FORMS)}; flags after a "
        "single name are its own",
    )
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("scenarios", nargs="*", metavar="SCENARIO", help=f"{', '.join(SCENARIOS)}, or all")
    add("--start", action="append", default=[], choices=list(STARTABLE), help="start this server")
    add(
        "--target",
        action="append",
        default=[],
        metavar="NAME=URL[,dialect=…]",
        help="a server that runs",
    )
    add(
        "--dialect",
        choices=get_args(Dialect),
        default="plain",
        help="what people speak with a started server (default: plain)",
    )
    add("--short", action="store_true", help="the forms that take seconds")
    add("--scale", type=float, default=1.0, metavar="X", help="multiply the number of people")
    add("--duration", type=float, metavar="S", help="seconds, instead of the scenario's own")
    add("--seed", type=int, default=1, metavar="N", help="other people (default: 1)")
    add(
        "--gpx",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="people follow its tracks",
    )
    add("--out", type=Path, default=Path("bench-report"), metavar="DIR", help="for the results")
    add("--metrics", type=int, metavar="PORT", help="serve metrics at 127.0.0.1; 0: any port")
