"""The real program under a service manager: it takes the socket that is passed, says that it is
ready, and says that it stops.
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from bench.guardian import entrust
from tests.program import data_directory
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e

_PASS = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
os.dup2(int(sys.argv[1]), 3)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""As systemd does: descriptor 3, and the number of the process that it becomes."""


def test_connections_wait_in_the_passed_socket_until_the_server_is_ready(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        data_directory() as data,
        ExitStack() as stack,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LAST_RESORT_S)
        port, passed = listening.getsockname()[1], listening.fileno()
        environment = os.environ | {
            "LOCSHARE_DATA_DIR": str(data),
            "LOCSHARE_BIND": f"127.0.0.1:{port}",
            "LISTEN_FDS": "1",
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
        }
        process = entrust(
            subprocess.Popen(
                [sys.executable, "-c", _PASS, str(passed), "-m", "locshare", "serve"],
                env=environment, pass_fds=[passed], stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
        stack.callback(process.wait)
        stack.callback(process.kill)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LAST_RESORT_S) as http:
            assert http.get("/health/ready").status_code == 200
            assert manager.recv(100) == b"READY=1"
            process.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
        assert process.wait(LAST_RESORT_S) == 0
        # The socket is the manager's: who comes now waits for the next server.
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_passed_socket_that_no_setting_names_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, data_directory() as data:
        port, passed = listening.getsockname()[1], listening.fileno()
        done = subprocess.run(
            [sys.executable, "-c", _PASS, str(passed), "-m", "locshare", "serve"],
            env=os.environ | {"LISTEN_FDS": "1", "LOCSHARE_DATA_DIR": str(data),
                              "LOCSHARE_BIND": "127.0.0.1:0"},
            pass_fds=[passed], capture_output=True, text=True, check=False, timeout=LAST_RESORT_S,
        )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert f"127.0.0.1:{port}" in last
    assert "LOCSHARE_BIND" in last
