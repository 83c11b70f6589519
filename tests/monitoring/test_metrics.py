"""The metrics are those of the page, follow Prometheus's conventions, and name nobody."""

import re
import subprocess
import sys

import pytest
import trio

from locshare.config import Settings
from locshare.server.tree import Application
from locshare.telemetry.metrics import exposition
from tests.monitoring.rules import needs_prometheus
from tools.metrics_page import PAGE, page, server_rows

LABELS = {
    "child", "code", "dialect", "generation", "implementation", "kind", "method", "outcome",
    "python", "reason", "route", "sending", "status", "type", "version",
}  # fmt: skip
"""Each has values from a closed set of the program's own."""
BEFORE_CONVENTIONS = {"locshare_connections_by_dialect"}


@pytest.mark.skipif(sys.platform != "linux", reason="this kernel describes no process")
def test_names_types_labels_and_help_are_those_of_the_page() -> None:
    assert page() == PAGE.read_text(), "they changed: `make generate`, and look at the difference"


def test_each_label_is_of_a_closed_set() -> None:
    assert {
        label for row in server_rows() for label in re.findall(r"`(\w+)`", row.labels)
    } == LABELS


def test_names_end_as_their_type_and_unit_ask() -> None:
    for row in server_rows():
        assert row.name.endswith("_total") == (row.kind == "counter"), row.name
        assert row.kind != "histogram" or row.name.endswith("_seconds"), row.name
        assert row.about.endswith(".") or not row.name.startswith("locshare_"), row.name


@needs_prometheus
def test_promtool_has_nothing_to_say_about_them() -> None:
    async def scrape() -> bytes:
        return exposition(Application(Settings(bind="127.0.0.1:0")).metrics)

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=trio.run(scrape), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr.decode()) == (0, "")
