"""What the driver and the disruptions need of a server under measurement."""

from collections.abc import Sequence
from typing import Protocol

from bench.results import DisruptionKind, TargetDescription


class Target(Protocol):
    """A server that speaks the REST contract of docs/reference/rest.md and one of the dialects.

    Nothing here is asynchronous. :meth:`begin` and :meth:`end` may take seconds (a process is
    started again), so they are called in a thread of their own, one at a time.
    """

    @property
    def description(self) -> TargetDescription:
        """What the report says of it."""

    @property
    def http_url(self) -> str:
        """Where its REST interface is, without ``/api`` and without a slash at the end."""

    @property
    def ws_url(self) -> str | None:
        """Replaces scheme, host and port of the ``websocket_url`` that a join is answered with (a
        proxy in front of it, a name that does not resolve here); None: as answered. For the
        phoenix dialect, where a join may answer none: the whole address of the socket.
        """

    @property
    def topic(self) -> str:
        """Of a session's channel in the phoenix dialect, with ``{session_id}`` in it."""

    def pids(self) -> Sequence[int]:
        """The processes that make up the server now (a broker too, a database not); none when they
        are not on this machine or not known.
        """

    def can(self, kind: DisruptionKind) -> bool:
        """True when :meth:`begin` can do this here."""

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        """Break it; ``session_id`` is a session with people in it, for what is done to one. Returns
        what was done, for the report. Raises NotServing.
        """

    def end(self, kind: DisruptionKind) -> None:
        """Repair what :meth:`begin` broke and does not repair itself: start the process again, let
        it go on. Returns when it is ready. Raises NotServing.
        """
