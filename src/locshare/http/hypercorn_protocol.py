"""The parts of hypercorn that its documentation does not promise, all in this file.

hypercorn documents ``hypercorn.trio.serve`` and ``Config``. Beyond these the server uses, none of
them with a leading underscore:

- ``H11Protocol``: one connection, bytes and events in, events and bytes out. Its attribute
  ``connection`` is an h11 connection, which is replaced by ours;
- the events ``RawData``, ``Closed`` and ``Updated``;
- ``WorkerContext``, for its event ``terminated``;
- the two methods that the protocol calls on its task group.

``tests/http/test_hypercorn.py`` checks each of these and names the one that a new version broke.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState, TaskGroup

from locshare.http.limits import ServerLimits
from locshare.http.strict_h11 import StrictConnection
from locshare.http.types import AsgiApp, Message, Receive, Scope, Send
from locshare.telemetry.unexpected import log_unexpected

__all__ = [
    "Closed",
    "Config",
    "Event",
    "H11Protocol",
    "RawData",
    "RequestTasks",
    "Updated",
    "WorkerContext",
    "make_config",
    "make_protocol",
]

_QUEUED_PARTS: Final = 10
"""Of a request that wait for the application; beyond that the socket is not read."""


def make_config(limits: ServerLimits) -> Config:
    """hypercorn's settings: it writes no log and does not name itself."""
    config = Config()
    config.errorlog = None
    config.include_server_header = False
    config.keep_alive_max_requests = limits.requests_per_connection
    return config


def make_protocol(
    config: Config,
    context: WorkerContext,
    tasks: "RequestTasks",
    connection: StrictConnection,
    *,
    state: dict[str, Any],
    client: tuple[str, int],
    server: tuple[str, int],
    send: Callable[[Event], Awaitable[None]],
) -> H11Protocol:
    """The protocol of one connection over ``connection``. ``state`` is in every request's scope."""
    protocol = H11Protocol(
        cast("AppWrapper", None),  # `tasks` knows the application
        config,
        context,
        cast("TaskGroup", tasks),
        ConnectionState(state),
        False,
        client,
        server,
        send,
    )
    protocol.connection = connection
    return protocol


class RequestTasks:
    """hypercorn's task group: runs ``app`` on each request, in the connection's nursery.

    Unlike hypercorn's own, it drops the parts of a request that has been answered. hypercorn puts
    them into a memory channel that is never closed, and waits for ever when that is full.
    """

    def __init__(
        self, app: AsgiApp, nursery: trio.Nursery, on_whole_request: Callable[[], None]
    ) -> None:
        self._app = app
        self._nursery = nursery
        self._on_whole_request = on_whole_request

    async def spawn_app(
        self, _app: object, _config: object, scope: Scope, send: Send
    ) -> Callable[[Message], Awaitable[None]]:
        """Start the application on a request. Returns the function that takes the request's
        parts.
        """
        parts = _RequestParts(self._on_whole_request)
        self._nursery.start_soon(self._run, scope, parts.get, send, parts.close)
        return parts.put

    def spawn(self, task: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start a task of the protocol."""
        self._nursery.start_soon(task, *args)

    async def _run(
        self, scope: Scope, receive: Receive, send: Send, close: Callable[[], None]
    ) -> None:
        try:
            await self._app(scope, receive, send)
        except BaseExceptionGroup as group:
            if group.split(trio.Cancelled)[1] is None:
                raise
            log_unexpected("http_application_failed", group)
        except Exception as error:  # noqa: BLE001 - the request gets a response whatever happened
            log_unexpected("http_application_failed", error)
        finally:
            close()
            await send(None)


class _RequestParts:
    """The parts of one request, on their way to the application."""

    __slots__ = ("_arrived", "_closed", "_on_whole_request", "_parts", "_taken")

    def __init__(self, on_whole_request: Callable[[], None]) -> None:
        self._on_whole_request = on_whole_request
        self._parts: deque[Message] = deque()
        self._arrived = trio.lowlevel.ParkingLot()
        self._taken = trio.lowlevel.ParkingLot()
        self._closed = False

    async def put(self, part: Message) -> None:
        """Queue ``part``; wait while too many are queued.

        A disconnect never waits: the application itself may cause it while it sends its response,
        and would wait for itself.
        """
        if part["type"] == "http.request" and not part["more_body"]:
            self._on_whole_request()
        if self._closed:
            return
        self._parts.append(part)
        self._arrived.unpark_all()
        while (
            len(self._parts) > _QUEUED_PARTS
            and not self._closed
            and part["type"] != "http.disconnect"
        ):
            await self._taken.park()

    async def get(self) -> Message:
        """The next part. Waits for it."""
        while not self._parts:
            await self._arrived.park()
        self._taken.unpark_all()
        return self._parts.popleft()

    def close(self) -> None:
        """Drop the parts that still come."""
        self._closed = True
        self._taken.unpark_all()
