"""The disruptions of a run, and how long each took to recover from. :mod:`bench.disruptions` begins
those of the server in a thread; the driver itself drops clients.
"""

import time
from collections.abc import Iterator, Sequence

from bench.disruptions import Disruptor, Done, planned
from bench.driver.crowd import Crowd
from bench.driver.plan import Plan
from bench.driver.recovery import Recovery
from bench.results import Disruption, DisruptionKind
from bench.targets.target import Target

DROPPED = 0.2
"""The share of connections that ``drop_clients`` cuts."""
KINDS: tuple[DisruptionKind, ...] = (
    "drop_clients", "limit_cpu", "pause_process", "cut_network", "limit_memory", "crash_session",
    "limit_descriptors", "cut_database", "kill_process",
)  # fmt: skip
"""In the order of a run. Kinds that end connections are kept apart, because after a short
connection the backoff is longer. The kill comes last: a server that forgets its sessions has no
clients left after it.
"""
FROM_ITS_END: frozenset[DisruptionKind] = frozenset(
    {"pause_process", "cut_network", "limit_descriptors"}
)
"""Recovery counts from the end of these: before that no server can recover."""
_LOOK_S = 0.05
_CUT_AFTER_S = 0.3
"""After the beginning of a limit of descriptors: whom it does not meet, it does not hurt."""


class FaultInjection:
    """Of one run. Does nothing unless the plan asks for disruptions."""

    def __init__(self, target: Target, plan: Plan, crowd: Crowd, session_id: str) -> None:
        self._crowd = crowd
        self._measured_from = 0.0
        possible: Sequence[DisruptionKind] = ()
        if plan.disruptions:
            possible = [each for each in KINDS if each == "drop_clients" or target.can(each)]
        self._plan = planned(possible, plan.duration_s, seed=plan.seed)
        broken = {each.kind for each in self._plan}
        self._left_out = [each for each in possible if each not in broken]
        self._disruptor = Disruptor(target, self._plan, session_id)
        self._followed: list[Recovery | None] = []
        """By index in the Disruptor's log; None until the moment to count from is known."""
        self._active = False

    def begin(self) -> None:
        """The measured time begins."""
        self._measured_from = time.monotonic()
        if not self._plan:
            return
        self._active = True
        self._disruptor.start(self._measured_from)
        for each in self._plan:
            due = self._measured_from + each.at_s
            if each.kind == "drop_clients":
                self._crowd.loop.at(due, self._drop)
            elif each.kind == "limit_descriptors":
                self._crowd.loop.at(due + _CUT_AFTER_S, self._cut)
        self._look()

    def end(self) -> None:
        """Last check: what has not been recovered from by now, was not in this run."""
        if self._active:
            self._follow()
            self._crowd.check_recoveries()
        self._active = False

    def close(self) -> None:
        """Repair what is still broken."""
        self._active = False
        self._disruptor.close()

    def excuses(self, moment: float) -> bool:
        """True when a connection that ended then was ended by a disruption."""
        return any(each.excuses(moment) for each in self._crowd.recoveries)

    def disruptions(self) -> tuple[Disruption, ...]:
        """As results, in order."""
        found = [
            Disruption(
                at_s=round(each.began - self._measured_from, 3),
                kind=each.kind,
                detail=each.detail,
                recovery_s=None if each.recovery_s is None else round(each.recovery_s, 4),
            )
            for each in self._crowd.recoveries
        ]
        return tuple(sorted(found, key=lambda each: each.at_s))

    def remarks(self) -> Iterator[str]:
        """Which kinds were left out, and which could not be injected."""
        if self._left_out:
            yield f"the run was too short for {', '.join(self._left_out)}"
        for done in self._disruptor.log:
            if done.error is not None:
                yield f"{done.kind} went wrong: {done.error}"

    def _look(self) -> None:
        if self._active:
            self._follow()
            self._crowd.check_recoveries()
            self._crowd.loop.at(time.monotonic() + _LOOK_S, self._look)

    def _follow(self) -> None:
        for place, done in enumerate(self._disruptor.log):
            if place == len(self._followed):
                self._followed.append(None)
            followed = self._followed[place]
            if followed is not None:
                followed.detail = done.detail  # known only once the disruption has begun
            elif (since := _counted_since(done)) is not None:
                self._followed[place] = self._watch(done.kind, done.detail, done.began_at, since)

    def _drop(self) -> None:
        now = time.monotonic()
        self._watch("drop_clients", f"{DROPPED:.0%} of the connections cut", now, now)
        self._cut()

    def _cut(self) -> None:
        self._crowd.cut(DROPPED)

    def _watch(self, kind: DisruptionKind, detail: str, began: float, since: float) -> Recovery:
        recovery = Recovery(kind, detail, began, since, self._crowd.wanted())
        self._crowd.recoveries.append(recovery)
        return recovery


def _counted_since(done: Done) -> float | None:
    return done.ended_at if done.kind in FROM_ITS_END else done.began_at
