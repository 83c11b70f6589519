"""Debian's Prometheus and Alertmanager against a server, and someone who is told of alerts.

Everything is on the loopback interface and gone when the block ends.
"""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import yaml  # type: ignore[import-untyped]
from msgspec import Struct

from bench.guardian import entrust, temporary_folder
from bench.servers import free_port
from tests.monitoring.rules import RULES, hastened
from tests.running import LAST_RESORT_S

HOST: Final = "127.0.0.1"


class Told(Struct, frozen=True):
    """One notification. ``at``: seconds since the stack was started."""

    at: float
    alert: str
    firing: bool
    labels: Mapping[str, str]
    summary: str


class Operator:
    """Receives what Alertmanager sends, and waits for it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self.told: list[Told] = []
        operator = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                operator.take(json.loads(self.rfile.read(size))["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://{HOST}:{self._server.server_port}/"

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def take(self, alerts: list[dict[str, Any]]) -> None:
        """Note them, each change once: a notification repeats what is still so."""
        with self._changed:
            for each in alerts:
                labels, firing = each["labels"], each["status"] == "firing"
                summary = each["annotations"].get("summary", "")
                if self._is_firing(labels) != firing:
                    name = labels["alertname"]
                    self.told.append(Told(self.elapsed_s, name, firing, labels, summary))
            self._changed.notify_all()

    def _is_firing(self, labels: Mapping[str, str]) -> bool:
        return next((each.firing for each in reversed(self.told) if each.labels == labels), False)

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        last = {tuple(sorted(each.labels.items())): each for each in self.told}
        return {each.alert for each in last.values() if each.firing}

    def wait(self, alert: str, *, firing: bool, since: float = 0.0) -> Told:
        """The notification that ``alert`` fires, or that it does no more, sent after ``since``."""
        deadline = time.monotonic() + LAST_RESORT_S
        with self._changed:
            while True:
                for each in self.told:
                    if each.alert == alert and each.firing == firing and each.at >= since:
                        return each
                left = deadline - time.monotonic()
                if left <= 0:
                    state = "fired" if firing else "was resolved"
                    raise AssertionError(f"{alert} never {state}; told:\n{self.history()}")
                self._changed.wait(left)

    def history(self) -> str:
        """A line for each notification."""
        return "\n".join(
            f"{told.at:6.1f} {'firing' if told.firing else 'resolved'} {told.alert}"
            for told in self.told
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Stack:
    """Running. ``prometheus`` is its address."""

    def __init__(self, prometheus: str, operator: Operator) -> None:
        self.prometheus = prometheus
        self.operator = operator

    def wait_watching(self, targets: int, scrapes: int = 2) -> None:
        """Until every target was scraped so often, and an alert was delivered: what happens before
        the first scrape is no increase of a counter. Prometheus begins five seconds after its
        start.
        """
        self.operator.wait("LocshareWatchdog", firing=True)
        deadline = time.monotonic() + LAST_RESORT_S
        while len(self.query(f"count_over_time(up[1m]) >= {scrapes}")) < targets:
            assert time.monotonic() < deadline, "a target is never scraped"
            time.sleep(0.1)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query. Raises AssertionError with Prometheus's own words."""
        answer = httpx.post(
            f"{self.prometheus}/api/v1/query", data={"query": expression}, timeout=LAST_RESORT_S
        ).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def query_range(
        self, expression: str, start: float, end: float, step: float
    ) -> list[dict[str, Any]]:
        """The series of a range query; Unix times and seconds."""
        answer = httpx.post(
            f"{self.prometheus}/api/v1/query_range",
            data={"query": expression, "start": start, "end": end, "step": step},
            timeout=LAST_RESORT_S,
        ).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@contextmanager
def monitored(
    targets: Mapping[str, str],
    *,
    window_s: float = 6.0,
    hold_s: float = 0.2,
    interval_s: float = 0.5,
) -> Iterator[Stack]:
    """Prometheus on ``targets`` (job: host and port), with hastened rules, and Alertmanager."""
    operator = Operator()
    with temporary_folder("locshare-watch-") as folder:
        prometheus, alertmanager = free_port(), free_port()
        every = f"{round(interval_s * 1000)}ms"
        config = {
            "global": {
                "scrape_interval": every,
                "scrape_timeout": every,
                "evaluation_interval": every,
            },
            "rule_files": [f"{folder}/rules-*.yml"],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [f"{HOST}:{alertmanager}"]}]}]
            },
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [target]}]}
                for job, target in targets.items()
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        for path in RULES:
            (folder / f"rules-{path.name}").write_text(hastened(path, window_s, hold_s))
        told = {
            "route": {
                "receiver": "operator",
                "group_by": ["..."],
                "group_wait": "1ms",
                "group_interval": "200ms",
                "repeat_interval": "1h",
            },
            "receivers": [
                {"name": "operator", "webhook_configs": [{"url": operator.url}]},
            ],
        }
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(told))
        name = "prometheus-alertmanager"
        processes = [
            start(
                folder, name if shutil.which(name) else "alertmanager",
                "--config.file=alertmanager.yml", "--storage.path=alerts",
                f"--web.listen-address={HOST}:{alertmanager}", "--cluster.listen-address=",
            ),
            start(
                folder, "prometheus",
                "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                f"--web.listen-address={HOST}:{prometheus}", "--log.level=warn",
                "--rules.alert.resend-delay=1s",
            ),
        ]  # fmt: skip
        try:
            for port, process in zip((alertmanager, prometheus), processes, strict=True):
                wait_ready(f"http://{HOST}:{port}/-/ready", process, folder)
            stack = Stack(f"http://{HOST}:{prometheus}", operator)
            stack.wait_watching(len(targets))
            yield stack
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(LAST_RESORT_S)
            operator.close()


def start(folder: Path, *command: str) -> "subprocess.Popen[bytes]":
    """A process whose output goes into a file of its name."""
    with (folder / f"{command[0]}.log").open("wb") as log:
        return entrust(
            subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        )


def wait_ready(url: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + LAST_RESORT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    logs = "\n".join(path.read_text() for path in folder.glob("*.log"))
    raise AssertionError(f"{url} did not get ready:\n{logs[-3000:]}")
