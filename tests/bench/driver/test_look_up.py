"""Where people connect: a name may be several addresses, and the server listen on one of them."""

import socket
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from bench.driver.connection import look_up
from bench.targets.target import NotServing

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere 127.0.0.1 is the only address of the loopback"
)

FIRST, SECOND = "127.0.0.2", "127.0.0.3"


@pytest.fixture(autouse=True)
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """One name, as ``localhost`` is one of two families: what a resolver answers is the machine's
    business and cannot be had otherwise.
    """

    def both(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        assert host == "both.example"
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in (FIRST, SECOND)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", both)


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which somebody listens, on the second address only."""
    with closing(socket.create_server((SECOND, 0))) as server:
        yield server.getsockname()[1]


def test_the_address_where_somebody_listens_is_taken(port: int) -> None:
    assert look_up(f"ws://both.example:{port}/ws").address == (SECOND, port)


def test_the_first_is_taken_when_both_answer(port: int) -> None:
    with closing(socket.create_server((FIRST, port))):
        assert look_up(f"ws://both.example:{port}/ws").address == (FIRST, port)


def test_the_first_is_taken_when_none_does(port: int) -> None:
    """It may be about to start: whoever connects says what is wrong."""
    free = port - 1
    assert look_up(f"ws://both.example:{free}/ws").address == (FIRST, free)


def test_a_name_that_nobody_knows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(NotServing, match=r"^nowhere\.example: Name or service not known$"):
        look_up("ws://nowhere.example/ws")
