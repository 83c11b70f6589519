"""How a client behaves, and what follows from it. Pure: time is given, nothing is awaited.

Two kinds of misconduct, each with its own patience. Too many messages: those beyond the rate are
dropped, the client is told (``RATE_LIMITED``, once a second at most, so that a flood is not
answered with a flood), and whoever goes on is closed with 4429. Of positions over the rate the
newest is not dropped but held until the rate allows it: a phone that comes out of a tunnel sends
forty at once, and the last is where it is. Bad messages: each is answered
with its error, and whoever sends nothing else, or very many, is closed with 4400.
"""

import enum

from msgspec import Struct

from locshare.broadcast.backlog import Topic
from locshare.model.position import Position
from locshare.model.rate import Rate, RateLimiter


class RateLimits(Struct, frozen=True):
    """Messages, messages per second, and seconds."""

    position_rate: float = 10.0
    position_burst: float = 20.0
    message_rate: float = 20.0
    message_burst: float = 40.0
    """All messages together, protocol pings and fragments too; not below the burst of positions,
    so that the stricter limit speaks first."""
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
    """Over the rate, and the client was told lately."""
    WARN = "warn"
    """Over the rate: drop it and tell the client."""
    CLOSE = "close"


class RatePolicy:
    """The record of one connection. ``now`` is in seconds and never goes back."""

    __slots__ = (
        "_bad_count", "_bad_run", "_bad_since", "_excess", "_limits", "_messages", "_positions",
        "_warned_at", "held",
    )  # fmt: skip

    def __init__(self, limits: RateLimits, now: float) -> None:
        self._limits = limits
        self._positions = RateLimiter(Rate(limits.position_rate, limits.position_burst), now)
        self._messages = RateLimiter(Rate(limits.message_rate, limits.message_burst), now)
        self._excess = RateLimiter(Rate(limits.excess_forgiven, limits.excess_tolerated), now)
        self._warned_at = float("-inf")
        self._bad_run = 0
        self._bad_count = 0
        self._bad_since = now
        self.held: dict[Topic, Position] | None = None
        """The newest position of each subscription that came over the rate, until :attr:`due`. None
        when there is none."""

    @property
    def due(self) -> float:
        """When the next held position may go on."""
        return self._positions.ready_at()

    def message(self, now: float) -> RateDecision:
        """Any message but a position came, or a frame that ends none."""
        return RateDecision.ACCEPT if self._messages.take(now) else self._over(now)

    def position(self, now: float) -> RateDecision:
        """A valid position came."""
        if self._messages.take(now) and self._positions.take(now):
            self._bad_run = 0
            return RateDecision.ACCEPT
        return self._over(now)

    def keep_newest(self, position: Position, decision: RateDecision, topic: Topic = None) -> None:
        """``position`` came and got ``decision``: hold it, or what is held, or neither."""
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
        """A held position with its topic, which is held no longer."""
        if self.held is None:
            return None
        topic, position = next(iter(self.held.items()))
        self.forget(topic)
        self._positions.take(now)
        return topic, position

    def forget(self, topic: Topic) -> None:
        """Hold nothing of ``topic`` any more."""
        if self.held is not None:
            self.held.pop(topic, None)
            self.held = self.held or None

    def good(self) -> None:
        """A valid message of another kind came."""
        self._bad_run = 0

    def bad(self, now: float) -> bool:
        """A message against the contract came. True when it was one too many."""
        limits = self._limits
        if now - self._bad_since >= limits.bad_window:
            self._bad_since = now
            self._bad_count = 0
        self._bad_count += 1
        self._bad_run += 1
        return self._bad_run >= limits.bad_in_a_row or self._bad_count >= limits.bad_in_window

    def _over(self, now: float) -> RateDecision:
        if not self._excess.take(now):
            return RateDecision.CLOSE
        if now - self._warned_at < 1.0:
            return RateDecision.DROP
        self._warned_at = now
        return RateDecision.WARN
