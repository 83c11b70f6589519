"""The results of benchmark runs: one JSON file, from which the report is made.

A field's name ends with its unit. Shares are of one core (1.0) or of a whole (0.001 is 0.1 %). None
always means *not measured*, never zero.
"""

import gzip
import os
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

VERSION = 1
_GZIPPED = b"\x1f\x8b"

Dialect = Literal["plain", "compact", "phoenix"]
DisruptionKind = Literal[
    "crash_session", "kill_process", "pause_process", "cut_database", "cut_network", "drop_clients",
    "limit_cpu", "limit_memory", "limit_descriptors",
]  # fmt: skip


class Latencies(Struct, frozen=True, kw_only=True):
    """Milliseconds. ``histogram`` has the upper bound of each bucket and its count, in ascending
    order.
    """

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    histogram: tuple[tuple[float, int], ...] = ()


class Moment(Struct, frozen=True, kw_only=True):
    """One second of a run, ``at_s`` after its beginning. The server's figures cover all its
    processes.
    """

    at_s: float
    connected: int
    sent: int
    delivered: int
    disconnects: int
    wanted: int | None = None
    """People who were due to be connected."""
    due: int | None = None
    """Deliveries that became due."""
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    cpu_share: float | None = None
    rss_bytes: int | None = None
    context_switches: int | None = None


class RestCall(Struct, frozen=True, kw_only=True):
    """One call of the REST interface, made again and again while the load was there."""

    call: str
    """Method and path, such as ``GET /api/sessions/{id}``."""
    latencies: Latencies
    """From before the request to after the whole answer, of those that succeeded."""
    failed: int = 0
    """Answered with an error, or not at all."""


class Network(Struct, frozen=True, kw_only=True):
    """Bytes on all WebSockets during the measured time, without TCP, IP and TLS."""

    to_people_bytes: int
    to_server_bytes: int | None


class Disruption(Struct, frozen=True, kw_only=True):
    """A disruption that was injected. ``recovery_s`` is from its beginning (for a pause, a cut
    network and a limit of descriptors: from its end) until all were connected and positions flowed
    between all members of each session; None when that did not happen during the run.
    """

    at_s: float
    kind: DisruptionKind
    detail: str = ""
    recovery_s: float | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """CPU and memory of the server under load: all its processes, and those of its Redis or
    PostgreSQL.
    """

    cpu_share: float
    us_per_delivery: float | None
    rss_start_bytes: int
    rss_peak_bytes: int
    context_switches: int
    generator_share: float
    others_share: float | None
    """All other processes of the machine; figures are disturbed when it is not about 0."""


class Run(Struct, frozen=True, kw_only=True):
    """One scenario against one target."""

    scenario: str
    """Its name, such as ``baseline``; each step of the ladder is a run of ``ladder``."""
    target: str
    title: str
    """The heading: people, sessions, interval, duration, scale."""
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
    """From the loss of a connection, unexpected or by a disruption, to the next snapshot."""
    sent: int
    expected: int
    """Each update once per other connected person of the session, less those in flight to a
    connection that ended.
    """
    delivered: int
    lost: int
    stale_pairs: int
    """Pairs of receiver and sender, both connected at the end, of which the receiver lacks the
    sender's last position.
    """
    foreign: int
    """Deliveries to people of another session."""
    refused: int
    """Attempts to connect that failed."""
    disconnects: int
    """Connections that ended unexpectedly."""
    connections: int
    """Connections that were established."""
    join_failures: int
    usage: Usage | None
    network: Network | None = None
    rest: tuple[RestCall, ...] = ()
    moments: tuple[Moment, ...] = ()
    disruptions: tuple[Disruption, ...] = ()
    remarks: tuple[str, ...] = ()
    """Caveats for the reader: a generator that was too busy, a disturbed machine."""
    began: str = ""
    """UTC, ISO 8601; empty: not known."""
    code: str = ""
    """A digest of the sources of server and benchmark and of what they run on; empty: not known."""

    @property
    def loss_share(self) -> float:
        """Lost of expected."""
        return self.lost / self.expected if self.expected else 0.0

    @property
    def disconnect_share(self) -> float:
        """Unexpected ends of all connections."""
        return self.disconnects / self.connections if self.connections else 0.0

    @property
    def uptime_share(self) -> float | None:
        """User-uptime: of the seconds that people were due to be connected, all people's together,
        those in which they were. A second in which deliveries were due and none came is down for
        everybody: a paused server keeps its connections. None without moments.

        After Hauer et al., *Meaningful Availability*, NSDI 2020: a share of wall-clock seconds
        would count a server that serves one of a thousand people as up.
        """
        due = up = 0
        for each in self.moments:
            # After the measured time everybody leaves, and nothing is due.
            if each.wanted is not None and each.at_s < self.duration_s + 1:
                due += each.wanted
                if each.delivered or not each.due:
                    up += min(each.connected, each.wanted)
        return up / due if due else None


class Facts(Struct, frozen=True, kw_only=True):
    """Facts about a target that need no measurement: counted, never judged."""

    language: str
    lines_of_code: int
    """Of the server's own program, without blank lines and comments."""
    dependencies: int
    """Packages that an installation brings, indirect ones included."""
    services: tuple[str, ...]
    """Services it needs, such as ``redis``."""
    processes: int
    """The server's, and one for each of the services."""
    survives: tuple[str, ...] = ()
    """The disruptions that it survives by design."""


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
    """The command line."""


class Failure(Struct, frozen=True, kw_only=True):
    """A scenario that could not be measured, or not to its end, when it was last tried."""

    scenario: str
    target: str
    why: str


class Results(Struct, frozen=True, kw_only=True):
    """Everything of one invocation, or of several that went on with it."""

    version: int
    machine: Machine
    targets: tuple[TargetDescription, ...]
    runs: tuple[Run, ...]
    failures: tuple[Failure, ...] = ()


class BadResults(Exception):
    """Not a results file of this version."""


def utc_now() -> str:
    """For the reader only: durations are of the monotonic clock."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def load(path: Path) -> Results:
    """Read a file, gzipped or not. Raises BadResults (with the field) or OSError."""
    text = path.read_bytes()
    try:
        if text.startswith(_GZIPPED):
            text = gzip.decompress(text)
        results = msgspec.json.decode(text, type=Results)
    except (msgspec.MsgspecError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadResults(f"{path}: {error}") from error
    if results.version != VERSION:
        raise BadResults(f"{path}: version {results.version}; this program reads {VERSION}")
    return results


def save(results: Results, path: Path) -> None:
    """Write a file, whole or not at all, also when the machine loses its power."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(results), indent=1))
        file.flush()
        os.fsync(file.fileno())  # else the new name may be on the disk before the content
    partial.replace(path)


def merged(found: Sequence[Results]) -> Results:
    """All runs, in order, under the first one's machine. Raises BadResults when the machines
    differ, because such runs do not compare, or when one name stands for two servers.
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
    return replace(
        first,
        targets=tuple(targets.values()),
        runs=tuple(run for each in found for run in each.runs),
        failures=tuple(failure for each in found for failure in each.failures),
    )
