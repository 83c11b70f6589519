"""The server's rooms on real loopback ports over a store in memory: quick to start and to stop, and
to start again in the same place. The whole program, with its database, is tested in tests/e2e.
"""

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

import trio
from msgspec import Struct

from bench.servers import free_port
from locshare.actors import Registry as Names
from locshare.api import ApiLimits, PublicUrls, Rate, create_app
from locshare.auth.tokens import TokenKeys
from locshare.connection.counters import ConnectionStatistics
from locshare.connection.listener import Listener
from locshare.connection.pool import ConnectionPool, PoolLimits
from locshare.http import HttpServer
from locshare.net.addresses import Addresses, addresses
from locshare.session.directory.directory import SESSIONS
from locshare.session.limits import SessionLimits
from locshare.session.manager import SessionManager
from locshare.supervisor import DynamicSpec, SupervisorSpec, TaskSpec, open_supervisor
from locshare.telemetry.metrics import new_registry
from tests.doubles import MemoryStore
from tests.running import LAST_RESORT_S

SECRET = b"test secret, test secret, test secret"
POOL_LIMITS = PoolLimits(drain_deadline=1.0)
API_LIMITS = ApiLimits(create=Rate(1000, 1000), join=Rate(1000, 1000))


class Server(Struct):
    """A running server. Its public URLs are those of another machine, which is not reachable."""

    addresses: Addresses
    store: MemoryStore
    manager: SessionManager
    pool: ConnectionPool
    names: Names[Hashable]

    @property
    def ws(self) -> str:
        """Where to connect."""
        return f"{self.addresses.ws_url}/ws"

    def connections(self) -> ConnectionStatistics:
        """Counters."""
        return self.pool.statistics()


@asynccontextmanager
async def serving(
    *,
    again: Server | None = None,
    max_participants: int = 50,
    offline_grace: float = 15.0,
    api: ApiLimits = API_LIMITS,
    limits: PoolLimits = POOL_LIMITS,
) -> AsyncIterator[Server]:
    """A server; with ``again`` one that takes the place of that other one, which has stopped."""
    # Nobody else gets these while the server is away.
    http, ws = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    if again is not None:
        http = again.addresses.http_url.removeprefix("http://")
        ws = again.addresses.ws_url.removeprefix("ws://")
    store = MemoryStore() if again is None else again.store
    names: Names[Hashable] = Names()
    manager = SessionManager(
        store,
        names,
        SessionLimits(max_participants=max_participants, offline_grace=offline_grace),
    )
    keys = TokenKeys(SECRET)
    pool = ConnectionPool(keys, manager, limits)
    listener = Listener(ws, pool)
    urls = PublicUrls("https://map.example", "wss://map.example")
    rest = create_app(manager, keys, urls=lambda: urls, registry=new_registry(), limits=api)
    server = HttpServer(rest, http)
    tree = SupervisorSpec(
        [
            DynamicSpec().child(SESSIONS, register=names.name(SESSIONS)),
            TaskSpec("reaper", manager.reaper.run),
            TaskSpec("reader", pool.reader.serve),
            TaskSpec("connections", pool.serve, shutdown=limits.drain_deadline + 4.0),
            TaskSpec("heartbeat", pool.heartbeat),
            TaskSpec("listener", listener.serve),
            TaskSpec("api", server.serve),
        ]
    )
    async with open_supervisor(tree):
        reached = addresses(server.addresses[0], listener.addresses[0], urls.http, urls.ws)
        yield Server(reached, store, manager, pool, names)


async def until(holds: Callable[[], bool]) -> None:
    """Until figures that nobody tells of are as wanted."""
    with trio.fail_after(LAST_RESORT_S):
        while not holds():  # noqa: ASYNC110 - see above
            await trio.sleep(0.005)
