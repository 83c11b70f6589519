"""How often the metrics are written out: a flood of scrapes takes a tenth of the event loop's time
at most. Each collects from the whole server in one step, in which no position is sent.
"""

from time import perf_counter
from typing import Final, final

import trio
from prometheus_client import CollectorRegistry

from locshare.telemetry.metrics import exposition

SHARE: Final = 0.1
"""Of the time, what all scrapes may take."""
LONGEST_S: Final = 5.0
"""Between two: one in which the process was suspended seems to have taken a minute, and Prometheus
gives up on the next one after ten seconds.
"""


@final
class Scrapes:
    """Writes ``registry`` out once for all who wait for it. One of them does; when it is cancelled,
    the next one does.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._asking = trio.Lock()
        self._count = 0
        self._text = b""
        self._not_before = 0.0

    async def ask(self) -> bytes:
        """The metrics in the text format, as of after this call began."""
        before = self._count
        async with self._asking:
            if self._count == before:
                await trio.sleep_until(self._not_before)
                began = perf_counter()
                self._text = exposition(self._registry)
                took = perf_counter() - began
                pause = min(took * (1 / SHARE - 1), LONGEST_S)
                self._not_before = trio.current_time() + pause
                self._count += 1
            return self._text
