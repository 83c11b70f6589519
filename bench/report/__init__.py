"""The report on results, as one HTML file and as Markdown with its charts."""

from pathlib import Path
from typing import Any

import msgspec

from bench.report.blocks import Report
from bench.report.charts.svg import standalone
from bench.report.fmt import visible
from bench.report.matrix import scores
from bench.report.rendering import CHARTS, html, markdown
from bench.report.runs import check, groups
from bench.report.sections.capacity import capacity
from bench.report.sections.charts import charts
from bench.report.sections.decision import decision
from bench.report.sections.detail import detail
from bench.report.sections.head import circumstances, targets
from bench.report.sections.recommendation import recommendation
from bench.report.sections.verdict import judged, verdict
from bench.results import Results

__all__ = ["compose", "write_report"]


def write_report(results: Results, folder: Path) -> list[Path]:
    """Write ``report.html``, ``report.md`` and ``charts/*.svg`` into ``folder``, creating it if
    needed; charts there of a report before go. Returns the files, the HTML first. Deterministic.
    Raises OSError, and BadResults for a run against a target that is not described.
    """
    report = compose(results)
    (folder / CHARTS).mkdir(parents=True, exist_ok=True)
    texts = {folder / "report.html": html(report), folder / "report.md": markdown(report)} | {
        folder / CHARTS / f"{picture.key}.svg": standalone(picture.svg)
        for picture in report.pictures
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8", errors="replace")
    for path in (folder / CHARTS).glob("*.svg"):
        if path not in texts:
            path.unlink()
    return list(texts)


def compose(results: Results) -> Report:
    """The content of both files. Raises BadResults."""
    results = msgspec.convert(_visible(msgspec.to_builtins(results)), Results)
    check(results)
    together = groups(results)
    totals = scores(results)
    findings = judged(results)
    sections = (
        verdict(results, together, totals, findings),
        recommendation(results, totals, findings),
        targets(results),
        capacity(results),
        charts(results, together),
        decision(results, totals),
        detail(results, together),
    )
    return Report(
        title="Live location servers, measured",
        head=circumstances(results),
        sections=tuple(each for each in sections if each is not None),
    )


def _visible(value: Any) -> Any:
    """Makes every text safe to print: names and remarks come from outside."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: _visible(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_visible(each) for each in value]
    return value
