"""What is on the screen and what each key does. Pure: no terminal, no socket, no clock."""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple, final

from msgspec import Struct
from msgspec.structs import replace

from locshare.ops.inspection.views import (
    ActorView,
    Kill,
    Picture,
    Restart,
    Resume,
    SortKey,
    Suspend,
    Terminate,
    TraceLine,
)

SORTS: Final[tuple[SortKey, ...]] = ("load", "handled", "mailbox", "restarts", "id")
TRACE_LINES: Final = 200


class Row(NamedTuple):
    """One line of the tree."""

    depth: int
    view: ActorView
    rate: float | None
    """Messages handled per second since the picture before."""
    absent: bool = False
    """The selected one, as it was last seen: it has ended, or is not among those shown now."""


class Do(NamedTuple):
    """Ask the server for something. ``about`` is the sentence for when it is done."""

    request: Struct
    about: str


class StartTrace(NamedTuple):
    """Trace this actor."""

    path: str


class StopTrace(NamedTuple):
    """Trace nobody."""


class SortBy(NamedTuple):
    """Ask for pictures in another order."""

    key: SortKey


class Quit(NamedTuple):
    """Leave."""


Action = Do | StartTrace | StopTrace | SortBy | Quit


class Question(NamedTuple):
    """To be answered with y before it is done."""

    text: str
    action: Do


@final
class Browser:
    """Everything that :mod:`locshare.ops.top.screen` draws."""

    def __init__(self, sort: SortKey = "load") -> None:
        self.sort: SortKey = sort
        self.picture: Picture | None = None
        self.rows: Sequence[Row] = ()
        self.selected = "."
        self.paused = False
        self.help = False
        self.question: Question | None = None
        self.message = ""
        """What became of the last action."""
        self.failed = False
        self.problem = ""
        """Why there are no pictures now."""
        self.tracing: str | None = None
        self.trace: deque[TraceLine] = deque(maxlen=TRACE_LINES)
        self._handled: dict[int, int] = {}

    # --- what comes from the server -------------------------------------------------------------

    def show(self, picture: Picture) -> None:
        """A new picture; ignored while paused."""
        self.problem = ""
        if self.paused:
            return
        before = self.picture.at if self.picture is not None else None
        seconds = picture.at - before if before is not None else 0.0
        handled: dict[int, int] = {}
        rows = [
            Row(depth, view, self._rate(view, seconds, handled))
            for depth, view in picture.root.flat()
        ]
        self._keep_selected(rows)
        self.rows, self._handled, self.picture = rows, handled, picture

    def _keep_selected(self, rows: list[Row]) -> None:
        """Whatever moves, the next key must not meet another child than the one that the user
        sees selected.
        """
        if any(row.view.path == self.selected for row in rows):
            return
        for old in self.rows:
            if old.view.path == self.selected:
                ghost = old._replace(rate=None, absent=True, view=replace(old.view, children=()))
                above = self.selected.rpartition("/")[0] or "."
                paths = [row.view.path for row in rows]
                at = paths.index(above) + 1 if above in paths else len(rows)
                rows.insert(at, ghost)

    def _rate(self, view: ActorView, seconds: float, handled: dict[int, int]) -> float | None:
        if view.handled is None or view.incarnation is None:
            return None
        handled[view.incarnation] = view.handled
        if seconds <= 0 or view.incarnation not in self._handled:
            return None
        return (view.handled - self._handled[view.incarnation]) / seconds

    def lost(self, problem: str) -> None:
        """There are no pictures until the next :meth:`show`."""
        self.problem = problem

    def done(self, about: str) -> None:
        """An action succeeded."""
        self.message, self.failed = about, False

    def refused(self, why: str) -> None:
        """An action failed."""
        self.message, self.failed = why, True

    def traced(self, line: TraceLine) -> None:
        """A line of the trace."""
        self.trace.append(line)

    def trace_ended(self, why: str) -> None:
        """The actor that was traced has ended, or could not be traced."""
        self.tracing = None
        self.refused(f"trace ended: {why}")

    # --- what comes from the keyboard -----------------------------------------------------------

    def key(self, key: str, page: int = 10) -> Action | None:
        """A key was pressed; ``page`` is how many rows are in sight. What is to be done."""
        if self.question is not None:
            question, self.question = self.question, None
            if key in ("y", "Y"):
                return question.action
            self.done("not done")
            return None
        self.message = ""
        if self.help:
            self.help = False
            return None
        if key in _STEPS:
            self._move(_STEPS[key])
        elif key in ("pageup", "pagedown"):
            self._move(page if key == "pagedown" else -page)
        elif key in ("home", "end"):
            self._move(len(self.rows) if key == "end" else -len(self.rows))
        elif key in ("?", "h"):
            self.help = True
        elif key in (" ", "p"):
            self.paused = not self.paused
        elif key in ("q", "ctrl-c"):
            return Quit()
        elif key == "o":
            self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
            return SortBy(self.sort)
        elif key == "t":
            return self._toggle_trace()
        else:
            return self._act(key)
        return None

    def _move(self, step: int) -> None:
        if not self.rows:
            return
        paths = [row.view.path for row in self.rows]
        at = paths.index(self.selected) if self.selected in paths else 0
        self.selected = paths[min(max(at + step, 0), len(paths) - 1)]

    def _toggle_trace(self) -> Action:
        if self.tracing is not None:
            self.tracing = None
            return StopTrace()
        self.trace.clear()
        self.tracing = self.selected
        return StartTrace(self.selected)

    def _act(self, key: str) -> Action | None:
        path = self.selected
        match key:
            case "s":
                return Do(Suspend(path), f"{path} is suspended: its messages wait")
            case "r":
                return Do(Resume(path), f"{path} goes on")
            case "a":
                return Do(Restart(path), f"{path} was started again")
            case "x":
                done = Do(Terminate(path), f"{path} was terminated; a starts it again")
                self.question = Question(f"Terminate {path}, and all below it, for good?", done)
            case "K":
                done = Do(Kill(path), f"{path} was killed; its supervisor decides what follows")
                self.question = Question(f"Kill {path} as a crash would?", done)
        return None


_STEPS: Final = {"up": -1, "k": -1, "down": 1, "j": 1}
