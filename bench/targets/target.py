"""The interface of a server under measurement."""

from collections.abc import Sequence
from typing import Protocol

from bench.results import DisruptionKind, TargetDescription


class Target(Protocol):
    """A server that speaks the REST contract of docs/reference/rest.md and one of the dialects.

    All methods block. :meth:`begin` and :meth:`end` may take seconds (a process restarts), so
    they are called in a separate thread, one at a time.
    """

    @property
    def description(self) -> TargetDescription:
        """What the report says of it."""

    @property
    def http_url(self) -> str:
        """The base URL of its REST interface, without ``/api`` and a trailing slash."""

    @property
    def ws_url(self) -> str | None:
        """Replaces scheme, host and port of the ``websocket_url`` in the answer to a join (for a
        proxy in front of it, or a name that does not resolve here); None: as answered. In the
        phoenix dialect, where a join may answer none: the whole address of the socket.
        """

    @property
    def topic(self) -> str:
        """Of a session's channel in the phoenix dialect, with ``{session_id}`` in it."""

    def pids(self) -> Sequence[int]:
        """The server's processes now, those of its Redis or PostgreSQL too; none when they are not
        on this machine or not known.
        """

    def can(self, kind: DisruptionKind) -> bool:
        """True when :meth:`begin` can do this here."""

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        """Begin a disruption; ``session_id`` is a session with people in it. Returns a description
        for the report. Raises NotServing.
        """

    def end(self, kind: DisruptionKind) -> None:
        """End the disruption: restart or continue the process, for example. Returns when the server
        is ready. Raises NotServing.
        """
