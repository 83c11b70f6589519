"""A live display of a run, on a terminal."""

from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.driver.progress import RunStatus
from bench.observers.text import figures, summary
from bench.results import Moment, Run


class Display:
    """A context manager. Results of ended runs stay above it. It is drawn once a second by the run
    itself, so that no other thread competes with it.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = Console(stderr=True) if console is None else console
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._phase = ""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begins(self, target: str, scenario: str, title: str) -> None:
        self._console.print(f"[bold]{escape(scenario)}[/] against [bold]{escape(target)}[/]")
        self._console.print(Text(title, style="dim"))

    def phase(self, text: str) -> None:
        self._phase = text
        self._live.update(Text(f"… {text}"), refresh=True)

    def moment(self, moment: Moment, standing: RunStatus) -> None:
        table = Table.grid(padding=(0, 2))
        shown = list(figures(moment, standing))
        for _ in shown:
            table.add_column(justify="right")
        table.add_row(*(Text(name, style="dim") for name, _ in shown))
        table.add_row(*(Text(value) for _, value in shown))
        self._live.update(Group(Text(f"… {self._phase}"), table), refresh=True)

    def ended(self, run: Run) -> None:
        self._live.update("", refresh=True)
        self._console.print(Text(summary(run)))
        for each in run.remarks:
            self._console.print(Text(each, style="yellow"))
