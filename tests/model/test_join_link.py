"""Join links as they come out of messengers and mails."""

import pytest

from locshare.model.join_link import JoinLink, clean_segment, opens, parse_join_link, session_id_in

ID = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"
KEY = "abcdefghijklmnopqrstuv27"
LEFT_ON = [
    "", "/", "//", ".", ",", ";", ":", "!", "?", ")", "]", "}", ">", "'", '"', "»", "”", "\u2019",
    "…", "。", "*", "_", "~", "`", "|", "\\", ").", "/.", "./", "-", "\u2013", "%2E", "%2e", "%2F",
    "%29", "%22", "%3E", "%20", "%0A", "%252E", "&gt;", "%E2%80%8B", "\u200b", "\u200e", "\ufeff",
    "%E2%80", "/index.html", ".See", "?a=b", "/?a=b", "#host=KEY", ".#host=KEY", "?fbclid=x#top",
    " and then", "\n",
]  # fmt: skip
"""Behind an id; the id is meant."""
DAMAGED = ["0", "f", "x", "Z", "5.", "%30"]
"""Behind an id; it is none any more."""


@pytest.mark.parametrize("more", LEFT_ON)
@pytest.mark.parametrize("before", ["", "<", "(", '"', "Here: ", "[map](", "\u200e"])
def test_a_link_is_read_with_anything_attached_to_it(before: str, more: str) -> None:
    text = f"{before}https://map.example:8443/join/{ID}{more}"
    key = "KEY" if "host=KEY" in more else None
    assert parse_join_link(text) == JoinLink("https://map.example:8443", ID, key)


@pytest.mark.parametrize("more", ["", ".", ")", '"', "&x=y", " and"])
def test_a_hosts_link_gives_the_key_without_anything_attached(more: str) -> None:
    link = parse_join_link(f"https://map.example/join/{ID}#host=aB-_9{more}")
    assert link.host_key == "aB-_9"
    assert parse_join_link(f"https://map.example/join/{ID}?host=aB#ghost=aB").host_key is None


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (f"http://127.0.0.1:8080/join/{ID.upper()}", "http://127.0.0.1:8080"),
        (f"HTTP://map.example/join//{ID}", "http://map.example"),
        (f"https://map.example/a/b/join/{ID}", "https://map.example/a/b"),
        (f"https://map.example/join/x/join/{ID}", "https://map.example/join/x"),
        (f"https://map.example/join/%3C{ID}%3E", "https://map.example"),
        (f"http://[::1]:8080/join/{ID}]", "http://[::1]:8080"),
        (f"http://map.example:1/join/{ID}", "http://map.example:1"),
        (f"http://map.example/join/{ID}".rjust(4_096), "http://map.example"),
        (" " * (4_096 - 21 - 42 + 36 - 36) + f"http://map.example/join/{ID}", "http://map.example"),
        (f"http://ada:secret@map.example/join/{ID}", "http://map.example"),
    ],
)
def test_a_link_names_its_server_with_port_and_sub_folder(text: str, url: str) -> None:
    assert parse_join_link(text) == JoinLink(url, ID)


@pytest.mark.parametrize(
    "text",
    [
        "", ID, f"/join/{ID}", f"map.example/join/{ID}", f"ftp://map.example/join/{ID}",
        f"http:///join/{ID}", f"http://map.example/{ID}", "http://map.example/join/",
        f"http://map.example:99999/join/{ID}", f"http://map.example:0/join/{ID}",
        f"http://map.example/join/{ID}".rjust(4_097), f"http://[::1/join/{ID}",
        f"http://map.example/?next=/join/{ID}", f"http://map.example/#/join/{ID}",
        "x" * 1_000_000, "http://" + "/join/" * 100_000,
        *(f"http://map.example/join/{ID}{more}" for more in DAMAGED),
        f"http://map.example/join/0{ID}",
    ],
)  # fmt: skip
def test_an_error_shows_the_form_of_a_join_link(text: str) -> None:
    with pytest.raises(ValueError, match="not a join link, which is like http://host:port/join/ID"):
        parse_join_link(text)


@pytest.mark.parametrize("more", LEFT_ON)
def test_the_id_in_a_segment_is_found(more: str) -> None:
    assert session_id_in(f"{ID.upper()}{more}") == ID


@pytest.mark.parametrize("segment", ["", "x", ID[:-1], *(ID + more for more in DAMAGED), f"0{ID}"])
def test_no_other_id_is_guessed(segment: str) -> None:
    assert session_id_in(segment) is None


@pytest.mark.parametrize("more", LEFT_ON)
def test_the_key_of_a_new_link_is_read_with_anything_attached_to_it(more: str) -> None:
    host_key = "KEY" if "host=KEY" in more else None
    link = parse_join_link(f"https://map.example/join/{ID}-{KEY}{more}")
    assert link == JoinLink("https://map.example", ID, host_key, KEY)
    assert clean_segment(f"{ID.upper()}-{KEY.upper()}{more}") == f"{ID}-{KEY}"
    assert clean_segment(f"{ID}{more}") == ID


@pytest.mark.parametrize("more", ["-", f"-{KEY[:-1]}", f"-{KEY}a", f"-{KEY[:-1]}1", f"_{KEY}", KEY])
def test_what_is_no_key_is_none(more: str) -> None:
    if more == KEY:
        assert clean_segment(ID + more) is None, "then the id is damaged"
    else:
        assert clean_segment(ID + more) == ID
        assert parse_join_link(f"https://map.example/join/{ID}{more}").link_key is None


@pytest.mark.parametrize(
    ("current", "given", "is_it"),
    [("", "", True), ("", KEY, True), (KEY, KEY, True), (KEY, "", False), (KEY, "\ud800é", False)],
)
def test_any_link_opens_until_the_first_one_is_replaced(
    current: str, given: str, is_it: bool
) -> None:
    assert opens(current, given) is is_it
