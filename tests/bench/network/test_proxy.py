"""The proxy as it is used: from Python, and typed."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest

from bench.guardian import entrust
from bench.network.proxy import (
    Address,
    Proxy,
    ProxyGone,
    main,
    parse_address,
    proxy_process,
    text_of,
)
from bench.network.relay import Impairment
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S


@pytest.fixture
def echo() -> Iterator[Address]:
    """The address of a server that sends back what it gets."""

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(65_536):
                connection.sendall(data)

    def serve() -> None:
        with suppress(OSError):
            while True:
                Thread(target=answer, args=(listener.accept()[0],)).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Thread(target=serve)
        server.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        server.join(DEADLINE_S)


def dial(address: Address) -> socket.socket:
    return socket.create_connection(address, timeout=DEADLINE_S)


def echoes(connection: socket.socket) -> bool:
    with suppress(OSError):
        connection.sendall(b"hello")
        return connection.recv(100) == b"hello"
    return False


def refuses(proxy: Proxy) -> bool:
    """True when who connects is reset, which may come in the middle of the connecting."""
    try:
        with dial(proxy.address) as connection:
            return not echoes(connection)
    except ConnectionResetError:
        return True


def test_it_is_cut_and_restored_while_it_runs(echo: Address) -> None:
    with proxy_process(echo, Impairment()) as proxy:
        with dial(proxy.address) as first, dial(proxy.address) as second:
            assert echoes(first)
            assert echoes(second)
            assert proxy.do("cut") == 2
            assert not echoes(first)
            assert refuses(proxy)
        assert proxy.do("restore") == 0
        with dial(proxy.address) as third:
            assert echoes(third)


def test_its_end_resets_what_is_open_and_frees_the_port(echo: Address) -> None:
    with proxy_process(echo, Impairment()) as proxy:
        client = dial(proxy.address)
        assert echoes(client)
    with client:
        assert not echoes(client)
    with pytest.raises(ConnectionRefusedError):
        dial(proxy.address)
    with pytest.raises(ProxyGone):
        proxy.do("cut")


def test_a_process_that_was_killed_is_noticed(echo: Address) -> None:
    with proxy_process(echo, Impairment()) as proxy:
        process: Any = proxy
        process._process.kill()
        with pytest.raises(ProxyGone):
            proxy.do("cut")


def test_a_process_that_cannot_start_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ProxyGone), proxy_process(("127.0.0.1", 1), Impairment()):
        pass


# --- the command ------------------------------------------------------------------------------


@pytest.fixture
def typed(echo: Address) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "bench.network.proxy", "--listen", "127.0.0.1:0"]
    with entrust(
        subprocess.Popen(
            [*command, "--to", f"{echo[0]}:{echo[1]}", "--delay", "0.001"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def say(process: "subprocess.Popen[str]", line: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline()


def test_the_command_obeys_lines_and_ends_with_its_input(typed: "subprocess.Popen[str]") -> None:
    assert typed.stdout is not None
    heard = typed.stdout.readline().split()
    assert heard[0] == "listening"
    host, _, port = heard[1].rpartition(":")
    with dial((host, int(port))) as client:
        assert echoes(client)
        assert say(typed, "nonsense").startswith("error 'nonsense' is no command")
        assert say(typed, "restore") == "ok 0\n"
        assert say(typed, "cut") == "ok 1\n"
        assert not echoes(client)
    assert typed.communicate(timeout=DEADLINE_S) == ("", "")
    assert typed.returncode == 0


def test_ctrl_c_ends_it_without_noise(typed: "subprocess.Popen[str]") -> None:
    assert typed.stdout is not None
    typed.stdout.readline()
    typed.send_signal(signal.SIGINT)
    assert typed.wait(DEADLINE_S) == 130
    assert typed.stderr is not None
    assert typed.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--listen", "127.0.0.1:0", "--to", "8081"], "'8081' is no address; write HOST:PORT"),
        (["--listen", "0", "--to", "h:1"], "'0' is no address"),
        (["--listen", "192.0.2.77:1", "--to", "h:1"], "annot assign requested address"),
    ],
)
def test_a_wrong_address_is_reported(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--delay", "slow"], ["--delay", "-1"], ["--loss", "1"], ["--loss", "nan"]]
)
def test_a_wrong_number_is_bad_usage(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--listen", "127.0.0.1:0", "--to", "h:1", *wrong])
    assert wrong[0] in capsys.readouterr().err


def test_addresses() -> None:
    assert parse_address("127.0.0.1:8081") == ("127.0.0.1", 8081)
    assert parse_address("[::1]:0") == ("::1", 0)
    assert [text_of(("::1", 5)), text_of(("h", 5))] == ["[::1]:5", "h:5"]
    for wrong in ("8081", ":8081", "host:", "host:http", "host:65536", "host:²"):
        with pytest.raises(ValueError, match="is no address; write HOST:PORT"):
            parse_address(wrong)
