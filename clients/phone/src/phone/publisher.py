"""When the screens are given a new state: at most once a second, and never while nobody looks.

Nothing in Flet holds renders back while the app is hidden: they would be computed, packed and sent
to a Flutter that does not draw.
"""

import asyncio
from collections.abc import Callable
from typing import Final, final

PERIOD_S: Final = 1.0
AGEING_S: Final = 5.0
"""How often it is published when nothing changes, so that what shows an age ages."""


@final
class Publisher:
    """``publish`` must not raise. All methods are called in one loop."""

    def __init__(
        self,
        publish: Callable[[], None],
        *,
        period_s: float = PERIOD_S,
        ageing_s: float = AGEING_S,
    ) -> None:
        self._publish = publish
        self._period_s = period_s
        self._ageing_s = ageing_s
        self._visible = False
        self._dirty = False
        self._next: asyncio.TimerHandle | None = None
        """Before it a change has to wait."""
        self._aged: asyncio.TimerHandle | None = None

    def changed(self) -> None:
        """There is something new to show."""
        self._dirty = True
        if self._visible and self._next is None:
            self._now()

    def now(self) -> None:
        """Publish at once, if somebody looks: after what a person did."""
        self._dirty = True
        if self._visible:
            self._now()

    def shown(self) -> None:
        """Somebody looks: publish what is new since nobody did."""
        self._visible = True
        if self._next is None:
            self._now()

    def hidden(self) -> None:
        """Nobody looks: publish nothing until :meth:`shown`."""
        self._visible = False
        self._stop()

    def _now(self) -> None:
        self._stop()
        self._dirty = False
        loop = asyncio.get_running_loop()
        self._next = loop.call_later(self._period_s, self._period_over)
        self._aged = loop.call_later(self._ageing_s, self._now)
        self._publish()

    def _period_over(self) -> None:
        self._next = None
        if self._dirty:
            self._now()

    def _stop(self) -> None:
        for timer in (self._next, self._aged):
            if timer is not None:
                timer.cancel()
        self._next = self._aged = None
