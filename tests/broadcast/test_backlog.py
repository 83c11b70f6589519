"""The backlog of one socket, against a model that is a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from locshare.broadcast.backlog import ENTRY_COST, Backlog, Control

USERS = ("ada", "me", "zoe")
SIZES = st.integers(1, 40)


class Plain:
    """Every frame that waits, as (what it is, bytes), and the rest of the one that was begun."""

    def __init__(self) -> None:
        self.started = b""
        self.waiting: list[tuple[object, bytes]] = []
        self.events = 0

    @property
    def cost(self) -> int:
        return len(self.started) + sum(len(frame) + ENTRY_COST for _, frame in self.waiting)

    def position(self, user: str, frame: bytes) -> None:
        kinds = [kind for kind, _ in self.waiting]
        if user in kinds:
            place = kinds.index(user)
            if any(isinstance(kind, int) for kind in kinds):
                del self.waiting[place]
            else:
                self.waiting[place] = (user, frame)
                return
        self.waiting.append((user, frame))

    def event(self, frame: bytes) -> None:
        self.waiting.append((self.events, frame))
        self.events += 1

    def control(self, kind: Control, frame: bytes) -> None:
        kinds = [kind for kind, _ in self.waiting]
        if kind in kinds:
            self.waiting[kinds.index(kind)] = (kind, frame)
        else:
            self.waiting.append((kind, frame))

    def advance(self, sent: int) -> None:
        taken = min(sent, len(self.started))
        self.started = self.started[taken:]
        sent -= taken
        while sent:
            _, frame = self.waiting.pop(0)
            self.started = frame[sent:]
            sent -= min(sent, len(frame))

    def keep(self, *, events: bool) -> None:
        self.waiting = [each for each in self.waiting if events and isinstance(each[0], int)]

    def everything(self) -> bytes:
        return self.started + b"".join(frame for _, frame in self.waiting)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("positions"), st.sets(st.sampled_from(USERS), min_size=1), SIZES),
        st.tuples(st.just("event"), SIZES, SIZES),
        st.tuples(st.just("control"), st.sampled_from(list(Control)), SIZES),
        st.tuples(
            st.just("write"),
            st.sampled_from([0, 1, 7, 40, 1000]),
            st.sampled_from([1, 30, 100, 1000]),
        ),
        st.tuples(st.just("drop positions"), st.none(), SIZES),
        st.tuples(st.just("drop all"), st.none(), SIZES),
    ),
    max_size=60,
)


@given(STEPS)
def test_what_waits_what_goes_next_and_what_it_costs_are_those_of_the_plain_list(
    steps: list[tuple[str, object, int]],
) -> None:
    backlog, plain = Backlog(), Plain()
    for number, (what, value, size) in enumerate(steps):
        frame = bytes([number]) * size
        match what, value:
            case "positions", set():
                users = sorted(str(user) for user in value)
                backlog.add_positions(dict.fromkeys(users, frame), "me")
                for user in users:
                    if user != "me":
                        plain.position(user, frame)
            case "event", _:
                backlog.add_event(frame)
                plain.event(frame)
            case "control", Control():
                backlog.add_control(value, frame)
                plain.control(value, frame)
            case "write", int():
                chunk = backlog.chunk(size)
                assert plain.everything().startswith(chunk)
                assert len(chunk) >= min(size, len(plain.everything()))
                sent = min(value, len(chunk))
                backlog.advance(sent)
                plain.advance(sent)
            case "drop positions", _:
                backlog.drop_positions()
                plain.keep(events=True)
            case "drop all", _:
                backlog.drop_waiting()
                plain.keep(events=False)
        assert backlog.cost == plain.cost
        assert backlog.started == len(plain.started)
        assert backlog.chunk(1 << 30) == plain.everything()
        assert bool(backlog) == bool(plain.everything())
    backlog.advance(len(plain.everything()))
    assert backlog.cost == 0, "all of it is given back"
    assert not backlog
    for frame in (b"1", b"22"):  # and nothing is remembered of it
        backlog.add_positions({"ada": b"a" + frame, "me": b"m", "zoe": b"z" + frame}, "me")
    assert backlog.chunk(100) == b"a22z22"
    backlog.add_positions({"ada": b"a3"}, "me")
    assert backlog.chunk(100) == b"a3z22", "without an event the place in the queue is kept"


def test_a_chunk_ends_with_the_frame_that_reaches_the_limit() -> None:
    backlog = Backlog()
    for _ in range(3):
        backlog.add_event(b"x" * 10)
    assert [len(backlog.chunk(limit)) for limit in (0, 1, 10, 11, 20, 21, 1000)] == [
        0, 10, 10, 20, 20, 30, 30,
    ]  # fmt: skip
    backlog.advance(4)
    assert [len(backlog.chunk(limit)) for limit in (0, 1, 6, 7)] == [6, 6, 6, 16]


def test_what_a_cut_write_of_a_flush_left_begins_in_the_middle_of_a_frame() -> None:
    frames = {"ada": b"aaaa", "me": b"mmmm", "bob": b"bbbb", "carl": b"cccc"}
    for sent in range(12):
        backlog = Backlog()
        backlog.add_rest(frames, "me", sent)
        assert backlog.chunk(1000) == b"aaaabbbbcccc"[sent:]
        whole = (12 - sent) // 4
        assert backlog.cost == 12 - sent + whole * ENTRY_COST
        backlog.add_positions({"carl": b"CC"}, "me")
        assert backlog.chunk(1000).endswith(b"CC")
        assert b"cccc" not in backlog.chunk(1000)


def test_what_a_cut_write_of_one_frame_left_is_the_rest_of_it_or_an_event() -> None:
    backlog = Backlog()
    backlog.add_rest_of_event(b"event", 2)
    assert (backlog.started, backlog.cost, backlog.chunk(9)) == (3, 3, b"ent")
    backlog = Backlog()
    backlog.add_rest_of_event(b"event", 0)
    assert (backlog.started, backlog.cost) == (0, 5 + ENTRY_COST)
    backlog.drop_positions()
    assert backlog.chunk(9) == b"event"
