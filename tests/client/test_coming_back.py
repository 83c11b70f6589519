"""When a client comes back, and with what. Scripted connections, mock clock."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from locshare.client import (
    ApiProblem,
    Backoff,
    ConnectionRefused,
    End,
    Live,
    NotConnected,
    Unreachable,
    WentOffline,
)
from locshare.client.live import ANSWER_S, CHECK_ANSWER_S, KEEPALIVE_S, MIN_GAP_S
from locshare.client.network import CLOCK_CHECK_S
from locshare.model.events import ParticipantJoined, ParticipantLeft, SessionUpdated, missed
from locshare.model.pace import Pace
from locshare.model.position import Position
from locshare.model.reasons import CloseReason
from tests.client.kit import NOW, PLACE, Hangs, Middle, Notes, Scripted, script, snapshot

OVER = 4410
BEFORE = 30
"""So many waits come before the first of 30 s, and take together:"""
WAITS_S = sum(Backoff().delay(each, Unreachable("away"), Middle()) for each in range(BEFORE))
Setting = pytest.MonkeyPatch


def staying(notes: Notes | None = None, clock: Callable[[], float] | None = None) -> Live:
    return Live("ws://x", "token", watcher=notes, random=Middle(), clock=clock or trio.current_time)


# --- every close code -------------------------------------------------------------------------


@pytest.mark.parametrize("reason", CloseReason)
async def test_every_close_code_is_honoured(
    autojump_clock: trio.abc.Clock, monkeypatch: Setting, reason: CloseReason
) -> None:
    made = script(monkeypatch, Scripted(9, reason.code), Scripted(0, OVER))
    notes = Notes()
    cause = await staying(notes).run()
    assert isinstance(cause, NotConnected)
    if reason.reconnect:
        first = notes.waits[0]
        assert first is not None
        assert reason.wait_s[0] <= first <= (reason.wait_s[1] or 0.5)
        assert cause.end.code == OVER
        assert made[1]["at"] - made[0]["at"] == pytest.approx(9 + first)
    else:
        assert notes.waits == [None]
        assert cause.end.reason is reason


@pytest.mark.parametrize(
    ("code", "again"),
    [(1003, True), (1014, True), (2999, True), (3999, True), (4000, False), (4001, False),
     (4430, False), (4499, False), (4500, True), (4999, True)],
)  # fmt: skip
def test_an_unknown_code_says_by_its_range_whether_to_come_back(code: int, again: bool) -> None:
    assert End.of(code).reconnect is again


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 426])
async def test_a_refused_token_or_request_is_final(
    autojump_clock: trio.abc.Clock, monkeypatch: Setting, status: int
) -> None:
    refused = ConnectionRefused(status, "X", "refused", None)
    script(monkeypatch, refused)
    notes = Notes()
    assert await staying(notes).run() is refused
    assert notes.waits == [None]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_refusal_that_may_pass_is_waited_out(
    autojump_clock: trio.abc.Clock, monkeypatch: Setting, status: int
) -> None:
    script(monkeypatch, ConnectionRefused(status, "X", "later", 7.0), Scripted(0, OVER))
    notes = Notes()
    await staying(notes).run()
    assert notes.waits == [7.5, None]


# --- the network comes back -------------------------------------------------------------------


async def test_a_network_that_is_back_ends_a_wait_at_once(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    away = [Unreachable("away") for _ in range(BEFORE + 1)]
    made = script(monkeypatch, *away, Scripted(0, OVER))
    live = staying()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(live.run)
        await trio.sleep(WAITS_S + 10)  # into a wait of 30
        live.network_changed()
        woken_at = trio.current_time()
    assert made[-1]["at"] == woken_at


async def test_a_network_that_is_back_does_not_cut_short_what_the_server_asked_for(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    made = script(
        monkeypatch, Scripted(9, 1013), ApiProblem(503, "X", "later", 20.0), Scripted(0, OVER)
    )
    live = staying()
    async with trio.open_nursery() as nursery:
        await nursery.start(live.run)
        await trio.sleep(10)
        live.network_changed()  # in a wait of 5 to 30 s
        await trio.sleep(6)
        live.network_changed()  # in a wait of 20 s and a bit
    assert [each["at"] - made[0]["at"] for each in made] == pytest.approx([0, 9 + 5, 9 + 5 + 20])


async def test_a_changed_network_begins_an_attempt_anew(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    made = script(monkeypatch, Hangs(), Hangs(), Scripted(9, 1011), Scripted(0, OVER))
    notes = Notes()
    live = staying(notes)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(live.run)
        await trio.sleep(0.4)
        live.network_changed()  # in an attempt that is young
        await trio.sleep(6)
        live.network_changed()
    starts = [each["at"] - made[0]["at"] for each in made]
    assert starts == pytest.approx([0, 1, 6.4, 6.4 + 9 + 0.5]), "and no deadline stays"
    assert notes.waits == [0, 0, 0.5, None]


async def test_going_offline_is_no_failure_even_while_the_network_changes(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    script(monkeypatch, Hangs())
    notes = Notes()
    live = staying(notes)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(live.run)
        await trio.sleep(0.5)
        live.network_changed()
        live.go_offline()
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert [type(each) for each in notes.causes] == [WentOffline]


async def test_a_network_that_keeps_changing_prevents_no_attempt(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    made = script(monkeypatch, *[Hangs() for _ in range(9)])
    async with trio.open_nursery() as nursery:
        live = staying()
        nursery.start_soon(live.run)
        for _ in range(38):
            await trio.sleep(0.1)
            live.network_changed()
        nursery.cancel_scope.cancel()
    gaps = [after["at"] - before["at"] for before, after in itertools.pairwise(made)]
    assert gaps == pytest.approx([MIN_GAP_S] * 3)


async def test_a_changed_network_asks_an_open_connection_for_an_answer(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    lively, dead = Scripted(999, OVER), Scripted(999, 1011, mute=True)
    made = script(monkeypatch, dead, lively)
    notes = Notes()
    live = staying(notes)
    async with trio.open_nursery() as nursery:
        await nursery.start(live.run)
        await trio.sleep(3)
        live.network_changed()
        await trio.sleep(CHECK_ANSWER_S + 1)
        assert made[1]["at"] - made[0]["at"] == 3 + CHECK_ANSWER_S, "and no wait"
        assert [what for _, what in dead.sent] == ["ping"]
        live.network_changed()
        await trio.sleep(ANSWER_S + 1)
        assert live.connected
        assert len(made) == 2
        nursery.cancel_scope.cancel()
    assert notes.waits == [0.0]


async def test_a_silent_connection_is_asked_every_thirty_seconds(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    lively, mute = Scripted(100, 1011), Scripted(999, 1011, mute=True)
    made = script(monkeypatch, lively, mute, Scripted(0, OVER))
    await staying().run()
    began = made[0]["at"]
    assert [when - began for when, _ in lively.sent] == pytest.approx([30, 60, 90])
    assert made[2]["at"] - made[1]["at"] == pytest.approx(KEEPALIVE_S + ANSWER_S)


async def test_a_machine_that_slept_comes_back_at_once(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    slept = 0.0
    away = [Unreachable("away") for _ in range(BEFORE + 1)]
    made = script(monkeypatch, *away, Scripted(0, OVER))
    live = staying(clock=lambda: trio.current_time() + slept)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(live.run)
        await trio.sleep(WAITS_S + 6)  # into a wait of 30
        slept = 3600.0
    woken_s = made[-1]["at"] - made[0]["at"] - WAITS_S
    assert 6 < woken_s <= 6 + CLOCK_CHECK_S


async def test_a_clock_that_is_read_late_is_no_sleep(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    connection = Scripted(60, OVER)
    script(monkeypatch, connection)
    await staying(clock=lambda: trio.current_time() * 1.1).run()
    assert [what for _, what in connection.sent] == ["ping"], "only the one that is due after 30 s"


# --- what happened meanwhile ------------------------------------------------------------------


async def test_a_return_asks_for_what_was_missed_since_the_newest_event(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    left = ParticipantLeft("bo", "left", seq=12)
    joined = ParticipantJoined("cy", "Cy", "#112233", seq=15)
    locked = SessionUpdated(True, seq=16)
    back = snapshot("cy", seq=15, resumed=True, missed=(missed(left), missed(joined)))
    made = script(
        monkeypatch,
        Scripted(9, 1011, ParticipantJoined("bo", "Bo", "#112233", seq=9), first=snapshot(seq=7)),
        Scripted(9, 1011, locked, first=back),
        Scripted(0, OVER),
    )
    notes = Notes()
    live = staying(notes)
    await live.run()
    assert [each["resume"] for each in made] == [None, "epoch.9", "epoch.16"]
    assert notes.heard[2:6] == ["connected", ("missed", left), ("missed", joined), locked]
    assert live.replica is not None
    assert set(live.replica.participants) == {"bo"}, "the snapshot's, and not what was missed"


# --- what is sent -----------------------------------------------------------------------------


async def test_the_newest_position_comes_first_with_its_age(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    back = Scripted(9, OVER)
    made = script(monkeypatch, Scripted(5, 1011), back)
    live = staying()
    async with trio.open_nursery() as nursery:
        await nursery.start(live.run)
        await live.set_presence("hidden")
        assert await live.send_position(PLACE)
        await trio.sleep(5.1)
        assert not live.connected
        older = Position(1.0, 1.0, 5.0, NOW)
        assert not await live.send_position(older)
        assert not await live.send_position(Position(2.0, 2.0, 5.0, NOW, age_ms=2_000.0))
    position = back.sent[0][1]
    assert isinstance(position, Position)
    assert (position.lat, position.age_ms) == (2.0, 2_400.0)
    assert back.sent[1:] == []
    assert [each["presence"] for each in made] == ["active", "hidden"], "said with the upgrade"


async def test_the_last_position_is_sent_again_because_a_new_server_has_none(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    first, second = Scripted(5, 1011), Scripted(9, OVER)
    script(monkeypatch, first, second)
    live = staying()
    async with trio.open_nursery() as nursery:
        await nursery.start(live.run)
        assert await live.send_position(PLACE)
    assert [what for _, what in first.sent] == [PLACE]
    [(_, again)] = second.sent
    assert isinstance(again, Position)
    assert (again.lat, again.age_ms) == (PLACE.lat, 5_500.0)


async def test_a_paused_participant_sends_no_old_position(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    second = Scripted(9, OVER)
    made = script(monkeypatch, Scripted(5, 1011), second)
    live = staying()
    async with trio.open_nursery() as nursery:
        await nursery.start(live.run)
        await live.send_position(PLACE)
        assert await live.set_presence("paused")
    assert second.sent == []
    assert [each["presence"] for each in made] == ["active", "paused"]


async def test_the_pace_that_the_server_asks_for_is_obeyed(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    connection = Scripted(60, OVER, Pace(10.0, 0.0))
    script(monkeypatch, connection)
    live = staying()
    async with trio.open_nursery() as nursery:
        await nursery.start(live.run)
        await live.send_position(PLACE)
        await trio.sleep(0.5)
        for second in range(25):
            await live.send_position(Position(second + 0.5, 0.0, None, NOW))
            await trio.sleep(1)
        connection.give(Pace(0.0, 0.0))
        await trio.sleep(1)
        assert live.pace == Pace(0.0, 0.0)
        nursery.cancel_scope.cancel()
    sent = [each for _, each in connection.sent if isinstance(each, Position)]
    assert [each.lat for each in sent] == [PLACE.lat, 9.5, 19.5, 24.5], "the newest of each"
    assert [each.age_ms for each in sent] == [None, None, None, 1_000]


async def test_what_is_chosen_while_it_connects_is_said_once_it_has(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    connection = Scripted(9, OVER)

    @asynccontextmanager
    async def slowly(_url: str, _token: str, **_options: Any) -> AsyncIterator[Scripted]:
        await trio.sleep(3)
        yield connection

    monkeypatch.setattr("locshare.client.live.connect", slowly)
    live = staying()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(live.run)
        await trio.sleep(1)
        assert not await live.set_pace(30)
        assert not await live.set_presence("hidden")
    assert [what for _, what in connection.sent] == [("pace", 30), ("presence", "hidden")]


async def test_the_own_pace_is_kept_over_reconnects(
    autojump_clock: trio.abc.Clock,
    monkeypatch: Setting,
) -> None:
    first = Scripted(5, 1011)
    made = script(monkeypatch, first, Scripted(0, OVER))
    live = staying()
    async with trio.open_nursery() as nursery:
        await nursery.start(live.run)
        assert await live.set_pace(15)
    assert [what for _, what in first.sent] == [("pace", 15)]
    assert [each["pace"] for each in made] == [None, 15.0]
    assert not await live.set_pace(0)
    for wrong in (-1, 61, float("nan")):
        with pytest.raises(ValueError, match="0 to 60"):
            await live.set_pace(wrong)
