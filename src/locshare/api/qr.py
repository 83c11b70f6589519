"""QR codes as SVG, drawn in a worker thread: in the loop they would hold up the sessions. A thread
takes turns with it all the same, so how many are drawn is limited.
"""

from collections import OrderedDict
from io import BytesIO
from typing import Final, final

import segno
import trio

from locshare.api.limits import ApiLimits
from locshare.http.problems import HttpProblem, ProblemCode
from locshare.http.types import Response
from locshare.model.rate import KeyedRateLimiter

_REMEMBERED: Final = 256
_THREADS: Final = 2
_EVERYBODY: Final = ""


@final
class QrCodes:
    """The last few are remembered: a whole group looks at one join link. ``limits.draw`` and
    ``limits.draw_per_address`` bound the others.
    """

    def __init__(self, limits: ApiLimits) -> None:
        self._drawn: OrderedDict[str, bytes] = OrderedDict()
        self._turns = trio.Semaphore(_THREADS)
        self._threads = trio.CapacityLimiter(_THREADS)
        self._of_address = KeyedRateLimiter(limits.draw_per_address, limits.addresses)
        self._of_everybody = KeyedRateLimiter(limits.draw, 1)

    async def response(self, text: str, address: str) -> Response:
        """``text`` as an image, for a client ``address``. Cancelled: the drawing is thrown away.
        Raises HttpProblem after too many.
        """
        svg = self._drawn.get(text)
        if svg is None:
            async with self._turns:
                svg = self._drawn.get(text) or await self._draw(text, address)
        return Response(200, svg, "image/svg+xml")

    async def _draw(self, text: str, address: str) -> bytes:
        # The address first: one that asks too often takes nothing from the others.
        self._take(self._of_address, address)
        self._take(self._of_everybody, _EVERYBODY)
        svg = await trio.to_thread.run_sync(
            draw, text, abandon_on_cancel=True, limiter=self._threads
        )
        self._drawn[text] = svg
        if len(self._drawn) > _REMEMBERED:
            self._drawn.popitem(last=False)
        return svg

    def _take(self, limiter: KeyedRateLimiter, key: str) -> None:
        wait = limiter.take(key, trio.current_time())
        if wait > 0:
            raise HttpProblem(
                ProblemCode.RATE_LIMITED, "too many QR codes", retry_after=int(wait) + 1
            )


def draw(text: str) -> bytes:
    """``text`` as SVG: dark on light, with the quiet zone, as large as its place on a page."""
    image = BytesIO()
    segno.make(text, error="l", micro=False).save(
        image, kind="svg", border=4, omitsize=True, light="#fff", xmldecl=False
    )
    return image.getvalue()
