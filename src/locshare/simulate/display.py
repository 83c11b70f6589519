"""Shows a simulation: a live table on a terminal, plain lines elsewhere, a summary at the end.

The lines go to standard error: standard output gets nothing but the summary.
"""

from collections import deque
from typing import Final, final

import trio
from msgspec import Struct
from rich.console import Console
from rich.live import Live as LiveDisplay
from rich.markup import escape
from rich.table import Table

from locshare.simulate.crowd import Crowd, Summary
from locshare.simulate.ledger import Latency

TABLE_EVERY_S: Final = 0.5
LINE_EVERY_S: Final = 5.0
RATES_OVER_S: Final = 4.0


class Reading(Struct, frozen=True):
    """The figures at one time; rates per second."""

    people: int
    connected: int
    sent: int
    sent_rate: float
    received: int
    received_rate: float
    outstanding: int
    skipped: int
    latency: Latency
    reconnects: int
    errors: int
    last_error: str
    """Why no participant is connected; empty while one is."""


@final
class Meter:
    """Reads the figures of a crowd, and turns differences into rates."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._earlier: deque[tuple[float, int, int]] = deque()

    def read(self, now: float) -> Reading:
        """The figures at ``now`` (seconds of a monotonic clock)."""
        crowd = self._crowd
        sent, received = crowd.sent, crowd.received
        self._earlier.append((now, sent, received))
        while len(self._earlier) > 2 and now - self._earlier[1][0] >= RATES_OVER_S:
            self._earlier.popleft()
        then, sent_then, received_then = self._earlier[0]
        span = now - then
        return Reading(
            people=len(crowd.people),
            connected=crowd.connected,
            sent=sent,
            sent_rate=(sent - sent_then) / span if span else 0.0,
            received=received,
            received_rate=(received - received_then) / span if span else 0.0,
            outstanding=crowd.outstanding,
            skipped=sum(each.skipped for each in crowd.ledgers),
            latency=crowd.recent_latency(),
            reconnects=crowd.reconnects,
            errors=crowd.errors.total(),
            last_error="" if crowd.connected or crowd.last_error is None else str(crowd.last_error),
        )


async def show(crowd: Crowd, console: Console) -> None:
    """Show the figures until cancelled."""
    meter = Meter(crowd)
    if not console.is_terminal:
        while True:
            await trio.sleep(LINE_EVERY_S)
            console.print(line_of(meter.read(trio.current_time())), highlight=False, soft_wrap=True)
    # Refreshed here, not by rich's thread, which would read figures while they change.
    with LiveDisplay(console=console, auto_refresh=False, transient=True) as display:
        while True:
            display.update(table_of(meter.read(trio.current_time())), refresh=True)
            await trio.sleep(TABLE_EVERY_S)


def line_of(reading: Reading) -> str:
    """The figures as one line, for logs."""
    if reading.last_error:
        return f"nobody is connected, trying again: {reading.last_error}"
    return (
        f"connected {reading.connected}/{reading.people}"
        f"  sent {reading.sent_rate:.1f}/s  received {reading.received_rate:.1f}/s"
        f"  latency {milliseconds(reading.latency)}"
        f"  on the way {reading.outstanding}"
        f"  reconnects {reading.reconnects}  errors {reading.errors}"
    )


def table_of(reading: Reading) -> Table:
    """The figures as a table, for terminals."""
    table = Table(title="locshare simulate", caption="Ctrl-C ends it", min_width=48)
    table.add_column("")
    table.add_column("now", justify="right")
    table.add_column("so far", justify="right")
    table.add_row("people connected", f"{reading.connected}", f"of {reading.people}")
    table.add_row("updates sent", f"{reading.sent_rate:.1f}/s", f"{reading.sent:,}")
    table.add_row("updates received", f"{reading.received_rate:.1f}/s", f"{reading.received:,}")
    table.add_row("on the way", f"{reading.outstanding}", "")
    table.add_row("skipped for newer ones", "", f"{reading.skipped:,}")
    table.add_row("latency p50 / p95 / p99", milliseconds(reading.latency), "")
    table.add_row("reconnects", "", f"{reading.reconnects}")
    style = "red" if reading.errors else ""
    table.add_row("errors", "", f"{reading.errors}", style=style)
    if reading.last_error:
        table.caption = f"nobody is connected, trying again: {escape(reading.last_error)}"
    return table


def milliseconds(latency: Latency) -> str:
    """``p50 / p95 / p99`` in milliseconds."""
    parts = (latency.p50, latency.p95, latency.p99)
    return " / ".join("-" if part is None else f"{part:.1f}" for part in parts) + " ms"


def summary_of(summary: Summary) -> str:
    """The summary, for people."""
    sessions = f"{summary.sessions} session{'s' if summary.sessions > 1 else ''}"
    lost = f"{summary.lost:,} lost" if summary.lost else "nothing lost"
    if not summary.sent:
        lost = "nothing was sent"
    elif not summary.expected:
        lost = "nobody else was there to receive them"
    lines = [
        f"{summary.people} people in {sessions} for {summary.seconds:.0f} s",
        f"  sent       {summary.sent:,} updates",
        f"  received   {summary.received:,} of {summary.expected:,} expected: {lost}",
    ]
    if summary.skipped:
        lines.append(f"  skipped    {summary.skipped:,}, where a newer one came instead")
    if summary.waived:
        lines.append(f"  waived     {summary.waived:,}, under way when a connection ended")
    if summary.foreign:
        lines.append(f"  others'    {summary.foreign:,} updates of people who are not simulated")
    lines.append(f"  latency    {milliseconds(summary.latency_ms)} (p50 / p95 / p99)")
    if summary.reconnects:
        lines.append(f"  reconnects {summary.reconnects}")
    if summary.failed:
        lines.append(
            f"  failed     {summary.failed} people, who could not connect or stay to the end"
        )
    lines += [f"  error      {what}: {count}" for what, count in summary.errors.items()]
    return "\n".join(lines)
