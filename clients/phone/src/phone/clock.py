"""The time of this app: the device's clock as it was when the process began, and what has passed
since, with the time that the device slept.

Somebody sets the clock, or the network corrects it, in the middle of a session: ages, the time that
is left and the next attempt to connect are differences, and stay right. Where a system has no such
clock (iOS) it is the device's own.
"""

from time import time
from typing import Final

from locshare.client.network import boot_clock

_BEGAN: Final = time() - boot_clock()


def now() -> float:
    """Seconds since 1970."""
    return _BEGAN + boot_clock()
