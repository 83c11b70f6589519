"""Runs scenarios against targets, one after the other, and saves each result at once."""

import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
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
from bench.report.fmt import plural
from bench.results import (
    VERSION,
    BadResults,
    Dialect,
    Failure,
    Machine,
    Results,
    Run,
    TargetDescription,
    load,
    merged,
    save,
    utc_now,
)
from bench.scenarios import Options, Scenario
from bench.targets import STARTABLE, NotServing, Target, code_of, started

RESULTS = "results.json"
LONG = "--long"

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


def missing(order: Order, done: Sequence[Run]) -> list[Part]:
    """The runs of its scenarios that are not in ``done``, in order; a search decides on its own as
    it goes.
    """
    parts = [
        part_of(name, plan)
        for number, scenario in enumerate(order.scenarios)
        for name in _turn(_descriptions(order), number)
        for plan in scenario.plans(order.options)
    ]
    return [part for part in parts if not is_done(part, done)]


def kept(order: Order) -> Results:
    """What there is to go on with: nothing, or what an earlier command left in its folder. Raises
    OSError, and BadResults when that is no results file, is of another machine or of other targets
    under the same names, or would be written over and took hours.
    """
    mine = Results(version=VERSION, machine=_machine(order.command), targets=(), runs=())
    path = order.out / RESULTS
    if not path.exists():
        return mine
    if not order.resume:
        _spare_long_forms(path)
        return mine
    found = merged([load(path), mine])
    described = _descriptions(order)
    for each in found.targets:
        title, dialect = described.get(each.name, (each.title, each.dialect))
        if (title, dialect) != (each.title, each.dialect):
            raise BadResults(
                f"{path}: {each.name!r} is {each.title} ({each.dialect}) there and {title} "
                f"({dialect}) here"
            )
    return found


def _spare_long_forms(path: Path) -> None:
    try:
        there = load(path)
    except BadResults:
        return
    if there.runs and LONG in there.machine.command.split():
        runs = plural(len(there.runs), "run")
        raise BadResults(f"{path}: it has {runs} of {LONG}, which this command would replace")


def _descriptions(order: Order) -> Mapping[str, tuple[str, Dialect]]:
    """Title and dialect of every target, by name, those to start first."""
    started_here = {name: (STARTABLE[name], order.dialect) for name in order.start}
    given = [each.description for each in order.targets]
    return started_here | {each.name: (each.title, each.dialect) for each in given}


def _turn(names: Iterable[str], number: int) -> list[str]:
    """In each scenario another target goes first, so that a machine that slowly gets slower does
    not do so for the same one each time.
    """
    every = list(names)
    first = number % max(len(every), 1)
    return [*every[first:], *every[:first]]


def run(order: Order) -> tuple[Results, list[str]]:
    """Returns the results, which are in ``results.json`` too, and what could not be measured this
    time. Raises as :func:`kept`.

    A started server is started anew for each scenario, so that none inherits the state of another.
    Each scenario runs against all targets in turn, so that they see the machine in the same hour.
    """
    results = kept(order)
    done = results.runs
    failures: list[str] = []

    def failed(scenario: str, target: str, error: Exception) -> None:
        nonlocal results
        failures.append(f"{scenario} against {target}: {error}")
        why = Failure(scenario=scenario, target=target, why=str(error))
        results = _with_failure(results, scenario, target, why)
        if results.runs:
            with suppress(OSError):  # which is what may have failed
                save(results, order.out / RESULTS)

    openers: dict[str, Callable[[], Opened]] = {
        name: partial(started, name, dialect=order.dialect, pin=True) for name in order.start
    }
    for each in order.targets:
        openers[each.description.name] = partial(_there, each)
    waiting = missing(order, done)
    with _watching(order.exporter) as observer:
        for number, scenario in enumerate(order.scenarios):
            for name in _turn(openers, number):
                wanted = [
                    plan
                    for plan in scenario.plans(order.options)
                    if not is_done(part_of(name, plan), done)
                ]
                if not wanted:
                    continue
                observer.phase(_next(waiting, name, scenario.name))
                results = _with_failure(results, scenario.name, name, None)
                code = code_of(name) if name in order.start else ""
                try:
                    for described, found in _runs(openers[name], scenario, wanted, observer):
                        results = _with(results, described, replace(found, code=code))
                        save(results, order.out / RESULTS)
                except (NotServing, OSError) as error:
                    failed(scenario.name, name, error)
                waiting = [
                    part
                    for part in waiting
                    if (part.scenario, part.target) != (scenario.name, name)
                ]
        for name in order.start if order.search is not None else ():
            assert order.search is not None
            tried = [each for each in done if (each.scenario, each.target) == (CAPACITY, name)]
            observer.phase(f"the capacity of {name}")
            results = _with_failure(results, CAPACITY, name, None)
            code = code_of(name)
            try:
                for found in search(name, order.search, observer, tried):
                    results = _with(results, described_target(name), replace(found, code=code))
                    save(results, order.out / RESULTS)
            except (NotServing, OSError) as error:
                failed(CAPACITY, name, error)
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
            began = utc_now()
            if isinstance(target, ProxiedTarget):
                found = measure(target, plan, observer, via=target.via)
                found = replace(found, remarks=(target.how, *found.remarks))
            else:
                found = measure(target, plan, observer)
            yield target.description, replace(found, began=began)


def _there(target: Target) -> Opened:
    return nullcontext(target)


def _with(results: Results, described: TargetDescription, found: Run) -> Results:
    """Of a target that is there already the newest facts count."""
    targets = {each.name: each for each in results.targets} | {described.name: described}
    return replace(results, targets=tuple(targets.values()), runs=(*results.runs, found))


def _with_failure(results: Results, scenario: str, target: str, failure: Failure | None) -> Results:
    """With the outcome of the newest try, in place of the one before."""
    others = [
        each for each in results.failures if (each.scenario, each.target) != (scenario, target)
    ]
    return replace(results, failures=(*others, failure) if failure else tuple(others))


def _machine(command: str) -> Machine:
    return Machine(
        processor=processor().rpartition(", ")[0],
        cores=len(cores()),
        memory_bytes=memory_bytes(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        began=utc_now(),
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
