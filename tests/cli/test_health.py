"""`locshare health`: what a container or a service manager asks."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from locshare.cli import EXIT_FAILURE, EXIT_OK, EXIT_USAGE
from locshare.cli.health import address_of
from locshare.cli.main import main
from locshare.config import Settings
from tests.running import LAST_RESORT_S


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives one answer to one request, on the yielded port."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            sock, _ = server.accept()
            with sock:
                heard.append(sock.recv(4096))
                sock.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join(LAST_RESORT_S)


def response(status: int, body: str) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("flags", "path"), [([], b"GET /health/ready "), (["--live"], b"GET /health/live ")]
)
def test_a_server_that_is_well_is_status_0(
    flags: list[str], path: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(response(200, '{"status":"ok"}')) as (port, heard):
        assert main(["health", "--bind", f":{port}", *flags]) == EXIT_OK
    assert heard[0].startswith(path)
    assert capsys.readouterr().out == '{"status":"ok"}\n'


@pytest.mark.parametrize("answer", [response(503, "no database"), b"SSH-2.0-x\r\n", b""])
def test_a_server_that_is_not_well_is_status_1_and_a_sentence(
    answer: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(answer) as (port, _):
        assert main(["health", "--bind", f"127.0.0.1:{port}"]) == EXIT_FAILURE
    (line,) = capsys.readouterr().err.splitlines()
    assert str(port) in line


def test_a_server_that_hangs_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        flags = ["--bind", f"127.0.0.1:{port}", "--patience", "0.1"]
        assert main(["health", *flags]) == EXIT_FAILURE
    assert "does not answer in time" in capsys.readouterr().err
    assert main(["health", *flags]) == EXIT_FAILURE, "nobody listens there any more"
    assert main(["health", "--patience", "0"]) == EXIT_USAGE


def test_the_internal_port_is_asked_where_there_is_one() -> None:
    assert address_of(Settings()) == ("127.0.0.1", 8080)
    assert address_of(Settings(bind="[::]:80")) == ("::1", 80)
    assert address_of(Settings(bind=":80", internal_bind=":82")) == ("127.0.0.1", 82)
    assert address_of(Settings(http_bind="192.0.2.1:8080")) == ("192.0.2.1", 8080)
