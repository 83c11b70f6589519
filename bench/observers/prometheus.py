"""The figures of a run for Prometheus, on the loopback interface while it runs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Self

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from bench.driver.progress import RunStatus
from bench.results import Moment, Run
from bench.servers import HOST

Read = Callable[[Moment, RunStatus], float | None]

_COUNTERS: Mapping[str, tuple[str, Read]] = {
    "sent": ("Updates sent in the measured time.", lambda _, now: now.sent),
    "expected": ("Deliveries that should come.", lambda _, now: now.expected),
    "delivered": ("Deliveries that came.", lambda _, now: now.delivered),
    "refused": ("Connections that were refused.", lambda _, now: now.refused),
    "disconnects": ("Connections that ended unasked.", lambda _, now: now.disconnects),
    "reconnects": ("Connections that replaced a lost one.", lambda _, now: now.reconnects),
}
_GAUGES: Mapping[str, tuple[str, Read]] = {
    "people": ("People of the run.", lambda _, now: now.people),
    "connected": ("People who are connected.", lambda moment, _: moment.connected),
    "outstanding": ("Deliveries lost or on their way.", lambda _, now: now.lost),
    "server_cpu_share": ("Of a core, in the last second.", lambda moment, _: moment.cpu_share),
    "server_resident_bytes": ("Memory in RAM.", lambda moment, _: moment.rss_bytes),
    "server_context_switches": ("In the last second.", lambda moment, _: moment.context_switches),
    "driver_cpu_share": ("Of a core, since the run began.", lambda _, now: now.generator_share),
}
_QUANTILES: Mapping[str, Callable[[Moment], float | None]] = {
    "0.5": lambda moment: moment.p50_ms,
    "0.95": lambda moment: moment.p95_ms,
    "0.99": lambda moment: moment.p99_ms,
    "1": lambda moment: moment.max_ms,
}
_LABELS = ("target", "scenario")


class Exporter:
    """A context manager that serves metrics at ``port`` (0: a free one) of 127.0.0.1: of each
    target and scenario the last run. Raises OSError when the port is taken.
    """

    def __init__(self, port: int) -> None:
        self._last: dict[tuple[str, str], tuple[Moment, RunStatus]] = {}
        registry = CollectorRegistry()
        registry.register(self)
        self._server, self._thread = start_http_server(port, HOST, registry)
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def begins(self, target: str, scenario: str, title: str) -> None:
        """Nothing to show yet."""

    def phase(self, text: str) -> None:
        """Has no figure."""

    def moment(self, moment: Moment, standing: RunStatus) -> None:
        # A new dictionary: another thread may be reading the old one.
        self._last = {**self._last, (standing.target, standing.scenario): (moment, standing)}

    def ended(self, run: Run) -> None:
        """The last second stays."""

    def collect(self) -> Iterator[Metric]:
        """What has not been measured is left out."""
        last = self._last
        families: list[tuple[CounterMetricFamily | GaugeMetricFamily, Read]] = [
            (CounterMetricFamily(f"locshare_bench_{name}", about, labels=_LABELS), read)
            for name, (about, read) in _COUNTERS.items()
        ]
        families += [
            (GaugeMetricFamily(f"locshare_bench_{name}", about, labels=_LABELS), read)
            for name, (about, read) in _GAUGES.items()
        ]
        for family, read in families:
            for labels, now in last.items():
                if (value := read(*now)) is not None:
                    family.add_metric(labels, value)
            yield family
        latency = GaugeMetricFamily(
            "locshare_bench_latency_seconds",
            "From send to receipt, of the last second that had any.",
            labels=(*_LABELS, "quantile"),
        )
        for labels, (moment, _) in last.items():
            for quantile, of in _QUANTILES.items():
                if (value := of(moment)) is not None:
                    latency.add_metric((*labels, quantile), value / 1e3)
        yield latency
