"""Numbers as a reader sees them. None is *not measured*, and nothing that is not 0 becomes 0."""

from math import floor, log10

NOT_MEASURED = "not measured"

DISRUPTIONS: dict[str, str] = {
    "crash_session": "session crashed",
    "kill_process": "process killed",
    "pause_process": "process paused",
    "cut_database": "database cut off",
    "cut_network": "network cut",
    "drop_clients": "clients dropped",
}
"""What happened, in words: an entry for each DisruptionKind."""


def number(value: float) -> str:
    """At least two significant digits, and all before the point."""
    if value == 0:
        return "0"
    decimals = max(1 - floor(log10(abs(value))), 0)
    return f"{value:,.{decimals}f}"


def fine(value: float) -> str:
    """At least three significant digits, and all before the point."""
    if value == 0:
        return "0"
    decimals = max(2 - floor(log10(abs(value))), 0)
    return f"{value:,.{decimals}f}"


def count(value: int | None) -> str:
    """A whole number."""
    return NOT_MEASURED if value is None else f"{value:,}"


def whole(value: float) -> str:
    """Of something that is counted."""
    return f"{value:,.0f}"


def ms(value: float | None) -> str:
    """Milliseconds."""
    return NOT_MEASURED if value is None else f"{fine(value)} ms"


def seconds(value: float | None) -> str:
    """Seconds."""
    return NOT_MEASURED if value is None else f"{fine(value)} s"


def percent(share: float | None) -> str:
    """A share."""
    return NOT_MEASURED if share is None else f"{number(share * 100)} %"


def mebibytes(value: float | None) -> str:
    """Bytes as MiB."""
    return NOT_MEASURED if value is None else f"{fine(value / 2**20)} MiB"


def gibibytes(value: float | None) -> str:
    """Bytes as GiB."""
    return NOT_MEASURED if value is None else f"{number(value / 2**30)} GiB"


def plural(value: int, one: str, many: str | None = None) -> str:
    """Such as ``1 run`` or ``2 runs``."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"
