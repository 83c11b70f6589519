"""What a run of the benchmarks found, as it is kept: one JSON file, from which the report is made.

Times are in the unit that a field's name ends with; shares are of one core (1.0) or of a whole
(0.001 is 0.1 %). None always means *not measured*, never nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

VERSION = 1

Dialect = Literal["plain", "phoenix"]
DisruptionKind = Literal[
    "crash_session", "kill_process", "pause_process", "cut_database", "cut_network", "drop_clients"
]


class Latencies(Struct, frozen=True, kw_only=True):
    """Milliseconds; ``histogram`` is how many were at most ``upper_ms`` and more than the one
    before, in ascending order, for the drawing of a distribution.
    """

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    histogram: tuple[tuple[float, int], ...] = ()


class Moment(Struct, frozen=True, kw_only=True):
    """One second of a run, ``at_s`` after its beginning. The server's figures are of all its
    processes together.
    """

    at_s: float
    connected: int
    sent: int
    delivered: int
    disconnects: int
    p50_ms: float | None = None
    p95_ms: float | None = None
    max_ms: float | None = None
    cpu_share: float | None = None
    rss_bytes: int | None = None
    context_switches: int | None = None


class Disruption(Struct, frozen=True, kw_only=True):
    """Something that was broken on purpose. ``recovery_s`` is from its beginning (for a pause and a
    cut network: from its end) until everybody was connected again and positions went from each
    session's people to each other; None when that did not come in the run.
    """

    at_s: float
    kind: DisruptionKind
    detail: str = ""
    recovery_s: float | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """What the server took while it was under load, all its processes together, those of its
    Redis or PostgreSQL too.
    """

    cpu_share: float
    us_per_delivery: float | None
    rss_start_bytes: int
    rss_peak_bytes: int
    context_switches: int
    generator_share: float
    others_share: float | None
    """Every other process of the machine; the figures are disturbed when it is not about 0."""


class Run(Struct, frozen=True, kw_only=True):
    """One scenario against one target."""

    scenario: str
    """Its name, such as ``baseline``; each step of the ladder is a run of ``ladder``."""
    target: str
    title: str
    """What is printed above it: people, sessions, interval, duration, scale."""
    seed: int
    scale: float
    people: int
    sessions: int
    interval_s: float
    duration_s: float
    delivery: Latencies
    """From just before the sender's send to just after the receiver's recv."""
    connect: Latencies | None
    """From before the TCP connect to after the first message (snapshot or join reply)."""
    reconnect: Latencies | None
    """From the loss of a connection to the snapshot of the next, for those lost unexpectedly or by
    a disruption.
    """
    sent: int
    expected: int
    """Each update counted once for each other person who was connected when it was sent, less what
    was on its way to a connection that ended.
    """
    delivered: int
    lost: int
    stale_pairs: int
    """Receiver and sender, both connected at the end, where the last position that the receiver got
    is not the last one that the sender sent.
    """
    foreign: int
    """Deliveries to people of another session."""
    refused: int
    """Connections that were asked for and never came about."""
    disconnects: int
    """Connections that ended without the scenario's asking for it."""
    connections: int
    """Connections that were opened in all."""
    join_failures: int
    usage: Usage | None
    moments: tuple[Moment, ...] = ()
    disruptions: tuple[Disruption, ...] = ()
    remarks: tuple[str, ...] = ()
    """What a reader must know: a generator that was too busy, a disturbed machine."""

    @property
    def loss_share(self) -> float:
        """Lost of expected."""
        return self.lost / self.expected if self.expected else 0.0

    @property
    def disconnect_share(self) -> float:
        """Unexpected ends of all connections."""
        return self.disconnects / self.connections if self.connections else 0.0


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of a target without measuring: counted, never judged."""

    language: str
    lines_of_code: int
    """Of the server's own program, without blank lines and comments."""
    dependencies: int
    """Packages that its installation brings, the indirect ones too."""
    services: tuple[str, ...]
    """What must run beside it, such as ``redis``."""
    processes: int
    """The server's, and one for each of the services."""
    survives: tuple[str, ...] = ()
    """Which of the disruptions it is made to survive, by design."""


class TargetDescription(Struct, frozen=True, kw_only=True):
    """A server that was measured."""

    name: str
    title: str
    dialect: Dialect
    facts: Facts | None = None


class Machine(Struct, frozen=True, kw_only=True):
    """Where and when."""

    processor: str
    cores: int
    memory_bytes: int | None
    system: str
    python: str
    began: str
    """UTC, ISO 8601."""
    command: str
    """What was typed."""


class Results(Struct, frozen=True, kw_only=True):
    """Everything of one invocation."""

    version: int
    machine: Machine
    targets: tuple[TargetDescription, ...]
    runs: tuple[Run, ...]


class BadResults(Exception):
    """A file that is no results file of this version."""


def load(path: Path) -> Results:
    """Read a file. Raises BadResults (with the field) or OSError."""
    try:
        results = msgspec.json.decode(path.read_bytes(), type=Results)
    except msgspec.MsgspecError as error:
        raise BadResults(f"{path}: {error}") from error
    if results.version != VERSION:
        raise BadResults(f"{path}: version {results.version}; this program reads {VERSION}")
    return results


def save(results: Results, path: Path) -> None:
    """Write a file, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
    partial.replace(path)


def merged(found: Sequence[Results]) -> Results:
    """All runs, in order, under the first one's machine. Raises BadResults when the machines are
    not alike, since runs on different ones do not compare, or one name stands for two servers.
    """
    first, *others = found
    targets = {each.name: each for each in first.targets}
    for each in others:
        mine, theirs = first.machine, each.machine
        if (mine.processor, mine.cores) != (theirs.processor, theirs.cores):
            raise BadResults(
                f"the runs are of different machines: {mine.processor}, {mine.cores} cores, and "
                f"{theirs.processor}, {theirs.cores} cores; make a report of each"
            )
        for target in each.targets:
            if targets.setdefault(target.name, target) != target:
                raise BadResults(
                    f"target {target.name!r} is described differently in two files; measure one of "
                    "them under another name"
                )
    runs = tuple(run for each in found for run in each.runs)
    return replace(first, targets=tuple(targets.values()), runs=runs)
