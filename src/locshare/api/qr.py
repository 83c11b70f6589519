"""QR codes as SVG, drawn in a worker thread: in the loop they would hold up the sessions."""

from collections import OrderedDict
from io import BytesIO
from typing import Final, final

import segno
import trio

from locshare.http.types import Response

_REMEMBERED: Final = 256
_THREADS: Final = 2


@final
class QrCodes:
    """The last few are remembered: a whole group looks at one join link."""

    def __init__(self) -> None:
        self._drawn: OrderedDict[str, bytes] = OrderedDict()
        self._threads = trio.CapacityLimiter(_THREADS)

    async def response(self, text: str) -> Response:
        """``text`` as an image. Cancelled: the drawing is thrown away."""
        svg = self._drawn.get(text)
        if svg is None:
            svg = await trio.to_thread.run_sync(
                draw, text, abandon_on_cancel=True, limiter=self._threads
            )
            self._drawn[text] = svg
            if len(self._drawn) > _REMEMBERED:
                self._drawn.popitem(last=False)
        return Response(200, svg, "image/svg+xml")


def draw(text: str) -> bytes:
    """``text`` as SVG: dark on light, with the quiet zone, as large as its place on a page."""
    image = BytesIO()
    segno.make(text, error="l", micro=False).save(
        image, kind="svg", border=4, omitsize=True, light="#fff", xmldecl=False
    )
    return image.getvalue()
