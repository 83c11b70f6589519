"""Progress as lines of text, where standard error is no terminal."""

import sys
from typing import TextIO

from bench.driver.progress import RunStatus
from bench.observers.text import figures, summary
from bench.results import Moment, Run

EVERY_S = 5.0


class Lines:
    """One line for each phase, and one every five seconds."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = sys.stderr if out is None else out
        self._next_s = EVERY_S

    def begins(self, target: str, scenario: str, title: str) -> None:
        self._next_s = EVERY_S
        self._say(f"=== {scenario} against {target}: {title}")

    def phase(self, text: str) -> None:
        self._say(f"... {text}")

    def moment(self, moment: Moment, standing: RunStatus) -> None:
        if moment.at_s >= self._next_s and standing.left_s:
            self._next_s = moment.at_s + EVERY_S - 0.5
            self._say(
                "    " + ", ".join(f"{name} {value}" for name, value in figures(moment, standing))
            )

    def ended(self, run: Run) -> None:
        self._say(f"--- {summary(run)}")
        for each in run.remarks:
            self._say(f"    {each}")

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)
