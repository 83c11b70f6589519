"""What observers of a run are given. They are in :mod:`bench.observers`."""

from typing import Protocol

from msgspec import Struct

from bench.results import Moment, Run


class RunStatus(Struct, frozen=True):
    """Of a run, now."""

    target: str
    scenario: str
    title: str
    people: int
    left_s: float
    """Until sending stops; 0 after that."""
    sent: int
    expected: int
    delivered: int
    lost: int
    """Updates in flight included."""
    refused: int
    disconnects: int
    reconnects: int
    generator_share: float


class Observer(Protocol):
    """Called in the thread of the run; must be quick."""

    def begins(self, target: str, scenario: str, title: str) -> None:
        """A run begins."""

    def phase(self, text: str) -> None:
        """The next phase begins."""

    def moment(self, moment: Moment, standing: RunStatus) -> None:
        """A second has passed."""

    def ended(self, run: Run) -> None:
        """A run has ended."""
