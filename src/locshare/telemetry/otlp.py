"""Traces over OTLP/HTTP, with the OpenTelemetry SDK (the extra ``locshare[otel]``).

The SDK collects finished spans in a bounded queue (2,048; more are dropped) and sends them in
batches from a thread of its own, so no task waits for the collector. While it is away that is one
line of the log, not one per batch.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, final

import structlog
import trio
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from locshare import __version__
from locshare.telemetry.traces import Span, Tracer, Value

log = structlog.get_logger()

SEND_S: Final = 5
"""For one batch."""
CLOSE_S: Final = 3.0
_PATH: Final = "/v1/traces"
_PROPAGATOR: Final = TraceContextTextMapPropagator()


@final
class OtlpTracer(Tracer):
    """Sends to the collector at ``url``, the ``share`` of traces that are begun here; of one that
    another program began, that program decided.
    """

    on = True

    def __init__(self, url: str, share: float = 1.0) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # _Reporting logs
        provider = TracerProvider(
            resource=Resource.create({"service.name": "locshare", "service.version": __version__}),
            sampler=ParentBased(TraceIdRatioBased(share)),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=url.rstrip("/") + _PATH, timeout=SEND_S)
        provider.add_span_processor(BatchSpanProcessor(_Reporting(exporter)))
        self._provider = provider
        self._tracer = provider.get_tracer("locshare", __version__)

    @contextmanager
    def span(
        self, name: str, attributes: Mapping[str, Value] | None = None, parent: str | None = None
    ) -> Iterator[Span]:
        """As :meth:`Tracer.span`."""
        context = None if parent is None else _PROPAGATOR.extract({"traceparent": parent})
        kind = trace.SpanKind.SERVER if parent is not None else trace.SpanKind.INTERNAL
        span = self._tracer.start_span(name, context, kind, attributes)
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield _OtlpSpan(span)
        except Exception as error:
            _fail(span, type(error).__name__)
            raise
        finally:
            span.end()

    def record(
        self,
        name: str,
        began: float,
        attributes: Mapping[str, Value] | None = None,
        failure: str | None = None,
    ) -> None:
        """As :meth:`Tracer.record`."""
        now = time.time_ns()
        start = now - max(int((trio.current_time() - began) * 1e9), 0)
        span = self._tracer.start_span(name, attributes=attributes, start_time=start)
        if failure is not None:
            _fail(span, failure)
        span.end(now)

    async def aclose(self) -> None:
        """As :meth:`Tracer.aclose`."""
        with trio.move_on_after(CLOSE_S, shield=True):
            await trio.to_thread.run_sync(self._provider.shutdown, abandon_on_cancel=True)


@final
class _OtlpSpan(Span):
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def name(self, text: str) -> None:
        self._span.update_name(text)

    def set(self, attributes: Mapping[str, Value]) -> None:
        self._span.set_attributes(attributes)

    def fail(self, what: str) -> None:
        _fail(self._span, what)


def _fail(span: trace.Span, what: str) -> None:
    span.set_status(trace.StatusCode.ERROR, what)


@final
class _Reporting(SpanExporter):
    """Logs when the collector goes away, and when it is back. Called by the SDK's thread."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - a collector must not end the thread
            result, why = SpanExportResult.FAILURE, type(error).__name__
        else:
            why = "it did not take them"
        if (result is not SpanExportResult.SUCCESS) is not self._away:
            self._away = not self._away
            if self._away:
                log.warning("traces_not_sent", reason=why, spans=len(spans))
            else:
                log.info("traces_sent_again")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
