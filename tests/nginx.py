"""A real nginx in front of a server, as people put one there."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.guardian import entrust, temporary_folder
from tests.program import free_port
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S

_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""


def find_nginx() -> str | None:
    """Debian keeps it where only root looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def nginx_or_skip(locations: str, port: int | None = None) -> Iterator[str]:
    """Serve ``locations`` (of nginx's configuration). Gives its address, ``127.0.0.1:port``."""
    program = find_nginx()
    if program is None:
        pytest.skip("nginx is not installed")
    port = port or free_port()
    with temporary_folder("locshare-nginx-") as folder:
        settings, errors = folder / "nginx.conf", folder / "error.log"
        settings.write_text(_CONFIGURATION.format(folder=folder, port=port, locations=locations))
        process = entrust(
            subprocess.Popen(
                [program, "-p", str(folder), "-c", str(settings), "-e", str(errors)],
                stdin=subprocess.DEVNULL,
            )
        )
        try:
            _wait_for(process, port, errors)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int, errors: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    said = errors.read_text() if errors.exists() else ""
    raise AssertionError(f"nginx did not start: {said}")
