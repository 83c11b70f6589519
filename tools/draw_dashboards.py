"""Draws the dashboards of deploy/monitoring/grafana as pictures, from a Prometheus that runs.

``python -m tools.draw_dashboards`` starts a server, people on it, the load generator, Prometheus
and a few faults, waits, and writes docs/pictures/dashboard-*.png. It is no Grafana: it reads the
same JSON, asks the same queries, and draws lines.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio

from bench.guardian import entrust, stand_guard
from bench.servers import free_port
from locshare.ops.faults import FaultClient, open_faults
from tests.monitoring.stack import Stack, monitored
from tests.program import data_directory, running_program
from tools.dashboards import FOLDER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURES: Final = Path(__file__).resolve().parent.parent / "docs" / "pictures"
_STEP_S: Final = 1.0
_INTERVAL: Final = "10s"
_COLUMNS: Final = 24
_INCH_PER_COLUMN, _INCH_PER_ROW = 0.62, 0.33
_MOST_SERIES: Final = 10
_FEW_SERIES: Final = 4
_GROUND, _PAPER, _INK, _FAINT = "#111217", "#181b1f", "#d8d9da", "#33363d"
_COLORS: Final = (
    "#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#37872d", "#8ab8ff",
    "#fade2a", "#ffa6b0",
)  # fmt: skip


def expression(query: str, interval: str = _INTERVAL) -> str:
    """A query of a dashboard with its variables filled in."""
    return query.replace("$__rate_interval", interval).replace("$instance", ".*")


def panels(path: Path) -> Iterator[dict[str, Any]]:
    """Those of a dashboard's JSON that show something."""
    for panel in json.loads(path.read_text())["panels"]:
        if panel["type"] != "row":
            yield panel


# --- drawing --------------------------------------------------------------------------------------


def draw(path: Path, stack: Stack, start: float, end: float, to: Path) -> None:
    """One dashboard, as it is between two Unix times."""
    from matplotlib.figure import Figure  # takes half a second

    found = json.loads(path.read_text())
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in found["panels"])
    figure = Figure(
        figsize=(_COLUMNS * _INCH_PER_COLUMN, height * _INCH_PER_ROW + 0.5), facecolor=_GROUND
    )
    top = height * _INCH_PER_ROW / (height * _INCH_PER_ROW + 0.5)
    figure.text(0.008, 1 - (1 - top) / 2, found["title"], color=_INK, size=13, va="center")
    for panel in found["panels"]:
        at = panel["gridPos"]
        left, width = at["x"] / _COLUMNS, at["w"] / _COLUMNS
        bottom, tall = top * (1 - (at["y"] + at["h"]) / height), top * at["h"] / height
        if panel["type"] == "row":
            figure.text(left + 0.008, bottom + tall / 2, panel["title"], color=_INK, size=11,
                        va="center", weight="bold")  # fmt: skip
            continue
        box = (left + 0.004, bottom + 0.004, width - 0.008, tall - 0.008)
        paper = figure.add_axes(box, facecolor=_PAPER)
        paper.set(xticks=[], yticks=[])
        for side in paper.spines.values():
            side.set_color(_FAINT)
        paper.text(0.02, 0.94, panel["title"], color=_INK, size=8, va="top",
                   transform=paper.transAxes)  # fmt: skip
        series = [each for target in panel["targets"]
                  for each in _series(target, stack, start, end)]  # fmt: skip
        if panel["type"] == "stat":
            _number(paper, panel, series)
        else:
            shape = (box[0] + 0.14 * box[2], box[1] + 0.3 * box[3], 0.83 * box[2], 0.53 * box[3])
            _lines(figure.add_axes(shape, facecolor=_PAPER), panel, series, start, end)
    figure.savefig(to, dpi=72, facecolor=_GROUND)


Series = tuple[str, Sequence[float], Sequence[float]]


def _series(target: Mapping[str, Any], stack: Stack, start: float, end: float) -> Iterator[Series]:
    for found in stack.query_range(expression(target["expr"]), start, end, _STEP_S):
        legend = target.get("legendFormat") or ""
        for label, value in found["metric"].items():
            legend = legend.replace("{{" + label + "}}", value)
        points = [(at, float(value)) for at, value in found["values"]]
        yield legend, [at for at, _ in points], [value for _, value in points]


def _number(paper: "Axes", panel: Mapping[str, Any], series: Sequence[Series]) -> None:
    values = series[0][2] if series else [math.nan]
    value = next((each for each in reversed(values) if not math.isnan(each)), math.nan)
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    color = [each["color"] for each in steps if (each.get("value") or -math.inf) <= value]
    shown = {"green": _COLORS[0], "orange": _COLORS[3], "red": _COLORS[4]}
    text = "no data" if math.isnan(value) else _formatter(panel)(value)
    paper.text(0.5, 0.4, text, color=shown[(color or ["green"])[-1]], size=17, ha="center",
               va="center", transform=paper.transAxes)  # fmt: skip


