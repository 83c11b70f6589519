"""The report as one HTML file that needs nothing but itself: no script, no request, no font."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.report.blocks import Picture, Report
from bench.report.charts.svg import DARK, LIGHT

_TEMPLATES = Path(__file__).parent / "templates"


def html(report: Report) -> str:
    """The whole file. Every text is escaped; only the charts, which are made here, are not."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["drawn"] = _drawn
    template = environment.get_template("report.html.jinja")
    return template.render(report=report, light=LIGHT, dark=DARK)


def _drawn(picture: Picture) -> Markup:
    return Markup(picture.svg)  # noqa: S704 - an element tree of our own, written out as XML
