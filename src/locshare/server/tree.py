"""The supervision tree, and how it begins and ends.

::

    root, one_for_one
    ├── control       the Unix socket of ``locshare top``
    ├── store         PostgreSQL: the pool, the migrations, group commit, write-behind
    ├── flush         measures the loop, sets the flush window
    ├── sessions      dynamic: a supervisor with one actor for each session
    ├── reaper        ends and deletes sessions that are over
    ├── reader        reads the sockets of all connections that wait
    ├── connections   every WebSocket; drains when it is stopped
    ├── heartbeat     protocol pings
    ├── listener      accepts WebSockets
    ├── api           REST, the page, health and metrics over HTTP
    │                 (on one port it comes first: the listener accepts for both)
    ├── internal      health, metrics, /status, /debug/tree on a port of their own, if there is one
    └── debug         /debug/tree alone on another, if there is one

Started from top to bottom and stopped from bottom to top: first the listeners close, then clients
are asked to reconnect (1012), then the sessions note their last activity, and the store, which
stops last, writes it. Each child has a deadline; that of
:class:`~locshare.server.signals.StopSignals` is beyond them all. What one child needs of another is
an object that outlives both, so each may crash and be restarted alone.
"""

from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog
import trio
from quart import Blueprint

from locshare.actors import Registry
from locshare.api import (
    PublicUrls,
    RestApplication,
    ask_all,
    create_app,
    create_internal_app,
    health_blueprint,
    when,
)
from locshare.auth.secret_file import load_or_create_secret
from locshare.auth.tokens import TokenKeys
from locshare.broadcast.flush_controller import FlushController
from locshare.broadcast.native import IMPLEMENTATION
from locshare.config import Settings, parse_bind
from locshare.connection.listener import Listener
from locshare.connection.pool import ConnectionPool
from locshare.connection.shared_listener import SharedLimits, SharedListener
from locshare.contract.serving import contract_blueprint
from locshare.http import HttpMetrics, HttpServer
from locshare.net.addresses import Addresses, addresses, path_prefix
from locshare.net.observer import RequestObserver
from locshare.net.passed_sockets import PASSED
from locshare.ops.control import ControlServer
from locshare.ops.faults import Faults, Hooks, Injector
from locshare.ops.faults.hooks import Database
from locshare.ops.inspection.observe import observe_operation
from locshare.ops.inspection.operations import Inspector
from locshare.ops.inspection.status_page import status_blueprint
from locshare.ops.inspection.views import ProcessInfo
from locshare.ops.inspection.web import debug_blueprint
from locshare.server.crash_reports import CrashReports
from locshare.server.limits import (
    INTERNAL_LIMITS,
    address_of,
    api_limits,
    files_beside_connections,
    flush_window_limits,
    pool_limits,
    server_limits,
    session_limits,
)
from locshare.server.metric_families import TreeStatistics, room_sources
from locshare.server.process import allow_connections, calm_garbage_collector
from locshare.server.process_info import process_info
from locshare.server.service_manager import ServiceManager
from locshare.server.signals import StopSignals
from locshare.server.tracing import tracer_of
from locshare.session.directory.directory import SESSIONS
from locshare.session.limits import SessionLimits
from locshare.session.manager import SessionManager
from locshare.store.embedded import embedded_postgres
from locshare.store.postgres import PostgresStore
from locshare.supervisor import (
    Backoff,
    DynamicSpec,
    Report,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
)
from locshare.telemetry.metrics import RoomCollector, new_registry
from locshare.web.map_config import WORLD, map_urls, page_config
from locshare.web.pages import pages
from locshare.web.tiles import MapFile, tiles
from locshare.web.well_known import app_platforms, well_known

log = structlog.get_logger()

_STORE_STOP_S: Final = 5.0
_MARGIN_S: Final = 3.0


