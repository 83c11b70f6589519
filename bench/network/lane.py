"""One direction of one connection: which bytes are under way, and when each piece arrives. Pure.

Arrival times never decrease, so a stream stays in order whatever the delays of its pieces. What is
under way is bounded: when there is no room, whoever feeds the lane stops reading, and TCP slows the
sender down.
"""

import random
from collections import deque
from math import inf
from typing import Final

from bench.network.faults import Faults

MOST_HELD: Final = 262_144
"""Bytes under way in one direction, at most: with a delay of 100 ms some 2.6 MB/s get through."""
PIECE: Final = 65_536
RETRANSMISSION_S: Final = 0.2
"""Linux' shortest retransmission timeout. Each that is lost again takes twice as long."""
_MOST_LOSSES: Final = 6
_SLICE_S: Final = 0.05
"""A throttled lane takes pieces of so much time, that they do not arrive in bursts."""
_QUEUE_S: Final = 0.25
"""What a throttled lane holds beside what is under way anyway: the queue before the bottleneck."""


Piece = bytes | None
"""Bytes; the empty piece is the end of the stream, None its end by a reset."""


class Lane:
    """Pieces on their way."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._pieces: deque[tuple[float, Piece]] = deque()
        self._arrival = -inf
        self._ended = False
        self.held = 0
        """Bytes under way."""

    @property
    def due(self) -> float:
        """When the next piece arrives; infinity when there is none."""
        return self._pieces[0][0] if self._pieces else inf

    @property
    def empty(self) -> bool:
        """True when nothing is under way."""
        return not self._pieces

    @property
    def over(self) -> bool:
        """True when the end was taken, too."""
        return self._ended and not self._pieces

    def room(self, faults: Faults) -> int:
        """How many bytes may be put at once; 0: none before something was taken, or none ever."""
        if self._ended:
            return 0
        most, piece = float(MOST_HELD), float(PIECE)
        if faults.rate is not None:
            most = min(most, faults.rate * (faults.delay_s + faults.jitter_s + _QUEUE_S))
            piece = min(piece, faults.rate * _SLICE_S)
        # No rate is so low that nothing moves: where nothing is held, one byte may be.
        return max(min(max(int(most), 1) - self.held, max(int(piece), 1)), 0)

    def put(self, now: float, piece: Piece, faults: Faults) -> None:
        """``piece`` sets off. Nothing may follow an end."""
        arrival = now + self._travel_s(faults)
        if arrival < self._arrival:
            arrival = self._arrival  # what waits for a lost piece anyway comes with it
        else:
            arrival += self._recovery_s(faults.loss)
        if piece:
            self.held += len(piece)
            arrival += len(piece) / faults.rate if faults.rate is not None else 0.0
        else:
            self._ended = True
        self._arrival = arrival
        self._pieces.append((arrival, piece))

    def take(self) -> Piece:
        """The next piece; there is one when ``due`` has come."""
        piece = self._pieces.popleft()[1]
        self.held -= len(piece or b"")
        return piece

    def _travel_s(self, faults: Faults) -> float:
        if not faults.jitter_s:
            return faults.delay_s
        return max(faults.delay_s + self._dice.uniform(-faults.jitter_s, faults.jitter_s), 0.0)

    def _recovery_s(self, loss: float) -> float:
        losses = 0
        while loss and losses < _MOST_LOSSES and self._dice.random() < loss:
            losses += 1
        return RETRANSMISSION_S * ((1 << losses) - 1)
