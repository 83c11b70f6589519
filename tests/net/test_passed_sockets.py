"""Sockets that a service manager passes are used where the settings name their address."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from locshare.net.passed_sockets import BadPassedSocket, PassedSockets


def listening(host: str = "127.0.0.1") -> socket.socket:
    return socket.create_server((host, 0))


def test_a_passed_socket_is_used_at_its_own_address_and_a_restart_gets_it_again() -> None:
    with listening() as sock:
        port = sock.getsockname()[1]
        passed = PassedSockets([sock])
        assert passed.at("127.0.0.2", port) == []
        assert passed.at("127.0.0.1", port + 1) == []
        with pytest.raises(BadPassedSocket, match=f"127.0.0.1:{port}"):
            passed.check_all_used()
        for _ in range(2):
            (duplicate,) = passed.at("127.0.0.1", port)
            with duplicate, socket.create_connection(("127.0.0.1", port)):
                assert duplicate.getblocking() is False
                duplicate.accept()[0].close()
        passed.check_all_used()


def test_all_interfaces_are_those_of_a_wildcard() -> None:
    with listening("0.0.0.0") as sock:  # noqa: S104 - what systemd binds
        passed = PassedSockets([sock])
        port = sock.getsockname()[1]
        for host in (None, "0.0.0.0", "::"):  # noqa: S104
            (duplicate,) = passed.at(host, port)
            duplicate.close()
        assert passed.at("127.0.0.1", port) == []


def test_what_was_passed_to_another_process_is_left_alone() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x"}
    passed = PassedSockets()
    passed.take(environment, os.getpid())
    passed.take({}, os.getpid())
    passed.check_all_used()
    assert environment == {}


_TAKE = """
import os, sys
os.dup2(int(sys.argv[2]), 3)
from locshare.net.passed_sockets import PASSED, BadPassedSocket
try:
    PASSED.take({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}, os.getpid())
    (sock,) = PASSED.at("127.0.0.1", int(sys.argv[1]))
    print("took", os.get_inheritable(3))
except BadPassedSocket as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("kind", "said"),
    [("listening", "took False"), ("connected", "no listening TCP socket"),
     ("unix", "ListenStream"), ("file", "no listening TCP socket")],
)  # fmt: skip
def test_only_a_listening_tcp_socket_is_taken_and_children_do_not_get_it(
    kind: str, said: str, tmp_path: Path
) -> None:
    with (
        listening() as sock,
        socket.socket(socket.AF_UNIX) as unix,
        Path(os.devnull).open() as file,
    ):
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        port = sock.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as connected:
            number = {
                "listening": sock.fileno(),
                "connected": connected.fileno(),
                "unix": unix.fileno(),
                "file": file.fileno(),
            }[kind]
            done = subprocess.run(
                [sys.executable, "-c", _TAKE, str(port), str(number)],
                pass_fds=[number],
                capture_output=True,
                text=True,
                check=True,
            )
    assert said in done.stdout