class Application:
    """All parts of one server, assembled and not yet running. Starts no task and opens no socket.

    ``sessions`` replaces the limits of the settings, for tests and benchmarks. With ``faults``,
    faults can be injected over the control socket. ``gave_up`` is called when the root gives up,
    before it stops its children.
    Raises BadMapFile when the map file is none; SecretError when the secret is too short; OSError
    when either cannot be read, or the secret cannot be stored; NoTraces.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: SessionLimits | None = None,
        faults: Faults | None = None,
        gave_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self._gave_up = gave_up
        self.faults = faults
        hooks = Hooks() if faults is None else faults.hooks
        self.names: Registry[Hashable] = Registry()
        self.tracer = tracer_of(settings)
        self._crashes = CrashReports(self.tracer)
        self.metrics = new_registry()
        self.http_metrics = HttpMetrics(self.metrics)
        self._now = hooks.now
        self.keys = token_keys(settings, hooks.now)
        self.store = PostgresStore(
            hooks.database(database_of(settings)), schema=settings.database_schema
        )
        self.flush_controller = FlushController(flush_window_limits(settings))
        self.manager = SessionManager(
            self.store,
            self.names,
            sessions or session_limits(settings),
            window=self.flush_controller.window,
            now=hooks.now,
            report=self._crashes.of_session,
            tracer=self.tracer,
        )
        files = files_beside_connections(settings)
        limits = pool_limits(
            settings, allow_connections(settings.connections.max_connections, files)
        )
        count_by = address_of(settings)
        self.observer = RequestObserver(count_by)
        self.pool = ConnectionPool(
            self.keys,
            hooks.sessions(self.manager),
            limits,
            count_by,
            observer=self.observer,
            tracer=self.tracer,
        )
        self.listener: Listener | SharedListener
        self._checks = {
            "database": self.store.check,
            "serving": when(lambda: not self.stopping),
        }
        http = server_limits(settings)
        shared: SharedListener | None = None
        if settings.bind is None:
            self.listener = Listener(settings.ws_bind, self.pool)
            self.api = HttpServer(self._rest(), settings.http_bind, http)
        else:
            shared = self.listener = SharedListener(
                settings.bind,
                self.pool,
                SharedLimits.of_pool(limits),
                lambda peer: count_by(peer, (), ()),
            )
            self.api = HttpServer(self._rest(), None, http, shared.hand_over)
            shared.use(self.api)
        self.root: SupervisorRef | None = None
        self.inspector = Inspector(
            lambda: self.root, self._process_info, self.manager.delivery_times
        )
        self.stopping = False
        RoomCollector(
            self.metrics,
            room_sources(
                sessions=self.manager.statistics,
                connections=self.pool.statistics,
                http=self.api.statistics,
                loop=self.flush_controller.statistics,
                store=self.store.statistics,
                tree=self._tree_statistics,
                data_dir=settings.data_dir,
                max_sessions=settings.max_sessions,
                shared=shared.statistics if shared else None,
            ),
        )

    def _rest(self) -> RestApplication:
        settings = self.settings
        return create_app(
            self.manager,
            self.keys,
            urls=lambda: PublicUrls(self.addresses.public_url, self.addresses.public_ws_url),
            registry=self.metrics,
            metrics=self.http_metrics,
            limits=api_limits(settings),
            checks=self._checks,
            expose_metrics=settings.internal_bind is None,
            prefix=path_prefix(settings.public_url),
            one_port=settings.bind is not None,
            now=self._now,
            allowed_origins=settings.allowed_origins,
            blueprints=[
                pages(
                    public_ws_url=lambda: self.addresses.public_ws_url,
                    public_url=lambda: self.addresses.public_url,
                    config=page_config(settings, has_world=WORLD.exists()),
                    map_urls=[*map_urls(settings)],
                    app_platforms=app_platforms(settings),
                ),
                well_known(settings, path_prefix(settings.public_url)),
                contract_blueprint(lambda: self.addresses.public_ws_url),
                *self._tiles(),
            ],
            observer=self.observer,
            tracer=self.tracer,
        )

    def _tiles(self) -> list[Blueprint]:
        """The routes of the world, if it was built, and of the map file, if there is one.

        Raises BadMapFile, OSError.
        """
        found = []
        if WORLD.exists():
            found.append(tiles(MapFile(WORLD), self._public_url, None, "world"))
        path = self.settings.map_file
        if path is not None:
            found.append(tiles(MapFile(path), self._public_url, self.settings.tile_attribution))
        return found

    def _public_url(self) -> str:
        return self.addresses.public_url

    def _tree_statistics(self) -> TreeStatistics:
        root = self.root
        children = () if root is None or not root.alive else root.which_children()
        return TreeStatistics(
            trio.lowlevel.current_statistics().tasks_living,
            {child.id: child.restarts for child in children},
            dict(self._crashes.counts(child.id for child in children)),
        )

    def _process_info(self) -> ProcessInfo:
        return process_info(
            self.manager.statistics(),
            self.pool.statistics(),
            self.flush_controller.peek(),
            faults=self.faults is not None,
        )

    @property
    def addresses(self) -> Addresses:
        """The public addresses, once the listeners are up."""
        ws = self.listener.addresses[0]
        return addresses(
            ws if isinstance(self.listener, SharedListener) else self.api.addresses[0],
            ws,
            self.settings.public_url,
            self.settings.public_ws_url,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[SupervisorRef]:
        """Run the tree around a block: all children are up inside, and stopped in order after it.

        Raises what :func:`locshare.supervisor.open_supervisor` raises, such as StartError and
        RestartBudgetExceeded.
        """
        try:
            async with open_supervisor(self.tree()) as root:
                self.root = root
                yield root
        finally:
            await self.tracer.aclose()

    def tree(self) -> SupervisorSpec:
        """The children of the root, in the order in which they start."""
        settings = self.settings
        health = health_blueprint(self.metrics, self._checks)
        tree = debug_blueprint(self.inspector)
        status = status_blueprint(self.inspector, partial(ask_all, self._checks))
        internal = [
            TaskSpec(name, self._internal(bind, blueprints).serve)
            for name, bind, blueprints in (
                ("internal", settings.internal_bind, [health, tree, status]),
                ("debug", settings.debug_bind, [tree]),
            )
            if bind is not None
        ]
        listeners = [TaskSpec("listener", self.listener.serve), TaskSpec("api", self.api.serve)]
        if isinstance(self.listener, SharedListener):
            listeners.reverse()  # it gives the API server its sockets
        return SupervisorSpec(
            [
                TaskSpec("control", self._control, restart="transient"),
                # An outage of the database never ends this task; a fault of ours may.
                TaskSpec("store", self.store.run, shutdown=_STORE_STOP_S, backoff=Backoff()),
                TaskSpec("flush", self.flush_controller.run),
                DynamicSpec(max_children=settings.max_sessions).child(
                    SESSIONS, register=self.names.name(SESSIONS)
                ),
                TaskSpec("reaper", self.manager.reaper.run),
                TaskSpec("reader", self.pool.reader.serve),
                TaskSpec(
                    "connections",
                    self.pool.serve,
                    shutdown=settings.connections.drain_deadline + _MARGIN_S,
                ),
                TaskSpec("heartbeat", self.pool.heartbeat),
                *listeners,
                *internal,
            ],
            report=self._report,
        )

    def _report(self, report: Report) -> None:
        self._crashes.take(report)
        root = self.root
        if report.kind == "gave_up" and root is not None and report.supervisor == root.name:
            self._gave_up()

    def _internal(self, bind: str, blueprints: Sequence[Blueprint]) -> HttpServer:
        names = {*self.settings.internal_hosts, parse_bind(bind)[0] or ""}
        app = create_internal_app(self.http_metrics, blueprints, names)
        return HttpServer(app, bind, INTERNAL_LIMITS)

    async def _control(
        self, *, task_status: trio.TaskStatus[Path | None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve the control socket. If data_dir cannot hold it (read-only, a path too long), the
        server runs without it, unless the settings or ``--faults`` ask for it.
        """
        path = self.settings.control_path
        if path is None:
            task_status.started(None)
            return
        operations = [*self.inspector.operations(), observe_operation(self.observer)]
        if self.faults is not None:
            injector = Injector(self.faults, self.inspector, self.pool, self.names)
            operations += injector.operations()
        server = ControlServer(path, operations)
        try:
            await server.serve(task_status=task_status)
        except OSError as error:
            if self.settings.control_socket is not None or self.faults is not None:
                raise
            log.warning("no_control_socket", reason=str(error))
            task_status.started(None)


