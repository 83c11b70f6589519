"""Draws a :class:`~locshare.ops.top.model.ScreenModel` with rich. Pure."""

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from locshare.ops.inspection.text import (
    duration,
    latency,
    mailbox,
    milliseconds,
    number,
    reason,
    share,
    size,
    state,
)
from locshare.ops.inspection.views import ProcessInfo
from locshare.ops.top.model import Row, ScreenModel

_HEAD_LINES: Final = 4
_FOOT_LINES: Final = 2
_TABLE_FRAME: Final = 2
_TRACE_LINES: Final = 10
_BUSY, _VERY_BUSY = 0.25, 0.6
_SLOW_S = 0.5

KEYS: Final = (
    "↑↓ select  [b]s[/]uspend  [b]r[/]esume  [b]t[/]race  [b]K[/]ill  [b]x[/] terminate  "
    "[b]a[/] start again  [b]o[/]rder  [b]p[/]ause  [b]?[/] help  [b]q[/]uit"
)
HELP: Final = """\
[b]What is shown.[/] Every supervisor, actor and task of the server, as its supervisors see them.
  mailbox   messages that wait, and the bound        high      the most that ever waited at once
  msg/s     messages handled                         load      share of one core, on the loop
  restarts  by its supervisor, with the last reason  people    online / participants of a session
  memory    of the mailbox and what waits for slow phones
  latency   of a session's positions, from receipt to flush; above, until all are written to

[b]What can be done[/] to the selected one.
  [b]s r[/]  suspend: it takes no message, they wait. resume: it goes on
  [b]t[/]    trace: types and times of its messages, never their contents
  [b]K[/]    kill, as a crash would: its supervisor restarts it, or gives up
  [b]x a[/]  terminate: stop in order, for good (a session: until it is needed). a: start it again
  [b]o[/]    order sessions by load, messages handled, latency, mailbox, restarts, age

Any key goes back."""


def page_of(model: ScreenModel, height: int) -> int:
    """How many rows of the tree are in sight on a terminal of ``height`` lines."""
    taken = _HEAD_LINES + _FOOT_LINES + _TABLE_FRAME
    if _has_trace(model):
        taken += _TRACE_LINES + 2
    return max(height - taken, 3)


def draw(model: ScreenModel, height: int) -> RenderableType:
    """The whole screen, ``height`` lines at most."""
    if model.help:
        return Group(Panel(Text.from_markup(HELP), title="locshare top"), _foot(model))
    parts: list[RenderableType] = [_head(model)]
    parts.append(_tree(model, page_of(model, height)))
    if _has_trace(model):
        parts.append(_trace(model))
    parts.append(_foot(model))
    return Group(*parts)


def _has_trace(model: ScreenModel) -> bool:
    return model.tracing is not None or bool(model.trace)


# --- the head -------------------------------------------------------------------------------------


def _head(model: ScreenModel) -> RenderableType:
    if model.snapshot is None:
        text = Text(model.problem or "waiting for the first snapshot …")
        return Group(text, *[Text("")] * (_HEAD_LINES - 1))
    of = model.snapshot.process
    what = f"[b]locshare {escape(of.version)}[/]  pid {of.pid}  up {duration(of.uptime)}"
    faults = "  [b white on red] faults can be injected [/]" if of.faults else ""
    people = f"people [b]{of.online}[/] online of {of.participants}"
    slow = f"waiting for slow phones {size(of.backlog)}"
    loop = f"loop busy {_gauge(of.busy)}  lag {of.lag * 1000:.1f} ms"
    window = f"flush window [b]{of.window * 1000:.0f} ms[/]"
    crashes = f"session crashes {of.crashes}"
    connections = f"connections [b]{of.connections}[/]"
    positions = f"latency {latency(of.latency)}"
    lines = [
        f"{what}  memory [b]{size(of.rss)}[/]  {of.tasks} tasks  {positions}{faults}",
        f"sessions [b]{of.sessions}[/]  {people}  {connections}  {crashes}  {slow}",
        f"core {_gauge(of.cpu)}  {loop}  {window}  {_longest(of)}",
    ]
    head = [Text.from_markup(line, overflow="ellipsis") for line in lines]
    for line in head:
        line.no_wrap = True
    return Group(*head, _notice(model))


