"""Whose request it is: what proxies say about their clients, in all the ways they say it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.net.client_address import ClientAddress, ForwardedHeader, parse_node

LOOPBACK = ("127.0.0.0/8", "::1/128")
PROXY = "127.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "key"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # nobody's proxy
        (PROXY, None, PROXY),
        (PROXY, "198.51.100.1", "198.51.100.1"),
        (PROXY, "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # 1.2.3.4 is what the client said
        (PROXY, "198.51.100.1, 127.0.0.1", "198.51.100.1"),
        (PROXY, "1.2.3.4, nonsense", PROXY),
        (PROXY, "", PROXY),
        (PROXY, "198.51.100.1, ", "198.51.100.1"),
        ("::1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:203.0.113.7", None, "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", None, "2001:db8:1:2::/64"),
        ("fe80::1%eth0", None, "fe80::/64"),
        (None, "198.51.100.1", "local"),
        ("/run/socket", None, "/run/socket"),
    ],
)
def test_a_client_counts_by_the_address_that_trusted_proxies_saw(
    peer: str | None, forwarded: str | None, key: str
) -> None:
    lines = [] if forwarded is None else [forwarded]
    assert ClientAddress(LOOPBACK).of_request(peer, lines) == key


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("198.51.100.1:4711", "198.51.100.1"),
        ('"198.51.100.1"', "198.51.100.1"),
        ('"198.51.100.1:80"', "198.51.100.1"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ('"[2001:db8:1:2::9]:443"', "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("[::ffff:198.51.100.1]:80", "198.51.100.1"),
        ("fe80::1%25eth0", "fe80::/64"),
        ("\t198.51.100.1 ", "198.51.100.1"),
        ("unknown", PROXY),
        ("_hidden", PROXY),
        ("_gazonk:80", PROXY),
        ("198.51.100.1, unknown", PROXY),  # left of it could be anyone's invention
        ("198.51.100", PROXY),
        ("[2001:db8::1", "2001:db8::/64"),
        ("[", PROXY),
        ('"', PROXY),
        (":", PROXY),
        ("localhost", PROXY),
    ],
)
def test_an_entry_may_have_a_port_brackets_quotes_or_no_address(entry: str, key: str) -> None:
    assert ClientAddress(LOOPBACK).of_request(PROXY, [entry]) == key


@pytest.mark.parametrize(
    ("forwarded", "key"),
    [
        (["for=192.0.2.43"], "192.0.2.43"),
        (["For=192.0.2.43;proto=https;by=203.0.113.43"], "192.0.2.43"),
        (["proto=https; for=192.0.2.43 ;host=x"], "192.0.2.43"),
        (['for="192.0.2.43:47011"'], "192.0.2.43"),
        (['for="[2001:db8:cafe::17]:4711"'], "2001:db8:cafe::/64"),
        (['FOR="[2001:db8:cafe::17]"'], "2001:db8:cafe::/64"),
        (["for=1.2.3.4, for=192.0.2.43"], "192.0.2.43"),
        (["for=1.2.3.4", "for=192.0.2.43"], "192.0.2.43"),
        (["for=192.0.2.43, for=127.0.0.1"], "192.0.2.43"),
        (['for=192.0.2.43;host="a,for=1.2.3.4;b"'], "192.0.2.43"),
        (['host="a\\",for=1.2.3.4";for=192.0.2.43'], "192.0.2.43"),
        (["for=192.0.2.43,"], "192.0.2.43"),
        (["for=unknown"], PROXY),
        (["for=_mystery"], PROXY),
        (["proto=https"], PROXY),
        (["for"], PROXY),
        (["192.0.2.43"], PROXY),
        (['for="192.0.2.43'], "192.0.2.43"),
        ([""], PROXY),
    ],
)
def test_forwarded_is_read_as_rfc_7239_has_it(forwarded: list[str], key: str) -> None:
    assert ClientAddress(LOOPBACK).of_request(PROXY, [], forwarded) == key


@pytest.mark.parametrize(
    ("header", "key"),
    [("auto", "192.0.2.1"), ("x-forwarded-for", "192.0.2.1"), ("forwarded", "192.0.2.2")],
)
def test_of_two_headers_the_one_counts_that_the_proxies_write(
    header: ForwardedHeader, key: str
) -> None:
    addresses = ClientAddress(LOOPBACK, header)
    assert addresses.of_request(PROXY, ["192.0.2.1"], ["for=192.0.2.2"]) == key


def test_the_header_that_the_proxies_do_not_write_is_the_clients_invention() -> None:
    assert ClientAddress(LOOPBACK, "forwarded").of_request(PROXY, ["192.0.2.1"]) == PROXY
    addresses = ClientAddress(LOOPBACK, "x-forwarded-for")
    assert addresses.of_request(PROXY, [], ["for=192.0.2.2"]) == PROXY


def test_a_header_without_end_is_ignored() -> None:
    addresses = ClientAddress(LOOPBACK)
    assert addresses.of_request(PROXY, ["192.0.2.1," * 1000 + "192.0.2.2"]) == PROXY
    assert addresses.of_request(PROXY, ["192.0.2.1, " + "127.0.0.1," * 50]) == PROXY


def test_a_header_counts_up_to_4096_characters_and_32_entries() -> None:
    addresses = ClientAddress(LOOPBACK)
    assert addresses.of_request(PROXY, ["192.0.2.1".ljust(4096)]) == "192.0.2.1"
    assert addresses.of_request(PROXY, ["192.0.2.1".ljust(4097)]) == PROXY
    assert addresses.of_request(PROXY, ["192.0.2.1," + "127.0.0.1," * 31]) == "192.0.2.1"
    assert addresses.of_request(PROXY, ["192.0.2.1," + "127.0.0.1," * 32]) == PROXY


def test_without_trusted_proxies_no_header_counts() -> None:
    assert ClientAddress(()).of_request(PROXY, ["198.51.100.1"]) == PROXY


def test_a_trusted_proxy_is_a_network() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        ClientAddress(["my-proxy"])


@pytest.mark.parametrize(
    ("peer", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        (PROXY, None),
        ("::ffff:127.0.0.1", None),
        ("/run/socket", None),
    ],
)
def test_a_connection_counts_by_its_peer_unless_that_is_a_proxy(peer: str, key: str | None) -> None:
    assert ClientAddress(LOOPBACK).of_peer(peer) == key


@given(
    peer=st.sampled_from([PROXY, "::1", "203.0.113.7", "", "x"]),
    forwarded_for=st.lists(st.text(st.characters(max_codepoint=255), max_size=80), max_size=3),
    forwarded=st.lists(
        st.text(st.sampled_from('for=;,"\\ 127.0:[]')) | st.text(max_size=40), max_size=3
    ),
)
def test_any_header_gives_a_key(peer: str, forwarded_for: list[str], forwarded: list[str]) -> None:
    for header in ("auto", "x-forwarded-for", "forwarded"):
        key = ClientAddress(LOOPBACK, header).of_request(peer, forwarded_for, forwarded)
        assert key


@given(st.ip_addresses(), st.booleans(), st.none() | st.integers(0, 65_535))
def test_every_address_is_read_however_it_is_written(
    address: object, quoted: bool, port: int | None
) -> None:
    text = str(address)
    if port is not None:
        text = f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
    found = parse_node(f'"{text}"' if quoted else text)
    assert found is not None
    assert found == (getattr(address, "ipv4_mapped", None) or address)
