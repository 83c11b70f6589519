"""A real pgbouncer in front of a test's database."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

from bench.guardian import entrust
from tests.program import free_port
from tests.running import LAST_RESORT_S
from tests.store.kit import database_of

PATH: Final = os.environ.get("PATH", os.defpath) + ":/usr/sbin"
needs_pgbouncer = pytest.mark.skipif(
    shutil.which("pgbouncer", path=PATH) is None, reason="pgbouncer is not installed"
)
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


@contextmanager
def pgbouncer(url: str, mode: str, settings: Mapping[str, object] = _NOTHING) -> Iterator[int]:
    """Its port, once it listens. Behind ``transaction`` three connections change hands all the
    time.
    """
    socket_dir = Path(url.partition("?host=")[2])
    owner = pwd.getpwuid(socket_dir.stat().st_uid)
    port = free_port()
    lines = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": mode,
        "default_pool_size": 3 if mode == "transaction" else 40,
        "server_round_robin": 1,
        **settings,
    }
    with tempfile.TemporaryDirectory(prefix="locshare-pgbouncer-") as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(
            f"[databases]\n{database_of(url)} = host={socket_dir} user=postgres\n[pgbouncer]\n"
            + "".join(f"{key} = {value}\n" for key, value in lines.items())
        )
        command = ["pgbouncer", "-q"]
        if os.geteuid() == 0:
            command += ["-u", owner.pw_name]
        with entrust(subprocess.Popen([*command, file], env={"PATH": PATH})) as process:
            try:
                _wait(port)
                yield port
            finally:
                process.kill()


def _wait(port: int) -> None:
    deadline = time.monotonic() + LAST_RESORT_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise TimeoutError("pgbouncer does not listen")
