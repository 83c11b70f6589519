"""The bench's own figures for Prometheus, on the loopback interface while it runs."""

import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from bench.driver.progress import Standing
from bench.results import Moment, Run
from bench.serving import HOST
from locshare.telemetry.metrics import CONTENT_TYPE, Family, Kind, Registry, Sample

_Now = tuple[Moment, Standing]

_FIGURES: Mapping[str, tuple[Kind, str, Callable[[Moment, Standing], float | None]]] = {
    "people": ("gauge", "People of the run.", lambda _, now: now.people),
    "connected": ("gauge", "People who are connected.", lambda moment, _: moment.connected),
    "sent_total": ("counter", "Updates sent in the measured time.", lambda _, now: now.sent),
    "expected_total": ("counter", "Deliveries that should come.", lambda _, now: now.expected),
    "delivered_total": ("counter", "Deliveries that came.", lambda _, now: now.delivered),
    "outstanding": ("gauge", "Deliveries lost or on their way.", lambda _, now: now.lost),
    "refused_total": (
        "counter", "Connections that did not come about.", lambda _, now: now.refused,
    ),
    "disconnects_total": (
        "counter", "Connections that ended unasked, by disruptions too.",
        lambda _, now: now.disconnects,
    ),
    "reconnects_total": (
        "counter", "Connections that replaced a lost one.", lambda _, now: now.reconnects,
    ),
    "server_cpu_share": (
        "gauge", "Of a core, in the last second.", lambda moment, _: moment.cpu_share,
    ),
    "server_resident_bytes": ("gauge", "Memory in RAM.", lambda moment, _: moment.rss_bytes),
    "server_context_switches": (
        "gauge", "In the last second.", lambda moment, _: moment.context_switches,
    ),
    "driver_cpu_share": (
        "gauge", "Of a core, since the measuring began.", lambda _, now: now.generator_share,
    ),
}  # fmt: skip
_QUANTILES: Mapping[str, Callable[[Moment], float | None]] = {
    "0.5": lambda moment: moment.p50_ms,
    "0.95": lambda moment: moment.p95_ms,
    "1": lambda moment: moment.max_ms,
}


class Figures:
    """A context manager that serves ``/metrics`` at ``port`` (0: a free one) of 127.0.0.1. Of each
    target and scenario it shows the last run. Raises OSError when the port is taken.
    """

    def __init__(self, port: int) -> None:
        self._last: dict[tuple[str, str], _Now] = {}
        self._registry = Registry()
        self._registry.collect(self._families)
        registry = self._registry

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path.partition("?")[0] == "/metrics"
                body = registry.exposition() if found else b"see /metrics\n"
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", CONTENT_TYPE if found else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
                """Not on the terminal of the run."""

        self._server = ThreadingHTTPServer((HOST, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics")

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def begins(self, target: str, scenario: str, title: str) -> None:
        """See Watcher."""

    def phase(self, text: str) -> None:
        """See Watcher."""

    def moment(self, moment: Moment, standing: Standing) -> None:
        # A new dictionary: another thread may be reading the old one.
        self._last = {**self._last, (standing.target, standing.scenario): (moment, standing)}

    def ended(self, run: Run) -> None:
        """See Watcher."""

    def _families(self) -> Iterator[Family]:
        last = self._last
        for name, (kind, about, of) in _FIGURES.items():
            samples = [
                Sample(value, {"target": target, "scenario": scenario})
                for (target, scenario), now in last.items()
                if (value := of(*now)) is not None
            ]
            yield Family(f"locshare_bench_{name}", kind, about, samples)
        yield Family(
            "locshare_bench_latency_seconds",
            "gauge",
            "From send to receipt, of the last second that had any.",
            [
                Sample(value / 1e3, {"target": target, "scenario": scenario, "quantile": quantile})
                for (target, scenario), (moment, _) in last.items()
                for quantile, of in _QUANTILES.items()
                if (value := of(moment)) is not None
            ],
        )
