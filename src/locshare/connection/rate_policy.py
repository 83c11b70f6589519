"""How many messages one connection may send, and when it is closed for more. Pure.

Two kinds of abuse, each with its own tolerance:

* **Too many messages.** Those over the rate are dropped. The client is warned (``RATE_LIMITED``, at
  most once a second, so that a flood is not answered with a flood), and closed with 4429 if it goes
  on. Of positions over the rate the newest is not dropped but held until the rate allows it: a
  phone that comes out of a tunnel sends forty at once, and the last is where it is.
* **Bad messages.** Each is answered with its error. A client that sends nothing else, or very many,
  is closed with 4400. An unknown type is bad only in great numbers: a client of a newer version, or
  of another server, may repeat one for hours and still want to see the others.
"""

import enum
from functools import cache
from typing import Final

from locshare.broadcast.backlog import Topic
from locshare.config.sections import RateSettings
from locshare.model.position import Position
from locshare.model.rate import A_TOKEN, Rate, RateLimiter


class RateLimits(RateSettings, frozen=True):
    """Messages, messages per second, and seconds."""

    excess_tolerated: float = 100.0
    """How many messages over the rate are dropped before the connection is closed…"""
    excess_forgiven: float = 5.0
    """…and how many of them are forgotten per second."""
    bad_in_a_row: int = 20
    bad_in_window: int = 50
    bad_window: float = 10.0


class RateDecision(enum.Enum):
    """What to do with a message."""

    ACCEPT = "accept"
    DROP = "drop"
    """Over the rate, and the client was warned lately."""
    WARN = "warn"
    """Over the rate: drop it and warn the client."""
    CLOSE = "close"


ACCEPT: Final = RateDecision.ACCEPT
"""Members of an Enum take a descriptor to read before Python 3.12, too much for each message."""


@cache
def _excess_rate(limits: RateLimits) -> Rate:
    """Shared by all connections with these limits."""
    return Rate(limits.excess_forgiven, limits.excess_tolerated)


class RatePolicy:
    """The record of one connection. ``now`` is in seconds of a monotonic clock.

    Two token buckets, of messages and of positions, are two numbers as of one instant: each message
    takes from one or both, and two objects with a method each would cost twice what this does.
    """

    __slots__ = (
        "_at", "_bad_count", "_bad_run", "_bad_since", "_excess", "_limits", "_message_tokens",
        "_position_tokens", "_warned_at", "held",
    )  # fmt: skip

    def __init__(self, limits: RateLimits, now: float) -> None:
        self._limits = limits
        self._at = now
        self._message_tokens: float = limits.message_burst
        self._position_tokens: float = limits.position_burst
        self._excess = RateLimiter(_excess_rate(limits), now)
        self._warned_at = float("-inf")
        self._bad_run = 0
        self._bad_count = 0
        self._bad_since = now
        self.held: dict[Topic, Position] | None = None
        """By subscription, its newest position over the rate, until :attr:`due`. None when there is
        none."""

    @property
    def due(self) -> float:
        """When the next held position may be handed on."""
        return self._at + max(1.0 - self._position_tokens, 0.0) / self._limits.position_rate

    def message(self, now: float) -> RateDecision:
        """A message that is no position came, or a frame that ends no message."""
        self._refill(now)
        if self._message_tokens < A_TOKEN:
            return self._over(now)
        self._message_tokens -= 1.0
        return ACCEPT

    def position(self, now: float) -> RateDecision:
        """A valid position came."""
        limits = self._limits
        # What _refill does, written out.
        passed = now - self._at
        self._at = now
        messages = self._message_tokens + passed * limits.message_rate
        if messages > limits.message_burst:
            messages = limits.message_burst
        positions = self._position_tokens + passed * limits.position_rate
        if positions > limits.position_burst:
            positions = limits.position_burst
        self._position_tokens = positions
        if messages < A_TOKEN:
            self._message_tokens = messages
            return self._over(now)
        self._message_tokens = messages - 1.0
        if positions < A_TOKEN:
            return self._over(now)
        self._position_tokens = positions - 1.0
        self._bad_run = 0
        return ACCEPT

    def _refill(self, now: float) -> None:
        limits = self._limits
        passed = now - self._at
        self._at = now
        self._message_tokens = min(
            self._message_tokens + passed * limits.message_rate, limits.message_burst
        )
        self._position_tokens = min(
            self._position_tokens + passed * limits.position_rate, limits.position_burst
        )

    def keep_newest(self, position: Position, decision: RateDecision, topic: Topic = None) -> None:
        """``position`` came and got ``decision``: hold it, keep the held one, or hold neither."""
        held = self.held
        older = None if held is None else held.get(topic)
        if older is not None and position.timestamp < older.timestamp:
            return
        if decision is not RateDecision.ACCEPT:
            if held is None:
                held = self.held = {}
            held[topic] = position
        else:
            self.forget(topic)

    def release(self, now: float) -> tuple[Topic, Position] | None:
        """Take out a held position, with its topic."""
        if self.held is None:
            return None
        topic, position = next(iter(self.held.items()))
        self.forget(topic)
        self._refill(now)
        if self._position_tokens >= A_TOKEN:
            self._position_tokens -= 1.0
        return topic, position

    def forget(self, topic: Topic) -> None:
        """Hold nothing of ``topic`` any more."""
        if self.held is not None:
            self.held.pop(topic, None)
            self.held = self.held or None

    def good(self) -> None:
        """A valid message that is no position came."""
        self._bad_run = 0

    def bad(self, now: float, *, unknown_type: bool = False) -> bool:
        """A message against the contract came. True when the connection should close for it."""
        limits = self._limits
        if now - self._bad_since >= limits.bad_window:
            self._bad_since = now
            self._bad_count = 0
        self._bad_count += 1
        if not unknown_type:
            self._bad_run += 1
        return self._bad_run >= limits.bad_in_a_row or self._bad_count >= limits.bad_in_window

    def _over(self, now: float) -> RateDecision:
        if not self._excess.take(now):
            return RateDecision.CLOSE
        if now - self._warned_at < 1.0:
            return RateDecision.DROP
        self._warned_at = now
        return RateDecision.WARN