async def serve(
    settings: Settings,
    signals: StopSignals,
    *,
    faults: bool = False,
    service: ServiceManager | None = None,
    task_status: trio.TaskStatus[Addresses] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the server until ``signals`` asks it to stop, or until cancelled; then stop it in order.

    With ``faults``, faults can be injected (:mod:`locshare.ops.faults`). ``task_status`` gets the
    addresses when clients can connect, and ``service`` hears of it. Signals are handled from before
    the first part is made until after the last has stopped. Raises what :class:`Application`
    raises; StartError, whose cause says why, when a part does not start; RestartBudgetExceeded when
    one keeps crashing; BadPassedSocket.
    """
    began = trio.current_time()
    service = service or ServiceManager()
    stop_scope = trio.CancelScope()
    with stop_scope, signals.stopping(stop_scope.cancel):
        await trio.lowlevel.checkpoint()  # a signal may have come already
        application = Application(
            settings, faults=Faults() if faults else None, gave_up=signals.arm
        )
        if faults:
            log.warning("faults_can_be_injected", by="whoever opens the control socket")
        async with application.running():
            try:
                calm_garbage_collector()
                PASSED.check_all_used()
                reached = application.addresses
                seconds = round(trio.current_time() - began, 3)
                log.info(
                    "ready",
                    http=reached.http_url,
                    ws=reached.ws_url,
                    seconds=seconds,
                    sending=IMPLEMENTATION,
                )
                task_status.started(reached)
                await service.attend()
            finally:
                application.stopping = True
                service.stopping()
                signals.arm()
                log.info("stopping")
    log.info("stopped")


def database_of(settings: Settings) -> Database:
    """The database of the settings; without a URL, the embedded one."""
    if settings.database_url is None:
        return partial(embedded_postgres, settings.data_dir)
    url = settings.database_url
    return lambda: nullcontext(url)


def token_keys(settings: Settings, now: Callable[[], datetime]) -> TokenKeys:
    """The keys of the settings. Without a secret there, the one in the data directory, made when
    missing. Raises SecretError, OSError.
    """
    secret: str | bytes
    if settings.jwt_secret is not None:
        secret = settings.jwt_secret
    else:
        secret = load_or_create_secret(settings.secret_file)
    return TokenKeys(
        secret,
        previous=settings.jwt_previous_secret,
        previous_until=settings.jwt_previous_until,
        now=now,
    )
