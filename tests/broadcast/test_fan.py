"""The fan on real sockets, compiled and in Python: what arrives, and what is handed back."""

import gc
import importlib.util
import os
import socket
import sys
import weakref
from collections.abc import Iterator, Mapping
from importlib.machinery import ExtensionFileLoader
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locshare.broadcast.native import build, pure

_built: list[ModuleType] = []


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The compiled module, built of the source as it is now."""
    if not _built:
        folder = tmp_path_factory.mktemp("native")
        flags = os.environ.get("NATIVE_CHECK_FLAGS", "-O2").split()
        problem = build.build(folder, tuple(flags))
        if problem is not None:
            pytest.skip(problem)
        path = build.built_file(folder)
        loader = ExtensionFileLoader("_native", str(path))
        spec = importlib.util.spec_from_file_location("_native", path, loader=loader)
        assert spec is not None
        _built.append(importlib.util.module_from_spec(spec))
        loader.exec_module(_built[0])
    return _built[0]


@pytest.fixture(params=["compiled", "python"])
def native(request: pytest.FixtureRequest, compiled: ModuleType) -> ModuleType:
    return compiled if request.param == "compiled" else pure


class Line:
    """A receiver, its socket and the other end."""

    def __init__(self, native: Any, counters: Any, buffer: int = 0) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        if buffer:
            self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.exit = native.Exit(self.ours.fileno(), self.ours.send, counters)

    def came(self) -> bytes:
        """All that arrived since."""
        data = b""
        if self.theirs.fileno() < 0:
            return data
        try:
            while more := self.theirs.recv(1 << 20):
                data += more
        except (BlockingIOError, ConnectionError):
            pass
        return data

    def close(self) -> None:
        self.exit.open = False
        self.ours.close()
        self.theirs.close()


class Group:
    """A fan and its lines."""

    def __init__(self, native: ModuleType, *names: str, buffer: int = 0) -> None:
        self.native: Any = native
        self.counters = self.native.WriteCounters()
        self.fan = self.native.Fan()
        self.lines: dict[str, Line] = {}
        self.buffer = buffer
        for name in names:
            self.add(name)

    def add(self, name: str) -> Line:
        line = self.lines[name] = Line(self.native, self.counters, self.buffer)
        self.fan.add(name, line.exit)
        return line

    def came(self) -> dict[str, bytes]:
        return {name: line.came() for name, line in self.lines.items()}

    def send(
        self, data: bytes, without: Mapping[str, tuple[int, int]] | None = None
    ) -> list[tuple[str, int]]:
        return list(self.fan.send(data, without or {}))


@pytest.fixture
def group(native: ModuleType) -> Iterator[Group]:
    made = Group(native, "ada", "bo", "cy")
    yield made
    for line in made.lines.values():
        line.close()


def test_everyone_gets_a_flush_but_for_their_own_span(group: Group) -> None:
    spans = {"ada": (0, 3), "bo": (3, 6), "cy": (6, 9)}
    assert group.send(b"aaabbbccc", spans) == []
    assert group.came() == {"ada": b"bbbccc", "bo": b"aaaccc", "cy": b"aaabbb"}
    assert (group.counters.writes, group.counters.size) == (3, 18)
    assert group.send(b"ddd") == []
    assert set(group.came().values()) == {b"ddd"}, "a span is of one flush"


def test_who_alone_moved_is_not_written_to(group: Group) -> None:
    assert group.send(b"aaa", {"ada": (0, 3)}) == []
    assert group.came() == {"ada": b"", "bo": b"aaa", "cy": b"aaa"}
    assert group.counters.writes == 2


def test_a_span_of_a_receiver_of_another_fan_is_ignored(group: Group) -> None:
    assert group.send(b"aaa", {"di": (0, 3)}) == []
    assert set(group.came().values()) == {b"aaa"}


def test_a_receiver_without_an_exit_is_handed_back_at_its_place(group: Group) -> None:
    group.fan.add("di", None)
    group.lines["bo"].exit.open = False
    assert group.send(b"aaa", {"ada": (0, 3)}) == [("bo", 0), ("di", 0)]
    assert group.send(b"aaa", {"di": (0, 3)}) == [("bo", 0)]
    group.lines["bo"].exit.open = True
    assert group.send(b"bbb") == [("di", 0)]
    assert group.came()["bo"] == b"bbb"


def test_who_was_removed_gets_nothing_and_is_not_held(group: Group) -> None:
    group.fan.remove("bo")
    group.fan.remove("bo")
    assert len(group.fan) == 2
    assert group.send(b"aaa") == []
    assert group.came() == {"ada": b"aaa", "bo": b"", "cy": b"aaa"}
    group.fan.clear()
    assert len(group.fan) == 0
    assert group.send(b"aaa") == []
    assert set(group.came().values()) == {b""}


def test_a_full_socket_is_handed_back_with_what_it_took(native: ModuleType) -> None:
    group = Group(native, "ada", buffer=4096)
    data = os.urandom(1 << 20)
    ((name, taken),) = group.send(data)
    assert (name, group.counters.size) == ("ada", taken)
    assert 0 < taken < len(data)
    assert group.send(data) == [("ada", 0)]
    assert group.counters.writes == 1
    assert group.came()["ada"] == data[:taken]
    group.lines["ada"].close()


@pytest.mark.parametrize("how", ["closed", "reset", "shut"])
def test_a_socket_that_is_gone_is_handed_back(group: Group, how: str) -> None:
    line = group.lines["bo"]
    if how == "shut":
        line.ours.shutdown(socket.SHUT_WR)
    else:
        if how == "reset":
            group.send(b"unread")
        line.theirs.close()
    assert group.send(b"aaa") == [("bo", 0)]
    assert group.lines["cy"].came().endswith(b"aaa")


def test_nothing_is_written_to_a_descriptor_that_is_used_again(group: Group) -> None:
    gone = group.lines["bo"]
    number = gone.ours.fileno()
    gone.close()
    other, end = socket.socketpair()
    held = [socket.socketpair() for _ in range(4)]
    numbers = {each.fileno() for pair in [(other, end), *held] for each in pair}
    assert number in numbers
    assert group.send(b"aaa") == [("bo", 0)]
    everyone = [other, end, *(each for pair in held for each in pair)]
    for each in everyone:
        each.setblocking(False)
        with pytest.raises(BlockingIOError):
            each.recv(1)
    for each in everyone:
        each.close()


def test_wrong_arguments_are_refused_and_leave_no_span_behind(compiled: ModuleType) -> None:
    group = Group(compiled, "ada", "bo")
    for span in ((-1, 2), (2, 1), (0, 99), (0,), "no", ("a", "b"), None):
        with pytest.raises((ValueError, TypeError)):
            group.fan.send(b"aaa", {"ada": (0, 1), "bo": span})
    wrong: list[tuple[Any, ...]] = [(), (b"aaa",), ("aaa", {}), (b"aaa", []), (b"aaa", {}, 1)]
    for arguments in wrong:
        with pytest.raises(TypeError):
            group.fan.send(*arguments)
    with pytest.raises(TypeError):
        group.fan.add("cy", "no exit")
    assert group.send(b"aaa") == []
    assert set(group.came().values()) == {b"aaa"}
    for line in group.lines.values():
        line.close()


def test_nothing_is_held_longer_than_it_is_in_the_fan(compiled: ModuleType) -> None:
    native: Any = compiled
    counters, receiver = native.WriteCounters(), object()
    one, other = socket.socketpair()
    way_out = native.Exit(one.fileno(), one.send, counters)
    shut = native.Exit(-1, one.send, counters)
    watched = (counters, receiver, way_out, shut)
    before = [sys.getrefcount(each) for each in watched]
    for turn in range(100):
        fan = native.Fan()
        for _ in range(turn % 20):
            fan.add(receiver, way_out)
            fan.add(receiver, shut)
            fan.add(receiver, None)
        fan.send(b"a", {receiver: (0, 1)} if turn % 3 else {})
        fan.remove(receiver)
        if turn % 2:
            fan.clear()
    del fan
    assert [sys.getrefcount(each) for each in watched] == before
    one.close()
    other.close()


def test_a_fan_in_a_cycle_is_collected(compiled: ModuleType) -> None:
    class Holder:
        fan: Any

    holder = Holder()
    gone = weakref.ref(holder)
    holder.fan = compiled.Fan()
    holder.fan.add(holder, None)
    del holder
    gc.collect()
    assert gone() is None


NAMES = tuple("abcdefgh")  # a receiver is known by its identity
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["remove", "close", "reset", "send", "send", "send", "read", "shut", "open"]
        ),
        st.integers(0, 7),
        st.lists(st.integers(1, 3000), min_size=1, max_size=5),
    ),
    max_size=60,
)


class History:
    """What happens to one group, and what each of its receivers is due."""

    def __init__(self, native: ModuleType, buffer: int) -> None:
        self.group = Group(native, buffer=buffer)
        self.due: dict[str, bytes] = {}
        self.taken: list[set[str]] = []

    def step(self, what: str, number: int, sizes: list[int]) -> None:
        name = NAMES[number]
        line = self.group.lines.get(name)
        if line is None:
            self.group.add(name)
            self.due[name] = b""
        elif what == "send":
            self._send(number, sizes)
        elif what == "read":
            arrived = line.came()
            assert self.due[name].startswith(arrived)
            self.due[name] = self.due[name][len(arrived) :]
        elif what in ("shut", "open"):
            line.exit.open = what == "open" and line.theirs.fileno() >= 0
        elif what == "reset":
            line.theirs.close()
        else:
            if what == "remove":
                self.group.fan.remove(name)
            line.close()
            self.group.fan.remove(name)
            del self.group.lines[name]

    def _send(self, first: int, sizes: list[int]) -> None:
        data, without = b"", {}
        for place, size in enumerate(sizes):
            without[NAMES[(first + place) % 8]] = (len(data), len(data) + size)
            data += bytes([len(self.taken) % 256]) * size
        late = dict(self.group.send(data, without))
        self.taken.append(self.group.lines.keys() - late.keys())
        for name in self.group.lines:
            start, end = without.get(name, (0, 0))
            rest = data[:start] + data[end:]
            self.due[name] += rest[: late.get(name, len(rest))]

    def end(self) -> None:
        for name, line in self.group.lines.items():
            if line.theirs.fileno() >= 0:
                assert line.came() == self.due[name]
            line.close()


@given(steps=STEPS, buffer=st.sampled_from([0, 2048]))
@settings(max_examples=int(os.environ.get("NATIVE_CHECK_EXAMPLES", "150")), deadline=None)
def test_whatever_happens_each_receiver_gets_what_its_socket_took_of_its_own(
    compiled: ModuleType, steps: list[tuple[str, int, list[int]]], buffer: int
) -> None:
    """The same to both. Descriptors are used again at once."""
    histories = []
    for native in (compiled, pure):
        history = History(native, buffer)
        for what, number, sizes in steps:
            history.step(what, number, sizes)
        history.end()
        histories.append(history.taken)
    assert histories[0] == histories[1]
