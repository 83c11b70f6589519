"""The dashboards are those of the code, and every query works on a real Prometheus."""

import json
import re
import time
from pathlib import Path
from typing import Final

import pytest
import yaml  # type: ignore[import-untyped]

from bench.driver.progress import RunStatus
from bench.observers.prometheus import Exporter
from bench.results import Moment
from tests.documents.pages import ROOT
from tests.monitoring.rules import MONITORING, RULES, needs_prometheus
from tests.monitoring.stack import Stack, monitored
from tests.program import data_directory, running_program
from tests.running import LAST_RESORT_S
from tools.dashboards import FOLDER, files
from tools.draw_dashboards import draw, expression, panels
from tools.metrics_page import bench_rows, names, server_rows

PROMETHEUS_OWN: Final = {"ALERTS", "up"}
MAY_BE_EMPTY: Final = re.compile(r" > 0$|error_budget_left|error_ratio|slow_ratio|timeouts")
"""Where nothing has happened there is nothing to show."""


def queries() -> list[str]:
    found = [
        target["expr"]
        for path in FOLDER.glob("*.json")
        for panel in panels(path)
        for target in panel["targets"]
    ]
    return sorted(set(found))


def recorded() -> set[str]:
    return {
        rule["record"]
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if "record" in rule
    }


def test_the_files_are_what_the_code_makes() -> None:
    made = files()
    assert set(FOLDER.glob("*")) == set(made)
    for path, text in made.items():
        assert path.read_text() == text, "`make generate`, and look at the difference"


def test_queries_name_only_metrics_that_there_are() -> None:
    there = set(names([*server_rows(), *bench_rows()])) | recorded() | PROMETHEUS_OWN
    named = {
        name
        for query in queries()
        for name in re.findall(r"\b(?:locshare|process|python)[_:][\w:]+", query)
    }
    assert named - there == set()


def test_every_metric_that_was_asked_for_is_on_a_dashboard() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    wanted = page[page.index("## By what one wants to know") : page.index("## Positions")]
    text = "\n".join([*queries(), *(path.read_text() for path in RULES)])
    named = set(re.findall(r"`((?:locshare|process|python)_\w+)`", wanted))
    assert {name for name in named if not re.search(rf"\b{name}(_bucket)?\b", text)} == set()


def test_each_panel_has_a_title_a_unit_and_a_place_of_its_own() -> None:
    for path in FOLDER.glob("*.json"):
        taken: set[tuple[int, int]] = set()
        titles = []
        for panel in panels(path):
            titles.append(panel["title"])
            assert panel["fieldConfig"]["defaults"]["unit"]
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, f"{path.name}: {panel['title']} overlaps"
            taken |= cells
        assert len(titles) > 8


def test_the_provisioning_names_what_is_there() -> None:
    provisioning = MONITORING / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load((provisioning / "dashboards/locshare.yml").read_text())[
        "providers"
    ]
    assert provider["type"] == "file"
    uids = [json.loads(path.read_text())["uid"] for path in FOLDER.glob("*.json")]
    assert len(uids) == len(set(uids)) == 3


@pytest.mark.e2e
@needs_prometheus
def test_every_query_works_on_a_real_prometheus_and_is_drawn(tmp_path: Path) -> None:
    """Neither an error nor an unknown label: each gives a series from a server with one request."""
    with (
        data_directory() as folder,
        running_program({"LOCSHARE_DATA_DIR": str(folder)}) as program,
        Exporter(0) as exporter,
    ):
        exporter.moment(_moment(), _status())
        host = program.http_url.removeprefix("http://")
        targets = {"locshare": host, "locshare-bench": f"127.0.0.1:{exporter.port}"}
        with monitored(targets, window_s=2.0) as stack:
            shown = [query for query in queries() if not MAY_BE_EMPTY.search(query)]
            _wait_shown(stack, shown)
            for query in queries():
                stack.query(expression(query, "5s"))
            _draw_one(stack, tmp_path)


def _wait_shown(stack: Stack, missing: list[str]) -> None:
    """Until each has given a series: the first scrape is the request, a rate needs two that have
    seen it, and a recorded one its rule.
    """
    deadline = time.monotonic() + LAST_RESORT_S
    while missing := [each for each in missing if not stack.query(expression(each, "5s"))]:
        assert time.monotonic() < deadline, missing
        time.sleep(0.1)


def _draw_one(stack: Stack, folder: Path) -> None:
    now = time.time()
    picture = folder / "overview.png"
    draw(FOLDER / "locshare-overview.json", stack, now - 5, now, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def _moment() -> Moment:
    return Moment(
        at_s=1, connected=3, sent=5, delivered=10, disconnects=1, p50_ms=1, p95_ms=2, p99_ms=3,
        max_ms=4, cpu_share=0.5, rss_bytes=1000, context_switches=10,
    )  # fmt: skip


def _status() -> RunStatus:
    return RunStatus(
        target="one", scenario="flood", title="t", people=4, left_s=8, sent=50, expected=110,
        delivered=100, lost=10, refused=2, disconnects=1, reconnects=1, generator_share=0.25,
    )  # fmt: skip