def _gauge(value: float | None) -> str:
    if value is None:
        return "-"
    filled = min(round(value * 10), 10)
    colour = "green" if value < _BUSY else "yellow" if value < _VERY_BUSY else "red"
    return f"[{colour}]{'█' * filled}[/][dim]{'░' * (10 - filled)}[/] {value:.0%}"


def _longest(of: ProcessInfo) -> str:
    if of.longest_step is None:
        return ""
    step = of.longest_step
    during = f" in {step.message}" if step.message else ""
    return f"longest step {step.seconds * 1000:.1f} ms ({escape(step.task)}{escape(during)})"


def _notice(model: ScreenModel) -> Text:
    if model.problem:
        return Text(model.problem, style="bold white on red", no_wrap=True)
    if model.paused:
        return Text("paused; p goes on", style="bold black on yellow")
    return Text("")


# --- the tree -------------------------------------------------------------------------------------


def _tree(model: ScreenModel, page: int) -> RenderableType:
    table = Table(box=None, expand=True, padding=(0, 1), header_style="bold cyan", pad_edge=False)
    table.add_column(f"actor (by {model.sort})", no_wrap=True, ratio=3)
    table.add_column("state", no_wrap=True)
    for name in (
        "mailbox",
        "high",
        "handled",
        "msg/s",
        "load",
        "latency",
        "people",
        "memory",
        "restarts",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("last reason", no_wrap=True, ratio=2)
    for row in _in_sight(model, page):
        selected = row.view.path == model.selected
        table.add_row(*_cells(row), style="reverse" if selected else "")
    return table


def _in_sight(model: ScreenModel, page: int) -> Sequence[Row]:
    """A page of rows, the selected one among them."""
    paths = [row.view.path for row in model.rows]
    at = paths.index(model.selected) if model.selected in paths else 0
    first = min(max(at - page // 2, 0), max(len(paths) - page, 0))
    return model.rows[first : first + page]


def _cells(row: Row) -> list[Text]:
    view = row.view
    name = Text("  " * row.depth + view.id, style="bold" if view.kind == "supervisor" else "")
    if view.hidden:
        name.append(f"  ({view.hidden} more)", style="dim")
    online, people = view.gauges.get("online"), view.gauges.get("participants")
    return [
        name,
        _state(row),
        Text(mailbox(view), style="yellow" if view.mailbox else "dim"),
        Text(number(view.high_water)),
        Text(number(view.handled)),
        Text("" if row.rate is None else f"{row.rate:.1f}"),
        Text(share(view.load), style="red" if (view.load or 0) > _BUSY else ""),
        Text(milliseconds(view.latency), style="red" if (view.latency or 0) > _SLOW_S else ""),
        Text("" if people is None else f"{online}/{people}"),
        Text("" if view.bytes is None else size(view.bytes)),
        Text(str(view.restarts), style="red" if view.restarts else "dim"),
        Text(reason(view), style="red" if view.last_reason else ""),
    ]


def _state(row: Row) -> Text:
    if row.absent:
        return Text("not shown", style="dim")
    word = state(row.view)
    styles = {"running": "green", "suspended": "black on yellow", "stopped": "dim"}
    text = Text(word, style=styles.get(word, "yellow"))
    if row.view.traced:
        text.append(" ●", style="magenta")
    return text


# --- the trace and the foot -----------------------------------------------------------------------


def _trace(model: ScreenModel) -> RenderableType:
    lines = list(model.trace)[-_TRACE_LINES:]
    text = Text(no_wrap=True)
    for line in lines:
        if line.lost:
            text.append(f"… {line.lost} lost …\n", style="dim")
        text.append(f"{line.at:9.3f} s  ", style="dim")
        text.append(f"{line.kind:<6}", style="cyan")
        text.append(f"{line.type:<28}")
        text.append(f"{line.seconds * 1e6:10.0f} µs\n")
    name = model.tracing or "ended"
    return Panel(text, title=f"trace: {escape(name)}", height=_TRACE_LINES + 2)


def _foot(model: ScreenModel) -> RenderableType:
    if model.question is not None:
        answer = Text(f"{model.question.text}  y / n", style="bold black on yellow")
    else:
        answer = Text(model.message, style="red" if model.failed else "green")
    answer.no_wrap = True
    keys = Text.from_markup(KEYS, style="dim")
    keys.no_wrap = True
    return Group(answer, keys)
