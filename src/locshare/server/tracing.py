"""The tracer of the settings."""

import importlib.util

from locshare.config import Settings
from locshare.model.errors import LocshareError
from locshare.telemetry.traces import OFF, Tracer


class NoTraces(LocshareError):
    """Traces are asked for and cannot be made. The text says what to do."""


def tracer_of(settings: Settings) -> Tracer:
    """:data:`OFF` without a collector. Raises NoTraces when what sends them is not installed."""
    if settings.traces_url is None:
        return OFF
    # Only what is missing is asked for: an error of the SDK itself is one of the program.
    if importlib.util.find_spec("opentelemetry") is None or (
        importlib.util.find_spec("opentelemetry.exporter") is None
    ):
        raise NoTraces(
            "LOCSHARE_TRACES_URL is set, and what sends traces is not installed: run pip install"
            " 'locshare[otel]', or remove the setting"
        )
    from locshare.telemetry.otlp import OtlpTracer  # the SDK takes 0.3 s to import

    return OtlpTracer(settings.traces_url, settings.traces_share)
