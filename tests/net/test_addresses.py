"""Links lead to where the server can be reached."""

import ipaddress

import pytest

from locshare.net.addresses import addresses, local_address, path_prefix


def test_the_bound_addresses_are_the_public_ones_by_default() -> None:
    found = addresses(("127.0.0.1", 8080), ("127.0.0.1", 8081))
    assert found.http_url == found.public_url == "http://127.0.0.1:8080"
    assert found.ws_url == found.public_ws_url == "ws://127.0.0.1:8081"


def test_public_urls_are_as_they_were_given_without_a_slash_at_the_end() -> None:
    found = addresses(
        ("127.0.0.1", 1), ("127.0.0.1", 2), "https://where.example/", "wss://where.example"
    )
    assert found.http_url == "http://127.0.0.1:1"
    assert found.public_url == "https://where.example"
    assert found.public_ws_url == "wss://where.example"


def test_on_one_port_the_public_url_is_that_of_websockets_too() -> None:
    port = ("127.0.0.1", 8080)
    found = addresses(port, port, "https://where.example/map/")
    assert found.public_ws_url == "wss://where.example/map"
    assert addresses(port, port, "http://a:1").public_ws_url == "ws://a:1"
    assert addresses(port, port).public_ws_url == "ws://127.0.0.1:8080"
    assert addresses(port, port, "http://a:1", "ws://b:2/c").public_ws_url == "ws://b:2/c"


def test_an_ipv6_address_has_brackets() -> None:
    assert addresses(("::1", 8080), ("::1", 8081)).http_url == "http://[::1]:8080"


def test_bound_to_all_interfaces_the_link_has_the_address_of_this_machine() -> None:
    for everywhere in ("0.0.0.0", "::"):  # noqa: S104 - what an operator may set
        found = addresses((everywhere, 8080), (everywhere, 8081))
        assert found.http_url == f"http://{local_address()}:8080"


def test_this_machine_has_an_address() -> None:
    assert not ipaddress.ip_address(local_address()).is_unspecified


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        (None, ""),
        ("https://where.example", ""),
        ("https://where.example/", ""),
        ("https://where.example/map", "/map"),
        ("https://where.example:8443/a/the%20map/", "/a/the map"),
    ],
)
def test_the_folder_of_a_public_url_is_its_path(url: str | None, prefix: str) -> None:
    assert path_prefix(url) == prefix
