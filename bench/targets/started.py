"""A server that is started here: what all of them have in common."""

import http.client
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from bench.results import DisruptionKind, TargetDescription
from bench.serving import HOST
from bench.targets.target import NotServing

Begin = Callable[[str], str]
"""Given the id of a session; returns what was done."""
End = Callable[[], None]


class StartedTarget(ABC):
    """See :class:`bench.targets.target.Target`."""

    ws_url = None
    topic = ""

    def __init__(self, description: TargetDescription, http_port: int) -> None:
        self.description = description
        self._http_port = http_port

    @property
    def http_url(self) -> str:
        return f"http://{HOST}:{self._http_port}"

    @abstractmethod
    def start(self) -> None:
        """Start everything that belongs to it. Raises NotServing."""

    @abstractmethod
    def stop(self) -> None:
        """End everything that belongs to it, whatever state it is in."""

    @abstractmethod
    def pids(self) -> Sequence[int]:
        """See Target."""

    @abstractmethod
    def disruptions(self) -> Mapping[DisruptionKind, tuple[Begin, End]]:
        """What can be done to it, and how it is undone."""

    def can(self, kind: DisruptionKind) -> bool:
        return kind in self.disruptions()

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        begin, _ = self._disruption(kind)
        return begin(session_id)

    def end(self, kind: DisruptionKind) -> None:
        _, end = self._disruption(kind)
        end()

    def _disruption(self, kind: DisruptionKind) -> tuple[Begin, End]:
        try:
            return self.disruptions()[kind]
        except KeyError:
            raise NotServing(f"{self.description.name} cannot be disrupted by {kind}") from None


def answers(port: int) -> bool:
    """Is the server behind this port ready?"""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
