"""Observation of announced requests: nothing of anybody else's is shown, and it is bounded."""

from typing import Any

import pytest

from locshare.net.observer import MAX_OBSERVERS, ObservedRequest, RequestObserver, TooManyObservers

HEADERS = {"x-forwarded-for": ["192.0.2.1", "x" * 1000], "forwarded": [], "host": ["where"]}


def note(observer: RequestObserver, name: str, headers: Any = HEADERS) -> None:
    observer.note("http", name, ("127.0.0.1", 4711), lambda header: headers[header])


def test_a_request_with_the_announced_name_is_shown_and_no_other() -> None:
    observer = RequestObserver(lambda peer, forwarded_for, _forwarded: forwarded_for[0] or peer)
    seen: list[ObservedRequest] = []
    with observer.observing(seen.append) as name:
        note(observer, "")
        note(observer, name[:-1])
        note(observer, name)
    note(observer, name)
    (request,) = seen
    assert (request.peer, request.peer_port) == ("127.0.0.1", 4711)
    assert request.counted == "192.0.2.1"
    assert request.host == "where"


def test_it_is_armed_only_while_somebody_observes() -> None:
    observer = RequestObserver()
    armed = [observer.armed]
    with observer.observing(lambda _request: None):
        armed.append(observer.armed)
    armed.append(observer.armed)
    assert armed == [False, True, False]


def test_what_is_kept_of_a_request_is_bounded() -> None:
    observer = RequestObserver()
    seen: list[ObservedRequest] = []
    with observer.observing(seen.append) as name:
        note(observer, name, {**HEADERS, "x-forwarded-for": ["y" * 10_000] * 50})
    assert len(seen[0].forwarded_for) <= 8
    assert max(map(len, seen[0].forwarded_for)) <= 300


def test_so_many_may_observe_and_no_more() -> None:
    observer = RequestObserver()
    names = set()
    contexts = [observer.observing(lambda _request: None) for _ in range(MAX_OBSERVERS)]
    for each in contexts:
        names.add(each.__enter__())
    assert len(names) == MAX_OBSERVERS
    with pytest.raises(TooManyObservers), observer.observing(lambda _request: None):
        pass
    for each in contexts:
        each.__exit__(None, None, None)
    assert not observer.armed
