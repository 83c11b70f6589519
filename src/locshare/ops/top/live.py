"""The interactive screen: snapshots and keys come in, requests go out, the screen is drawn.

Three tasks with one control connection each: one watches, one traces, one acts. They share the
:class:`~locshare.ops.top.model.ScreenModel`, which changes only between two checkpoints. When the
server goes away the last snapshot stays, and the watcher reconnects.
"""

import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

import trio
from rich.console import Console
from rich.live import Live

from locshare.ops.control import ControlError, open_control
from locshare.ops.inspection.views import SortKey, Trace, TraceLine, TreeSnapshot, Watch
from locshare.ops.top.keys import raw_keyboard, read_keys
from locshare.ops.top.model import Action, Quit, ScreenModel, Send, SortBy, StartTrace, StopTrace
from locshare.ops.top.screen import draw, page_of

_TRY_AGAIN_S: Final = 1.0


async def run_live(
    path: Path,
    *,
    interval: float,
    limit: int,
    sort: SortKey,
    keyboard: int,
    console: Console | None = None,
) -> None:
    """Run until the user quits. ``keyboard`` is the descriptor of a terminal. Raises ControlError
    when the server cannot be reached at the start.
    """
    async with open_control(path):
        pass  # a wrong path fails here, before the screen is taken
    console = console or Console()
    model = ScreenModel(sort)
    with (
        raw_keyboard(keyboard),
        Live(console=console, screen=True, auto_refresh=False, transient=True) as display,
    ):

        def redraw() -> None:
            height = console.size.height
            display.update(draw(model, height), refresh=True)

        top = _Top(path, model, redraw, interval, limit)
        redraw()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(top.watch)
            nursery.start_soon(_redraw_when_resized, redraw)
            await _handle_keys(top, keyboard, lambda: page_of(model, console.size.height), nursery)
            nursery.cancel_scope.cancel()


async def _handle_keys(
    top: "_Top", keyboard: int, page: Callable[[], int], nursery: trio.Nursery
) -> None:
    while keys := await read_keys(keyboard):
        for key in keys:
            action = top.model.key(key, page())
            if isinstance(action, Quit):
                return
            if action is not None:
                nursery.start_soon(top.do, action)
        top.redraw()


async def _redraw_when_resized(redraw: Callable[[], None]) -> None:
    with trio.open_signal_receiver(signal.SIGWINCH) as signals:
        async for _ in signals:
            redraw()


@final
class _Top:
    def __init__(
        self,
        path: Path,
        model: ScreenModel,
        redraw: Callable[[], None],
        interval: float,
        limit: int,
    ) -> None:
        self.model = model
        self.redraw = redraw
        self._path = path
        self._interval = interval
        self._limit = limit
        self._watching = trio.CancelScope()
        self._tracing = trio.CancelScope()

    async def watch(self) -> None:
        """Show snapshots until cancelled."""
        while True:
            with trio.CancelScope() as self._watching:
                try:
                    async with open_control(self._path) as control:
                        request = Watch(self._interval, self._limit, self.model.sort)
                        with control.answering() as waiting:
                            async for snapshot in control.stream(request, TreeSnapshot):
                                waiting.deadline = math.inf
                                self.model.show(snapshot)
                                self.redraw()
                except ControlError as error:
                    self.model.lost(f"{error}; trying again …")
                    self.redraw()
                    await trio.sleep(_TRY_AGAIN_S)

    async def do(self, action: Action) -> None:
        """Carry out the action of a key."""
        match action:
            case Send(request, about):
                try:
                    async with open_control(self._path) as control:
                        await control.ask(request)
                    self.model.done(about)
                except ControlError as error:
                    self.model.refused(error.message)
            case StartTrace(path):
                await self._trace(path)
            case StopTrace():
                self._tracing.cancel()
            case SortBy():
                self._watching.cancel()
        self.redraw()

    async def _trace(self, path: str) -> None:
        with trio.CancelScope() as self._tracing:
            try:
                async with open_control(self._path) as control:
                    async for line in control.stream(Trace(path), TraceLine):
                        self.model.traced(line)
                        self.redraw()
                self.model.trace_ended("the actor has ended")
            except ControlError as error:
                self.model.trace_ended(error.message)
