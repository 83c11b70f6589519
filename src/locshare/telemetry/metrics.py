"""Figures for Prometheus: counted as plain numbers, turned into text only when someone reads them.

Three kinds of sources, one way out:

- :class:`Counter`, :class:`Gauge` and :class:`Histogram`, made by a :class:`Registry`. Counting is
  an addition on a slot: no lock, no dictionary, no string, because all of the program runs in one
  thread. A labelled child is looked up once and kept by whoever counts.
- callbacks (:meth:`Registry.collect`), asked at scrape time, for rooms that keep plain integers
  of their own and publish them as a ``statistics()`` struct.
- :func:`process_families`, what the operating system knows about this process.

:meth:`Registry.exposition` is the text format 0.0.4. It never awaits, so the figures of one scrape
are of one moment. Labels come from closed sets (reasons, routes, statuses), never from clients:
no session, participant, position, token or path is ever a label.
"""

import math
import os
import re
import resource
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

from msgspec import Struct

from locshare.telemetry.unexpected import log_unexpected

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BUCKETS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Seconds; the usual answer takes one millisecond, the slowest possible one ten seconds."""

Kind = Literal["counter", "gauge", "histogram"]
Labels = Mapping[str, str]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z")
_STARTED = time.time()


class Sample(Struct, frozen=True):
    """One line. ``suffix`` is ``_bucket``, ``_sum`` or ``_count`` in histograms."""

    value: float
    labels: Labels = {}
    suffix: str = ""


class Family(Struct, frozen=True):
    """A metric with all its samples. The name of a counter ends in ``_total``."""

    name: str
    kind: Kind
    about: str
    samples: Sequence[Sample]


Collector = Callable[[], Iterable[Family]]


def counter(
    name: str, about: str, value: float | Mapping[str, float], label: str = "reason"
) -> Family:
    """A family for a callback: one value, or one per value of ``label``."""
    return Family(name, "counter", about, _samples(value, label))


def gauge(
    name: str, about: str, value: float | Mapping[str, float], label: str = "reason"
) -> Family:
    """A family for a callback: one value, or one per value of ``label``."""
    return Family(name, "gauge", about, _samples(value, label))


def _samples(value: float | Mapping[str, float], label: str) -> tuple[Sample, ...]:
    if isinstance(value, Mapping):
        return tuple(Sample(number, {label: key}) for key, number in value.items())
    return (Sample(value),)


class Counter:
    """Only grows. ``value`` may be added to directly where every nanosecond counts."""

    __slots__ = ("value",)
    kind: Final[Kind] = "counter"

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1) -> None:
        """``amount`` is not negative."""
        self.value += amount

    def samples(self, labels: Labels) -> Iterator[Sample]:
        """What a scrape shows."""
        yield Sample(self.value, labels)


class Gauge:
    """Goes up and down."""

    __slots__ = ("value",)
    kind: Final[Kind] = "gauge"

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        """The value from now on."""
        self.value = value

    def add(self, amount: float = 1) -> None:
        """``amount`` may be negative."""
        self.value += amount

    def samples(self, labels: Labels) -> Iterator[Sample]:
        """What a scrape shows."""
        yield Sample(self.value, labels)


class Histogram:
    """Counts observations in fixed buckets; ``bounds`` are their upper limits, included."""

    __slots__ = ("_bounds", "_counts", "_sum")
    kind: Final[Kind] = "histogram"

    def __init__(self, bounds: Sequence[float] = LATENCY_BUCKETS) -> None:
        if not bounds or list(bounds) != sorted(set(bounds)) or not math.isfinite(bounds[-1]):
            raise ValueError("the bounds of a histogram are finite and ascending")
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count ``value`` once."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self, labels: Labels) -> Iterator[Sample]:
        """What a scrape shows: cumulative buckets, sum and count."""
        total = 0
        for bound, count in zip((*self._bounds, math.inf), self._counts, strict=True):
            total += count
            yield Sample(total, {**labels, "le": _number(bound)}, "_bucket")
        yield Sample(self._sum, labels, "_sum")
        yield Sample(total, labels, "_count")


M = TypeVar("M", bound=Counter | Gauge | Histogram)


class Labelled(Generic[M]):
    """A metric with one child per combination of label values."""

    __slots__ = ("_children", "_make", "_names")

    def __init__(self, names: tuple[str, ...], make: Callable[[], M]) -> None:
        self._names = names
        self._make = make
        self._children: dict[tuple[str, ...], M] = {}

    def of(self, *values: str) -> M:
        """The child of these label values, in the order in which the labels were named."""
        child = self._children.get(values)
        if child is None:
            if len(values) != len(self._names):
                raise ValueError(f"labels are {', '.join(self._names)}")
            child = self._children[values] = self._make()
        return child

    def samples(self) -> Iterator[Sample]:
        """What a scrape shows, children in the order of their making."""
        for values, child in self._children.items():
            yield from child.samples(dict(zip(self._names, values, strict=True)))


class Registry:
    """All metrics of one program (or of one test). Names are unique; a bad one is a ValueError."""

    def __init__(self) -> None:
        self._collectors: list[Collector] = []
        self._names: set[str] = set()
        self._failures = self.counter(
            "locshare_collect_failures_total", "Sources of metrics that failed during a scrape."
        )

    def counter(self, name: str, about: str) -> Counter:
        """A new counter; ``name`` ends in ``_total``."""
        return self._single(name, about, Counter())

    def gauge(self, name: str, about: str) -> Gauge:
        """A new gauge."""
        return self._single(name, about, Gauge())

    def histogram(
        self, name: str, about: str, bounds: Sequence[float] = LATENCY_BUCKETS
    ) -> Histogram:
        """A new histogram; ``name`` ends in the unit, such as ``_seconds``."""
        return self._single(name, about, Histogram(bounds))

    def counters(self, name: str, about: str, *labels: str) -> Labelled[Counter]:
        """A new counter with labels."""
        return self._labelled(name, "counter", about, Labelled(_labels(labels), Counter))

    def histograms(
        self, name: str, about: str, *labels: str, bounds: Sequence[float] = LATENCY_BUCKETS
    ) -> Labelled[Histogram]:
        """A new histogram with labels."""
        make = Labelled(_labels(labels), lambda: Histogram(bounds))
        return self._labelled(name, "histogram", about, make)

    def collect(self, callback: Collector) -> None:
        """Ask ``callback`` at every scrape. It is quick and does not await; when it fails, that
        is logged and counted, and the other figures are shown.
        """
        self._collectors.append(callback)

    def exposition(self) -> bytes:
        """Everything, in the text format (:data:`CONTENT_TYPE`)."""
        families: dict[str, Family] = {}
        # The registry's own failure counter is the first collector; it is read again at the end.
        for collector in (*self._collectors[1:], self._collectors[0]):
            try:
                for family in collector():
                    _check(family.name, family.kind)
                    known = families.get(family.name)
                    # A name with two HELP lines would make the whole scrape unreadable.
                    families[family.name] = (
                        family
                        if known is None
                        else Family(
                            known.name, known.kind, known.about, (*known.samples, *family.samples)
                        )
                    )
            except Exception as error:  # noqa: BLE001 - it must not hide what others have to say
                log_unexpected("collect_failed", error)
                self._failures.add()
        return "".join(_family(family) for family in families.values()).encode()

    def _single(self, name: str, about: str, metric: M) -> M:
        self._claim(name, metric.kind)
        self.collect(lambda: (Family(name, metric.kind, about, tuple(metric.samples({}))),))
        return metric

    def _labelled(self, name: str, kind: Kind, about: str, metric: Labelled[M]) -> Labelled[M]:
        self._claim(name, kind)
        self.collect(lambda: (Family(name, kind, about, tuple(metric.samples())),))
        return metric

    def _claim(self, name: str, kind: Kind) -> None:
        _check(name, kind)
        if name in self._names:
            raise ValueError(f"there is a metric {name} already")
        self._names.add(name)


def process_families() -> Iterator[Family]:
    """CPU, memory, files and start of this process; a collector for :meth:`Registry.collect`."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield counter(
        "process_cpu_seconds_total",
        "Processor time used, user and system.",
        usage.ru_utime + usage.ru_stime,
    )
    yield gauge("process_start_time_seconds", "When the process began, in Unix time.", _STARTED)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
        yield gauge(
            "process_resident_memory_bytes",
            "Memory held in RAM.",
            pages * os.sysconf("SC_PAGESIZE"),
        )
        open_files = sum(1 for _ in Path("/proc/self/fd").iterdir())  # one is the listing's own
        yield gauge("process_open_fds", "Open file descriptors.", open_files - 1)
    # What RSS does not tell: the allocator keeps the pages of objects that are gone.
    yield gauge(
        "python_allocated_blocks",
        "Memory blocks that objects hold now.",
        sys.getallocatedblocks(),
    )
    yield gauge(
        "process_max_fds",
        "The most file descriptors the process may have open.",
        resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )


def _check(name: str, kind: Kind) -> None:
    if not _NAME.match(name) or (kind == "counter") != name.endswith("_total"):
        raise ValueError(f"{name} is no name for a {kind}")


def _labels(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _LABEL.match(name) or name == "le":
            raise ValueError(f"{name} is no name for a label")
    return names


def _family(family: Family) -> str:
    about = family.about.replace("\\", r"\\").replace("\n", r"\n")
    lines = [f"# HELP {family.name} {about}\n# TYPE {family.name} {family.kind}\n"]
    for sample in family.samples:
        labels = ",".join(f'{name}="{_escape(value)}"' for name, value in sample.labels.items())
        braces = f"{{{labels}}}" if labels else ""
        lines.append(f"{family.name}{sample.suffix}{braces} {_number(sample.value)}\n")
    return "".join(lines)


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if value == math.inf:
        return "+Inf"
    if value == -math.inf:
        return "-Inf"
    if value != value:
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))
