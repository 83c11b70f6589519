"""The interactive screen: pictures and keys come in, requests go out, the screen is drawn.

Three tasks, each with a control connection of its own: one watches, one traces, one acts. They
share the :class:`~locshare.ops.top.browser.Browser`, which is changed between two checkpoints only.
When the server goes away the last picture stays, and the watcher tries again.
"""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

import trio
from rich.console import Console
from rich.live import Live

from locshare.ops.control import ControlError, open_control
from locshare.ops.inspection.views import Picture, SortKey, Trace, TraceLine, Watch
from locshare.ops.top.browser import Action, Browser, Do, Quit, SortBy, StartTrace, StopTrace
from locshare.ops.top.keys import raw_keyboard, read_keys
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
    """Until the user quits. ``keyboard`` is the descriptor of a terminal. Raises ControlError when
    the server cannot be reached at the beginning.
    """
    async with open_control(path):
        pass  # a wrong path is told at once, and not on a screen of its own
    console = console or Console()
    browser = Browser(sort)
    with (
        raw_keyboard(keyboard),
        Live(console=console, screen=True, auto_refresh=False, transient=True) as display,
    ):

        def redraw() -> None:
            height = console.size.height
            display.update(draw(browser, height), refresh=True)

        top = _Top(path, browser, redraw, interval, limit)
        redraw()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(top.watch)
            nursery.start_soon(_redraw_when_resized, redraw)
            await _obey(top, keyboard, lambda: page_of(browser, console.size.height), nursery)
            nursery.cancel_scope.cancel()


async def _obey(top: "_Top", keyboard: int, page: Callable[[], int], nursery: trio.Nursery) -> None:
    while keys := await read_keys(keyboard):
        for key in keys:
            action = top.browser.key(key, page())
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
        browser: Browser,
        redraw: Callable[[], None],
        interval: float,
        limit: int,
    ) -> None:
        self.browser = browser
        self.redraw = redraw
        self._path = path
        self._interval = interval
        self._limit = limit
        self._watching = trio.CancelScope()
        self._tracing = trio.CancelScope()

    async def watch(self) -> None:
        """Show pictures for ever."""
        while True:
            with trio.CancelScope() as self._watching:
                try:
                    async with open_control(self._path) as control:
                        request = Watch(self._interval, self._limit, self.browser.sort)
                        async for picture in control.stream(request, Picture):
                            self.browser.show(picture)
                            self.redraw()
                except ControlError as error:
                    self.browser.lost(f"{error}; trying again …")
                    self.redraw()
                    await trio.sleep(_TRY_AGAIN_S)

    async def do(self, action: Action) -> None:
        """What a key asked for."""
        match action:
            case Do(request, about):
                try:
                    async with open_control(self._path) as control:
                        await control.ask(request)
                    self.browser.done(about)
                except ControlError as error:
                    self.browser.refused(error.message)
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
                        self.browser.traced(line)
                        self.redraw()
                self.browser.trace_ended("the actor has ended")
            except ControlError as error:
                self.browser.trace_ended(error.message)
