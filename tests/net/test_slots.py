"""Which connection is closed when there are more clients than slots."""

from hypothesis import given
from hypothesis import strategies as st

from locshare.net.slots import Admission, SlotLimits, Slots

LIMITS = SlotLimits(total=3, per_address=2, reserved=2)


def slots_with(*holders: tuple[str, str | None], limits: SlotLimits = LIMITS) -> Slots[str]:
    slots: Slots[str] = Slots(limits)
    for holder, address in holders:
        assert slots.admit(holder, address) == Admission(reserved=False, evicted=None)
    return slots


def test_at_the_total_limit_the_longest_waiting_is_evicted() -> None:
    slots = slots_with(("a", None), ("b", None), ("c", None))
    slots.mark_waiting("a")  # it has been answered since
    assert slots.admit("d", None) == Admission(reserved=False, evicted="b")
    assert slots.admit("e", None) == Admission(reserved=False, evicted="c")
    assert len(slots) == 3


def test_a_busy_connection_is_never_evicted() -> None:
    slots = slots_with(("a", None), ("b", None), ("c", None))
    slots.mark_busy("a")
    slots.mark_busy("b")
    assert slots.admit("d", None).evicted == "c"
    slots.mark_busy("d")
    assert slots.admit("e", None) == Admission(reserved=True, evicted=None)
    slots.mark_waiting("b")
    assert slots.admit("f", None) == Admission(reserved=False, evicted="b")


def test_an_address_at_its_share_takes_from_itself_only() -> None:
    slots = slots_with(("a", "x"), ("b", "y"), ("c", "x"), limits=SlotLimits(9, 2, 2))
    assert slots.admit("d", "x") == Admission(reserved=False, evicted="a")
    assert slots.held_by("x") == 2
    slots.mark_busy("c")
    slots.mark_busy("d")
    assert slots.admit("e", "x").reserved
    assert slots.held_by("y") == 1
    assert slots.admit("f", "y") == Admission(reserved=False, evicted=None)


def test_the_share_of_an_address_does_not_bind_a_proxy() -> None:
    slots = slots_with(*((str(each), None) for each in range(9)), limits=SlotLimits(9, 2, 2))
    assert len(slots) == 9


def test_a_slot_is_free_again_when_its_holder_has_ended() -> None:
    slots = slots_with(("a", "x"), ("b", "x"), ("c", "y"))
    slots.release("a")
    slots.release("a")
    assert slots.admit("d", "x") == Admission(reserved=False, evicted=None)
    for holder in "bcd":
        slots.release(holder)
    assert len(slots) == 0
    assert slots.held_by("x") == 0


def test_a_full_reserve_evicts_its_oldest() -> None:
    slots = slots_with(("a", None), ("b", None), ("c", None))
    for holder in "abc":
        slots.mark_busy(holder)
    assert slots.admit("d", None) == Admission(reserved=True, evicted=None)
    assert slots.admit("e", None) == Admission(reserved=True, evicted=None)
    assert slots.admit("f", None) == Admission(reserved=True, evicted="d")
    slots.release("e")
    assert slots.admit("g", None) == Admission(reserved=True, evicted=None)
    slots.mark_waiting("g")  # a reserved one is in no queue
    slots.release("a")
    assert slots.admit("h", None) == Admission(reserved=False, evicted=None)


def test_shed_takes_the_longest_waiting_or_none() -> None:
    slots = slots_with(("a", "x"), ("b", None))
    slots.mark_busy("b")
    assert slots.shed() == "a"
    assert slots.shed() is None
    assert len(slots) == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["admit", "mark_waiting", "mark_busy", "release"]),
            st.integers(0, 12),
            st.sampled_from([None, "x", "y", "z"]),
        ),
        max_size=80,
    )
)
def test_in_any_history_the_longest_waiting_is_evicted_and_nothing_is_left_behind(
    steps: list[tuple[str, int, str | None]],
) -> None:
    slots: Slots[int] = Slots(LIMITS)
    held: dict[int, str | None] = {}
    waiting: list[int] = []  # longest first
    reserved: list[int] = []  # oldest first
    for step, holder, address in steps:
        if step == "admit":
            if holder in held or holder in reserved:
                continue
            of_address = [each for each, where in held.items() if where and where == address]
            crowded = len(of_address) >= LIMITS.per_address
            full = crowded or len(held) >= LIMITS.total
            candidates = [each for each in waiting if each in of_address or not crowded]
            to_reserve = full and not candidates
            expected = candidates[0] if full and candidates else None
            if to_reserve and len(reserved) == LIMITS.reserved:
                expected = reserved.pop(0)
            assert slots.admit(holder, address) == Admission(to_reserve, expected)
            if to_reserve:
                reserved.append(holder)
                continue
            if expected is not None:
                waiting.remove(expected)
                del held[expected]
            held[holder] = address
            waiting.append(holder)
        else:
            getattr(slots, step)(holder)
            waiting = [each for each in waiting if each != holder]
            if step == "mark_waiting" and holder in held:
                waiting.append(holder)
            if step == "release":
                held.pop(holder, None)
                reserved = [each for each in reserved if each != holder]
        assert len(slots) == len(held) + len(reserved)
        for each in ("x", "y", "z"):
            assert slots.held_by(each) == list(held.values()).count(each) <= LIMITS.per_address
    for holder in [*held, *reserved]:
        slots.release(holder)
    assert not slots._addresses
    assert not slots._waiting
