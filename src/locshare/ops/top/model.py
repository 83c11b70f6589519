"""The model of the screen: what it shows and what each key does. Pure: no I/O, no clock."""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple, final

from msgspec import Struct
from msgspec.structs import replace

from locshare.ops.inspection.views import (
    ActorView,
    Kill,
    Restart,
    Resume,
    SortKey,
    Suspend,
    Terminate,
    TraceLine,
    TreeSnapshot,
)

SORTS: Final[tuple[SortKey, ...]] = (
    "load", "handled", "latency", "mailbox", "restarts", "id",
)  # fmt: skip
TRACE_LINES: Final = 200


class Row(NamedTuple):
    """One line of the tree."""

    depth: int
    view: ActorView
    rate: float | None
    """Messages handled per second since the previous snapshot."""
    absent: bool = False
    """The selected child as last seen: it has ended, or is hidden now."""


class Send(NamedTuple):
    """Send ``request`` to the server; show ``about`` when it is done."""

    request: Struct
    about: str


class StartTrace(NamedTuple):
    """Trace this actor."""

    path: str


class StopTrace(NamedTuple):
    """End the trace."""


class SortBy(NamedTuple):
    """Request snapshots in another order."""

    key: SortKey


class Quit(NamedTuple):
    """Quit."""


Action = Send | StartTrace | StopTrace | SortBy | Quit


class Question(NamedTuple):
    """Asks for a y before ``action``."""

    text: str
    action: Send


@final
class ScreenModel:
    """Everything that :mod:`locshare.ops.top.screen` draws."""

    def __init__(self, sort: SortKey = "load") -> None:
        self.sort: SortKey = sort
        self.snapshot: TreeSnapshot | None = None
        self.rows: Sequence[Row] = ()
        self.selected = "."
        self.paused = False
        self.help = False
        self.question: Question | None = None
        self.message = ""
        """The outcome of the last action."""
        self.failed = False
        self.problem = ""
        """Why no snapshots arrive."""
        self.tracing: str | None = None
        self.trace: deque[TraceLine] = deque(maxlen=TRACE_LINES)
        self._handled: dict[int, int] = {}

    # --- what comes from the server -------------------------------------------------------------

    def show(self, snapshot: TreeSnapshot) -> None:
        """Show a snapshot; ignored while paused."""
        self.problem = ""
        if self.paused:
            return
        before = self.snapshot.at if self.snapshot is not None else None
        seconds = snapshot.at - before if before is not None else 0.0
        handled: dict[int, int] = {}
        rows = [
            Row(depth, view, self._rate(view, seconds, handled))
            for depth, view in snapshot.root.flat()
        ]
        self._keep_selected(rows)
        self.rows, self._handled, self.snapshot = rows, handled, snapshot

    def _keep_selected(self, rows: list[Row]) -> None:
        """Keep a row for a selected child that is gone: whatever moves, the next key must act on
        the child that the user sees selected.
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
        """No snapshots arrive until the next :meth:`show`."""
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
        """The traced actor has ended, or could not be traced."""
        self.tracing = None
        self.refused(f"trace ended: {why}")

    # --- what comes from the keyboard -----------------------------------------------------------

    def key(self, key: str, page: int = 10) -> Action | None:
        """Handle a key, and return the action it asks for. ``page``: rows in sight."""
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
                return Send(Suspend(path), f"{path} is suspended: its messages wait")
            case "r":
                return Send(Resume(path), f"{path} goes on")
            case "a":
                return Send(Restart(path), f"{path} was started again")
            case "x":
                done = Send(Terminate(path), f"{path} was terminated; a starts it again")
                self.question = Question(f"Terminate {path}, and all below it, for good?", done)
            case "K":
                done = Send(Kill(path), f"{path} was killed; its supervisor decides what follows")
                self.question = Question(f"Kill {path} as a crash would?", done)
        return None


_STEPS: Final = {"up": -1, "k": -1, "down": 1, "j": 1}
