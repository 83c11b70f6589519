"""Progressive load, and the most people whose positions a server still delivers in time.

    python -m bench capacity --start locshare --start redis --start inprocess
    python -m bench capacity --start locshare --p95 50 --steps 100,1000 --duration 5

Sessions of 50, an update from each every 2 s. The load goes up the steps until one is not met, or
there is none left; then the search halves the gap until it is a tenth of what is met. A load is
met when p95 of its deliveries stays below the limit, less than 0.1 % is lost, everybody could
connect and stayed, and no pair is stale at the end.

The generator is in C (``bench/wsload``), so that it is not the slower side: one Python process
plays some 2,000 people, which is where the ladder ends. It speaks plain and cannot lose a network
or a client, so that this is all it is for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bench.driver.progress import Observer
from bench.guardian import temporary_folder
from bench.loads import CAPACITY, Search, met, next_load, sessions_of, title
from bench.procfs import DISTURBED, TOO_BUSY
from bench.results import Latencies, Network, Run, TargetDescription, Usage, utc_now
from bench.scenarios.scenario import INTERVAL_S, SESSION_SIZE
from bench.servers import allow_connections
from bench.solo.beside import Case, generate, serving
from bench.stats import percent
from bench.targets import STARTABLE, facts
from bench.wsload import build


def described(name: str) -> TargetDescription:
    return TargetDescription(name=name, title=STARTABLE[name], dialect="plain", facts=facts(name))


def search(
    name: str,
    wanted: Search,
    observer: Observer,
    done: Sequence[Run] = (),
    play: Callable[[str, int, Search], Run] | None = None,
) -> Iterator[Run]:
    """The runs against the server ``name``, each when it is over. ``done`` has those of an earlier
    search, which are not repeated. Raises NotServing.
    """
    tried = {
        run.people: met(run, wanted.p95_ms)
        for run in done
        if run.title == title(run.people, wanted)
    }
    with ExitStack() as stack:
        while (people := next_load(wanted.steps, tried)) is not None:
            people = sessions_of(people) * SESSION_SIZE
            observer.begins(name, CAPACITY, title(people, wanted))
            if play is None:
                play = _player(stack.enter_context(temporary_folder("locshare-capacity-")))
            began = utc_now()
            run = replace(play(name, people, wanted), began=began)
            tried[people] = met(run, wanted.p95_ms)
            observer.ended(run)
            yield run


def _player(folder: Path) -> Callable[[str, int, Search], Run]:
    """Plays a load against a server started for it. Raises NotServing."""
    programs = build(folder)

    def play(name: str, people: int, wanted: Search) -> Run:
        allow_connections(people)
        case = Case(sessions_of(people), SESSION_SIZE)
        with serving(name, case, programs, folder) as place:
            found = generate(place, case, programs, folder, wanted.duration_s)
        return run_of(name, people, case, wanted, found)

    return play


def run_of(name: str, people: int, case: Case, wanted: Search, found: Mapping[str, Any]) -> Run:
    """What the generator found, as a result. Pure."""
    window_s = found["window_s"]
    usage = Usage(
        cpu_share=round(found["server_cpu_pct"] / 100, 4),
        us_per_delivery=found["server_cpu_us_per_delivery"] or None,
        rss_start_bytes=found["server_rss_start_kb"] * 1024,
        rss_peak_bytes=found["server_rss_window_end_kb"] * 1024,
        context_switches=found["server_ctx_vol"] + found["server_ctx_invol"],
        generator_share=round(found["tool_cpu_pct"] / 100, 4),
        others_share=round(found["others_cpu_pct"] / 100, 4),
    )
    return Run(
        scenario=CAPACITY,
        target=name,
        title=title(people, wanted),
        seed=0,
        scale=1.0,
        people=people,
        sessions=case.sessions,
        interval_s=INTERVAL_S,
        duration_s=wanted.duration_s,
        delivery=Latencies(
            count=found["delivered"],
            p50_ms=found["latency_p50_ms"],
            p95_ms=found["latency_p95_ms"],
            p99_ms=found["latency_p99_ms"],
            max_ms=found["latency_max_ms"],
        ),
        connect=None,
        reconnect=None,
        sent=found["sent"],
        expected=found["expected"],
        delivered=found["delivered"],
        lost=found["lost"],
        stale_pairs=found["stale_pairs"],
        foreign=found["leaks"] + found["unknown_senders"],
        refused=found["connect_failed"],
        disconnects=found["unexpected_closes"],
        connections=found["connect_ok"],
        join_failures=0,
        usage=usage,
        network=Network(
            to_people_bytes=round(found["bytes_per_s"] * window_s), to_server_bytes=None
        ),
        remarks=tuple(_remarks(usage)),
    )


def _remarks(usage: Usage) -> Iterator[str]:
    if usage.generator_share > TOO_BUSY:
        yield f"the generator used {percent(usage.generator_share)} of a core"
    if (usage.others_share or 0) > DISTURBED:
        yield f"other processes took {percent(usage.others_share)} of a core"
