"""Which handshake gives way, without sockets."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from locshare.connection.handshakes import Handshakes


def test_at_the_limit_the_longest_idle_gives_way_to_the_new() -> None:
    places: Handshakes[int] = Handshakes(3, 3)
    assert [places.enter(n, f"address {n}") for n in range(3)] == [None] * 3
    assert places.enter(3, "another") == 0
    assert places.enter(4, "another") == 1
    assert len(places) == 3


def test_one_of_which_something_came_is_not_idle() -> None:
    places: Handshakes[int] = Handshakes(3, 3)
    for n in range(3):
        places.enter(n, "one")
    places.touch(0)
    assert places.enter(3, "another") == 1
    assert places.enter(4, "another") == 2
    assert places.enter(5, "another") == 0


def test_an_address_that_has_its_share_takes_from_itself_only() -> None:
    places: Handshakes[int] = Handshakes(10, 2)
    places.enter(0, "honest")
    places.enter(1, "greedy")
    places.enter(2, "greedy")
    places.touch(1)
    assert places.enter(3, "greedy") == 2
    assert places.enter(4, "greedy") == 1
    assert 0 in places
    assert len(places) == 3


def test_a_proxy_is_limited_by_the_total_only() -> None:
    places: Handshakes[int] = Handshakes(3, 1)
    assert [places.enter(n, None) for n in range(3)] == [None] * 3
    assert places.enter(3, None) == 0


def test_one_that_left_is_not_evicted_and_may_be_touched() -> None:
    places: Handshakes[int] = Handshakes(1, 1)
    places.enter(0, "one")
    places.leave(0)
    places.leave(0)
    places.touch(0)
    assert places.enter(1, "one") is None
    assert 0 not in places


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "touch", "leave"]),
        st.integers(0, 30),
        st.sampled_from([None, "a", "b"]),
    ),
    max_size=80,
)


@given(STEPS, st.integers(1, 6), st.integers(1, 6))
def test_no_history_breaks_the_bounds_or_leaves_anything_behind(
    steps: list[tuple[str, int, str | None]], limit: int, share: int
) -> None:
    places: Handshakes[int] = Handshakes(limit, share)
    idle: OrderedDict[int, str | None] = OrderedDict()
    for what, key, address in steps:
        if what == "enter" and key not in idle:
            mine = [k for k, of in idle.items() if of == address and address is not None]
            expected = None
            if len(mine) >= share:
                expected = mine[0]
            elif len(idle) >= limit:
                expected = next(iter(idle))
            assert places.enter(key, address) == expected
            if expected is not None:
                del idle[expected]
            idle[key] = address
        elif what == "touch":
            places.touch(key)
            if key in idle:
                idle.move_to_end(key)
        elif what == "leave":
            places.leave(key)
            idle.pop(key, None)
        assert len(places) == len(idle) <= limit
    for key in list(idle):
        places.leave(key)
    assert not places._by_address
    assert not places._addresses
