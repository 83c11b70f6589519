"""The attack tests of the two listeners, once more, with both sides behind one port."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from locshare.connection.pool import ConnectionPool
from locshare.connection.shared_listener import SharedLimits, SharedListener
from locshare.http import HttpServer, ServerLimits
from tests.api.conftest import api, client, make_app, manager, registry, tokens
from tests.connection import kit, test_frames, test_handshake
from tests.http import serving, test_http_rules

__all__ = ["api", "client", "make_app", "manager", "registry", "tokens"]


class NoHttp:
    """The HTTP side where a test has none."""

    def adopt(self, sock: Any, _client: tuple[str, int]) -> None:
        sock.close()

    def make_room(self) -> bool:
        return False


def shared_listener(bind: str, pool: ConnectionPool) -> SharedListener:
    listener = SharedListener(bind, pool, SharedLimits(), lambda peer: peer)
    listener.use(NoHttp())
    return listener


class SharedHttpServer(HttpServer):
    """An HTTP server behind the one port; nobody is on the WebSockets' side."""

    def __init__(self, app: Any, bind: str, limits: ServerLimits) -> None:
        pool: Any = None
        self._shared = SharedListener(bind, pool, SharedLimits(), lambda _peer: None)
        super().__init__(app, None, limits, self._shared.hand_over)
        self._shared.use(self)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        return self._shared.addresses

    async def serve(
        self,
        *,
        task_status: trio.TaskStatus[Sequence[tuple[str, int]]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(super().serve)
            await nursery.start(self._shared.serve)
            task_status.started(self.addresses)


@pytest.fixture(autouse=True)
def one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit, "Listener", shared_listener)
    monkeypatch.setattr(serving, "HttpServer", SharedHttpServer)


_ELSEWHERE = {
    "test_what_is_no_usable_upgrade_is_answered_and_closed",  # it goes to the HTTP server
    "test_an_upgrade_is_ignored",  # it goes to the pool, which says where the WebSocket is
    "test_a_websocket_is_pointed_to_the_other_port",  # there is none
    "test_nothing_that_drips_in_after_a_refusal_keeps_the_connection",  # one is for /ws
}
"""Where one port answers otherwise, and well: see test_shared_listener."""
for module in (test_frames, test_handshake, test_http_rules):
    globals().update(
        {
            name: test
            for name, test in vars(module).items()
            if name.startswith("test_") and name not in _ELSEWHERE
        }
        | {name: value for name, value in vars(module).items() if name == "app"}
    )
