"""The three kinds of place, without sockets."""

from locshare.connection.places import Places
from locshare.connection.refusal import Refusal
from locshare.net.slots import SlotLimits


def some_places(limit: int = 3, per_address: int = 2, handshakes: int = 2) -> Places[str]:
    return Places(limit, per_address, SlotLimits(handshakes, handshakes, reserved=0))


def test_an_admitted_socket_frees_its_handshakes_place() -> None:
    places = some_places()
    assert places.enter("a", "home") is None
    places.admit("a", "home")
    assert [places.enter(key, "home") for key in ("b", "c", "d")] == [None, None, "b"]


def test_an_address_has_its_share_and_a_proxy_only_the_total() -> None:
    places = some_places()
    for key in ("a", "b"):
        assert places.why_full("home") is None
        places.admit(key, "home")
    assert places.why_full("home") is Refusal.ADDRESS_FULL
    assert places.why_full("away") is None
    places.admit("c", None)
    assert places.why_full(None) is places.why_full("away") is Refusal.FULL
    places.release("a")
    places.release("a")
    assert places.why_full("home") is None, "given back once"


def test_a_share_of_zero_is_no_limit() -> None:
    places = some_places(per_address=0)
    for key in ("a", "b"):
        places.admit(key, "home")
    assert places.why_full("home") is None


def test_of_the_refused_the_oldest_gives_way() -> None:
    places = some_places(handshakes=2)
    assert [places.refuse(key) for key in ("a", "b", "a", "c", "d")] == [None, None, None, "a", "b"]


def test_when_files_are_short_the_refused_go_first_and_the_admitted_never() -> None:
    places = some_places()
    places.admit("admitted", None)
    places.enter("waiting", None)
    places.enter("refused", None)
    places.refuse("refused")
    assert [places.shed() for _ in range(3)] == ["refused", "waiting", None]
    assert len(places.handshakes) == 0
