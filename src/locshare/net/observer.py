"""What arrives of a request that somebody on this machine announced: for ``locshare doctor``, which
asks the server through its proxy and wants to know what the proxy made of it.

A request is recognised by a random name in its query (``?doctor=NAME``) that was handed out over
the control socket, so nothing is shown to strangers and nothing of strangers is shown. While nobody
observes, a request costs one test of an empty dict.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal, final

from msgspec import Struct

PARAMETER: Final = "doctor"
MAX_OBSERVERS: Final = 8
_MAX_VALUE_CHARS: Final = 300
_MAX_VALUES: Final = 8

AddressOf = Callable[[str, Sequence[str], Sequence[str]], str | None]


class ObservedRequest(Struct, frozen=True):
    """One request as it came out of the last proxy. ``counted`` is the address that limits count it
    by; None for a trusted proxy that names no client.
    """

    port: Literal["http", "websocket"]
    peer: str
    peer_port: int | None
    counted: str | None
    forwarded_for: tuple[str, ...]
    forwarded: tuple[str, ...]
    host: str


Listener = Callable[[ObservedRequest], None]


class TooManyObservers(Exception):
    """As many observe already as may."""


@final
class RequestObserver:
    """``address_of`` says what address a client is counted by."""

    def __init__(self, address_of: AddressOf = lambda peer, _for, _forwarded: peer) -> None:
        self._address_of = address_of
        self._listeners: dict[str, Listener] = {}

    @property
    def armed(self) -> bool:
        """Whether somebody observes: ask this before :meth:`note`."""
        return bool(self._listeners)

    @contextmanager
    def observing(self, listener: Listener) -> Iterator[str]:
        """Hand requests with the yielded name to ``listener``, which must not raise, for the block.

        Raises TooManyObservers.
        """
        if len(self._listeners) >= MAX_OBSERVERS:
            raise TooManyObservers
        name = secrets.token_hex(16)
        self._listeners[name] = listener
        try:
            yield name
        finally:
            del self._listeners[name]

    def note(
        self,
        port: Literal["http", "websocket"],
        name: str,
        peer: tuple[str, int | None],
        values_of: Callable[[str], Sequence[str]],
    ) -> None:
        """A request has come, with ``name`` in its query; ``values_of`` gives the values of the
        header of a name in lower case.
        """
        listener = self._listeners.get(name)
        if listener is None:
            return
        forwarded_for, forwarded, host = (
            tuple(value[:_MAX_VALUE_CHARS] for value in values_of(header)[:_MAX_VALUES])
            for header in ("x-forwarded-for", "forwarded", "host")
        )
        counted = self._address_of(peer[0], forwarded_for, forwarded)
        listener(
            ObservedRequest(port, *peer, counted, forwarded_for, forwarded, host[0] if host else "")
        )


NOBODY: Final = RequestObserver()
"""Of applications and pools that nobody observes: never armed."""
