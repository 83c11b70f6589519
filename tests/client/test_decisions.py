"""What the client decides by itself, against scripted connections and under a clock that jumps.
Against the real server: test_client.py.
"""

import socket
from collections import deque
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio_websocket
from hypothesis import given
from hypothesis import strategies as st

from locshare.client import (
    ApiProblem,
    Backoff,
    Client,
    ClientError,
    End,
    Live,
    NotConnected,
    Replica,
    Unreachable,
    WentOffline,
    connect,
    retry,
)
from locshare.client import connection as connection_module
from locshare.client.errors import problem_of
from locshare.model.events import ParticipantJoined, ParticipantLeft, ParticipantUpdated
from locshare.model.position import ParticipantPosition
from locshare.model.reasons import WAIT_GROWTH, CloseReason
from locshare.wire.messages import Pong, ServerMessage
from tests.client.kit import NOW, PLACE, Middle, Notes, Scripted, at, script, snapshot
from tests.simulate.kit import serving

# --- waiting ----------------------------------------------------------------------------------


def test_a_wait_is_anything_up_to_a_bound_that_grows_by_a_seventh_to_30_s() -> None:
    rule, lost = Backoff(), Unreachable("x")
    bounds = [rule.delay(attempt, lost, Middle()) for attempt in range(40)]
    assert bounds[:3] == pytest.approx([0.5, 0.575, 0.66125])
    assert bounds[29] < 30 == bounds[30] == bounds[-1]
    crowd = [rule.delay(3, lost, Random(seed)) for seed in range(200)]  # noqa: S311 - jitter
    assert min(crowd) < 0.1
    assert 0.7 < max(crowd) < 0.77
    assert len(set(crowd)) == 200


@pytest.mark.parametrize(("outage_s", "within_s"), [(1, 2), (3, 3), (5, 5), (10, 8), (60, 30)])
def test_a_crowd_is_back_soon_after_the_server_is(outage_s: float, within_s: float) -> None:
    """The last of 500 was back 5.5 s after an outage of 3 s, and 22 s after one of 10 s."""
    rule, lost = Backoff(), Unreachable("x")

    def back(random: Random) -> float:
        waited, attempt = 0.0, 0
        while waited < outage_s:
            waited += rule.delay(attempt, lost, random)
            attempt += 1
        return waited - outage_s

    returns = sorted(back(Random(seed)) for seed in range(500))  # noqa: S311 - jitter
    assert returns[-1] <= within_s
    # Spread, so that they do not all ask in the same moment.
    assert returns[-1] - returns[0] > 0.5


@pytest.mark.parametrize("reason", CloseReason)
def test_the_first_wait_after_a_close_is_within_the_range_of_its_code(reason: CloseReason) -> None:
    cause = NotConnected(End.of(reason.code))
    low, high = reason.wait_s
    waits = [Backoff().delay(0, cause, Random(seed)) for seed in range(50)]  # noqa: S311 - jitter
    assert low <= min(waits) <= max(waits) <= (high or 0.5)
    assert Backoff().delay(40, cause, Middle()) == low + 30


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({}, [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5]),
        ({"tries": 4, "wait": 1.0, "longest": 3.0}, [0, 1, 3, 6]),
    ],
)
async def test_a_call_is_tried_again_with_doubled_waits(
    autojump_clock: trio.abc.Clock, options: dict[str, Any], at: list[float]
) -> None:
    tries: list[float] = []

    async def call() -> None:
        tries.append(trio.current_time())
        raise Unreachable("away")

    with pytest.raises(Unreachable):
        await retry(call, **options)
    assert [each - tries[0] for each in tries] == at


async def test_a_retry_waits_for_retry_after_up_to_its_longest(
    autojump_clock: trio.abc.Clock,
) -> None:
    tries: list[float] = []

    async def call() -> None:
        tries.append(trio.current_time())
        raise ApiProblem(503, "UNAVAILABLE", "x", 7.0 if len(tries) == 1 else 99.0)

    with pytest.raises(ApiProblem):
        await retry(call, tries=3)
    assert [each - tries[0] for each in tries] == [0, 7, 37]


# --- errors -----------------------------------------------------------------------------------


