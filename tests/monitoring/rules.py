"""The rules of deploy/monitoring as data, and a copy of them in which everything happens sooner."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]

from tests.documents.pages import ROOT

MONITORING: Final = ROOT / "deploy" / "monitoring"
RULES: Final = sorted((MONITORING / "rules").glob("*.yml"))
needs_prometheus: Final = pytest.mark.skipif(
    not all(map(shutil.which, ("prometheus", "promtool", "amtool"))),
    reason="Prometheus or Alertmanager is not installed",
)
_RANGE: Final = re.compile(r"\[(\d+)([smhd])\]")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def alerts() -> Iterator[dict[str, Any]]:
    """All alerting rules."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if "alert" in rule)


def hastened(path: Path, window_s: float, hold_s: float) -> str:
    """The rules of ``path``: what looks back five minutes looks back ``window_s``, what looks back
    longer four times that at most, and nothing has to last longer than ``hold_s``. Thresholds and
    names stay.
    """
    rules = yaml.safe_load(path.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = _RANGE.sub(lambda found: _shorter(found, window_s), rule["expr"])
            # The guard of the error alerts is a count within five minutes.
            rule["expr"] = rule["expr"].replace("rate5m * 300", f"rate5m * {window_s:g}")
            if "for" in rule:
                rule["for"] = f"{round(hold_s * 1000)}ms"
    text: str = yaml.safe_dump(rules, sort_keys=False)
    return text


def _shorter(found: re.Match[str], window_s: float) -> str:
    seconds = int(found[1]) * _SECONDS[found[2]] * window_s / 300
    return f"[{round(min(max(seconds, window_s), 4 * window_s) * 1000)}ms]"
