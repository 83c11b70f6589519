"""The disruptions that are injected while a scenario runs.

:func:`planned` decides when, repeatably; :class:`Disruptor` injects them from its own thread, so
that the driver's loop does not wait while a server restarts. ``drop_clients`` may be in a plan, but
is left to the driver, which has the connections.
"""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.errors import NotServing
from bench.results import DisruptionKind
from bench.targets.target import Target

USUAL_GAP_S: Final = 50.0
"""The mean time between two disruptions of a long run."""

LASTS_S: Final[dict[DisruptionKind, float]] = {
    "crash_session": 0.0,
    "kill_process": 1.0,
    "pause_process": 3.0,
    "cut_database": 5.0,
    "cut_network": 3.0,
    "drop_clients": 0.0,
    "limit_cpu": 5.0,
    "limit_memory": 5.0,
    "limit_descriptors": 3.0,
}
"""How long each lasts, if the run is long enough."""

ROOM_S: Final[dict[DisruptionKind, float]] = {
    "crash_session": 4.0,
    "drop_clients": 4.0,
    "pause_process": 5.0,
    "limit_cpu": 4.0,
    "limit_memory": 4.0,
    "cut_database": 5.0,
    "limit_descriptors": 8.0,
    "cut_network": 9.0,
    "kill_process": 11.0,
}
"""How much of a run each needs at least, recovery included: a client whose waits end within 3 s of
refusals waits up to 1.6 s more, and one that draws many short ones up to 3.
"""

_EARLIEST, _LATEST, _LONGEST = 0.1, 0.25, 0.25
"""Shares of a disruption's room: its earliest and latest beginning, and its longest duration. At
least half of the room is left to recover in.
"""


@dataclass(frozen=True, slots=True)
class Planned:
    """Seconds; ``at_s`` from the beginning of the run."""

    at_s: float
    kind: DisruptionKind
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of one. The times are of ``time.monotonic``; ``ended_at`` is when the target was
    repaired, None before that. ``error`` is what failed in the injection or the repair.
    """

    kind: DisruptionKind
    began_at: float
    ended_at: float | None
    detail: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Broken:
    kind: DisruptionKind
    place: int
    """Index in the log."""
    tried: bool = False
    """A repair has failed, and is in the log."""


def planned(kinds: Sequence[DisruptionKind], duration_s: float, *, seed: int) -> list[Planned]:
    """Spread over a run of ``duration_s``: all of one kind, then all of the next, in the order of
    ``kinds``. Deterministic. In a run too short for every kind, the seed chooses.
    """
    chosen = _fitting(kinds, duration_s, seed)
    many = max(int(duration_s / USUAL_GAP_S), len(chosen)) if chosen else 0
    series = [chosen[number * len(chosen) // many] for number in range(many)]
    stretch = duration_s / sum(ROOM_S[kind] for kind in series) if series else 0.0
    dice = random.Random(seed)  # noqa: S311 - spreads disruptions, keeps no secret
    plan = []
    begins = 0.0
    for kind in series:
        room = ROOM_S[kind] * stretch
        at_s = begins + dice.uniform(_EARLIEST, _LATEST) * room
        plan.append(Planned(round(at_s, 3), kind, min(LASTS_S[kind], _LONGEST * room)))
        begins += room
    return plan


def _fitting(
    kinds: Sequence[DisruptionKind], duration_s: float, seed: int
) -> Sequence[DisruptionKind]:
    """Those that the run has room for, chosen by the seed."""
    first = seed % len(kinds) if kinds else 0
    chosen = set()
    left_s = duration_s
    for kind in (*kinds[first:], *kinds[:first]):
        if ROOM_S[kind] <= left_s:
            left_s -= ROOM_S[kind]
            chosen.add(kind)
    return [kind for kind in kinds if kind in chosen]


class Disruptor:
    """Disrupts and repairs ``target`` as planned; ``session_id`` is the session to crash.
    :meth:`close` must be called.
    """

    def __init__(self, target: Target, plan: Sequence[Planned], session_id: str) -> None:
        self._target = target
        self._plan = [each for each in plan if each.kind != "drop_clients"]
        self._session_id = session_id
        self._lock = threading.Lock()
        self._log: list[Done] = []
        self._broken: _Broken | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None

    @property
    def log(self) -> Sequence[Done]:
        """The outcomes so far, in order. Thread-safe."""
        with self._lock:
            return tuple(self._log)

    def start(self, began: float) -> None:
        """``began`` is the monotonic time of the run's beginning."""
        assert self._thread is None, "a Disruptor starts once"
        self._thread = threading.Thread(target=self._run, args=(began,), name="disruptor")
        self._thread.start()

    def close(self) -> None:
        """Stop, and repair what is still broken, which may take as long as the target's ``end``.
        Failed repairs are in the log.
        """
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        if self._failed is not None:
            raise self._failed

    def _run(self, began: float) -> None:
        try:
            try:
                for each in self._plan:
                    if self._closing.wait(max(began + each.at_s - time.monotonic(), 0.0)):
                        break
                    self._disrupt(each)
            finally:
                self._repair()
        except BaseException as error:  # noqa: BLE001 - raised again by close
            self._failed = error

    def _disrupt(self, each: Planned) -> None:
        self._repair()
        if self._broken is not None:  # two at a time could not be told apart
            why = f"left out: {self._broken.kind} could not be repaired"
            self._note(Done(each.kind, time.monotonic(), None, "", why))
            return
        entry = Done(each.kind, time.monotonic(), None, "")
        # A failed injection may have broken something all the same.
        self._broken = _Broken(each.kind, self._note(entry))
        try:
            entry = replace(entry, detail=self._target.begin(each.kind, self._session_id))
        except NotServing as error:
            entry = replace(entry, error=str(error))
        self._note(entry, self._broken.place)
        if entry.error is None:
            self._closing.wait(each.lasts_s)
        self._repair()

    def _repair(self) -> None:
        """Repair the last disruption, if it is not. A failed repair is retried before the next
        disruption and at the end.
        """
        broken = self._broken
        if broken is None:
            return
        entry = self.log[broken.place]
        try:
            self._target.end(broken.kind)
        except NotServing as error:
            if not broken.tried:
                why = [each for each in (entry.error, f"repair: {error}") if each is not None]
                self._note(replace(entry, error="; ".join(why)), broken.place)
            self._broken = replace(broken, tried=True)
        else:
            self._note(replace(entry, ended_at=time.monotonic()), broken.place)
            self._broken = None

    def _note(self, entry: Done, place: int | None = None) -> int:
        """Replace the entry at ``place``, or append one. Returns its index."""
        with self._lock:
            if place is None:
                self._log.append(entry)
                return len(self._log) - 1
            self._log[place] = entry
            return place