def _lines(
    axes: "Axes", panel: Mapping[str, Any], series: Sequence[Series], start: float, end: float
) -> None:
    axes.tick_params(colors=_INK, labelsize=6, length=2)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.grid(color=_FAINT, linewidth=0.5)
    busiest = sorted(series, key=lambda each: max(each[2], default=0), reverse=True)
    if len(busiest) > _FEW_SERIES:  # most kinds of errors and ends never happened
        busiest = [each for each in busiest if any(each[2])] or busiest[:1]
    highest = 0.0
    for color, (legend, times, values) in zip(_COLORS, busiest[:_MOST_SERIES], strict=False):
        axes.plot([at - start for at in times], values, color=color, linewidth=1, label=legend)
        highest = max([highest, *(each for each in values if math.isfinite(each))])
    for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", ())[1:]:
        if step["value"] < 3 * highest:
            axes.axhline(step["value"], color=_COLORS[4], linewidth=0.7, linestyle="--")
            highest = max(highest, step["value"])
    axes.set_xlim(0, end - start)
    axes.set_ylim(0, highest * 1.1 or 1)
    show = _formatter(panel)
    axes.yaxis.set_major_formatter(lambda value, _: show(value))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")
    axes.locator_params(axis="y", nbins=4)
    if not series:
        axes.text(0.5, 0.5, "no data", color=_INK, size=8, ha="center", transform=axes.transAxes)
    elif any(legend for legend, _, _ in series):
        axes.legend(loc="upper left", bbox_to_anchor=(-0.14, -0.16), ncols=3, fontsize=5.5,
                    frameon=False, labelcolor=_INK, handlelength=1, columnspacing=1)  # fmt: skip


def _formatter(panel: Mapping[str, Any]) -> Callable[[float], str]:
    match panel["fieldConfig"]["defaults"].get("unit"):
        case "s":
            return lambda value: f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"
        case "bytes":
            return lambda value: _scaled(value, 1024, ("B", "KiB", "MiB", "GiB"))
        case "Bps":
            return lambda value: _scaled(value, 1000, ("B/s", "kB/s", "MB/s", "GB/s"))
        case "percentunit":
            return lambda value: f"{value * 100:.3g} %"
        case "ops":
            return lambda value: _scaled(value, 1000, ("/s", "k/s", "M/s"))
        case _:
            return lambda value: _scaled(value, 1000, ("", "k", "M"))


def _scaled(value: float, base: int, names: Sequence[str]) -> str:
    place = 0
    while abs(value) >= base and place < len(names) - 1:
        value, place = value / base, place + 1
    return f"{value:.3g} {names[place]}".rstrip()


# --- something to draw ----------------------------------------------------------------------------


@contextmanager
def busy(seconds: int) -> Iterator[tuple[Stack, float]]:
    """A server with people and faults for ``seconds``, a load test, and Prometheus on both since a
    Unix time.
    """
    with data_directory() as folder:
        settings = {"LOCSHARE_DATA_DIR": str(folder), "LOCSHARE_CREATE_PER_SECOND": "0"}
        with running_program(settings, ("--faults",)) as program:
            port = free_port()
            host = program.http_url.removeprefix("http://")
            targets = {"locshare": host, "locshare-bench": f"127.0.0.1:{port}"}
            load = [
                *("-m", "bench", "run", "flood", "--scale", "0.5", "--duration", str(seconds)),
                *("--target", f"locshare={program.http_url},dialect=plain", "--metrics", str(port)),
                *("--out", str(folder / "report")),
            ]
            people = ["-m", "locshare", "simulate", "--url", program.http_url, "--sessions", "3"]
            with monitored(targets, window_s=15, hold_s=1, interval_s=1.0) as stack:
                began = time.time()
                processes = [
                    entrust(subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL,
                                             stderr=subprocess.DEVNULL, start_new_session=True))
                    for words in (load, people)
                ]  # fmt: skip
                try:
                    trio.run(_disturb, folder / "control.sock", seconds)
                    yield stack, began
                finally:
                    for process in processes:
                        process.terminate()
                        process.wait()


async def _disturb(control: Path, seconds: int) -> None:
    """Let some time pass, with a crash, a slow database and a held loop in it."""
    await trio.sleep(seconds * 0.5)
    async with open_faults(control) as faults:
        await faults.crash_now(await _an_actor(faults))
        await faults.delay_store(0.2)
        await trio.sleep(seconds * 0.15)
        await faults.restore_store()
        await faults.block(await _an_actor(faults), 0.7)
        await trio.sleep(seconds * 0.15)
        await faults.kill("heartbeat")
        await trio.sleep(seconds * 0.1)


async def _an_actor(faults: FaultClient) -> str:
    """The path of the session with most work."""
    views = [view for _, view in (await faults.snapshot()).root.flat()]
    sessions = [view for view in views if view.path.endswith("/session")]
    return max(sessions, key=lambda view: view.handled or 0).path


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.draw_dashboards", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--seconds", type=int, default=100, help="of load before (default 100)")
    options = parser.parse_args(arguments)
    stand_guard()
    with busy(options.seconds) as (stack, began):
        now = time.time()
        for path in sorted(FOLDER.glob("*.json")):
            name = path.stem.removeprefix("locshare-")
            draw(path, stack, began, now, PICTURES / f"dashboard-{name}.png")


if __name__ == "__main__":
    main()
