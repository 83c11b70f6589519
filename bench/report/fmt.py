"""Formats numbers. None is *not measured*, and only 0 is printed as 0."""

import re
from math import floor, log10

NOT_MEASURED = "not measured"

DISRUPTIONS: dict[str, str] = {
    "crash_session": "session crashed",
    "kill_process": "process killed",
    "pause_process": "process paused",
    "cut_database": "database cut off",
    "cut_network": "network cut",
    "drop_clients": "clients dropped",
    "limit_cpu": "CPU limited",
    "limit_memory": "memory limited",
    "limit_descriptors": "file descriptors limited",
}
"""The title of each DisruptionKind."""


_UNSEEN = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff\\ufffe\\uffff]"
)
"""Control characters, changes of the writing direction, and what XML forbids."""


def visible(text: str) -> str:
    """Replace invisible characters, so that different names look different: a control character by
    its symbol, others by ``\\u202e`` and the like.
    """
    return _UNSEEN.sub(_picture, text)


def _picture(found: "re.Match[str]") -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\N{SYMBOL FOR DELETE}" if code == 0x7F else f"\\u{code:04x}"


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
    return NOT_MEASURED if value is None else f"{fine(value)} ms"


def us(value: float | None) -> str:
    """Microseconds."""
    return NOT_MEASURED if value is None else f"{fine(value)} µs"


def seconds(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{fine(value)} s"


def percent(share: float | None) -> str:
    return NOT_MEASURED if share is None else f"{number(share * 100)} %"


def uptime(share: float | None) -> str:
    """Rounded down, so that only a run without any outage has 100 %."""
    return NOT_MEASURED if share is None else f"{floor(share * 1e4) / 100:.2f} %"


def mebibytes(value: float | None) -> str:
    """Bytes as MiB."""
    return NOT_MEASURED if value is None else f"{fine(value / 2**20)} MiB"


def gibibytes(value: float | None) -> str:
    """Bytes as GiB."""
    return NOT_MEASURED if value is None else f"{number(value / 2**30)} GiB"


def plural(value: int, one: str, many: str | None = None) -> str:
    """Such as ``1 run`` or ``2 runs``."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"
