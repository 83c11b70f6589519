"""A real server that can be broken, with people on it and Prometheus beside it."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import trio

from locshare.ops.faults import session_actor
from tests.contract.group import patiently
from tests.faults.traffic import Group, Real, breaking
from tests.monitoring.stack import Stack, monitored
from tests.program import Program, data_directory, running_program
from tests.sockets import Raw, client_frame, request

MAX_CONNECTIONS: Final = 115
MAX_SESSIONS: Final = 14
MAX_HTTP_CONNECTIONS: Final = 30
STEP_S: Final = 0.05
_ASK_EVERY_S: Final = 0.04

SETTINGS: Final = {
    "LOCSHARE_POSITION_PER_SECOND": "1000",
    "LOCSHARE_MESSAGE_PER_SECOND": "1000",
    "LOCSHARE_CREATE_PER_SECOND": "0",
    "LOCSHARE_JOIN_PER_SECOND": "0",
    "LOCSHARE_MAX_CONNECTIONS": str(MAX_CONNECTIONS),
    "LOCSHARE_MAX_SESSIONS": str(MAX_SESSIONS),
    "LOCSHARE_MAX_HTTP_CONNECTIONS": str(MAX_HTTP_CONNECTIONS),
    "LOCSHARE_PING_INTERVAL_S": "1",
    "LOCSHARE_OUTBOX_BYTES": "16384",
}
"""Small limits, so that little fills them."""


class World:
    """Running. ``actor`` is the path of the session of a group that walks; the other group stands
    still.
    """

    def __init__(
        self, program: Program, real: Real, stack: Stack, group: Group, other: Group
    ) -> None:
        self.program = program
        self.real = real
        self.faults = real.faults
        self.stack = stack
        self.group = group
        self.actor = session_actor(group.session_id)
        self.step_s = STEP_S
        self.other = other
        self.others_actor = session_actor(other.session_id)

    async def ask(self) -> None:
        """Ask the API all the time: read a session, create one."""
        url = self.program.http_url
        async with httpx.AsyncClient(base_url=url, timeout=5) as http:
            while True:
                with suppress(httpx.HTTPError):
                    await http.get(f"/api/sessions/{self.group.session_id}")
                    await http.post("/api/sessions", json={})
                await trio.sleep(_ASK_EVERY_S)

    async def walk(self) -> None:
        """The group moves all the time, one after the other."""
        while True:
            for phone in self.group.phones:
                await phone.move()
                await trio.sleep(self.step_s)

    @asynccontextmanager
    async def crowd(self, sessions: int, each: int) -> AsyncIterator[None]:
        """More groups are there during the block. They stand still."""
        async with AsyncExitStack() as stack:
            for _ in range(sessions):
                created = await patiently(lambda: self.real.post("/api/sessions"))
                group = Group(self.real, created.json()["session_id"])
                for _ in range(each):
                    await stack.enter_async_context(group.phone())
            yield

    @asynccontextmanager
    async def deaf_clients(self, count: int) -> AsyncIterator[None]:
        """Clients that ask for answers and never read one. The server closes them in time."""
        created = await patiently(lambda: self.real.post("/api/sessions"))
        group = Group(self.real, created.json()["session_id"])
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(self._be_deaf, await group.join())
            yield
            nursery.cancel_scope.cancel()

    async def _be_deaf(self, joined: dict[str, str]) -> None:
        port = int(self.program.ws_url.rpartition(":")[2])
        socket = trio.socket.socket()
        socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 1)
        await socket.connect(("127.0.0.1", port))
        async with trio.SocketStream(socket) as stream:
            raw = Raw(stream)
            await raw.send(request(f"/ws?token={joined['websocket_token']}"))
            await raw.head()
            pings = client_frame(b'{"type": "ping"}') * 10
            with suppress(trio.BrokenResourceError):
                while True:
                    await raw.send(pings)
                    await trio.sleep(0.02)

    async def strangers(self, path: str) -> None:
        """Connect again and again with a token that nobody gave."""
        port = int(self.program.ws_url.rpartition(":")[2])
        while True:
            with suppress(OSError, trio.BrokenResourceError):
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    await stream.send_all(
                        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
                    )
                    await stream.receive_some()
            await trio.sleep(0.05)

    @asynccontextmanager
    async def idle_connections(self, count: int) -> AsyncIterator[None]:
        """HTTP connections that ask nothing."""
        port = int(self.program.http_url.rpartition(":")[2])
        async with AsyncExitStack() as stack:
            for _ in range(count):
                stream = await stack.enter_async_context(
                    await trio.open_tcp_stream("127.0.0.1", port)
                )
                await stream.send_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            yield


@asynccontextmanager
async def a_world(folder: Path, **timing: float) -> AsyncIterator[World]:
    """A server with its data in ``folder``, a group of two that walks, somebody who asks, and
    Prometheus with rules that are hastened as ``timing`` says.
    """
    environment = SETTINGS | {"LOCSHARE_DATA_DIR": str(folder)}
    with running_program(environment, ("--faults",)) as program:
        target = program.http_url.removeprefix("http://")
        with monitored({"locshare": target}, **timing) as stack:
            async with (
                breaking(program, clear=False) as real,
                real.group(2) as group,
                real.group(1) as other,
                trio.open_nursery() as nursery,
            ):
                world = World(program, real, stack, group, other)
                nursery.start_soon(world.ask)
                nursery.start_soon(world.walk)
                yield world
                nursery.cancel_scope.cancel()


# --- what only root can do ------------------------------------------------------------------------


@contextmanager
def small_disk(mebibytes: int) -> Iterator[Path]:
    """A file system of its own in memory. Needs root."""
    with data_directory() as folder:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=755", "tmpfs", folder],
            check=True,
        )
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def small_memory(pids: list[int], mebibytes: int) -> Iterator[int]:
    """A cgroup with a limit around processes; gives how many bytes of it are not used. What they
    hold already may count where they were before. Needs root, and cgroups that can be written.
    """
    for top, limit in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        group = Path("/sys/fs/cgroup", top, f"locshare-drill-{os.getpid()}")
        with suppress(OSError):
            group.mkdir()
            if (group / limit).exists():
                break
            group.rmdir()
    else:
        raise OSError("no cgroup of memory can be made here")
    home = group.parent / "cgroup.procs"
    try:
        (group / limit).write_text(str(mebibytes * 1024 * 1024))
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
        usage = "memory.current" if limit == "memory.max" else "memory.usage_in_bytes"
        yield mebibytes * 1024 * 1024 - int((group / usage).read_text())
    finally:
        for left in (group / "cgroup.procs").read_text().split():
            with suppress(OSError):
                home.write_text(left)
        group.rmdir()


def fill(file: Path, share: float) -> None:
    """Make ``file`` so large that ``share`` of its file system is used."""
    usage = shutil.disk_usage(file.parent)
    file.write_bytes(b"\0" * max(int(share * usage.total) - usage.used, 0))
