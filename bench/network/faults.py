"""What a proxy may do to the bytes that it carries, and how that is written. Pure.

A command is one of three things, and one line of text each:

====================================  ==========================================================
``faults delay=100ms rate=256kbit``   from now on these faults, and no others; ``faults`` alone
                                      is none
``cut [rst|fin] [SHARE]``             end connections that are open now
``half-open [SHARE]``                 silence connections that are open now, for ever
====================================  ==========================================================
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal, TypeVar

Ending = Literal["rst", "fin"]

T = TypeVar("T")


class BadCommand(Exception):
    """Text that is no command, number or address; the message says what would be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What holds for every connection, those to come too, until it is replaced. In both
    directions. The default is none at all.
    """

    delay_s: float = 0.0
    """How long each byte takes; what was under way before keeps its time."""
    jitter_s: float = 0.0
    """By how much more or less, evenly spread. What would overtake waits: a stream has an order."""
    rate: float | None = None
    """Bytes per second of one direction of one connection."""
    loss: float = 0.0
    """The share of pieces that take a retransmission's time longer, and all behind them with them:
    what an application sees of lost packets. No byte is lost.
    """
    stalled: bool = False
    """Nothing is read and nothing is sent; it goes on where it stopped."""
    refusing: bool = False
    """Whoever connects is reset at once."""

    @property
    def clear(self) -> bool:
        """True when what is carried goes on as it comes."""
        return not (self.delay_s or self.jitter_s or self.rate or self.loss or self.stalled)

    def __post_init__(self) -> None:
        for name, value in (("delay", self.delay_s), ("jitter", self.jitter_s)):
            if not (isfinite(value) and value >= 0):
                raise BadCommand(f"{name} is {value!r} s; it must be 0 or more")
        if self.rate is not None and not (isfinite(self.rate) and self.rate >= 1):
            raise BadCommand(f"rate is {self.rate!r} bytes/s; it must be 1 or more")
        if not 0 <= self.loss < 1:
            raise BadCommand(f"loss is {self.loss!r}; it must be from 0 to less than 1")


@dataclass(frozen=True, slots=True)
class Cut:
    """End connections that are open now: reset them, or close them in order (``fin``; what was
    under way is not delivered either).
    """

    how: Ending = "rst"
    share: float = 1.0

    def __post_init__(self) -> None:
        _check_share(self.share)


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """Silence connections that are open now: both ends stay open, what they send is swallowed, and
    neither is told when the other closes. They never come back; new ones are carried as ever.
    """

    share: float = 1.0

    def __post_init__(self) -> None:
        _check_share(self.share)


Command = Faults | Cut | HalfOpen


def _check_share(share: float) -> None:
    if not 0 < share <= 1:
        raise BadCommand(f"the share is {share!r}; it must be more than 0 and at most 1")


# --- text -------------------------------------------------------------------------------------


def parse_seconds(text: str) -> float:
    """``100ms``, ``1.5s``, ``2`` (seconds). Raises BadCommand."""
    return _number(text, {"ms": 1e-3, "s": 1.0, "": 1.0}, "a time such as 100ms or 1.5s")


def parse_rate(text: str) -> float:
    """``256kbit``, ``1mbit`` (per second), ``32kB``, ``32000`` (bytes per second) in bytes per
    second. Raises BadCommand.
    """
    units = {"bit": 1 / 8, "kbit": 125.0, "mbit": 125e3, "B": 1.0, "kB": 1e3, "MB": 1e6, "": 1.0}
    return _number(text, units, "a rate such as 256kbit, 1mbit or 32kB (per second)")


def parse_share(text: str) -> float:
    """``20%`` or ``0.2``. Raises BadCommand."""
    return _number(text, {"%": 0.01, "": 1.0}, "a share such as 20% or 0.2")


def parse_address(text: str) -> tuple[str, int]:
    """``HOST:PORT``; an IPv6 address in brackets. Raises BadCommand."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise BadCommand(f"{text!r} is no address; write HOST:PORT, such as 127.0.0.1:8081")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _number(text: str, units: Mapping[str, float], what: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)([A-Za-z%]*)", text, re.ASCII)
    if found is None or found[2] not in units:
        raise BadCommand(f"{text!r} is not {what}")
    return float(found[1]) * units[found[2]]


def parse(line: str) -> Command:
    """The command that a line of text is. Raises BadCommand."""
    verb, *words = line.split() or [""]
    if verb == "faults":
        return _parse_faults(words)
    if verb == "cut":
        how: Ending = "fin" if words[:1] == ["fin"] else "rst"
        return Cut(how, _parse_last_share(words[1:] if words[:1] in (["rst"], ["fin"]) else words))
    if verb == "half-open":
        return HalfOpen(_parse_last_share(words))
    raise BadCommand(f"{verb!r} is no command; there are faults, cut and half-open")


def _parse_faults(words: list[str]) -> Faults:
    given: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name in given:
            raise BadCommand(f"{name} is given twice")
        given[name] = value
    faults = Faults(
        delay_s=_take(given, "delay", parse_seconds, 0.0),
        jitter_s=_take(given, "jitter", parse_seconds, 0.0),
        rate=_take(given, "rate", parse_rate, None),
        loss=_take(given, "loss", parse_share, 0.0),
        stalled=_take(given, "stalled", _parse_flag, False),
        refusing=_take(given, "refusing", _parse_flag, False),
    )
    if given:
        raise BadCommand(
            f"{next(iter(given))!r} is no fault; there are delay=, jitter=, rate=, loss=, stalled "
            "and refusing"
        )
    return faults


def _take(given: dict[str, str], name: str, read: Callable[[str], T], default: T) -> T:
    return read(given.pop(name)) if name in given else default


def _parse_flag(text: str) -> bool:
    if text:
        raise BadCommand(f"stalled and refusing take no value, but have {text!r}")
    return True


def _parse_last_share(words: list[str]) -> float:
    if len(words) > 1:
        raise BadCommand(f"{words[1]!r} is too much; a share such as 20% comes last")
    return parse_share(words[0]) if words else 1.0


def write(command: Command) -> str:
    """The line that :func:`parse` reads as ``command``."""
    if isinstance(command, Cut):
        return f"cut {command.how} {command.share!r}"
    if isinstance(command, HalfOpen):
        return f"half-open {command.share!r}"
    words = ["faults", f"delay={command.delay_s!r}", f"jitter={command.jitter_s!r}"]
    words += [f"loss={command.loss!r}"]
    words += [] if command.rate is None else [f"rate={command.rate!r}"]
    words += ["stalled"] * command.stalled + ["refusing"] * command.refusing
    return " ".join(words)
