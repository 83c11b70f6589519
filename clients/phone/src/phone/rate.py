"""How often the device is asked where it is, and which fixes are sent. Pure: the time is given.

Everybody who looks is served by a position that is at most 15 s old; a server forgets one after
30 s. So the longest interval is 15 s, in every state. clients/phone/README.md has the table.
"""

import math
from typing import Final, NamedTuple, final

from locshare.client import Position
from locshare.model.distance import metres

RENEW_S: Final = 15.0
"""Who stands still is sent this often, and the device is asked before."""
ASK_WITHIN_S: Final = 10.0
"""How long the device may take to answer."""
STANDING_AFTER_S: Final = 60.0
"""Without having moved: the device is asked less often."""
NOISE_M: Final = 8.0
"""Less than this is the noise of a receiver that stands still."""
HIDDEN_PACE_S: Final = 15.0
"""Between two positions of one of the others, while nobody looks."""
WALKING_MPS: Final = 0.7
LOW_BATTERY: Final = 20.0
"""Percent, at which the low-battery mode begins by itself."""
RECOVERED_BATTERY: Final = 25.0


class Rate(NamedTuple):
    """``interval_s``: how often the device gives a fix. ``precise``: by satellites, not only by
    cells and networks.
    """

    interval_s: float
    precise: bool


class Situation(NamedTuple):
    visible: bool
    moving: bool
    saving: bool
    asked_interval_s: float = 0.0
    """What the server asks of this sender."""


def rate(now: Situation) -> Rate:
    """What suits the situation."""
    if now.saving:
        interval_s = RENEW_S
    elif not now.moving:
        interval_s = 10.0 if now.visible else RENEW_S
    else:
        interval_s = 2.0 if now.visible else 5.0
    return Rate(min(max(interval_s, now.asked_interval_s), RENEW_S), not now.saving)


def receive_pace(*, visible: bool, saving: bool) -> float:
    """How often the others' positions should come, in seconds."""
    if not visible:
        return HIDDEN_PACE_S
    return 5.0 if saving else 1.0


def is_saving(wish: str, battery: float | None, saver_on: bool, before: bool) -> bool:
    """Whether the low-battery mode is on: ``wish`` is the setting. It ends a little above where it
    begins, or it would come and go.
    """
    if wish in ("on", "off"):
        return wish == "on"
    if saver_on:
        return True
    return battery is not None and battery <= (RECOVERED_BATTERY if before else LOW_BATTERY)


@final
class Reports:
    """Which fixes are sent. Each once; a device that gives no more is not repeated, so that the
    others see its position age.
    """

    def __init__(self) -> None:
        self._sent: Position | None = None
        self._sent_at = -math.inf
        self._stood_since = -math.inf
        self._stood_at: Position | None = None

    def restart(self) -> None:
        """Nothing was sent."""
        self._sent, self._sent_at = None, -math.inf

    def is_moving(self, now: float) -> bool:
        """Whether this device has moved lately; so it seems before anything is known."""
        return self._stood_at is None or now - self._stood_since < STANDING_AFTER_S

    def offer(self, position: Position, now: float, interval_s: float) -> bool:
        """Whether ``position``, a fix that the device has just given, is to be sent now."""
        noise = max(NOISE_M, min(position.accuracy or 0.0, 50.0) / 2)
        walks = (position.speed or 0.0) >= WALKING_MPS
        stood = self._stood_at
        if stood is None or walks or metres(stood, position) > noise:
            self._stood_at, self._stood_since = position, now
        if now - self._sent_at >= RENEW_S - 1.0:
            return True
        # A fix comes a little early or late: what is nearly due is due.
        if now - self._sent_at < interval_s * 0.75:
            return False
        return self._sent is None or walks or metres(self._sent, position) > noise

    def sent(self, position: Position, now: float) -> None:
        """``position`` was given to the connection."""
        self._sent, self._sent_at = position, now

    def renewal_in(self, now: float) -> float:
        """Seconds until the device is asked although it gave nothing new."""
        return max(self._sent_at + RENEW_S - now, 0.0) if self._sent is not None else RENEW_S
