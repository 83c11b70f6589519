"""Runs scenarios against targets, one after the other, and saves each result at once."""

import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bench.capacity import described as described_target
from bench.capacity import search
from bench.driver.measure import measure
from bench.driver.plan import Plan
from bench.driver.progress import Observer
from bench.loads import CAPACITY, Search
from bench.network.proxied import ProxiedTarget
from bench.observers import Observers
from bench.observers.lines import Lines
from bench.observers.live import Display
from bench.observers.prometheus import Exporter
from bench.parts import Part, is_done, part_of, spoken, total_s
from bench.procfs import cores, memory_bytes, processor
from bench.results import (
    VERSION,
    Dialect,
    Machine,
    Results,
    Run,
    TargetDescription,
    load,
    merged,
    save,
)
from bench.scenarios import Options, Scenario
from bench.targets import NotServing, Target, started

RESULTS = "results.json"

Opened = AbstractContextManager[Target]


class Order(Struct, frozen=True, kw_only=True):
    """What to run; validated."""

    scenarios: Sequence[Scenario]
    targets: Sequence[Target]
    start: Sequence[str]
    """Names of STARTABLE."""
    dialect: Dialect = "plain"
    """That people speak with started servers."""
    options: Options
    out: Path
    exporter: Exporter | None
    """Serves metrics during the runs."""
    command: str
    resume: bool = False
    """Go on with the results in ``out``: parts that they have are not repeated."""
    search: Search | None = None
    """Search the capacity of each started server, after the scenarios."""


def planned(order: Order) -> list[Part]:
    """The runs of its scenarios, in order; a search decides on its own as it goes."""
    names = [*order.start, *(each.description.name for each in order.targets)]
    return [
        part_of(name, plan)
        for scenario in order.scenarios
        for name in names
        for plan in scenario.plans(order.options)
    ]


def run(order: Order) -> tuple[Results, list[str]]:
    """Returns the results, which are in ``results.json`` too, and what could not be measured.
    Raises OSError when the folder cannot be written, and BadResults when what is to be resumed is
    of another machine or no results file.

    A started server is started anew for each scenario, so that none inherits the state of another.
    Each scenario runs against all targets in turn, so that they see the machine in the same hour.
    """
    results = Results(version=VERSION, machine=_machine(order.command), targets=(), runs=())
    if order.resume and (order.out / RESULTS).exists():
        results = merged([load(order.out / RESULTS), results])
    kept = results.runs
    failures: list[str] = []
    openers: dict[str, Callable[[], Opened]] = {
        name: partial(started, name, dialect=order.dialect, pin=True) for name in order.start
    }
    for each in order.targets:
        openers[each.description.name] = partial(_there, each)
    waiting = [part for part in planned(order) if not is_done(part, kept)]
    with _watching(order.exporter) as observer:
        for scenario in order.scenarios:
            for name, opener in openers.items():
                wanted = [
                    plan
                    for plan in scenario.plans(order.options)
                    if not is_done(part_of(name, plan), kept)
                ]
                if not wanted:
                    continue
                observer.phase(_next(waiting, name, scenario.name))
                try:
                    for described, found in _runs(opener, scenario, wanted, observer):
                        results = _with(results, described, found)
                        save(results, order.out / RESULTS)
                except (NotServing, OSError) as error:
                    failures.append(f"{scenario.name} against {name}: {error}")
                waiting = [
                    part
                    for part in waiting
                    if (part.scenario, part.target) != (scenario.name, name)
                ]
        for name in order.start if order.search is not None else ():
            assert order.search is not None
            done = [each for each in kept if (each.scenario, each.target) == (CAPACITY, name)]
            observer.phase(f"the capacity of {name}")
            try:
                for found in search(name, order.search, observer, done):
                    results = _with(results, described_target(name), found)
                    save(results, order.out / RESULTS)
            except (NotServing, OSError) as error:
                failures.append(f"capacity of {name}: {error}")
    return results, failures


def _next(waiting: Sequence[Part], name: str, scenario: str) -> str:
    """A line of progress."""
    number = len({(part.scenario, part.target) for part in waiting})
    left = f"{number} to go, {spoken(total_s(waiting))}"
    return f"{name} gets ready for {scenario} ({left})"


def _runs(
    opener: Callable[[], Opened], scenario: Scenario, plans: Sequence[Plan], observer: Observer
) -> Iterator[tuple[TargetDescription, Run]]:
    with ExitStack() as stack:
        target = stack.enter_context(opener())
        target = stack.enter_context(scenario.around(target, plans[0].seed))
        for plan in plans:
            if isinstance(target, ProxiedTarget):
                found = measure(target, plan, observer, via=target.via)
                found = replace(found, remarks=(target.how, *found.remarks))
            else:
                found = measure(target, plan, observer)
            yield target.description, found


def _there(target: Target) -> Opened:
    return nullcontext(target)


def _with(results: Results, described: TargetDescription, found: Run) -> Results:
    known = [each for each in results.targets if each.name != described.name]
    order = results.targets if len(known) < len(results.targets) else (*known, described)
    return replace(results, targets=order, runs=(*results.runs, found))


def _machine(command: str) -> Machine:
    return Machine(
        processor=processor().rpartition(", ")[0],
        cores=len(cores()),
        memory_bytes=memory_bytes(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        began=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
    )


@contextmanager
def _watching(served: Exporter | None) -> Iterator[Observer]:
    with ExitStack() as stack:
        observers: list[Observer] = []
        if served is not None:
            observers.append(stack.enter_context(served))
        terminal = sys.stderr.isatty()
        observers.append(stack.enter_context(Display()) if terminal else Lines())
        yield Observers(observers)
