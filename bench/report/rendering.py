"""The report as one HTML file that needs nothing but itself, and as Markdown beside its charts.

The HTML has no script, makes no request and loads no font. The Markdown is for GitHub.
"""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.report.blocks import Picture, Report
from bench.report.charts.svg import DARK, LIGHT

CHARTS = "charts"
"""The folder of the charts, beside the Markdown."""
_TEMPLATES = Path(__file__).parent / "templates"
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$&])")
_STARTS_A_LIST = re.compile(r"^([-+]|\d+[.)])(?=\s|$)")


def html(report: Report) -> str:
    """The whole file. Every text is escaped; only the charts, which are made here, are not."""
    filters = {"drawn": _drawn}
    values = {"report": report, "light": LIGHT, "dark": DARK}
    return _render("report.html.jinja", filters, values, autoescape=True)


def markdown(report: Report) -> str:
    filters = {"escaped": _escaped, "fence": _fence}
    values = {"report": report, "folder": CHARTS}
    return _render("report.md.jinja", filters, values, autoescape=False)


def _render(name: str, filters: dict[str, Any], values: dict[str, Any], *, autoescape: bool) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=autoescape,  # noqa: S701 - Markdown has an escape of its own
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters)
    return environment.get_template(name).render(values)


def _drawn(picture: Picture) -> Markup:
    return Markup(picture.svg)  # noqa: S704 - an element tree of our own, written out as XML


def _escaped(text: str) -> str:
    """``text`` in one line, shown as it is wherever it stands."""
    text = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return _STARTS_A_LIST.sub(lambda f: f"{f[1][:-1]}\\{f[1][-1]}", text)


def _fence(text: str) -> str:
    """Longer than any run of backticks in ``text``."""
    return "`" * max(3, *(len(each) + 1 for each in re.findall("`+", text)), 3)
