"""The command ``python -m bench``: run scenarios, list them, make a report, or the benchmarks of
this server alone.
"""

import argparse
import contextlib
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from bench.guardian import stand_guard
from bench.k6 import run as k6
from bench.loads import DURATION_S, MOST_PEOPLE, P95_MS, STEPS, TRIES, Search
from bench.observers.prometheus import Exporter
from bench.parts import spoken, total_s
from bench.people.population import recorded_tracks
from bench.report import write_report
from bench.report.fmt import plural
from bench.results import BadResults, Dialect, Results, load, merged
from bench.runner import LONG, RESULTS, Order, kept, missing, run
from bench.scenarios import SCENARIOS, Options
from bench.solo import short
from bench.solo.short import LONG_FORMS, SHORT_FORMS
from bench.targets import OF_EVERY_DIALECT, STARTABLE, parse
from locshare.simulate.gpx import UnusableTrack
from locshare.simulate.track import Track

COMPARED = ("locshare", "redis", "inprocess")
"""What ``--long`` starts when no server is named."""
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
            case "capacity":
                return _capacity(parser, options, shlex.join(["python", "-m", "bench", *typed]))
            case "k6":
                return _k6(parser, options)
            case "solo":
                return _solo(parser, options.names)
            case _:
                return _list()
    except KeyboardInterrupt:
        print("\ninterrupted; earlier results are kept", file=sys.stderr)
        return INTERRUPTED


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace, command: str) -> int:
    return _carry_out(_order(parser, options, command))


def _carry_out(order: Order) -> int:
    try:
        if order.resume and order.scenarios:
            _announce(order)
        with _sigterm_as_interrupt():
            results, failures = run(order)
    except (BadResults, OSError) as error:
        print(f"{error}; give another --out", file=sys.stderr)
        return BAD_USAGE
    except KeyboardInterrupt:
        if order.resume and (order.out / RESULTS).exists():
            _report_in(order.out, load(order.out / RESULTS))
            print(
                f"\ninterrupted; {order.out / RESULTS} has what is finished, and the same command "
                "goes on from there",
                file=sys.stderr,
            )
            return INTERRUPTED
        raise
    written = not results.runs or _report_in(order.out, results)
    if not written:
        print(f"`python -m bench report {order.out / RESULTS}` makes it again", file=sys.stderr)
    for failure in failures:
        print(failure, file=sys.stderr)
    if failures and order.resume:
        print("the same command tries these again, and nothing else", file=sys.stderr)
    return FAILED if failures or not results.runs or not written else 0


def _report_in(folder: Path, results: Results) -> bool:
    """Write the report, and name its files. False when that failed, which is printed."""
    try:
        for path in write_report(results, folder):
            print(path)
    except (BadResults, OSError) as error:
        print(f"no report could be written: {error}", file=sys.stderr)
        return False
    return True


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """In the block SIGTERM is as Ctrl-C: a machine that shuts down loses no finished run."""

    def interrupt(number: int, _: object) -> None:
        raise KeyboardInterrupt(signal.strsignal(number))

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _announce(order: Order) -> None:
    """Say how long it takes from here, and what an interruption costs. Raises as ``kept``."""
    parts = missing(order, kept(order).runs)
    searches = ""
    if order.search is not None and order.start:
        each = spoken(TRIES * (order.search.duration_s + 30))
        searches = f", and a search of the capacity of {len(order.start)}, {each} each at most"
    print(
        f"{plural(len(parts), 'run')}, {spoken(total_s(parts))}{searches}. Finished ones are in "
        f"{order.out / RESULTS}; the same command goes on from there.",
        file=sys.stderr,
        flush=True,
    )


def _capacity(parser: argparse.ArgumentParser, options: argparse.Namespace, command: str) -> int:
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out: {error}")
    return _carry_out(
        Order(
            scenarios=(),
            targets=(),
            start=list(dict.fromkeys(options.start or ["locshare"])),
            options=Options(),
            out=options.out,
            exporter=None,
            command=command,
            resume=True,
            search=Search(tuple(sorted(options.steps)), options.p95, options.duration),
        )
    )


def _steps(text: str) -> list[int]:
    steps = text.split(",")
    if not all(each.isdecimal() and 2 <= int(each) <= MOST_PEOPLE for each in steps):
        raise argparse.ArgumentTypeError(
            f"{text!r}: must be numbers of people from 2 to {MOST_PEOPLE:,}, such as 100,1000"
        )
    return [int(each) for each in steps]


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 1 <= float(text) <= 3600:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r}: must be a number from 1 to 3600")


def _order(parser: argparse.ArgumentParser, options: argparse.Namespace, command: str) -> Order:
    """Validate the arguments. Exits for bad usage."""
    if options.long and options.short:
        parser.error("--long and --short: choose one")
    if options.long and not options.start and not options.target:
        options.start = list(COMPARED)
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
        resume=options.long,
        search=Search(duration_s=options.duration or DURATION_S)
        if options.long and not options.scenarios and options.dialect == "plain"
        else None,
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
    except BadResults as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    except OSError as error:
        print(
            f"{error.filename}: {error.strerror}. Give a results.json of `python -m bench run`",
            file=sys.stderr,
        )
        return BAD_USAGE
    return 0 if _report_in(options.out, results) else BAD_USAGE


def _k6(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if unknown := [name for name in options.scripts if name not in k6.SCRIPTS]:
        parser.error(f"no script is called {unknown[0]!r}; there are {', '.join(k6.SCRIPTS)}")
    return k6.main(options.scripts, long=options.long, url=options.url, out=options.out)


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
    report.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULTS",
        help="results.json, gzipped or not",
    )
    report.add_argument("--out", type=Path, default=Path("bench-report"), metavar="DIR")
    _add_capacity(
        commands.add_parser("capacity", help="the most people whose positions come in time")
    )
    scripts = commands.add_parser("k6", help="the k6 scripts against this server, in k6 or node")
    scripts.add_argument("scripts", nargs="*", metavar="SCRIPT", help=f"{', '.join(k6.SCRIPTS)}")
    scripts.add_argument("--long", action="store_true", help="as long as the scenarios ask for")
    scripts.add_argument("--url", help="a server that runs; default: one is started")
    scripts.add_argument("--out", type=Path, default=Path("bench-report"), metavar="DIR")
    solo = commands.add_parser("solo", help="the short benchmarks of this server alone")
    solo.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(SHORT_FORMS)} (default: all), {', '.join(LONG_FORMS)}; flags after a "
        "single name are its own",
    )
    return parser


def _add_capacity(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--start", action="append", default=[], choices=list(STARTABLE), help="default: locshare")
    add("--steps", type=_steps, default=list(STEPS), metavar="N,…", help="numbers of people")
    add("--p95", type=_positive, default=P95_MS, metavar="MS", help=f"limit (default: {P95_MS:g})")
    add("--duration", type=_positive, default=DURATION_S, metavar="S", help="seconds of each load")
    add("--out", type=Path, default=Path("bench-report"), metavar="DIR", help="for the results")


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
    add(
        LONG,
        action="store_true",
        help="all of it, to be interrupted and resumed: hours; three servers when none is named",
    )
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
