"""Traces: what took how long, and inside of what. Off unless the settings name a collector.

Rooms use a :class:`Tracer` and know no OpenTelemetry. While it is off, which is this class itself,
a span is one shared object that does nothing. There are spans of REST calls, joins, connections and
crashes, and none on the way of a position. Attributes come from closed sets: methods, routes,
statuses, reasons, types, and the first eight characters of a session's id, as in the log; never a
token, a name, a whole id or a position.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final

Value = str | int | float | bool


class Span:
    """What is being done. Does nothing."""

    def name(self, text: str) -> None:
        """Call it otherwise than at its beginning."""

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes."""

    def fail(self, what: str) -> None:
        """It failed. ``what`` is a type or a status, never an error's text."""


class Tracer:
    """Makes spans. Does nothing; :class:`locshare.telemetry.otlp.OtlpTracer` sends them."""

    on: bool = False
    """Whether anything becomes of them: ask this before what costs something."""

    def span(
        self, name: str, attributes: Mapping[str, Value] | None = None, parent: str | None = None
    ) -> AbstractContextManager[Span]:
        """A span for a block; those begun inside are its children, in tasks that are started there
        too. An exception of the block makes it fail, cancellation does not. ``parent`` is a
        ``traceparent`` header (W3C Trace Context) as it came.
        """
        del name, attributes, parent
        return _NOTHING

    def record(
        self,
        name: str,
        began: float,
        attributes: Mapping[str, Value] | None = None,
        failure: str | None = None,
    ) -> None:
        """A span of its own that began at ``began`` (Trio's clock) and ends now."""

    async def aclose(self) -> None:
        """Send what waits, for a few seconds at most, also when cancelled. Never raises."""


_NOTHING: Final[AbstractContextManager[Span]] = nullcontext(Span())
OFF: Final = Tracer()
