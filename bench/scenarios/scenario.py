"""What a scenario is, and what the options change of it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import ceil

from msgspec import Struct
from msgspec.structs import replace

from bench.driver.plan import Participant, Plan
from bench.people.arrivals import Arrivals, Evenly
from bench.people.population import RECORDED, Population, equal_groups, phone
from bench.people.visits import Churn
from bench.targets.target import Target
from locshare.simulate.track import Track

SESSION_SIZE = 50
"""People in a session, at most."""
INTERVAL_S = 2.0
CONNECT_PER_S = 400
"""Arrivals per second where connecting is not what is measured."""

SETTLE_S, SHORT_SETTLE_S = 2.0, 1.0
"""After the last arrival, at most; an interval, if that is less."""
WAITS_S, SHORT_WAITS_S = 20.0, 8.0
"""How long to wait, at most, for those who are not connected in time."""
GOODBYE_S, SHORT_GOODBYE_S = 1.0, 0.5
"""The time over which all close their connections."""


class Options(Struct, frozen=True, kw_only=True):
    """As typed. ``duration_s`` replaces the scenario's own."""

    short: bool = False
    scale: float = 1.0
    duration_s: float | None = None
    seed: int = 1
    tracks: Sequence[Track] = ()
    """Recorded tracks that people follow instead of simulated ones."""


class Size(Struct, frozen=True):
    """``people`` is before the scale."""

    people: int
    duration_s: float


def _unchanged(target: Target, seed: int) -> AbstractContextManager[Target]:
    del seed
    return nullcontext(target)


class Scenario(Struct, frozen=True, kw_only=True):
    """See the files beside this one."""

    name: str
    about: str
    """One line."""
    sizes: Sequence[Size]
    """Each is a run."""
    short_sizes: Sequence[Size]
    make: Callable[["Scenario", Size, Options], Plan]
    around: Callable[[Target, int], AbstractContextManager[Target]] = _unchanged
    """Wraps the target: given it and a seed, yields another."""

    def plans(self, options: Options) -> list[Plan]:
        """One for each run. Raises ValueError for a scale or a duration that makes no sense."""
        if not options.scale > 0:
            raise ValueError(f"scale {options.scale:g}: must be more than 0")
        if options.duration_s is not None and not options.duration_s >= 1:
            raise ValueError(f"duration {options.duration_s:g}: must be 1 second or more")
        sizes = self.short_sizes if options.short else self.sizes
        plans = [
            self.make(self, Size(each.people, options.duration_s or each.duration_s), options)
            for each in sizes
        ]
        return [replace(plan, probes_rest=True) for plan in plans]


def steady(
    scenario: Scenario, size: Size, options: Options, *, interval_s: float = INTERVAL_S
) -> Plan:
    """All connect before the measured time and stay to the end."""
    sessions, each = groups(size.people, options.scale)
    ramp_s = max(sessions * each / CONNECT_PER_S, 1.0)
    people = population(sessions, each, options, Evenly(ramp_s))
    plan = from_the_start(scenario, size, options, people, interval_s=interval_s)
    return replace(
        plan,
        measured_from_s=ramp_s + min(interval_s, SHORT_SETTLE_S if options.short else SETTLE_S),
        waits_s=SHORT_WAITS_S if options.short else WAITS_S,
        goodbye_s=SHORT_GOODBYE_S if options.short else GOODBYE_S,
    )


def from_the_start(
    scenario: Scenario,
    size: Size,
    options: Options,
    people: Population,
    remark: str = "",
    *,
    interval_s: float = INTERVAL_S,
) -> Plan:
    """Measured from the first connection on. ``remark`` goes into the title."""
    sessions = "1 session" if people.sessions == 1 else f"{people.sessions:,} sessions"
    scale = "" if options.scale == 1 else f", scale {options.scale:g}"
    movement = ", on recorded tracks" if options.tracks else ""
    return Plan(
        scenario=scenario.name,
        title=(
            f"{people.people:,} people in {sessions}, an update every {interval_s:g} s, "
            f"for {size.duration_s:g} s{scale}{movement}{remark}"
        ),
        seed=options.seed,
        scale=options.scale,
        sessions=participants(people, options),
        interval_s=interval_s,
        duration_s=size.duration_s,
    )


def groups(people: int, scale: float) -> tuple[int, int]:
    """How many sessions of how many: of 50 at most, so nearly ``people`` times ``scale`` in all."""
    wanted = max(round(people * scale), 2)
    sessions = ceil(wanted / SESSION_SIZE)
    return sessions, max(round(wanted / sessions), 2)


def population(
    sessions: int, each: int, options: Options, arrivals: Arrivals, churn: Churn | None = None
) -> Population:
    movement = RECORDED if options.tracks else "mixed"
    return equal_groups(
        sessions, each, seed=options.seed, arrivals=arrivals, movement=movement, churn=churn
    )


def participants(people: Population, options: Options) -> list[list[Participant]]:
    """By session, each with a phone."""
    found: list[list[Participant]] = [[] for _ in range(people.sessions)]
    for member in people.members:
        carried = phone(member, options.tracks)
        found[member.group].append(Participant(member.name, member.color, carried, member.visits))
    return found
