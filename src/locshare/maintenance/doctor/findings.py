"""What the doctor finds. Pure."""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from locshare import __version__

Level = Literal["ok", "skipped", "warning", "error"]

_ORDER: Final[tuple[Level, ...]] = ("ok", "skipped", "warning", "error")


class Finding(Struct, frozen=True, omit_defaults=True):
    """One fact about one thing. ``check`` is a word that stays the same, for scripts.

    error: the server does not work, or not for everyone. warning: it works, and something is worse
    than it could be. skipped: it could not be looked at.
    """

    check: str
    level: Level
    text: str
    do: str = ""
    """What to do about it; empty when there is nothing to do."""


class Report(Struct, frozen=True):
    """All findings, for programs."""

    version: str
    worst: Level
    errors: int
    warnings: int
    findings: tuple[Finding, ...]


def report_of(findings: Iterable[Finding]) -> Report:
    """The report on ``findings``, in their order."""
    found = tuple(findings)
    count = {level: sum(each.level == level for each in found) for level in _ORDER}
    worst = max((_ORDER.index(each.level) for each in found), default=0)
    return Report(__version__, _ORDER[worst], count["error"], count["warning"], found)


def ok(check: str, text: str) -> Finding:
    return Finding(check, "ok", text)


def skipped(check: str, text: str, do: str = "") -> Finding:
    return Finding(check, "skipped", text, do)


def warning(check: str, text: str, do: str) -> Finding:
    return Finding(check, "warning", text, do)


def error(check: str, text: str, do: str) -> Finding:
    return Finding(check, "error", text, do)


def split_advice(check: str, sentence: str) -> Finding:
    """An error whose ``sentence`` says what is wrong and then what to do, as those of the program
    do: "nothing listens at …: start …".
    """
    for mark in (". ", ": "):
        what, found, advice = sentence.rpartition(mark)
        if found and len(advice) > 12:
            return error(check, what, advice[0].upper() + advice[1:])
    return error(check, sentence, "")
