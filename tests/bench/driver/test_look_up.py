"""Where people connect: a name may be several addresses, and the server listen on one of them."""

import socket

import pytest

from bench.driver.connection import look_up
from bench.errors import NotServing

HOST = "127.0.0.1"
URL = "ws://both.example/ws"
Place = tuple[str, int]


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """Two places that one name stands for, as ``localhost`` stands for two families. What a
    resolver answers is the machine's business, so here they differ in the port.
    """
    with socket.create_server((HOST, 0)) as one, socket.create_server((HOST, 0)) as other:
        found = [one.getsockname(), other.getsockname()]
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    return found


def test_the_first_address_that_accepts_is_used(places: list[Place]) -> None:
    with socket.create_server(places[1]):
        assert look_up(URL).address == places[1]


def test_the_first_address_is_used_when_both_accept(places: list[Place]) -> None:
    with socket.create_server(places[0]), socket.create_server(places[1]):
        assert look_up(URL).address == places[0]


def test_the_first_address_is_used_when_none_accepts(places: list[Place]) -> None:
    """It may be about to start: whoever connects says what is wrong."""
    assert look_up(URL).address == places[0]


def test_an_unknown_name_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(NotServing, match=r"^nowhere\.example: Name or service not known$"):
        look_up("ws://nowhere.example/ws")
