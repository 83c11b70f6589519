"""Links, which are a stranger's words."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.client import JoinLink
from phone.deep_link import app_link, read_link

ID = "0b8e0000-0000-4000-8000-000000000001"
SERVER = "https://maps.example"


@pytest.mark.parametrize(
    ("text", "url", "key"),
    [
        (f"https://one.example/join/{ID}", "https://one.example", None),
        (f"see https://one.example/maps/join/{ID}.", "https://one.example/maps", None),
        (f"https://one.example/join/{ID}#host=k-1", "https://one.example", "k-1"),
        (f"locshare://join/one.example/join/{ID}", "https://one.example", None),
        (f"locshare://join/one.example:8443/a/join/{ID}", "https://one.example:8443/a", None),
        (f"locshare://join/http/192.168.1.5:8080/join/{ID}", "http://192.168.1.5:8080", None),
        (f"/one.example/join/{ID}", "https://one.example", None),
        (f"/http/localhost:8080/join/{ID}", "http://localhost:8080", None),
        (f"locshare://join/{ID}", SERVER, None),
        (f"locshare://join/{ID.upper()}#host=abc", SERVER, "abc"),
        (f"/{ID}", SERVER, None),
        (f"/join/{ID}", SERVER, None),
        (ID, SERVER, None),
    ],
)
def test_a_join_link_is_read_in_each_of_its_forms(text: str, url: str, key: str | None) -> None:
    assert read_link(text, SERVER) == JoinLink(url, ID, key)


@pytest.mark.parametrize(
    "text", ["", "/", "locshare://join/", "hello", f"x{ID}", "https://a/join/"]
)
def test_what_is_no_join_link_is_none(text: str) -> None:
    assert read_link(text, SERVER) is None


@given(st.text(max_size=300))
def test_reading_a_link_never_fails(text: str) -> None:
    read_link(text, SERVER)


@pytest.mark.parametrize(
    "link", [f"https://a.example/b/join/{ID}", f"http://10.0.0.1:8080/join/{ID}"]
)
def test_the_form_for_the_app_leads_to_the_same_session(link: str) -> None:
    made = app_link(link)
    assert made.startswith("locshare://join/")
    assert read_link(made, SERVER) == read_link(link, SERVER)


@pytest.mark.parametrize(
    "text",
    [
        "." * 500 + "/join/" * 80 + "x" * 500 + " y",
        "." * 4_000 + " ",
        ("#" + "&" * 30) * 130 + ID,
        "locshare:" * 400,
        "https://a" + "/join/" * 600 + ID[:-1],
        "http:" + "/" * 4_000,
        (ID[:-1] + "z") * 100,
    ],
    ids=["dots", "points", "hashes", "schemes", "joins", "slashes", "ids"],
)
def test_a_link_made_to_be_slow_to_read_is_not(text: str) -> None:
    """The first one took a second, and ten times its length minutes. CPU, so that a busy machine
    does not count.
    """
    began = time.thread_time()
    read_link(text, SERVER)
    assert time.thread_time() - began < 0.2


def test_of_an_endless_link_the_beginning_is_read() -> None:
    assert read_link(f"{SERVER}/join/{ID}?{'x' * 1_000_000}", SERVER) == JoinLink(SERVER, ID)
    assert read_link(f"{'x ' * 1_000_000}{SERVER}/join/{ID}", SERVER) is None