def test_no_answer_allows_a_retry() -> None:
    assert Unreachable("x").reconnect
    assert not ClientError("x").reconnect


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"title": "Gone", "detail": "it has ended", "code": "X"}', "it has ended"),
        (b'{"title": "Gone", "code": "X"}', "Gone"),
        (b"{}", "no details"),
        (b"<html>", "no details"),
    ],
)
def test_a_problem_has_the_detail_of_its_body(body: bytes, detail: str) -> None:
    problem = problem_of(410, {}, body, ApiProblem)
    assert problem.detail == detail
    assert str(problem) == (f"410 X: {detail}" if b"X" in body else f"410: {detail}")


async def test_a_status_of_400_is_a_refusal() -> None:
    async with serving() as server, Client(server.addresses.http_url) as client:
        with pytest.raises(ApiProblem) as refused:
            await client.describe("nonsense")
    assert (refused.value.status, refused.value.code) == (400, "INVALID_ID")


def test_an_end_has_the_text_of_its_reason() -> None:
    assert str(NotConnected(End.of(4410))) == "the session has ended"
    assert str(NotConnected(End.of(4999))) == "closed with 4999"


async def test_a_silent_server_is_unreachable_after_ten_seconds(
    autojump_clock: trio.abc.Clock,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        began = trio.current_time()
        async with Client(f"http://{host}") as client:
            with pytest.raises(Unreachable):
                await client.create_session()
        assert trio.current_time() - began == pytest.approx(10, abs=0.1)
        began = trio.current_time()
        with pytest.raises(Unreachable):
            async with connect(f"ws://{host}/ws", "token"):
                pass
        assert trio.current_time() - began == pytest.approx(10, abs=0.1)


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving() as server, Client(server.addresses.http_url) as client:
        session = await client.create_session()
        assert (await client.describe(session.session_id)).is_active


# --- one connection ---------------------------------------------------------------------------


class Wire:
    """What trio-websocket gives of a connection: these texts, then its end."""

    def __init__(self, *texts: str, code: int = 1011) -> None:
        self.texts = deque(texts)
        self.closed: Any = None
        self.code = code

    async def get_message(self) -> str:
        await trio.lowlevel.checkpoint()
        if self.texts:
            return self.texts.popleft()
        self.closed = SimpleNamespace(code=self.code)
        raise trio_websocket.ConnectionClosed(None)


async def test_a_message_outside_the_contract_is_skipped_and_counted() -> None:
    pong = '{"type":"pong","data":{}}'
    wire = Wire("{", '{"type":"of_the_future","data":{}}', pong, "[]", pong, code=4410)
    connection = connection_module.Connection(wire, wire)  # type: ignore[arg-type]
    assert connection.end is None
    assert [message async for message in connection] == [Pong(), Pong()]
    assert connection.unreadable == 3
    assert connection.end == End.of(4410)


# --- coming back ------------------------------------------------------------------------------


async def test_a_connection_of_five_seconds_resets_the_delays(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.abc.Clock
) -> None:
    away = Unreachable("away")
    made = script(
        monkeypatch,
        away, away, Scripted(4.9, 1011), away, Scripted(5.01, 1011), away, Scripted(1, 4410),
    )  # fmt: skip
    notes = Notes()
    live = Live("ws://x", "token", watcher=notes, random=Middle(), timeout=3.0)
    began = trio.current_time()
    cause = await live.run()
    waits = [0.5 * WAIT_GROWTH**attempt for attempt in (0, 1, 2, 3, 0, 1)]
    assert notes.waits == pytest.approx([*waits, None])
    assert trio.current_time() - began == pytest.approx(sum(waits) + 4.9 + 5.01 + 1)
    assert isinstance(cause, NotConnected)
    assert cause.end.reason is CloseReason.SESSION_ENDED
    assert live.unreadable == 3
    assert {each["timeout"] for each in made} == {3.0}


async def test_going_offline_is_no_failure_and_needs_no_delay(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.abc.Clock
) -> None:
    script(monkeypatch, Unreachable("x"), Scripted(99, 1011), Scripted(0, 1011), Scripted(0, 4410))
    notes = Notes()
    live = Live("ws://x", "token", watcher=notes, random=Middle())
    async with trio.open_nursery() as nursery:
        await nursery.start(live.run)
        live.go_offline()
        await trio.sleep(60)
        assert not live.connected
        live.go_online()
    assert notes.waits == [0.5, 0.0, 0.5, None], "and the tries are counted from the first again"


async def test_sending_without_a_connection_returns_false(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.abc.Clock
) -> None:
    connection = Scripted(99, 4410)
    script(monkeypatch, connection)
    live = Live("ws://x", "token")
    assert (await live.send_position(PLACE), await live.leave()) == (False, False)
    async with trio.open_nursery() as nursery:
        await nursery.start(live.run)
        assert (await live.send_position(PLACE), await live.leave()) == (True, True)
        connection.broken = True
        assert (await live.send_position(PLACE), await live.leave()) == (False, False)
        nursery.cancel_scope.cancel()


def test_a_snapshot_has_the_age_of_each_fix() -> None:
    replica = Replica.of(snapshot("bo", positions=[at("bo", age_ms=4_000)]), NOW)
    assert replica.age("bo", NOW) == timedelta(seconds=4)


CAUSES: list[ClientError] = [
    Unreachable("x"),
    WentOffline("x"),
    *(NotConnected(End.of(reason.code)) for reason in CloseReason),
    ApiProblem(503, "UNAVAILABLE", "x", 20.0),
]


@given(st.integers(0, 5_000), st.sampled_from(CAUSES), st.integers())
def test_a_delay_respects_the_servers_minimum_and_the_bound(
    attempt: int, cause: ClientError, seed: int
) -> None:
    rule = Backoff()
    asked = {1012: 1.0, 1013: 5.0, 4429: 10.0}.get(
        cause.end.code if isinstance(cause, NotConnected) else 0, 0.0
    )
    asked += cause.retry_after or 0.0 if isinstance(cause, ApiProblem) else 0.0
    delay = rule.delay(attempt, cause, Random(seed))  # noqa: S311 - jitter
    assert asked <= delay <= asked + rule.max_s


IDS = st.sampled_from(["ada", "bo", "cleo"])
MESSAGES: st.SearchStrategy[ServerMessage] = st.one_of(
    st.builds(at, IDS),
    st.builds(lambda i: ParticipantJoined(i, i, "#112233"), IDS),
    st.builds(lambda i: ParticipantLeft(i, "left"), IDS),
    st.builds(lambda i, on: ParticipantUpdated(i, on, NOW), IDS, st.booleans()),
    st.builds(
        lambda people, where: snapshot(*people, positions=map(at, where)),
        st.sets(IDS),
        st.sets(IDS),
    ),
)


@given(st.lists(MESSAGES))
def test_every_position_belongs_to_a_participant(messages: list[ServerMessage]) -> None:
    replica = Replica.of(snapshot("ada", "bo", positions=[at("bo")]), NOW)
    for message in messages:
        replica.apply(message, NOW)
        assert set(replica.positions) <= set(replica.participants)
        assert set(replica.taken) == set(replica.positions)


def test_the_age_of_a_position_is_that_of_its_fix() -> None:
    def moved(age_ms: int | None) -> ParticipantPosition:
        return ParticipantPosition("bo", 1.0, 2.0, None, NOW, age_ms=age_ms)

    def later(seconds: float) -> datetime:
        return NOW + timedelta(seconds=seconds)

    replica = Replica.of(snapshot("ada", "bo", positions=[at("bo")]), NOW)
    assert replica.age("ada", NOW) is None
    assert replica.age("bo", later(4)) == timedelta(seconds=4)
    replica.apply(moved(90_000), later(10))
    assert replica.age("bo", later(15)) == timedelta(seconds=95)
    replica.apply(moved(None), later(20))
    assert replica.age("bo", later(25)) == timedelta(seconds=5)
    assert replica.age("bo", later(19)) == timedelta(0), "a clock that was set back"
    for age_ms, age in ((10**18, timedelta(days=1)), (-(10**18), timedelta(0))):
        replica.apply(moved(age_ms), later(30))
        assert replica.age("bo", later(30)) == age, "an age that no contract has"
    assert replica.positions["bo"].accuracy is None


def test_a_new_participant_is_offline_until_an_update() -> None:
    replica = Replica.of(snapshot("ada"), NOW)
    replica.apply(ParticipantJoined("bo", "Bo", "#445566"), NOW)
    assert not replica.participants["bo"].online
    replica.apply(ParticipantUpdated("bo", True, NOW), NOW)
    assert replica.participants["bo"].online
