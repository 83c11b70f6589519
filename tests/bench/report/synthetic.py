"""Results that nobody measured, for the tests of the report."""

from collections.abc import Callable, Sequence
from math import exp, log, sin
from random import Random

from msgspec.structs import replace

from bench.results import (
    VERSION,
    Disruption,
    DisruptionKind,
    Facts,
    Latencies,
    Machine,
    Moment,
    Results,
    Run,
    TargetDescription,
    Usage,
)

MACHINE = Machine(
    processor="synthetic processor",
    cores=2,
    memory_bytes=8 * 2**30,
    system="Linux 0.0",
    python="3.11.0",
    began="2026-01-01T00:00:00+00:00",
    command="python -m bench run --start one --start two",
)


def latencies(middle_ms: float, seed: int = 0, count: int = 2_000) -> Latencies:
    """A log-normal distribution about ``middle_ms``."""
    random = Random(seed)
    values = sorted(middle_ms * exp(random.gauss(0, 0.5)) for _ in range(count))
    bins: dict[int, int] = {}
    for value in values:
        bins[int(log(value) * 10 // 1)] = bins.get(int(log(value) * 10 // 1), 0) + 1
    return Latencies(
        count=count,
        p50_ms=values[count // 2],
        p95_ms=values[count * 95 // 100],
        p99_ms=values[count * 99 // 100],
        max_ms=values[-1],
        histogram=tuple((exp((place + 1) / 10), many) for place, many in sorted(bins.items())),
    )


NOTHING = Latencies(count=0, p50_ms=0, p95_ms=0, p99_ms=0, max_ms=0)

USAGE = Usage(
    cpu_share=0.42,
    us_per_delivery=12.5,
    rss_start_bytes=60 * 2**20,
    rss_peak_bytes=90 * 2**20,
    context_switches=12_345,
    generator_share=0.37,
    others_share=0.012,
)


def run(scenario: str = "baseline", target: str = "one", **changes: object) -> Run:
    """A quiet run in its full form, in which nothing was lost; ``changes`` are of its fields."""
    plain = Run(
        scenario=scenario,
        target=target,
        title=f"a synthetic run of {scenario}",
        seed=1,
        scale=1.0,
        people=1_000,
        sessions=20,
        interval_s=2.0,
        duration_s=1_800.0,
        delivery=latencies(5),
        connect=latencies(2),
        reconnect=None,
        sent=100_000,
        expected=4_900_000,
        delivered=4_900_000,
        lost=0,
        stale_pairs=0,
        foreign=0,
        refused=0,
        disconnects=0,
        connections=1_000,
        join_failures=0,
        usage=USAGE,
    )
    return replace(plain, **changes)


def target(name: str, **changes: object) -> TargetDescription:
    """With facts."""
    facts = Facts(
        language="Python",
        lines_of_code=3_000,
        dependencies=10,
        services=("redis",),
        processes=2,
    )
    plain = TargetDescription(name=name, title=f"the server {name}", dialect="plain", facts=facts)
    return replace(plain, **changes)


def results(runs: Sequence[Run], *targets: TargetDescription) -> Results:
    """All of it; the targets of the runs when none are given."""
    described = targets or tuple(map(target, dict.fromkeys(run.target for run in runs)))
    return Results(version=VERSION, machine=MACHINE, targets=described, runs=tuple(runs))


def moments(
    seconds: int, middle_ms: float, people: int, connected: Callable[[int], int] | None = None
) -> tuple[Moment, ...]:
    """A steady run, a little uneven; where nobody is connected nothing is delivered."""
    random = Random(seconds)
    found = []
    for second in range(seconds):
        there = people if connected is None else connected(second)
        p50 = middle_ms * (1 + 0.2 * sin(second / 40) + random.random() / 5)
        found.append(
            Moment(
                at_s=float(second + 1),
                connected=there,
                sent=there // 2,
                delivered=there * 24,
                disconnects=0,
                p50_ms=p50 if there else None,
                p95_ms=p50 * 2.2 if there else None,
                max_ms=p50 * 5 if there else None,
                cpu_share=0.3 + random.random() / 20,
                rss_bytes=int((60 + 30 * (1 - exp(-second / 60))) * 2**20),
                context_switches=1_000,
            )
        )
    return tuple(found)


KINDS: tuple[DisruptionKind, ...] = (
    "crash_session",
    "kill_process",
    "pause_process",
    "drop_clients",
)


def disruptions(every_s: int, until_s: int, recovery_s: float) -> tuple[Disruption, ...]:
    """All kinds in turn; a killed process takes ten times as long."""
    return tuple(
        Disruption(
            at_s=float(at),
            kind=KINDS[number % len(KINDS)],
            detail="synthetic",
            recovery_s=recovery_s * (10 if KINDS[number % len(KINDS)] == "kill_process" else 1),
        )
        for number, at in enumerate(range(every_s, until_s, every_s))
    )
