"""Observation of announced requests as an operation of the control socket (``locshare doctor``)."""

from collections.abc import Callable
from functools import partial
from typing import Final

import trio
from msgspec import Struct

from locshare.net.observer import ObservedRequest, RequestObserver, TooManyObservers
from locshare.ops.control import ControlError, Operation, Send
from locshare.ops.inspection.views import Request

LONGEST_S: Final = 1200.0
_BUFFER: Final = 32


class Observe(Request, frozen=True, tag="observe"):
    """A stream of :class:`Observation`: first the name to put into the query of requests, then each
    request that came with it, for ``seconds`` or until the client hangs up.
    """

    seconds: float = 60.0


class Observation(Struct, frozen=True):
    """``request`` is None in the first."""

    name: str
    request: ObservedRequest | None = None


def observe_operation(observer: RequestObserver) -> Operation:
    """For :class:`locshare.ops.control.ControlServer`."""
    return Operation(Observe, partial(_observe, observer))


async def _observe(observer: RequestObserver, request: Observe, send: Send) -> None:
    if not 0 < request.seconds <= LONGEST_S:
        raise ControlError(
            "bad_request", f"seconds is {request.seconds:g}; allowed are up to {LONGEST_S:g}"
        )
    put, observed = trio.open_memory_channel[ObservedRequest](_BUFFER)
    try:
        with observer.observing(_offering(put)) as name, trio.move_on_after(request.seconds):
            await send(Observation(name))
            async for each in observed:
                await send(Observation(name, each))
    except TooManyObservers:
        raise ControlError("refused", "too many observe already; try again later") from None
    finally:
        put.close()


def _offering(
    put: "trio.MemorySendChannel[ObservedRequest]",
) -> Callable[[ObservedRequest], None]:
    def offer(request: ObservedRequest) -> None:
        try:
            put.send_nowait(request)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return  # who does not read misses some

    return offer
