"""The style of every chart: one size, one palette, few lines. Colours are for a light page;
``svg.py`` makes them switch to dark.

matplotlib takes a second to import, so only functions that draw import it.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench.report.blocks import Picture
from bench.report.charts import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 440.0
"""In points. A phone shrinks it to about 350 pixels, and 11-point text to 9."""
TEXT = 11.0
LEGEND_LINE = 20.0
NAMES_PER_LINE = 2
_LONGEST_NAME = 26

TARGETS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""The colour-blind safe palette of Okabe and Ito; a seventh target reuses one with a dash."""
INK, MUTED, GRID, PAPER, BAD = "#1b2430", "#5a6675", "#dde2e8", "#ffffff", "#b3261e"
MARKERS = "osD^vP"
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))

_RC: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, and in the reader's font
    "text.parse_math": False,  # a name may contain a dollar sign
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so every machine measures the same
    "font.size": TEXT,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlelocation": "left",
    "axes.titlesize": TEXT,
    "axes.titlecolor": MUTED,
    "axes.titlepad": 6.0,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelsize": TEXT,
    "axes.unicode_minus": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": TEXT - 1,
    "ytick.labelsize": TEXT - 1,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "path.simplify": True,
    "path.simplify_threshold": 0.2,
}


def picture(
    key: str, title: str, alt: str, draw: Callable[["Figure"], float], note: str = ""
) -> Picture:
    """``draw`` fills a figure of WIDTH and returns its height in points. Deterministic."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()  # ignore the user's matplotlibrc
        mpl.rcParams.update(_RC)
        mpl.rcParams["svg.hashsalt"] = key
        figure = Figure()
        figure.patch.set_alpha(0)
        height = draw(figure)
        figure.set_size_inches(WIDTH / 72, height / 72)
        text = io.StringIO()
        with _any_script():
            figure.savefig(text, format="svg", metadata={"Date": None})
    return Picture(key, title, alt, svg.finished(text.getvalue(), key, alt), note)


@contextmanager
def _any_script() -> Iterator[None]:
    """Scripts that matplotlib's font lacks are drawn in the reader's font."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def colour(target: int) -> str:
    """Of the target with this number, the same in every chart."""
    return TARGETS[target % len(TARGETS)]


def line(target: int) -> dict[str, Any]:
    """How its lines are drawn."""
    return {"color": colour(target), "linestyle": DASHES[target // len(TARGETS) % len(DASHES)]}


def marker(target: int) -> str:
    """The shape of its points."""
    return MARKERS[target % len(MARKERS)]


def name(text: str) -> str:
    """Shortened for a chart, without characters that XML forbids."""
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def slug(*fmt: str) -> str:
    """For a file name. A word without letters or digits disappears."""
    cut = (re.sub(r"[^a-z0-9]+", "-", word.lower())[:40].strip("-") for word in fmt)
    return "-".join(filter(None, cut))


def axes(figure: "Figure", top: float, bottom: float, height: float, left: float = 52) -> "Axes":
    """From ``top`` to ``bottom``, points from the top of a figure that is ``height`` high."""
    right = 14.0
    return figure.add_axes(
        (left / WIDTH, 1 - bottom / height, (WIDTH - left - right) / WIDTH, (bottom - top) / height)
    )


def legend(figure: "Figure", entries: Sequence[tuple[int, str]], height: float) -> None:
    """Targets' colours and names above everything else, NAMES_PER_LINE in a line."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linewidth=3.5, label=name(text), **line(n)) for n, text in entries]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, 1 - 2 / height),
        ncols=NAMES_PER_LINE,
        frameon=False,
        fontsize=TEXT,
        handlelength=1.6,
        borderpad=0,
    )


def legend_height(names: Sequence[str]) -> float:
    """How much of the top :func:`legend` needs."""
    return LEGEND_LINE * -(-len(names) // NAMES_PER_LINE) + 8
